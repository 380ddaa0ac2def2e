from __future__ import annotations

from django.contrib import admin
from django.urls import path

from commsproject.console import analytics, site
from commsproject.console.compose import views as compose
from commsproject.console.conversation import conversation
from commsproject.console.home import home

_staff = admin.site.admin_view

urlpatterns = [
    path("", home, name="home"),
    path("demo/", conversation, name="demo"),
    path("admin/overview/", _staff(site.overview), name="overview"),
    path("admin/compose/", _staff(compose.message), name="compose"),
    path("admin/compose/batch/", _staff(compose.batch), name="compose-batch"),
    path("admin/compose/example/", _staff(compose.example), name="compose-example"),
    path("admin/compose/example.csv", _staff(compose.example_file), name="compose-file"),
    path("admin/analytics/", _staff(analytics.page), name="analytics"),
    path("admin/analytics/figures", _staff(analytics.figures), name="analytics-figures"),
]
