from __future__ import annotations

from django.urls import path

from templates_app.api import bundle, experiments, templates

urlpatterns = [
    path("templates/export", bundle.ExportTemplates.as_view(), name="templates-export"),
    path("templates/import", bundle.ImportTemplates.as_view(), name="templates-import"),
    path("templates", templates.Templates.as_view(), name="templates"),
    path("templates/<slug:key>", templates.TemplateByKey.as_view(), name="template"),
    path("templates/<slug:key>/versions", templates.TemplateVersions.as_view()),
    path("templates/<slug:key>/import-html", bundle.ImportPage.as_view()),
    path("templates/<slug:key>/publish", templates.PublishTemplate.as_view()),
    path("templates/<slug:key>/preview", templates.PreviewTemplate.as_view()),
    path("templates/<slug:key>/unarchive", templates.UnarchiveTemplate.as_view()),
    path("templates/<slug:key>/versions/<int:number>", templates.VersionByNumber.as_view()),
    path("templates/<slug:key>/versions/<int:number>/diff", templates.DiffVersions.as_view()),
    path("templates/<slug:key>/versions/<int:number>/restore", templates.RestoreVersion.as_view()),
    path("templates/<slug:key>/experiments", experiments.Experiments.as_view(), name="experiments"),
    path(
        "templates/<slug:key>/experiments/<uuid:experiment_id>",
        experiments.ExperimentById.as_view(),
        name="experiment",
    ),
    *(
        path(f"templates/<slug:key>/experiments/<uuid:experiment_id>/{name}", view.as_view())
        for name, view in {
            "start": experiments.StartExperiment,
            "stop": experiments.StopExperiment,
            "decide": experiments.DecideExperiment,
            "results": experiments.ExperimentResults,
        }.items()
    ),
]
