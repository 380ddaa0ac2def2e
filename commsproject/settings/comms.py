"""Settings of the communication service itself: providers, the queue, identity.

A provider is one file in `notifications/providers/` and one entry here. It is on when its
credentials are set; a channel for which none is on is carried by the simulator. The order is the
order of failover.

What `env.secret` read from a file is read again when the file changes: see `providers/registry.py`.
"""

from __future__ import annotations

from typing import Any

from commsproject.common.env import Env, Rate

env = Env()


def _limit(rate: Rate | None, unit: str) -> dict[str, Any] | None:
    return {"COUNT": rate.count, "SECONDS": rate.seconds, "UNIT": unit} if rate else None


def _present(*names: str) -> bool:
    return all(env.str(name, default="") for name in names)


def _on_with(*names: str, where: str = "") -> dict[str, Any]:
    """On where all of them are set; `MISSING` are the others where some are, which a check tells.

    `where`: one more, that may be left out on purpose although the others are set.
    """
    wanted = [*names, where] if where and _present(where) else names
    missing = [name for name in wanted if not _present(name)]
    return {
        "ENABLED": _present(*names) and (not where or _present(where)),
        "MISSING": missing if len(missing) < len(wanted) else [],
    }


DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="notifications@example.com")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
REPLY_DOMAIN = env.str("REPLY_DOMAIN", default="")
"""A domain whose mail comes in by a webhook. Replies to what a vendor sends under a Message-ID of its
own go to `reply+<delivery>@` this domain, unless the message says where to."""

POSTAL_ADDRESS = env.str("POSTAL_ADDRESS", default="")
"""Where the organisation can be written to: the law asks for it in marketing email (CAN-SPAM)."""

