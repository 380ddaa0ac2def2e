from __future__ import annotations

from django.urls import path

from commsproject.console.home import home

urlpatterns = [path("", home, name="home")]
