from __future__ import annotations

from templates_app.models.experiment import Experiment, Goal, Variant, VariantDelta
from templates_app.models.template import Kind, Template, TemplateVersion

__all__ = ["Experiment", "Goal", "Kind", "Template", "TemplateVersion", "Variant", "VariantDelta"]
