"""Settings of the communication service itself: providers, the queue, identity.

A provider is one file in `notifications/providers/` and one entry here. It is on when its
credentials are set; a channel for which none is on is carried by the simulator. The order is the
order of failover.
"""

from __future__ import annotations

from typing import Any

from commsproject.common.env import Env, Rate

env = Env()


def _limit(rate: Rate | None, unit: str) -> dict[str, Any] | None:
    return {"COUNT": rate.count, "SECONDS": rate.seconds, "UNIT": unit} if rate else None


def _present(*names: str) -> bool:
    return all(env.str(name, default="") for name in names)


DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="notifications@example.com")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# --- Providers ---------------------------------------------------------------------------------

PROVIDER_CONNECT_TIMEOUT = 3.0
PROVIDER_READ_TIMEOUT = 10.0
"""Seconds. After the read timeout the outcome of a call is unknown."""

PROVIDERS: dict[str, dict[str, Any]] = {
    "sendgrid": {
        "CLASS": "notifications.providers.sendgrid.SendGrid",
        "ENABLED": _present("SENDGRID_API_KEY"),
        "LIMIT": _limit(env.rate("SENDGRID_LIMIT", default="100/60"), "calls"),
        "OPTIONS": {
            "api_key": env.str("SENDGRID_API_KEY", default=""),
            "api_url": env.str("SENDGRID_API_URL", default="https://api.sendgrid.com/v3/"),
            "webhook_public_key": env.str("SENDGRID_WEBHOOK_PUBLIC_KEY", default=""),
        },
    },
    "ses": {
        "CLASS": "notifications.providers.ses.SES",
        "ENABLED": _present("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SES_REGION"),
        "LIMIT": _limit(env.rate("SES_LIMIT", default="200/1"), "recipients"),
        "OPTIONS": {
            "access_key_id": env.str("AWS_ACCESS_KEY_ID", default=""),
            "secret_access_key": env.str("AWS_SECRET_ACCESS_KEY", default=""),
            "region": env.str("AWS_SES_REGION", default=""),
            "endpoint_url": env.str("AWS_ENDPOINT_URL", default=""),
            "configuration_set": env.str("SES_CONFIGURATION_SET", default=""),
            "topic_arns": env.list("SNS_TOPIC_ARNS", default=[]),
        },
    },
    "smtp": {
        "CLASS": "notifications.providers.smtp.SMTP",
        "ENABLED": _present("SMTP_URL"),
        "LIMIT": _limit(env.rate("SMTP_LIMIT", default="none"), "recipients"),
        "OPTIONS": {"url": env.str("SMTP_URL", default="")},
    },
    "simulator": {
        "CLASS": "notifications.providers.simulator.Simulator",
        "ENABLED": True,
        "OPTIONS": {},
    },
}

# --- The queue ---------------------------------------------------------------------------------

POLL_SECONDS = max(env.float("POLL_SECONDS", default=1.0), 0.1)
"""How often each worker looks at PostgreSQL by itself, whether or not the doorbell rang."""

LEASE_SECONDS = 10.0
"""How long a claim holds unless its process renews it; it does so every sixth of this, as a beat
that finds a row locked skips it."""

UNKNOWN_WAIT = {"urgent": 5.0, "normal": 15.0, "bulk": 24 * 3600.0}
"""Seconds an unknown outcome waits for a receipt before its category's `on_unknown` applies."""

# --- Limits ------------------------------------------------------------------------------------

CHANNEL_LIMITS = {
    "email": env.rate("EMAIL_LIMIT", default="none"),
    "sms": env.rate("SMS_LIMIT", default="none"),
}
"""Messages of one channel in any so many seconds, by all providers together."""

API_LIMITS = {
    "agent": env.rate("API_LIMIT", default="30000/60"),
    "user": env.rate("API_USER_LIMIT", default="600/60"),
}
"""Requests of one API key, of one end user, in any so many seconds."""

LIMIT_PROCESSES = max(env.int("LIMIT_PROCESSES", default=4), 1)
"""How many processes share each limit while Valkey is away and they cannot count together."""

# --- Identity ----------------------------------------------------------------------------------

IDENTITY_JWKS_URL = env.str("IDENTITY_JWKS_URL", default="")
IDENTITY_VALIDATE_URL = env.str("IDENTITY_VALIDATE_URL", default="")
IDENTITY_ISSUER = env.str("IDENTITY_ISSUER", default="")
IDENTITY_AUDIENCE = env.str("IDENTITY_AUDIENCE", default="")
IDENTITY_DEVELOPMENT_ISSUER = False
"""Accept tokens of `manage.py create_user_token`. Only the development settings turn this on."""
