"""The versions of a template: all of them, one, two side by side."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, QueryDict
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import ReadOnlyAdmin, ago
from commsproject.common.admin.show import NOTHING
from templates_app import selectors
from templates_app.admin import differences, parts, standing
from templates_app.models import WHOLE, Template, TemplateVersion

SHOWN = 100
"""Versions on the page, the newest first."""


def listed(template: Template) -> dict[str, Any]:
    versions = list(template.versions.order_by("-number")[: SHOWN + 1])
    in_use = _in_use(template)
    return {
        "versions": [(one, standing.of_version(one, in_use)) for one in versions[:SHOWN]],
        "has_more": len(versions) > SHOWN,
        "used_by": [] if template.kind in WHOLE else selectors.users(template),
    }


def compared(template: Template, query: QueryDict) -> dict[str, Any]:
    """The versions named by `from` and `to`; raises Http404."""
    before, after = (numbered(template, query.get(name, "")) for name in ("from", "to"))
    in_use = _in_use(template)
    return {
        "before": before,
        "after": after,
        "before_state": standing.of_version(before, in_use),
        "after_state": standing.of_version(after, in_use),
        "differences": differences.between(before, after),
    }


def numbered(template: Template, number: str) -> TemplateVersion:
    found = (
        template.versions.filter(number=number).first()
        if re.fullmatch(r"[0-9]{1,9}", number)
        else None
    )
    if found is None:
        raise Http404
    return found


def _in_use(template: Template) -> int | None:
    newest = template.versions.filter(published_at__isnull=False).order_by("-number").first()
    return newest.number if newest else None


@admin.register(TemplateVersion)
class VersionAdmin(ReadOnlyAdmin[TemplateVersion]):
    """One version, to look at. Reached from its template."""

    list_display = ("template", "name", "author", "published")
    list_filter = (("published_at", admin.EmptyFieldListFilter),)
    list_select_related = ("template",)
    ordering = ("-id",)
    fields = ("template", "name", "state", "locale", "layout", "reads", "author", "published")
    nothing = "No template was published yet"
    begin = "Each time that a template is saved or published there is a version."
    change_form_template = "templates_app/admin/version.html"

    @override
    def own_page(self, row: TemplateVersion) -> dict[str, Any]:
        languages = {row.locale: row.channels, **row.translations}
        return {
            "languages": [
                (
                    locale,
                    [
                        (parts.label(channel, part), source)
                        for channel, sources in channels.items()
                        for part, source in sources.items()
                    ],
                )
                for locale, channels in languages.items()
            ]
        }

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="Version")
    def name(self, version: TemplateVersion) -> str:
        return f"v{version.number}"

    @admin.display(description="State")
    def state(self, version: TemplateVersion) -> SafeString:
        return standing.of_version(version, _in_use(version.template))

    @admin.display(description="Reads")
    def reads(self, version: TemplateVersion) -> str:
        return ", ".join(version.variables) or "nothing"

    @admin.display(description="By")
    def author(self, version: TemplateVersion) -> str:
        return version.created_by or NOTHING

    @admin.display(description="Published")
    def published(self, version: TemplateVersion) -> SafeString:
        return ago(version.published_at)
