from __future__ import annotations

from templates_app.models.experiment import Experiment, Goal, Variant, VariantDelta
from templates_app.models.template import WHOLE, Kind, Template, TemplateVersion

__all__ = [
    "WHOLE",
    "Experiment",
    "Goal",
    "Kind",
    "Template",
    "TemplateVersion",
    "Variant",
    "VariantDelta",
]
