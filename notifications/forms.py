"""The forms of the public pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf.locale import LANG_INFO
from django.http import QueryDict
from django.utils import timezone
from typing_extensions import override

from notifications import timetable
from notifications.models import Recipient
from notifications.services.preferences import MAX_PERIODS, Period

if TYPE_CHECKING:  # Django's is generic in its stubs alone
    FormSet = forms.BaseFormSet["PeriodForm"]
else:
    FormSet = forms.BaseFormSet

LONGEST_PAUSE = timedelta(days=366)
DAYS = [
    *(("0", "Mon"), ("1", "Tue"), ("2", "Wed"), ("3", "Thu")),
    *(("4", "Fri"), ("5", "Sat"), ("6", "Sun")),
]


def _tag(code: str) -> str:
    """`pt-br` as a language tag: `pt-BR`; a script has four letters, `zh-Hans`."""
    language, _, rest = code.partition("-")
    return f"{language}-{rest.title() if len(rest) > 3 else rest.upper()}" if rest else language


LANGUAGES = sorted(
    (
        (_tag(code), str(info["name_local"]).capitalize())
        for code, info in LANG_INFO.items()
        if "name_local" in info
    ),
    key=lambda pair: pair[1],
)


def _zones() -> list[tuple[str, Any]]:
    """By continent, as people look for them."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(timetable.zones()):
        region, _, place = name.partition("/")
        if place and region not in ("Etc", "SystemV", "posix", "right"):
            found.setdefault(region, []).append((name, place.replace("_", " ")))
    return list(found.items())


class PersonForm(forms.Form):
    """A pause, a language and a place."""

    paused_until = forms.DateField(
        label="Pause everything until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Until that day you get nothing but what cannot be turned off. Empty: no pause.",
    )
    locale = forms.ChoiceField(
        label="Language", required=False, help_text="Where a message is written in several."
    )
    time_zone = forms.ChoiceField(
        label="Time zone", required=False, help_text="Your quiet hours are in it."
    )

    def __init__(self, data: QueryDict | None = None, *, person: Recipient) -> None:
        until = _day(person)
        initial = {
            "paused_until": until,
            "locale": person.locale,
            "time_zone": person.time_zone,
        }
        super().__init__(data, initial=initial)
        self.person = person
        known = {tag for tag, _ in LANGUAGES}
        other = [] if person.locale in known else [(person.locale, person.locale)]
        languages = [("", "Not set"), *(other if person.locale else []), *LANGUAGES]
        self.fields["locale"].choices = languages  # type: ignore[attr-defined]
        zones = [("", "Not set (UTC)"), ("UTC", "UTC"), *_zones()]
        self.fields["time_zone"].choices = zones  # type: ignore[attr-defined]

    def clean_paused_until(self) -> date | None:
        until: date | None = self.cleaned_data["paused_until"]
        today = timezone.localdate()
        if until and "paused_until" in self.changed_data and until <= today:
            raise forms.ValidationError("Choose a day that is still to come.", code="past")
        if until and until > today + LONGEST_PAUSE:
            raise forms.ValidationError("Choose a day within a year.", code="too_far")
        return until

    def save(self) -> None:
        """Only what is other than it was shown: an agent may have set it since, or to the minute."""
        if not self.changed_data:
            return
        for name in self.changed_data:
            setattr(self.person, name, self.cleaned_data[name])
        until = self.cleaned_data["paused_until"]
        if "paused_until" in self.changed_data and until:
            self.person.paused_until = datetime.combine(until, time.min, _zone(self.person))
        self.person.save(update_fields=self.changed_data)


def _zone(person: Recipient) -> ZoneInfo:
    return ZoneInfo(person.time_zone or "UTC")


def _day(person: Recipient) -> date | None:
    until = person.paused_until
    return until.astimezone(_zone(person)).date() if until and until > timezone.now() else None


class PeriodForm(forms.Form):
    """One period of quiet; empty: none."""

    start = forms.TimeField(
        label="From",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    end = forms.TimeField(
        label="To",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    days = forms.MultipleChoiceField(
        label="Starting on",
        required=False,
        choices=DAYS,
        widget=forms.CheckboxSelectMultiple,
    )

    @override
    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.errors and bool(data.get("start")) != bool(data.get("end")):
            self.add_error("end" if data.get("start") else "start", "Give both times, or neither.")
        return data


class Periods(FormSet):
    def periods(self) -> list[Period]:
        return list(self._given())

    def _given(self) -> Iterator[Period]:
        for form in self.forms:
            data = form.cleaned_data
            if data.get("start") and data.get("end"):
                yield Period(data["start"], data["end"], [int(day) for day in data["days"]])


PeriodForms = forms.formset_factory(
    PeriodForm, formset=Periods, extra=1, max_num=MAX_PERIODS, validate_max=True
)


def period_initial(person: Recipient) -> list[dict[str, Any]]:
    """The rows of the form for the periods there are."""
    return [
        {"start": one.start, "end": one.end, "days": [str(day) for day in one.days]}
        for one in person.quiet_hours.all()
    ]
