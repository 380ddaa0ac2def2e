"""A/B tests: what they have shown, and the staff's hand on them."""

from __future__ import annotations

import math
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from typing_extensions import override

from commsproject.common.admin import Question, ReadOnlyAdmin, Tone, ago, badge, link
from commsproject.common.admin.show import NOTHING
from commsproject.common.admin.theme import AdminTextInputWidget, ModelForm
from commsproject.common.errors import InvalidInput
from templates_app import experiments
from templates_app.experiments import MAX_WEIGHT, Choice
from templates_app.models import Experiment, Goal, Kind, Template, Variant
from templates_app.results import Arm, Comparison, Results, results

_TONES = {
    Experiment.State.DRAFT: Tone.QUIET,
    Experiment.State.RUNNING: Tone.BUSY,
    Experiment.State.STOPPED: Tone.WARN,
    Experiment.State.DECIDED: Tone.GOOD,
}

_START = Question(
    title="Start this experiment?",
    text="Each new message of the template is one of its variants, whatever version is in use.",
    button="Start it",
)
_STOP = Question(
    title="Stop this experiment?",
    text="New messages are of the version in use again. It can be started again, or decided.",
    button="Stop it",
)

_ROWS = 4
"""Variants that the form has room for; the API takes more."""


class NewExperiment(ModelForm[Experiment]):
    """An experiment with its variants, a line each."""

    class Meta:
        model = Experiment
        fields = ("template", "name", "goal", "is_automatic")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for row in range(_ROWS):
            is_needed = row < 2
            self.fields[f"name_{row}"] = forms.CharField(
                label=f"Variant {row + 1}",
                max_length=50,
                required=is_needed,
                initial="AB"[row] if is_needed else "",
                widget=AdminTextInputWidget,
            )
            self.fields[f"version_{row}"] = forms.IntegerField(
                label="Published version",
                min_value=1,
                required=is_needed,
                widget=AdminTextInputWidget(attrs={"inputmode": "numeric"}),
            )
            self.fields[f"weight_{row}"] = forms.IntegerField(
                label="Weight",
                min_value=1,
                max_value=MAX_WEIGHT,
                initial=1,
                widget=AdminTextInputWidget(attrs={"inputmode": "numeric"}),
            )

    @override
    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        rows = [row for row in range(_ROWS) if data.get(f"name_{row}")]
        for row in rows:
            if not self.errors and not data.get(f"version_{row}"):
                self.add_error(f"version_{row}", "Which version is it?")
        if not self.errors:
            data["variants"] = [
                Choice(*(data[f"{name}_{row}"] for name in ("name", "version", "weight")))
                for row in rows
            ]
            self._check(data, rows)
        return data

    def _check(self, data: dict[str, Any], rows: list[int]) -> None:
        try:
            experiments.check(data["template"], data["variants"])
        except InvalidInput as error:
            for each in error.errors:
                _, index, field = [*each.field.split("."), "", ""][:3]
                self.add_error(f"{field}_{rows[int(index)]}" if index else None, each.message)


