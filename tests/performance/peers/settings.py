"""Our settings with the peers' applications, tuned for them."""

from __future__ import annotations

from tests.performance.settings import *  # noqa: F403
from tests.performance.settings import DATABASES, INSTALLED_APPS, env

INSTALLED_APPS = [*INSTALLED_APPS, "post_office"]

# A connection of its own for each thread, kept: they know no pool.
DATABASES["default"]["CONN_MAX_AGE"] = None
del DATABASES["default"]["OPTIONS"]["pool"]

vars().update(env.email_url("SMTP_URL", default="smtp://127.0.0.1:1"))
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if env.str("SMTP_URL", default="")
    else "anymail.backends.sendgrid.EmailBackend"
)
ANYMAIL = {
    "SENDGRID_API_KEY": env.str("SENDGRID_API_KEY", default=""),
    "SENDGRID_API_URL": env.str("SENDGRID_API_URL", default=""),
}

POST_OFFICE = {
    "BACKENDS": {"default": EMAIL_BACKEND},
    "CELERY_ENABLED": False,
    "BATCH_SIZE": 1000,  # default 100
    "THREADS_PER_PROCESS": 8,  # default 5
    "LOG_LEVEL": 2,  # a Log row for every mail, as we write an Attempt
}
