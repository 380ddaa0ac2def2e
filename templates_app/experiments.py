"""A/B tests: versions of a template that are sent side by side, until one of them has won."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from commsproject.common.copy import copy_rows
from commsproject.common.errors import Conflict, InvalidInput, NotFound
from commsproject.common.ids import new_id
from templates_app import assignment, results, selectors
from templates_app.models import (
    Experiment,
    Goal,
    Kind,
    Template,
    TemplateVersion,
    Variant,
    VariantDelta,
)
from templates_app.selectors import InUse

MAX_VARIANTS = 10
MAX_WEIGHT = 1000


class ExperimentState(Conflict):
    code = "experiment_state"
    title = "The experiment is not in a state for this"


class ExperimentRunning(Conflict):
    code = "experiment_running"
    title = "Another experiment runs on this template"


# --- While it runs -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trial:
    """A running experiment, as accepting messages needs it."""

    experiment: UUID
    variants: Sequence[Variant]

    def assign(self, person: str) -> Variant:
        """The person's variant: always the same one."""
        return self._by_name[assignment.assign(self.experiment, self._weights, person)]

    @cached_property
    def _by_name(self) -> Mapping[str, Variant]:
        return {variant.name: variant for variant in self.variants}

    @cached_property
    def _weights(self) -> Mapping[str, int]:
        return {variant.name: variant.weight for variant in self.variants}


def trials(in_use: Mapping[str, InUse]) -> dict[str, Trial]:
    """Of the templates that have a running experiment, by template key."""
    keys = {one.experiment_id: key for key, one in in_use.items() if one.experiment_id}
    if not keys:
        return {}
    rows: dict[UUID, list[Variant]] = defaultdict(list)
    of_round = Variant.objects.filter(experiment__in=keys, round=F("experiment__round"))
    for variant in of_round.select_related("version__template").order_by("name"):
        rows[variant.experiment_id].append(variant)
    return {keys[id_]: Trial(id_, found) for id_, found in rows.items()}


def note(counts: Mapping[UUID, Mapping[str, int]]) -> None:
    """Add to the counts of variants, in the caller's transaction; folded in later."""
    copy_rows(
        VariantDelta,
        (VariantDelta(variant_id=variant, counts=dict(more)) for variant, more in counts.items()),
    )


_GONE = """
DELETE FROM templates_app_variantdelta WHERE id IN (
    SELECT id FROM templates_app_variantdelta ORDER BY id LIMIT 10000 FOR UPDATE SKIP LOCKED)
RETURNING variant_id, counts
"""


@transaction.atomic
def fold_counts() -> None:
    """Add the deltas to their variants; in one transaction, so that none counts twice."""
    news: dict[UUID, Counter[str]] = defaultdict(Counter)
    with connection.cursor() as cursor:
        cursor.execute(_GONE)
        for variant_id, counts in cursor.fetchall():
            news[variant_id].update(json.loads(counts))
    for variant in (
        Variant.objects.select_for_update(no_key=True).filter(id__in=news).order_by("id")
    ):
        variant.counts = Counter[str](variant.counts)
        variant.counts.update(news[variant.id])
        variant.save(update_fields=["counts"])


def judge() -> None:
    """End those that decide by themselves and have a winner."""
    running = Experiment.objects.filter(state=Experiment.State.RUNNING, is_automatic=True)
    for experiment in running.select_related("template"):
        if winner := results.results(experiment).winner:
            decide(experiment, winner, by="")


# --- Its life ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """A variant as asked for: a published version's number, and its share of the people."""

    name: str
    version: int
    weight: int = 1


def get(template: Template, experiment_id: UUID) -> Experiment:
    """Raises `NotFound`."""
    found = template.experiments.filter(id=experiment_id).first()
    if found is None:
        raise NotFound("This template has no such experiment.")
    return found


