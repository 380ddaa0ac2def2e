"""Who may do what. `tests/integration/test_staff_permissions.py` says which pages that opens."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.management import create_permissions

from commsproject.common.staff import roles

VIEWER = "Viewer"
SUPPORT = "Support agent"
EDITOR = "Template editor"
OPERATOR = "Operator"
ADMINISTRATOR = "Administrator"

_LOOK = (
    *("templates_app.view_*", "notifications.view_*", "tracking.view_*", "common.view_*"),
    # Whom it concerns, and what gives access, is for those whose work it is.
    *("-common.view_personaldatajob", "-common.view_api*", "-common.view_auditevent"),
    *("-common.view_staffsession", "-common.view_secondfactor", "-common.view_recoverycode"),
    *("-common.view_signintry", "-common.view_alerttarget", "-tracking.view_webhookendpoint"),
    *("-tracking.view_webhookdelivery", "-tracking.view_inboundmessage"),
    *("-notifications.view_simulatedmessage", "-notifications.view_inbox*"),
)

TABLE: roles.Table = {
    VIEWER: _LOOK,
    SUPPORT: (
        *_LOOK,
        *("tracking.view_inboundmessage", "tracking.read_inboundmessage"),
        *("notifications.view_inbox*", "notifications.change_notification"),
        *("notifications.add_suppression", "notifications.delete_suppression"),
        *("notifications.change_device", "common.add_personaldatajob"),
        *("common.view_personaldatajob", "conversations.*"),
    ),
    EDITOR: (
        *_LOOK,
        *("templates_app.*", "-templates_app.delete_*"),
        "notifications.view_simulatedmessage",
    ),
    OPERATOR: (
        *("templates_app.view_*", "notifications.*", "tracking.*", "common.view_*"),
        *("common.*_alert", "common.*_alertrule", "common.*_alerttarget"),
        *("-notifications.delete_recipient", "-notifications.*_inbox*"),
        *("-tracking.*_inboundmessage", "-common.view_personaldatajob"),
        *("-common.view_auditevent", "-common.view_staffsession", "-common.view_secondfactor"),
        *("-common.view_recoverycode", "-common.view_signintry"),
    ),
    ADMINISTRATOR: ("*",),
}


def fill(app_config: AppConfig, **_: Any) -> None:
    """After migrations: a new model's permissions find their roles."""
    # Of the last app: Django's own receiver comes after this one.
    create_permissions(app_config, verbosity=0)
    roles.fill(TABLE)
