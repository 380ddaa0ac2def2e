"""A new template: what it is called and what it begins with."""

from __future__ import annotations

from typing import Any

from django import forms

from commsproject.common.admin.theme import AdminTextInputWidget, ModelForm, Select
from templates_app.admin.starters import STARTERS, starter
from templates_app.models import Kind, Template


class NewTemplate(ModelForm[Template]):
    kind = forms.ChoiceField(
        choices=[
            (Kind.MESSAGE, "A message"),
            (Kind.LAYOUT, "A layout: what stands around messages"),
            (Kind.PARTIAL, "A partial: what several messages say"),
        ],
        widget=Select,
        label="What it is",
    )
    begin = forms.ChoiceField(
        choices=[(name, label) for name, (label, _) in STARTERS.items()],
        widget=Select,
        label="Begin with",
        help_text="Of a message. Other channels are added in the editor.",
    )
    locale = forms.RegexField(
        r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$",
        required=False,
        max_length=35,
        initial="en",
        widget=AdminTextInputWidget,
        label="Language",
        help_text="What it is written in first: en, de or pt-BR, say.",
        error_messages={"invalid": "A language is a tag such as en or pt-BR."},
    )

    class Meta:
        model = Template
        fields = ("name", "key")

    def fields_of_service(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "key": data["key"],
            "name": data["name"],
            "kind": Kind(data["kind"]),
            "locale": data["locale"],
            "channels": starter(data["kind"], data["begin"]),
        }
