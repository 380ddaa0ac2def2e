"""Settings of the staff pages and of the landing page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

DEVELOPMENT = False
"""On a developer's or newcomer's machine: `/` is a landing page, demo data may be made. Only the
development settings turn this on."""

LOGIN_REDIRECT_URL = "admin:index"


def _page(title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    """An entry of the sidebar, for those who may see the rows."""

    def may_see(request: HttpRequest) -> bool:
        return any(request.user.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change"))

    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": may_see,
    }


def _may_see_analytics(request: HttpRequest) -> bool:
    return request.user.has_perm("tracking.view_rollup")


def _stylesheet(_request: HttpRequest) -> str:
    return static("common/admin.css")


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
                        "title": "Dashboard",
                        "icon": "space_dashboard",
                        "link": reverse_lazy("admin:index"),
                    },
                    {
                        "title": "Analytics",
                        "icon": "monitoring",
                        "link": reverse_lazy("analytics"),
                        "permission": _may_see_analytics,
                    },
                ],
            },
            {
                "title": "Messages",
                "items": [
                    _page("Notifications", "send", "notifications", "notification"),
                    _page("Batches", "group_work", "notifications", "batch"),
                    _page("Schedules", "event_repeat", "notifications", "schedule"),
                    _page("Announcements", "campaign", "notifications", "announcement"),
                    _page("Work queue", "stacks", "notifications", "work"),
                    _page("Dead letters", "report", "notifications", "deadletter"),
                    _page(
                        "Simulator mailbox", "mark_email_read", "notifications", "simulatedmessage"
                    ),
                ],
            },
            {
                "title": "Content",
                "items": [
                    _page("Templates", "article", "templates_app", "template"),
                    _page("Experiments", "science", "templates_app", "experiment"),
                    _page("Categories", "category", "notifications", "category"),
                ],
            },
            {
                "title": "Audience",
                "items": [
                    _page("Recipients", "group", "notifications", "recipient"),
                    _page("Topics", "groups", "notifications", "topic"),
                    _page("Inboxes", "inbox", "notifications", "inbox"),
                    _page("Devices", "devices", "notifications", "device"),
                    _page("Personal data", "privacy_tip", "common", "personaldatajob"),
                    _page("Suppressions", "block", "notifications", "suppression"),
                    _page("Bounces", "undo", "tracking", "bounce"),
                    _page("Messages in", "move_to_inbox", "tracking", "inboundmessage"),
                ],
            },
            {
                "title": "Providers",
                "items": [
                    _page("Providers", "hub", "notifications", "providerstate"),
                    _page("Simulator script", "science", "notifications", "simulatorrule"),
                    _page("Webhooks in", "webhook", "tracking", "webhookreceipt"),
                    _page("Webhooks out", "output", "tracking", "webhookendpoint"),
                    _page("Webhook deliveries", "outbox", "tracking", "webhookdelivery"),
                ],
            },
            {
                "title": "Access and operations",
                "items": [
                    _page("Alerts", "notifications_active", "common", "alert"),
                    _page("Alert rules", "rule", "common", "alertrule"),
                    _page("Alert targets", "campaign", "common", "alerttarget"),
                    _page("Agents", "smart_toy", "common", "apiclient"),
                    _page("API keys", "key", "common", "apikey"),
                    _page("Scheduled jobs", "schedule", "common", "scheduledjob"),
                    _page("Staff", "badge", "auth", "user"),
                    _page("Groups", "groups", "auth", "group"),
                ],
            },
        ],
    },
}
