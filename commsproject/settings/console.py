"""Settings of the staff pages and of the landing page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy
from django.utils.functional import lazy

DEVELOPMENT = False
"""On a developer's or newcomer's machine: `/` is a landing page, demo data may be made. Only the
development settings turn this on."""

LOGIN_REDIRECT_URL = "admin:index"


def _reverse(name: str, query: str) -> str:
    return f"{reverse(name)}{query}"


_address = lazy(_reverse, str)


def _page(
    title: str, icon: str, app: str, model: str, query: str = "", other: str = ""
) -> dict[str, Any]:
    """An entry of the sidebar, for those who may see the rows. `query` makes it a part of a list,
    `other` is the query of a part that has an entry of its own.
    """
    name = f"admin:{app}_{model}_changelist"

    def may_see(request: HttpRequest) -> bool:
        return any(request.user.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change"))

    def is_here(request: HttpRequest) -> bool:
        if not request.path.startswith(reverse(name)):
            return False
        return _asks_for(request, query) and not (other and _asks_for(request, other))

    return {
        "title": title,
        "icon": icon,
        "link": _address(name, query),
        "permission": may_see,
        "active": is_here,
    }


def _asks_for(request: HttpRequest, query: str) -> bool:
    """Whether the first of the query's choices is made: a list can be narrowed further."""
    return all(request.GET.get(name) == value for name, value in parse_qsl(query[1:])[:1])


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


_UNCONFIRMED = "?state=unconfirmed&age=month"
"""No provider has said what became of these."""


def _stylesheet(_request: HttpRequest) -> str:
    return static("common/admin.css")


def _zone(_request: HttpRequest) -> str:
    return static("console/zone.js")


def _progress(_request: HttpRequest) -> str:
    return static("console/progress.js")


def _mended(_request: HttpRequest) -> str:
    return static("console/mended.js")


def _favicon(_request: HttpRequest) -> str:
    return static("common/favicon.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Communication service",
    "SITE_HEADER": "Communication",
    "SITE_SUBHEADER": "Staff console",
    "SITE_SYMBOL": "forum",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _favicon}],
    "ENVIRONMENT": "commsproject.console.site.environment",
    "DASHBOARD_CALLBACK": "commsproject.console.site.dashboard",
    "STYLES": [_stylesheet],
    "SCRIPTS": [_zone, _progress, _mended],
    "ACCOUNT": {
        "navigation": [{"title": "Security", "link": reverse_lazy("admin:security")}],
    },
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.314)",
            "100": "oklch(93% .034 272.788)",
            "200": "oklch(87% .065 274.039)",
            "300": "oklch(78.5% .115 274.713)",
            "400": "oklch(67.3% .182 276.935)",
            "500": "oklch(58.5% .233 277.117)",
            "600": "oklch(51.1% .262 276.966)",
            "700": "oklch(45.7% .24 277.023)",
            "800": "oklch(39.8% .195 277.366)",
            "900": "oklch(35.9% .144 278.697)",
            "950": "oklch(25.7% .09 281.288)",
        },
    },
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    {
                        "title": "Home",
                        "icon": "space_dashboard",
                        "link": reverse_lazy("admin:index"),
                    },
                    {
                        "title": "Compose",
                        "icon": "edit_square",
                        "link": reverse_lazy("compose"),
                        "permission": _may("notifications.add_notification"),
                    },
                ],
            },
            {
                "title": "Messages",
                "items": [
                    _page("Messages", "send", "notifications", "notification", other=_UNCONFIRMED),
                    _page("Batches", "group_work", "notifications", "batch"),
                    _page("Schedules", "event_repeat", "notifications", "schedule"),
                    _page("Announcements", "campaign", "notifications", "announcement"),
                    _page("Unconfirmed", "help", "notifications", "notification", _UNCONFIRMED),
                ],
            },
            {
                "title": "Templates",
                "items": [
                    _page("Templates", "article", "templates_app", "template"),
                    _page("A/B tests", "science", "templates_app", "experiment"),
                ],
            },
            {
                "title": "Audience",
                "items": [
                    _page("Recipients", "group", "notifications", "recipient"),
                    _page("Topics", "groups", "notifications", "topic"),
                    _page("Categories", "category", "notifications", "category"),
                    _page("Opt-outs and blocks", "block", "notifications", "suppression"),
                    _page("Bounces", "undo", "tracking", "bounce"),
                    _page("Inboxes", "inbox", "notifications", "inbox"),
                    _page("Devices", "devices", "notifications", "device"),
                    _page("Personal data", "privacy_tip", "common", "personaldatajob"),
                ],
            },
            {
                "title": "Conversations",
                "items": [
                    {
                        "title": "Inbox",
                        "icon": "support_agent",
                        "link": reverse_lazy("staff-inbox"),
                        "permission": _may("conversations.view_conversation"),
                    },
                    _page(
                        "Answers by email and SMS", "move_to_inbox", "tracking", "inboundmessage"
                    ),
                ],
            },
            {
                "title": "Delivery",
                "items": [
                    _page("Queues", "stacks", "notifications", "work"),
                    _page("Dead letters", "report", "notifications", "deadletter"),
                    _page("Providers", "hub", "notifications", "providerstate"),
                    _page("Webhooks in", "webhook", "tracking", "webhookreceipt"),
                    _page(
                        "Simulator mailbox", "mark_email_read", "notifications", "simulatedmessage"
                    ),
                    _page("Rehearse a fault", "theater_comedy", "notifications", "simulatorrule"),
                ],
            },
            {
                "title": "Analytics",
                "items": [
                    {
                        "title": "Figures",
                        "icon": "monitoring",
                        "link": reverse_lazy("analytics"),
                        "permission": _may("tracking.view_rollup"),
                    },
                    _page("Alerts", "notifications_active", "common", "alert"),
                    _page("Alert rules", "rule", "common", "alertrule"),
                ],
            },
            {
                "title": "Settings",
                "items": [
                    _page("Agents", "smart_toy", "common", "apiclient"),
                    _page("API keys", "key", "common", "apikey"),
                    _page("Webhooks out", "output", "tracking", "webhookendpoint"),
                    _page("Webhook deliveries", "outbox", "tracking", "webhookdelivery"),
                    _page("Who is told of alerts", "campaign", "common", "alerttarget"),
                    _page("Scheduled jobs", "schedule", "common", "scheduledjob"),
                    _page("Staff", "badge", "auth", "user"),
                    _page("Roles", "groups", "auth", "group"),
                    _page("Signed in", "devices_other", "common", "staffsession"),
                    _page("Audit trail", "history", "common", "auditevent"),
                ],
            },
        ],
    },
}
