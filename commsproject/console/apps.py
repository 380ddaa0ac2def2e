from __future__ import annotations

from django.apps import AppConfig, apps
from django.contrib.admin import apps as of_the_admin
from django.db.models.signals import post_migrate
from typing_extensions import override


class StaffAdminConfig(of_the_admin.AdminConfig):
    """Django's admin, with our site for `admin.site`."""

    default = False  # of this module's: `commsproject.console` is the other one
    default_site = "commsproject.common.admin.site.the_site"


class ConsoleConfig(AppConfig):
    name = "commsproject.console"
    label = "console"
    verbose_name = "Console"

    @override
    def ready(self) -> None:
        from commsproject.common import audit
        from commsproject.console import audited, roles

        audit.tell(audited.FIELDS)
        # Django makes the permissions of an app at the end of its migrations: after the last app
        # that has models there are all.
        last = [config for config in apps.get_app_configs() if config.models_module][-1]
        post_migrate.connect(roles.fill, sender=last, dispatch_uid="roles")