DNS_SERVERS = env.list("DNS_SERVERS", default=[])
"""Whom `check_domain` asks, `address` or `address:port`; none: the machine's own."""

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
            "api_key": env.secret("SENDGRID_API_KEY"),
            "api_url": env.str("SENDGRID_API_URL", default="https://api.sendgrid.com/v3/"),
            "webhook_public_key": env.secret("SENDGRID_WEBHOOK_PUBLIC_KEY"),
            "inbound_secret": env.secret("SENDGRID_INBOUND_SECRET"),
        },
    },
    "ses": {
        "CLASS": "notifications.providers.ses.SES",
        **_on_with("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", where="AWS_SES_REGION"),
        "LIMIT": _limit(env.rate("SES_LIMIT", default="200/1"), "recipients"),
        "LIMIT_BY_VENDOR": not _present("SES_LIMIT"),  # it is asked every ten minutes
        "OPTIONS": {
            "access_key_id": env.secret("AWS_ACCESS_KEY_ID"),
            "secret_access_key": env.secret("AWS_SECRET_ACCESS_KEY"),
            "region": env.str("AWS_SES_REGION", default=""),
            "endpoint_url": env.str("AWS_ENDPOINT_URL", default=""),
            "configuration_set": env.str("SES_CONFIGURATION_SET", default=""),
            "topic_arns": env.list("SNS_TOPIC_ARNS", default=[]),
        },
    },
    "postmark": {
        "CLASS": "notifications.providers.postmark.Postmark",
        "ENABLED": _present("POSTMARK_SERVER_TOKEN"),
        "LIMIT": _limit(env.rate("POSTMARK_LIMIT", default="none"), "calls"),
        "OPTIONS": {
            "server_token": env.secret("POSTMARK_SERVER_TOKEN"),
            "api_url": env.str("POSTMARK_API_URL", default="https://api.postmarkapp.com/"),
            "message_stream": env.str("POSTMARK_MESSAGE_STREAM", default=""),
            "webhook_secret": env.secret("POSTMARK_WEBHOOK_SECRET"),
        },
    },
    "mailgun": {
        "CLASS": "notifications.providers.mailgun.Mailgun",
        "ENABLED": _present("MAILGUN_API_KEY"),
        "LIMIT": _limit(env.rate("MAILGUN_LIMIT", default="none"), "calls"),
        "OPTIONS": {
            "api_key": env.secret("MAILGUN_API_KEY"),
            "sender_domain": env.str("MAILGUN_SENDER_DOMAIN", default=""),
            "api_url": env.str("MAILGUN_API_URL", default="https://api.mailgun.net/v3/"),
            "signing_key": env.secret("MAILGUN_WEBHOOK_SIGNING_KEY"),
        },
    },
    "resend": {
        "CLASS": "notifications.providers.resend.Resend",
        "ENABLED": _present("RESEND_API_KEY"),
        "LIMIT": _limit(env.rate("RESEND_LIMIT", default="2/1"), "calls"),
        "OPTIONS": {
            "api_key": env.secret("RESEND_API_KEY"),
            "api_url": env.str("RESEND_API_URL", default="https://api.resend.com/"),
            "webhook_secret": env.secret("RESEND_WEBHOOK_SECRET"),
        },
    },
    "brevo": {
        "CLASS": "notifications.providers.brevo.Brevo",
        "ENABLED": _present("BREVO_API_KEY"),
        "LIMIT": _limit(env.rate("BREVO_LIMIT", default="1000/1"), "calls"),
        "OPTIONS": {
            "api_key": env.secret("BREVO_API_KEY"),
            "api_url": env.str("BREVO_API_URL", default="https://api.brevo.com/v3/"),
            "webhook_secret": env.secret("BREVO_WEBHOOK_SECRET"),
        },
    },
    "smtp": {
        "CLASS": "notifications.providers.smtp.SMTP",
        "ENABLED": _present("SMTP_URL"),
        "LIMIT": _limit(env.rate("SMTP_LIMIT", default="none"), "recipients"),
        "OPTIONS": {"url": env.secret("SMTP_URL")},
    },
    "twilio": {
        "CLASS": "notifications.providers.twilio.Twilio",
        **_on_with("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
        "LIMIT": _limit(env.rate("TWILIO_LIMIT", default="1/1"), "recipients"),
        "OPTIONS": {
            "account_sid": env.secret("TWILIO_ACCOUNT_SID"),
            "auth_token": env.secret("TWILIO_AUTH_TOKEN"),
            "from_number": env.str("TWILIO_FROM_NUMBER", default=""),
            "messaging_service_sid": env.str("TWILIO_MESSAGING_SERVICE_SID", default=""),
            "api_url": env.str("TWILIO_API_URL", default="https://api.twilio.com"),
        },
    },
    "aws_sms": {
        "CLASS": "notifications.providers.aws_sms.AwsSms",
        **_on_with("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", where="AWS_SNS_REGION"),
        # docs.aws.amazon.com/general/latest/gr/sns: 20 SMS a second, in most regions.
        "LIMIT": _limit(env.rate("AWS_SMS_LIMIT", default="20/1"), "recipients"),
        "OPTIONS": {
            "access_key_id": env.secret("AWS_ACCESS_KEY_ID"),
            "secret_access_key": env.secret("AWS_SECRET_ACCESS_KEY"),
            "region": env.str("AWS_SNS_REGION", default=""),
            "endpoint_url": env.str("AWS_ENDPOINT_URL", default=""),
            "origination_identity": env.str("AWS_SMS_ORIGINATION_IDENTITY", default=""),
            "configuration_set": env.str("AWS_SMS_CONFIGURATION_SET", default=""),
            "sender_id": env.str("AWS_SMS_SENDER_ID", default=""),
            "topic_arns": env.list("SNS_TOPIC_ARNS", default=[]),
        },
    },
    "fcm": {
        "CLASS": "notifications.providers.fcm.FCM",
        "ENABLED": _present("FCM_SERVICE_ACCOUNT"),
        "LIMIT": _limit(env.rate("FCM_LIMIT", default="600000/60"), "calls"),
        "OPTIONS": {
            "service_account": env.secret("FCM_SERVICE_ACCOUNT"),
            "api_url": env.str("FCM_API_URL", default="https://fcm.googleapis.com"),
        },
    },
    "apns": {
        "CLASS": "notifications.providers.apns.APNs",
        **_on_with("APNS_KEY", "APNS_KEY_ID", "APNS_TEAM_ID", "APNS_TOPIC"),
        "LIMIT": _limit(env.rate("APNS_LIMIT", default="none"), "calls"),
        "OPTIONS": {
            "key": env.secret("APNS_KEY"),
            "key_id": env.secret("APNS_KEY_ID"),
            "team_id": env.str("APNS_TEAM_ID", default=""),
            "topic": env.str("APNS_TOPIC", default=""),
            "api_url": env.str("APNS_API_URL", default="https://api.push.apple.com"),
        },
    },
    "webpush": {
        "CLASS": "notifications.providers.webpush.WebPush",
        **_on_with("VAPID_PRIVATE_KEY", "VAPID_SUBJECT"),
        "LIMIT": _limit(env.rate("WEBPUSH_LIMIT", default="none"), "calls"),
        "OPTIONS": {
            "private_key": env.secret("VAPID_PRIVATE_KEY"),
            "subject": env.str("VAPID_SUBJECT", default=""),
        },
    },
    "inapp": {
        "CLASS": "notifications.providers.inapp.InApp",
        "ENABLED": True,
        "OPTIONS": {},
    },
    "simulator": {
        "CLASS": "notifications.providers.simulator.Simulator",
        "ENABLED": True,
        "OPTIONS": {},
    },
    "simulator-b": {  # where the simulator is on: somebody to fail over to
        "CLASS": "notifications.providers.simulator.SecondSimulator",
        "ENABLED": True,
        "OPTIONS": {},
    },
}

