from __future__ import annotations

from django.urls import path

from tracking.webhooks import ProviderWebhook

# With and without the slash at the end: vendors do not follow redirects.
urlpatterns = [
    path("<slug:provider>/", ProviderWebhook.as_view(), name="provider-webhook"),
    path("<slug:provider>/<slug:kind>/", ProviderWebhook.as_view(), name="provider-webhook-kind"),
    path("<slug:provider>", ProviderWebhook.as_view()),
    path("<slug:provider>/<slug:kind>", ProviderWebhook.as_view()),
]