def check(template: Template, variants: Sequence[Choice]) -> dict[int, TemplateVersion]:
    """The versions that an experiment of these would compare, by number. Raises `InvalidInput`."""
    if template.kind != Kind.MESSAGE:
        raise InvalidInput.of("template", "not_a_message", "Only messages can be compared.")
    return _versions(template, variants)


@transaction.atomic
def create(
    template: Template,
    *,
    name: str,
    goal: Goal,
    variants: Sequence[Choice],
    is_automatic: bool = False,
    author: str = "",
) -> Experiment:
    """A draft. Raises `InvalidInput`."""
    versions = check(template, variants)
    experiment = Experiment.objects.create(
        template=template, name=name, goal=goal, is_automatic=is_automatic, created_by=author
    )
    _store(experiment, variants, versions)
    return experiment


@transaction.atomic
def change(
    experiment: Experiment,
    *,
    name: str | None = None,
    goal: Goal | None = None,
    is_automatic: bool | None = None,
    variants: Sequence[Choice] | None = None,
) -> Experiment:
    """None leaves a thing as it is. Once it has begun, of the variants only the weights may change.

    Raises `ExperimentState`, `InvalidInput`.
    """
    experiment = _lock(experiment)
    _expect(experiment, set(Experiment.State) - {Experiment.State.DECIDED})
    if goal is not None and goal != experiment.goal:
        _expect(experiment, {Experiment.State.DRAFT})
    asked = {"name": name, "goal": goal, "is_automatic": is_automatic}
    for field, value in asked.items():
        if value is not None:
            setattr(experiment, field, value)
    if variants is not None:
        _change_variants(experiment, variants)
    experiment.save(update_fields=["name", "goal", "is_automatic", "round"])
    return experiment


@transaction.atomic
def start(experiment: Experiment) -> Experiment:
    """From now on each new message of the template is one of its variants.

    Raises `ExperimentState`, `ExperimentRunning`.
    """
    experiment = _lock(experiment)
    _expect(experiment, {Experiment.State.DRAFT, Experiment.State.STOPPED})
    template = experiment.template
    if template.experiment_id is not None:
        raise ExperimentRunning("Stop or decide it first: one at a time.")
    template.experiment = experiment
    template.save(update_fields=["experiment"])
    experiment.state = Experiment.State.RUNNING
    experiment.started_at = experiment.started_at or timezone.now()
    experiment.ended_at = None
    experiment.save(update_fields=["state", "started_at", "ended_at"])
    return experiment


@transaction.atomic
def stop(experiment: Experiment) -> Experiment:
    """The version in use is sent again; what comes of those sent is still counted.

    Raises `ExperimentState`.
    """
    experiment = _lock(experiment)
    _expect(experiment, {Experiment.State.RUNNING})
    _end(experiment, Experiment.State.STOPPED)
    experiment.save(update_fields=["state", "ended_at"])
    return experiment


@transaction.atomic
def decide(experiment: Experiment, winner: str, *, by: str) -> Experiment:
    """From now on everybody gets `winner`: its version is the one in use, published anew where it is
    not the newest. `by` is empty where the experiment decides itself.

    Raises `ExperimentState`, `InvalidInput`.
    """
    experiment = _lock(experiment)
    _expect(experiment, {Experiment.State.RUNNING, Experiment.State.STOPPED})
    variant = _of_round(experiment).filter(name=winner).select_related("version").first()
    if variant is None:
        raise InvalidInput.of("winner", "unknown_variant", f"There is no variant {winner!r}.")
    _end(experiment, Experiment.State.DECIDED)
    experiment.winner, experiment.decided_by = winner, by
    experiment.save(update_fields=["state", "ended_at", "winner", "decided_by"])
    _put_in_use(variant.version, author=f"experiment: {experiment.name}"[:100])
    return experiment


@transaction.atomic
def remove(experiment: Experiment) -> None:
    """A draft, which has no messages. Raises `ExperimentState`."""
    experiment = _lock(experiment)
    _expect(experiment, {Experiment.State.DRAFT})
    experiment.delete()


