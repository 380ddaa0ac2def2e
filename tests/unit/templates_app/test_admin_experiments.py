"""The staff pages of A/B tests."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from templates_app import experiments
from templates_app.models import Experiment, Goal, Template, Variant
from templates_app.results import results
from tests.factories import TemplateFactory, TemplateVersionFactory

ADD = reverse("admin:templates_app_experiment_add")


@pytest.fixture
def template(db: None) -> Template:
    template = TemplateFactory.create(key="news")
    for number in (1, 2):
        TemplateVersionFactory(template=template, number=number)
    return template


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def form(of: Template, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"template": str(of.pk), "name": "Subjects", "goal": "opened"}
    rows = [("old", 1, 1), ("new", 2, 3), ("", "", 1), ("", "", 1)]
    for row, values in enumerate(rows):
        for name, value in zip(("name", "version", "weight"), values, strict=True):
            fields[f"{name}_{row}"] = value
    return {**fields, **changes}


def page(client: Client, row: Experiment) -> str:
    answer = client.get(reverse("admin:templates_app_experiment_change", args=[row.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def act(client: Client, name: str, *args: Any) -> Any:
    return client.post(reverse(f"admin:templates_app_experiment_{name}", args=args), follow=True)


def test_staff_make_start_watch_and_decide_an_experiment(staff, template):
    assert staff.get(f"{ADD}?template={template.pk}").status_code == 200
    assert staff.post(ADD, form(template)).status_code == 302
    row = Experiment.objects.get()
    assert (row.name, row.created_by, row.is_automatic) == ("Subjects", "root", False)
    assert list(row.variants.values_list("name", "version__number", "weight")) == [
        ("new", 2, 3),
        ("old", 1, 1),
    ]
    assert "Nothing has come of it yet." in page(staff, row)
    act(staff, "start", row.pk)
    for name, opened in (("old", 100), ("new", 600)):
        variant = Variant.objects.get(name=name)
        counts = {"assigned": 1000, "opened": opened, "opened_people": opened, "value": 19900}
        experiments.note({variant.pk: counts})
    shown = page(staff, row)
    for text in ("new is better for certain", "60.00 %", "10.00 %", "+50.00 points", "1.99"):
        assert text in shown
    act(staff, "stop", row.pk)
    assert Experiment.objects.get().state == "stopped"
    asked = staff.get(reverse("admin:templates_app_experiment_decide", args=[row.pk, variant.pk]))
    assert "Take new for the winner?" in asked.content.decode()
    act(staff, "decide", row.pk, variant.pk)
    row.refresh_from_db()
    assert (row.state, row.winner, row.decided_by) == ("decided", "new", "root")
    shown = page(staff, row)
    assert "new has won: everybody gets it." in shown
    assert "Take new" not in shown
    listed = staff.get(reverse("admin:templates_app_experiment_changelist")).content.decode()
    assert "new (by root)" in listed
    found = staff.get(reverse("admin:templates_app_experiment_changelist"), {"q": "nope"})
    assert "Subjects" not in found.content.decode()
    assert "is for one that is" in act(staff, "start", row.pk).content.decode()


def test_results_are_shown_of_as_many_variants_as_there_are(staff, template):
    row = Experiment.objects.create(template=template, name="Half", goal=Goal.OPENED)
    assert "Nothing has come of it yet." in page(staff, row)
    assert (results(row).best, results(row).winner) == ("", "")
    version = template.versions.first()
    Variant.objects.create(experiment=row, name="A", version=version, counts={"opened": 5})
    assert "A is ahead" in page(staff, row)
    assert (results(row).best, results(row).winner) == ("A", "")


def test_what_is_wrong_with_a_new_one_is_said_at_its_field(staff, template):
    for changes, field in (
        ({"version_1": 9}, "version_1"),
        ({"name_3": "third"}, "version_3"),
        ({"name_3": "third", "version_3": 9}, "version_3"),
        ({"weight_0": 0}, "weight_0"),
        ({"name_1": ""}, "name_1"),
        ({"name_1": "old"}, "__all__"),
        ({"template": ""}, "template"),
        ({"goal": "sold"}, "goal"),
    ):
        answer = staff.post(ADD, form(template, **changes))
        assert answer.status_code == 200, changes
        assert set(answer.context["adminform"].form.errors) == {field}
    assert not Experiment.objects.exists()


def test_who_may_only_look_changes_nothing(client, template):
    user = User.objects.create_user("watcher", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_experiment"))
    client.force_login(user)
    row = experiments.create(
        template,
        name="A/A",
        goal=Goal.OPENED,
        variants=[experiments.Choice("a", 1), experiments.Choice("b", 1)],
    )
    assert "/start/" not in page(client, row)
    assert client.get(ADD).status_code == 403
    assert act(client, "start", row.pk).status_code == 403
