"""The words in which people who are away are told: a template that staff may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from templates_app import selectors as templates
from templates_app import services as authors
from templates_app.locales import Channels
from templates_app.services import KeyTaken

TEMPLATE = "conversation-unread"
"""Made at its first use; from then on it is staff's. It gets `author` (of the last entry), `title`,
`entries` (each with `author`, and `text`, empty of a file), `more` (entries before these) and
`can_reply`.
"""

_SUBJECTS = {
    "en": "New message from {{ author }}{% if title %} in {{ title }}{% endif %}",
    "de": "Neue Nachricht von {{ author }}{% if title %} in {{ title }}{% endif %}",
    "es": "Nuevo mensaje de {{ author }}{% if title %} en {{ title }}{% endif %}",
    "fr": "Nouveau message de {{ author }}{% if title %} dans {{ title }}{% endif %}",
    "it": "Nuovo messaggio da {{ author }}{% if title %} in {{ title }}{% endif %}",
    "nl": "Nieuw bericht van {{ author }}{% if title %} in {{ title }}{% endif %}",
    "pl": "Nowa wiadomość od: {{ author }}{% if title %} ({{ title }}){% endif %}",
    "pt": "Nova mensagem de {{ author }}{% if title %} em {{ title }}{% endif %}",
}
_MORE = {
    "en": "... and {{ more }} before that",
    "de": "... und davor {{ more }}",
    "es": "... y {{ more }} antes",
    "fr": "... et {{ more }} avant",
    "it": "... e {{ more }} prima",
    "nl": "... en daarvoor {{ more }}",
    "pl": "... i wcześniej {{ more }}",
    "pt": "... e {{ more }} antes",
}
_FILE = {
    "en": "(a file)",
    "de": "(eine Datei)",
    "es": "(un archivo)",
    "fr": "(un fichier)",
    "it": "(un file)",
    "nl": "(een bestand)",
    "pl": "(plik)",
    "pt": "(um ficheiro)",
}
_ANSWER = {
    "en": "Reply to this message to answer.",
    "de": "Antworten Sie einfach auf diese Nachricht.",
    "es": "Para contestar, responda a este mensaje.",
    "fr": "Pour répondre, répondez à ce message.",
    "it": "Per rispondere, risponda a questo messaggio.",
    "nl": "Beantwoord dit bericht om te reageren.",
    "pl": "Aby odpisać, wystarczy odpowiedzieć na tę wiadomość.",
    "pt": "Para responder, responda a esta mensagem.",
}
_SAMPLE = {
    "author": "Ada Lovelace",
    "title": "Trip to Oslo",
    "entries": [
        {"author": "Ada Lovelace", "text": "See you at nine."},
        {"author": "Ada Lovelace", "text": ""},
    ],
    "more": 3,
    "can_reply": True,
}


def make_template() -> None:
    """Where it is not there yet."""
    make(
        TEMPLATE,
        "Unread in a conversation",
        {locale: _channels(locale) for locale in _SUBJECTS},
        sample={"name": "Three", "data": _SAMPLE},
    )


def make(key: str, name: str, channels: Mapping[str, Channels], sample: Mapping[str, Any]) -> None:
    """A template of ours by language, English first, where there is none of this key."""
    if key in templates.published([key]):
        return
    others = dict(channels)
    try:
        made = authors.create(
            key=key,
            name=name,
            author="the service",
            locale="en",
            channels=others.pop("en"),
            translations=others,
            samples=[sample],
        )
    except KeyTaken:  # staff have written one and not published it, or put it away
        return
    authors.publish(made)


def _channels(locale: str) -> dict[str, dict[str, str]]:
    lines = (
        "{% if more %}" + _MORE[locale] + "\n{% endif %}"
        "{% for one in entries %}{{ one.author }}: "
        "{% if one.text %}{{ one.text }}{% else %}" + _FILE[locale] + "{% endif %}"
        "{% if not loop.last %}\n{% endif %}{% endfor %}"
    )
    answer = "{% if can_reply %}\n\n" + _ANSWER[locale] + "{% endif %}"
    subject = _SUBJECTS[locale]
    return {
        "email": {"subject": subject, "text": lines + answer},
        "sms": {"text": lines},
        "push": {"title": subject, "body": lines},
        "inapp": {"title": subject, "body": lines},
    }
