from __future__ import annotations

from django.contrib import admin
from django.urls import path

from commsproject.console import analytics, site
from commsproject.console.compose import views as compose
from commsproject.console.home import home
from commsproject.console.inbox import views as inbox
from commsproject.console.playground import playground

_staff = admin.site.admin_view

_OF_ONE = "admin/inbox/<uuid:pk>/"
_NAME = "conversations_conversation_"
"""How the trail knows of which row an act is."""

urlpatterns = [
    path("", home, name="home"),
    path("demo/", playground, name="demo"),
    path("admin/overview/", _staff(site.overview), name="overview"),
    path("admin/compose/", _staff(compose.message), name="compose"),
    path("admin/compose/batch/", _staff(compose.batch), name="compose-batch"),
    path("admin/compose/example/", _staff(compose.example), name="compose-example"),
    path("admin/compose/example.csv", _staff(compose.example_file), name="compose-file"),
    path("admin/inbox/", _staff(inbox.page), name="staff-inbox"),
    path("admin/inbox/session", _staff(inbox.session), name="staff-inbox-session"),
    path("admin/inbox/rows", _staff(inbox.rows), name="staff-inbox-rows"),
    path("admin/inbox/file/<uuid:pk>", _staff(inbox.file), name="staff-inbox-file"),
    path(_OF_ONE, _staff(inbox.page), name="staff-inbox-of"),
    path(f"{_OF_ONE}thread", _staff(inbox.conversation), name=f"{_NAME}thread"),
    path(f"{_OF_ONE}news", _staff(inbox.news), name=f"{_NAME}news"),
    path(f"{_OF_ONE}person", _staff(inbox.person), name=f"{_NAME}person"),
    path(f"{_OF_ONE}replies", _staff(inbox.canned_replies), name=f"{_NAME}replies"),
    path(f"{_OF_ONE}reply", _staff(inbox.reply), name=f"{_NAME}reply"),
    path(f"{_OF_ONE}note", _staff(inbox.note), name=f"{_NAME}note"),
    path(f"{_OF_ONE}assign", _staff(inbox.assign), name=f"{_NAME}assign"),
    path(f"{_OF_ONE}status", _staff(inbox.status), name=f"{_NAME}status"),
    path(f"{_OF_ONE}unread", _staff(inbox.unread), name=f"{_NAME}unread"),
    path(f"{_OF_ONE}edit", _staff(inbox.edit), name=f"{_NAME}edit"),
    path(f"{_OF_ONE}remove", _staff(inbox.remove), name=f"{_NAME}remove"),
    path(f"{_OF_ONE}react", _staff(inbox.react), name=f"{_NAME}react"),
    path(f"{_OF_ONE}upload", _staff(inbox.upload), name=f"{_NAME}upload"),
    path("admin/analytics/", _staff(analytics.page), name="analytics"),
    path("admin/analytics/figures", _staff(analytics.figures), name="analytics-figures"),
]
