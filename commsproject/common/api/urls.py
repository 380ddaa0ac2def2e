from __future__ import annotations

from django.urls import path

from commsproject.common.api.whoami import WhoAmI

urlpatterns = [
    path("whoami", WhoAmI.as_view(), name="whoami"),
]
