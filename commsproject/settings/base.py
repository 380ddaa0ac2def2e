"""Settings every installation shares. Values come from the environment, secrets also from files:
`NAME_FILE` holds the path of a file with the value of `NAME`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from commsproject.common.env import Env
from commsproject.common.postgres.session import Session

BASE_DIR = Path(__file__).resolve().parent.parent.parent

env = Env()

SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
"""Earlier values of SECRET_KEY, which go on being good while it is replaced."""

PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8002").rstrip("/")
"""Where the outside reaches this service: links in messages and webhook URLs start with it."""

INSTALLED_APPS = [
    "commsproject.console",  # first: its templates replace the theme's
    "unfold.apps.BasicAppConfig",
    "commsproject.console.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "anymail",
    "commsproject.common",
    "templates_app",
    "notifications",
    "tracking",
    "conversations",
]

MIDDLEWARE = [
    "commsproject.common.tracing.TracingMiddleware",
    "commsproject.common.correlation.CorrelationMiddleware",
    "commsproject.common.logging.AccessLogMiddleware",
    "commsproject.common.csp.CspMiddleware",
    "commsproject.common.private.PrivateMiddleware",
    "commsproject.common.live.cors.CorsMiddleware",
    "commsproject.common.bodies.BodiesMiddleware",
    "commsproject.common.health.HealthMiddleware",
    "commsproject.common.metrics.MetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "commsproject.console.zone.ViewersZone",
    "django.contrib.messages.middleware.MessageMiddleware",
    "commsproject.common.staff.middleware.StaffSessionMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "commsproject.common.api.problems.ProblemMiddleware",
    "commsproject.common.api.chunked.ChunkedBodyMiddleware",
    "commsproject.common.api.throttle.RateLimitMiddleware",
]

ROOT_URLCONF = "commsproject.urls"
ASGI_APPLICATION = "commsproject.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **env.database("DATABASE_URL", default="postgres://comms@localhost/comms"),
        # Under ASGI every request has a thread of its own, so persistent connections would not
        # persist: a pool per process answers 2-3 times as many requests (measured).
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "pool": {
                "connection_class": Session,
                "min_size": 1,
                "max_size": env.int("DATABASE_POOL", default=16),
                "timeout": 2,
                # Its pause between two attempts to connect doubles until it gives up; the next
                # request then begins anew. With the default of 300 s a database that had been away
                # for 35 s was used again after another 31 (measured).
                "reconnect_timeout": 2,
            },
            "connect_timeout": 3,
            # A host that vanishes sends no error. Without these a worker's threads would wait two
            # hours for an answer, and the server as long with what a lost host had locked: with the
            # lock of the scheduler that leads, and nobody else would.
            "keepalives": 1,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            # Who waits for a lock is told after ten seconds that there is no answer: a table that an
            # operator has locked is met like an outage, not by requests that hang.
            "options": (
                "-c idle_in_transaction_session_timeout=30000 -c statement_timeout=60000"
                " -c lock_timeout=10000"
                " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
                " -c tcp_user_timeout=10000"
            ),
        },
    }
}

REDIS_URL = env.str("REDIS_URL", default="redis://localhost:6379/0")
"""The broker: doorbells only. Nothing in it needs to survive."""

EVENTS_URL = env.str("EVENTS_URL", default=REDIS_URL)
"""Where events are published: `redis://` for a stream, the broker's unless told. Empty: nowhere."""

EVENTS_KEPT = max(env.int("EVENTS_KEPT", default=100_000), 1000)
"""How many events the stream keeps, about."""

WEBHOOK_NETWORKS = env.networks("WEBHOOK_NETWORKS")
"""Private networks that webhooks may go to, on any port and without TLS; none unless told."""

METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
"""What a scraper sends as a bearer token. Without it `/metrics` is closed, but for a developer's own
machine."""

METRICS_PORT = env.int("METRICS_PORT", default=0)
"""Where workers and schedulers tell theirs; 0: nowhere."""

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
"""Bytes of one request body; more is answered with 413."""

BATCH_UPLOAD_MAX_SIZE = 1024**3
"""The same for a batch in NDJSON or CSV, whose rows are never in memory together."""

UPLOADS_ROOM = env.int("UPLOADS_ROOM", default=1536 * 1024 * 1024)
"""Bytes that a web process stores at once of large bodies whose senders it knows. Where temporary files
go there must be twice as much: the file of a form is copied out of it."""

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "commsproject.common.identity.authentication.ApiKeyAuthentication",
        "commsproject.common.identity.authentication.UserTokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["commsproject.common.identity.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["commsproject.common.api.throttle.CallerThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["commsproject.common.api.parsers.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "commsproject.common.api.pagination.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "commsproject.common.api.openapi.Described",
    "EXCEPTION_HANDLER": "commsproject.common.api.problems.handle",
    "UNAUTHENTICATED_USER": None,
    "PAGE_SIZE": 50,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Communication service",
    "DESCRIPTION": "Notifications on every channel, their templates and what became of them. The"
    " WebSocket is described in [AsyncAPI](/api/asyncapi/).",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "commsproject.common.api.openapi.complete",
    ],
    "ENUM_NAME_OVERRIDES": {
        "ChannelEnum": "notifications.types.Channel",
        "PriorityEnum": "notifications.types.Lane",
        "StatusEnum": "notifications.states.State",
        "ScheduleKindEnum": "notifications.models.Schedule.Kind",
        "AnnouncementPriorityEnum": "notifications.models.Announcement.Priority",
        "AnnouncementStateEnum": "notifications.models.Announcement.State",
        "ExperimentStateEnum": "templates_app.models.Experiment.State",
        "TemplateKindEnum": "templates_app.models.Kind",
        "CategoryKindEnum": "notifications.models.Category.Kind",
        "ConversationKindEnum": "conversations.types.Kind",
        "WhoEnum": "conversations.types.Who",
        "EntryKindEnum": "conversations.types.EntryKind",
        "MediumEnum": "conversations.types.Medium",
        "BatchStateEnum": "notifications.models.Batch.State",
        "PersonalDataStateEnum": "commsproject.common.models.PersonalDataJob.State",
        "ReceiptStateEnum": "tracking.services.receipts.State",
        "SeverityEnum": "commsproject.common.models.Severity",
        "ScopeEnum": "commsproject.common.identity.scopes.Scope",
    },
    "SCHEMA_PATH_PREFIX": "/api/v1",
}

SILENCED_SYSTEM_CHECKS = [
    # Anymail no longer tests SendGrid against the live service; our contract tests do that work.
    "anymail.W003",
]

from commsproject.common.logging import configuration  # noqa: E402 - settings are one module

LOGGING = configuration(env.str("LOG_LEVEL", default="INFO"))

from commsproject.settings.comms import *  # noqa: E402, F403 - the other half of the settings
from commsproject.settings.console import *  # noqa: E402, F403
from commsproject.settings.conversations import *  # noqa: E402, F403
from commsproject.settings.conversations import attachment_storage  # noqa: E402
from commsproject.settings.live import *  # noqa: E402, F403
from commsproject.settings.live import channel_layers  # noqa: E402
from commsproject.settings.staff import *  # noqa: E402, F403

CHANNEL_LAYERS = channel_layers(REDIS_URL)
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "attachments": attachment_storage(BASE_DIR),
}