def _lock(experiment: Experiment) -> Experiment:
    """With its template, which is locked first: as publishing does."""
    template = Template.objects.select_for_update().get(id=experiment.template_id)
    locked = Experiment.objects.select_for_update().filter(id=experiment.id).first()
    if locked is None:
        raise NotFound("This template has no such experiment.")
    locked.template = template
    return locked


def _expect(experiment: Experiment, states: Collection[str]) -> None:
    if experiment.state not in states:
        allowed = " or ".join(state.value for state in Experiment.State if state in states)
        raise ExperimentState(f"It is {experiment.state}; this is for one that is {allowed}.")


def _end(experiment: Experiment, state: Experiment.State) -> None:
    template = experiment.template
    if template.experiment_id == experiment.id:
        template.experiment = None
        template.save(update_fields=["experiment"])
    experiment.state = state
    experiment.ended_at = timezone.now()


def _put_in_use(version: TemplateVersion, author: str) -> None:
    """The highest published number is the one in use; a draft stays above it."""
    newest = version.template.versions.order_by("-number").first()
    in_use = selectors.published([version.template.key]).get(version.template.key)
    if newest is None or in_use == version:
        return
    number = newest.number + 1
    if newest.published_at is None:
        number = newest.number
        newest.number += 1
        newest.save(update_fields=["number"])
    again = TemplateVersion.objects.get(id=version.id)
    again.id, again.number, again.created_by = new_id(), number, author
    again.created_at = again.published_at = timezone.now()
    again.save(force_insert=True)


# --- Variants ----------------------------------------------------------------------------------


def _of_round(experiment: Experiment) -> QuerySet[Variant]:
    return experiment.variants.filter(round=experiment.round)


def _versions(template: Template, variants: Sequence[Choice]) -> dict[int, TemplateVersion]:
    """The versions that are named, by number. Raises `InvalidInput`."""
    if not 2 <= len(variants) <= MAX_VARIANTS:
        raise InvalidInput.of("variants", "count", f"Between 2 and {MAX_VARIANTS} variants.")
    if len({one.name for one in variants}) < len(variants):
        raise InvalidInput.of("variants", "duplicate", "Two variants have the same name.")
    numbers = {one.version for one in variants}
    rows = template.versions.filter(number__in=numbers, published_at__isnull=False)
    found = {row.number: row for row in rows}
    for index, one in enumerate(variants):
        if one.version not in found:
            message = f"There is no published version {one.version}."
            raise InvalidInput.of(f"variants.{index}.version", "unknown_version", message)
        if _channels(found[one.version]) != _channels(found[variants[0].version]):
            message = (
                "Its channels are not those of the first: nobody can be asked by chance alone."
            )
            raise InvalidInput.of(f"variants.{index}.version", "other_channels", message)
    return found


def _channels(version: TemplateVersion) -> set[str]:
    """An email may be one that only a provider has."""
    return {*version.channels, *(["email"] if version.hosted else [])}


def _store(
    experiment: Experiment, variants: Sequence[Choice], versions: Mapping[int, TemplateVersion]
) -> None:
    Variant.objects.bulk_create(
        Variant(
            experiment=experiment,
            round=experiment.round,
            name=one.name,
            version=versions[one.version],
            weight=one.weight,
        )
        for one in variants
    )


def _change_variants(experiment: Experiment, variants: Sequence[Choice]) -> None:
    versions = _versions(experiment.template, variants)
    if experiment.state == Experiment.State.DRAFT:
        _of_round(experiment).delete()
        _store(experiment, variants, versions)
        return
    now = {one.name: one for one in _of_round(experiment).select_related("version")}
    if {(one.name, one.version) for one in variants} != {
        (one.name, one.version.number) for one in now.values()
    }:
        raise ExperimentState("Once it has begun, only the weights of its variants may change.")
    if any(now[one.name].weight != one.weight for one in variants):
        experiment.round += 1
        _store(experiment, variants, versions)
