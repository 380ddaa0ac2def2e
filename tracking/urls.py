from __future__ import annotations

from django.urls import path

from tracking.webhooks import ProviderWebhook

urlpatterns = [
    path("<slug:provider>/", ProviderWebhook.as_view(), name="provider-webhook"),
    path("<slug:provider>/<slug:kind>/", ProviderWebhook.as_view(), name="provider-webhook-kind"),
]
