"""What this app hears from the engine, inside the engine's transactions."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from notifications.models import Consent, ProviderChange, Suppression
from notifications.services.complete import Outcome
from notifications.services.plan import Planned
from notifications.services.status import Applied, StatusChange
from notifications.signals import accepted, opted, reported, status_changed
from tracking.models import WebhookEndpoint
from tracking.services import alert_counts, alike, bounces, endpoints, events_out, rollups


@receiver(reported, dispatch_uid="bounces")
def record_bounces(provider: str, applied: Sequence[Applied], **_: object) -> None:
    bounces.record(provider, applied)


@receiver(accepted, dispatch_uid="events out: accepted")
def tell_accepted(planned: Sequence[Planned], **_: object) -> None:
    events_out.accepted(planned)


@receiver(status_changed, dispatch_uid="events out: status")
def tell_status(changes: Sequence[StatusChange], outcomes: Sequence[Outcome], **_: object) -> None:
    events_out.status_changed(changes, outcomes)


@receiver(reported, dispatch_uid="events out: reported")
def tell_reported(applied: Sequence[Applied], **_: object) -> None:
    events_out.reported(applied)


@receiver(opted, dispatch_uid="events out: opted")
def tell_opted(entries: Sequence[Suppression], *, out: bool, **_: object) -> None:
    events_out.opted(entries, out=out)


@receiver(post_save, sender=Consent, dispatch_uid="events out: consent")
def tell_consent(instance: Consent, *, created: bool, **_: object) -> None:
    if created:
        events_out.consented(instance)


@receiver(post_save, sender=ProviderChange, dispatch_uid="events out: providers")
def tell_provider(instance: ProviderChange, *, created: bool, **_: object) -> None:
    if created:
        events_out.provider_changed(instance)


@receiver(accepted, dispatch_uid="analytics: accepted")
def count_accepted(planned: Sequence[Planned], **_: object) -> None:
    rollups.accepted(planned)


@receiver(status_changed, dispatch_uid="counts: status")
def count_status(changes: Sequence[StatusChange], outcomes: Sequence[Outcome], **_: object) -> None:
    groups = alike.grouped(outcomes)
    rollups.changed(changes, outcomes, groups)
    alert_counts.changed(changes, outcomes, groups)


@receiver(reported, dispatch_uid="analytics: reported")
def count_reported(applied: Sequence[Applied], **_: object) -> None:
    rollups.reported(applied)


@receiver(opted, dispatch_uid="analytics: opted")
def count_opted_out(entries: Sequence[Suppression], *, out: bool, **_: object) -> None:
    if out:
        rollups.opted_out(entries)


@receiver(reported, dispatch_uid="alerts: reported")
def watch_reports(provider: str, applied: Sequence[Applied], **_: object) -> None:
    alert_counts.reported(provider, applied)


@receiver(post_delete, sender=WebhookEndpoint, dispatch_uid="webhooks: deleted")
def forget_endpoint(instance: WebhookEndpoint, **_: object) -> None:
    endpoints.gone(instance.id)
