"""Words that the trail of what staff do may tell as they are: never a person's, never a secret."""

from __future__ import annotations

_NAMED = frozenset({"key", "name"})

FIELDS = {
    "auth.group": frozenset({"name"}),
    "auth.user": frozenset({"username"}),
    "common.alert": frozenset({"key", "acknowledged_by"}),
    "common.alertrule": _NAMED | {"only"},
    "common.alerttarget": frozenset({"name"}),
    "common.apiclient": frozenset({"name"}),
    "common.apikey": frozenset({"prefix", "scopes"}),
    "common.scheduledjob": frozenset({"name"}),
    "notifications.batch": frozenset({"state"}),
    "notifications.category": _NAMED | {"channels", "fallback"},
    "notifications.providerstate": frozenset({"name", "breaker"}),
    "notifications.schedule": frozenset({"cron", "time_zone"}),
    "notifications.simulatorrule": frozenset({"provider"}),
    "notifications.suppression": frozenset({"scope"}),
    "notifications.topic": _NAMED,
    "templates_app.experiment": _NAMED | {"winner", "created_by", "decided_by"},
    "templates_app.template": _NAMED | {"locale"},
    "tracking.webhookendpoint": frozenset({"events"}),
}
