from __future__ import annotations

from django.contrib import admin
from django.urls import path

from commsproject.console import analytics
from commsproject.console.conversation import conversation
from commsproject.console.home import home

_staff = admin.site.admin_view

urlpatterns = [
    path("", home, name="home"),
    path("demo/", conversation, name="demo"),
    path("admin/analytics/", _staff(analytics.page), name="analytics"),
    path("admin/analytics/figures", _staff(analytics.figures), name="analytics-figures"),
]