@admin.register(Experiment)
class ExperimentAdmin(ReadOnlyAdmin[Experiment]):
    """Versions of a template beside each other."""

    form = NewExperiment
    list_display = ("name", "of_template", "state_badge", "goal_name", "winner_name", "started")
    list_filter = ("state", "goal")
    list_select_related = ("template",)
    search_fields = ("template__key",)
    search_help_text = "Exact key of a template"
    nothing = "No A/B test yet"
    begin = "Try two versions of a template on a part of its messages, and keep the better one."
    fields = (
        *("of_template", "state_badge", "goal_name", "decides", "winner_name"),
        *("author", "created", "started", "ended"),
    )
    change_form_template = "templates_app/admin/experiment.html"

    @override
    def look_up(self, rows: QuerySet[Experiment], term: str) -> QuerySet[Experiment]:
        return rows.filter(template__key=term)

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[Experiment]:
        variants = Variant.objects.select_related("version").defer("version__built")
        rows = super().get_queryset(request)
        return rows.prefetch_related(Prefetch("variants", queryset=variants))

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("templates_app.add_experiment")

    @override
    def get_fieldsets(self, request: HttpRequest, obj: Experiment | None = None) -> Any:
        if obj is not None:
            return super().get_fieldsets(request, obj)
        lines = [(f"name_{row}", f"version_{row}", f"weight_{row}") for row in range(_ROWS)]
        return (
            (None, {"fields": ("template", "name", "goal", "is_automatic")}),
            ("Variants", {"fields": lines}),
        )

    @override
    def get_form(
        self, request: HttpRequest, obj: Experiment | None = None, change: bool = False, **_: Any
    ) -> Any:
        """The variants' fields are the form's own: Django must not look for them in the model."""
        made = super().get_form(request, obj, change, fields=NewExperiment.Meta.fields)
        if template := made.base_fields.get("template"):
            widget: Any = template.widget  # the wrapper, whose buttons lead away from the form
            widget.can_add_related = widget.can_change_related = widget.can_view_related = False
        return made

    @override
    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = Template.objects.filter(kind=Kind.MESSAGE, archived_at=None)
        return super().formfield_for_foreignkey(db_field, request, **{**kwargs, "queryset": rows})

    @override
    def save_model(self, request: HttpRequest, obj: Experiment, form: Any, change: bool) -> None:
        asked = form.cleaned_data
        made = experiments.create(
            asked["template"],
            name=asked["name"],
            goal=Goal(asked["goal"]),
            is_automatic=asked["is_automatic"],
            variants=asked["variants"],
            author=request.user.get_username(),
        )
        obj.pk = made.pk

    @override
    def own_page(self, row: Experiment) -> dict[str, Any]:
        found = results(row)
        top = max((arm.high for arm in found.arms if arm.counts.get("assigned")), default=1.0) or 1
        return {
            "subtitle": None,
            "title": row.name,
            "goal": Goal(row.goal).label.lower(),
            "arms": [_shown_arm(arm, row, top) for arm in found.arms],
            "comparisons": [_shown_comparison(one) for one in found.comparisons],
            "verdict": _verdict(row, found),
            "actions": self._actions(row),
        }

    def _actions(self, row: Experiment) -> list[tuple[str, str, bool]]:
        """Label, address, and whether it is the end."""
        made: list[tuple[str, str, bool]] = []
        if row.state in (Experiment.State.DRAFT, Experiment.State.STOPPED):
            made.append(("Start", self._url("start", row.pk), False))
        if row.state == Experiment.State.RUNNING:
            made.append(("Stop", self._url("stop", row.pk), False))
        if row.state in (Experiment.State.RUNNING, Experiment.State.STOPPED):
            for variant in row.variants.all():
                if variant.round == row.round:
                    address = self._url("decide", row.pk, variant.pk)
                    made.append((f"Take {variant.name}", address, True))
        return made

    @staticmethod
    def _url(name: str, *args: UUID) -> str:
        return reverse(f"admin:templates_app_experiment_{name}", args=args)

    @override
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        name = "templates_app_experiment"
        return [
            path("<uuid:pk>/start/", view(self.start), name=f"{name}_start"),
            path("<uuid:pk>/stop/", view(self.stop), name=f"{name}_stop"),
            path("<uuid:pk>/decide/<uuid:winner>/", view(self.decide), name=f"{name}_decide"),
            *super().get_urls(),
        ]

    def start(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self._mine(request, pk)

        def act() -> str:
            experiments.start(row)
            return "Started."

        return self.ask_first(request, row, _START, act)

    def stop(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        row = self._mine(request, pk)

        def act() -> str:
            experiments.stop(row)
            return "Stopped."

        return self.ask_first(request, row, _STOP, act)

    def decide(self, request: HttpRequest, pk: UUID, winner: UUID) -> HttpResponse:
        row = self._mine(request, pk)
        variant = get_object_or_404(row.variants.select_related("version"), pk=winner)
        question = Question(
            title=f"Take {variant.name} for the winner?",
            text=f"From now on everybody gets v{variant.version.number}: it becomes the version in "
            "use. A decided experiment does not go on.",
            button="Decide",
        )

        def act() -> str:
            experiments.decide(row, variant.name, by=request.user.get_username())
            return f"Decided: {variant.name}."

        return self.ask_first(request, row, question, act)

    def _mine(self, request: HttpRequest, pk: UUID) -> Experiment:
        row = get_object_or_404(Experiment, pk=pk)
        if not self.may_act(request):
            raise PermissionDenied
        return row

    @admin.display(description="Template")
    def of_template(self, row: Experiment) -> SafeString:
        return link(self.url_of(row.template), row.template.key)

    @admin.display(description="State")
    def state_badge(self, row: Experiment) -> SafeString:
        state = Experiment.State(row.state)
        return badge(state.label, _TONES[state])

    @admin.display(description="Goal")
    def goal_name(self, row: Experiment) -> str:
        return Goal(row.goal).label

    @admin.display(description="Winner")
    def winner_name(self, row: Experiment) -> str:
        if not row.winner:
            return NOTHING
        return f"{row.winner} (by {row.decided_by or 'itself'})"

    @admin.display(description="Decides")
    def decides(self, row: Experiment) -> str:
        return "by itself, once it is certain" if row.is_automatic else "by hand"

    @admin.display(description="By")
    def author(self, row: Experiment) -> str:
        return row.created_by or NOTHING

    @admin.display(description="Created")
    def created(self, row: Experiment) -> SafeString:
        return ago(row.created_at)

    @admin.display(description="Started")
    def started(self, row: Experiment) -> SafeString:
        return ago(row.started_at)

    @admin.display(description="Ended")
    def ended(self, row: Experiment) -> SafeString:
        return ago(row.ended_at)


def _shown_arm(arm: Arm, row: Experiment, top: float) -> dict[str, Any]:
    """`bar` is in percent of the widest interval's upper end."""
    return {
        "name": arm.name,
        "version": arm.version,
        "weight": arm.weight,
        "is_winner": arm.name == row.winner,
        "counts": [arm.counts.get(name, 0) for name in ("assigned", *Goal.values)],
        "value": f"{arm.value:,.2f}" if arm.counts.get("value") else None,
        "rate": _percent(arm.rate),
        "short_rate": f"{100 * arm.rate:.1f}\u00a0%",
        "interval": f"{_percent(arm.low)} to {_percent(arm.high)}",
        "bar": {
            "rate": _place(arm.rate, top),
            "low": _place(arm.low, top),
            "width": _place(arm.high, top) - _place(arm.low, top),
        },
    }


def _shown_comparison(one: Comparison) -> dict[str, Any]:
    low, high = one.ratio
    upper = f"{high:.2f}" if math.isfinite(high) else "any"
    return {
        "name": one.name,
        "difference": f"{100 * one.difference:+.2f} points",
        "interval": f"{100 * one.low:+.2f} to {100 * one.high:+.2f}",
        "ratio": f"{low:.2f} to {upper}",
        "chance": "below 0.01 %" if one.chance < 0.0001 else _percent(one.chance),
        "is_certain": one.is_certain,
    }


def _verdict(row: Experiment, found: Results) -> str:
    if row.winner:
        return f"{row.winner} has won: everybody gets it."
    if found.winner:
        return f"{found.winner} is better for certain: it can be taken for the winner."
    if not any(arm.counts.get(row.goal) for arm in found.arms):
        return "Nothing has come of it yet."
    return f"{found.best} is ahead, but that may be chance. Look as often as you like."


def _percent(part: float) -> str:
    return f"{100 * part:.2f} %"


def _place(part: float, top: float) -> float:
    return round(min(100.0, 100 * part / top), 2)
