from __future__ import annotations

from django.urls import path

from templates_app.api import templates

urlpatterns = [
    path("templates", templates.Templates.as_view(), name="templates"),
    path("templates/<slug:key>", templates.TemplateByKey.as_view(), name="template"),
    path("templates/<slug:key>/versions", templates.TemplateVersions.as_view()),
    path("templates/<slug:key>/publish", templates.PublishTemplate.as_view()),
    path("templates/<slug:key>/preview", templates.PreviewTemplate.as_view()),
]
