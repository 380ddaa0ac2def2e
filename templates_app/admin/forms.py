"""A new template: what it is called and what it begins with."""

from __future__ import annotations

from typing import Any

from django import forms

from commsproject.common.admin.theme import AdminTextInputWidget, ModelForm, Select
from commsproject.common.errors import CommsError
from templates_app import locales, services
from templates_app.admin.starters import STARTERS, starter
from templates_app.models import Kind, Template


class NewTemplate(ModelForm[Template]):
    kind = forms.ChoiceField(
        choices=[
            (Kind.MESSAGE, "A message"),
            (Kind.REPLY, "A reply: what staff begin an answer to somebody with"),
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
    locale = forms.CharField(
        required=False,
        max_length=35,
        initial="en",
        widget=AdminTextInputWidget,
        label="Language",
        help_text="What it is written in first: en, de or pt-BR, say.",
    )

    class Meta:
        model = Template
        fields = ("name", "key")

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        try:
            services.check_key(key)
        except CommsError as error:
            raise forms.ValidationError(error.detail) from None
        return key

    def clean_locale(self) -> str:
        locale: str = self.cleaned_data["locale"]
        if locale and not locales.is_tag(locale):
            raise forms.ValidationError("A language is a tag such as en or pt-BR.")
        return locale

    def fields_of_service(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "key": data["key"],
            "name": data["name"],
            "kind": Kind(data["kind"]),
            "locale": data["locale"],
            "channels": starter(data["kind"], data["begin"]),
        }
