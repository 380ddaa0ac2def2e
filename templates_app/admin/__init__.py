"""Staff pages of templates: the list, the editor, the versions, the experiments."""

from __future__ import annotations

from templates_app.admin import experiments, templates, versions  # register themselves

__all__ = ["experiments", "templates", "versions"]
