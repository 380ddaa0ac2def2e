"""Every address of the service but `/health` (a middleware). Composition only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularSwaggerSplitView

from commsproject.common.api.document import Description
from commsproject.common.live.api.asyncapi import describe
from conversations.views import file
from notifications.views import ConfirmPage, PreferencesPage, UnsubscribePage
from tracking.views import follow, image

api = [
    path("", include("commsproject.common.api.urls")),
    path("", include("commsproject.common.live.api.urls")),
    path("", include("notifications.api.urls")),
    path("", include("templates_app.api.urls")),
    path("", include("tracking.api.urls")),
    path("", include("conversations.api.urls")),
]

urlpatterns = [
    path("", include("commsproject.console.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include((api, "v1"))),
    path("api/schema/", Description.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/asyncapi/", describe, name="asyncapi"),
    path("api/events/", include("commsproject.common.api.events")),
    path("webhooks/", include("tracking.urls")),
    path("l/<str:token>", follow, name="click"),
    path("o/<str:token>.gif", image, name="open"),
    path("files/<str:token>", file, name="file"),
    path("u/<str:token>", UnsubscribePage.as_view(), name="unsubscribe"),
    path("c/<str:token>", ConfirmPage.as_view(), name="confirm"),
    path("preferences/<str:token>", PreferencesPage.as_view(), name="preferences"),
]

handler500 = "commsproject.common.api.problems.uncaught"