PROVIDER_PRICES = env.provider_prices("PROVIDER_PRICES")
"""What a message, of a text each segment, costs by one of them, to each country or to all, in
SMS_CURRENCY. Where all that can carry a message have a price, the cheapest goes first."""

WEBPUSH_HOSTS = [
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "*.notify.windows.com",
    "*.push.apple.com",
    *env.list("WEBPUSH_HOSTS", default=[]),
]
"""The push services that browsers may name, and that we then call: hosts, `*.` for all names below
one, or an origin with its scheme (`http://localhost:9000`) for a service of one's own."""

# --- What is kept for how long -------------------------------------------------------------------

CONTENT_DAYS = env.int("CONTENT_DAYS", default=90)
"""What messages without a category say, what people write to us, bounces. Each category has its own."""

STATISTICS_DAYS = env.int("STATISTICS_DAYS", default=400)
"""That a message was sent, and what became of it."""

CONVERSATION_DAYS = env.int("CONVERSATION_DAYS", default=365)
"""Conversations that are closed, or that everybody in them has archived, from then on."""

LOG_DAYS = env.int("LOG_DAYS", default=30)
"""Webhooks as they came, the simulator's mailbox."""

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

SMS_PER_NUMBER = env.rate("SMS_PER_NUMBER", default="10/3600")
SMS_PER_PREFIX = env.rate("SMS_PER_PREFIX", default="200/3600")
"""Text messages to one number, and to all numbers that begin with the same seven digits, in any so
many seconds: who orders codes to numbers of their own, to be paid for them, does so in rows."""

API_LIMITS = {
    "agent": env.rate("API_LIMIT", default="30000/60"),
    "user": env.rate("API_USER_LIMIT", default="600/60"),
}
"""Requests of one API key, of one end user, in any so many seconds."""

LIMIT_PROCESSES = max(env.int("LIMIT_PROCESSES", default=4), 1)
"""How many processes share each limit while Valkey is away and they cannot count together."""

# --- Push and in-app messages ------------------------------------------------------------------

APP_LINK_SCHEMES = env.schemes("APP_LINK_SCHEMES")
"""What links of push and in-app messages may begin with beside https: the app's own, as `acme`."""

# --- Text messages -----------------------------------------------------------------------------

SMS_COUNTRIES = env.countries("SMS_COUNTRIES")
"""The countries that text messages may go to; none: all."""

SMS_PRICES = env.prices("SMS_PRICES")
"""What a segment costs by country, `*` for all others, in SMS_CURRENCY, by providers that have no
PROVIDER_PRICES."""

SMS_CURRENCY = env.str("SMS_CURRENCY", default="USD")

SMS_DAILY_CAP = env.amount("SMS_DAILY_CAP")
"""What may be spent from one midnight (UTC) to the next, by these prices. None: no cap."""

SMS_BRAND = env.str("SMS_BRAND", default="This service")
"""Who the person hears from, in the answers below: `{brand}`."""

SMS_STOP_TEXT = env.str(
    "SMS_STOP_TEXT",
    default="{brand}: You are unsubscribed and will get no more messages. Reply START to undo.",
)
SMS_START_TEXT = env.str(
    "SMS_START_TEXT",
    default="{brand}: You will get messages again. Reply HELP for help, STOP to unsubscribe.",
)
SMS_HELP_TEXT = env.str(
    "SMS_HELP_TEXT",
    default="{brand}: Reply STOP to unsubscribe. Message and data rates may apply.",
)
"""What is answered to each wish, once a day. Empty: nothing."""

# --- Console -------------------------------------------------------------------------------------

SOLO_SEND_LIMIT = env.int("SOLO_SEND_LIMIT", default=1000)
"""Messages of a batch that the member of staff who composed it may let go alone."""

# --- Identity ----------------------------------------------------------------------------------

IDENTITY_JWKS_URL = env.str("IDENTITY_JWKS_URL", default="")
IDENTITY_VALIDATE_URL = env.str("IDENTITY_VALIDATE_URL", default="")
IDENTITY_ISSUER = env.str("IDENTITY_ISSUER", default="")
IDENTITY_AUDIENCE = env.str("IDENTITY_AUDIENCE", default="")
IDENTITY_DEVELOPMENT_ISSUER = False
"""Accept tokens of `manage.py create_user_token`. Only the development settings turn this on."""

# --- Alerts --------------------------------------------------------------------------------------

ALERT_TARGETS = [name.strip() for name in env.secret("ALERT_TARGETS").splitlines() if name.strip()]
"""Who is told of alerts, one address a line: `email:...`, `https://...` or any of Apprise's."""

ALERT_EMAIL_BACKEND = "notifications.email_backend.FailoverEmailBackend"
