from __future__ import annotations

from django.urls import path

from tracking.api.analytics import Series, Summary, Top
from tracking.api.bounces import Bounces
from tracking.api.endpoints import (
    ReplayDeliveries,
    RotateSecret,
    TryEndpoint,
    WebhookDeliveries,
    WebhookEndpointById,
    WebhookEndpoints,
)
from tracking.api.receipts import Receipts, ReplayReceipt, ReplayReceipts

_ENDPOINT = "webhook-endpoints/<uuid:endpoint_id>"

urlpatterns = [
    path("analytics/summary", Summary.as_view(), name="analytics-summary"),
    path("analytics/series", Series.as_view(), name="analytics-series"),
    path("analytics/top", Top.as_view(), name="analytics-top"),
    path("bounces", Bounces.as_view(), name="bounces"),
    path("webhook-receipts", Receipts.as_view(), name="webhook-receipts"),
    path("webhook-receipts/replay", ReplayReceipts.as_view(), name="webhook-receipts-replay"),
    path(
        "webhook-receipts/<uuid:receipt_id>/replay",
        ReplayReceipt.as_view(),
        name="webhook-receipt-replay",
    ),
    path("webhook-endpoints", WebhookEndpoints.as_view(), name="webhook-endpoints"),
    path(_ENDPOINT, WebhookEndpointById.as_view(), name="webhook-endpoint"),
    path(f"{_ENDPOINT}/rotate-secret", RotateSecret.as_view(), name="webhook-endpoint-rotate"),
    path(f"{_ENDPOINT}/deliveries", WebhookDeliveries.as_view(), name="webhook-deliveries"),
    path(f"{_ENDPOINT}/replay", ReplayDeliveries.as_view(), name="webhook-replay"),
    path(f"{_ENDPOINT}/test", TryEndpoint.as_view(), name="webhook-test"),
]
