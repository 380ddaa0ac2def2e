from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from templates_app import services
from templates_app.models import Kind, Template

FIELDS = {
    "key": "hello",
    "name": "Hello",
    "locale": "en",
    "email_subject": "Hello {{ name }}",
    "email_html": "<p>Hello\r\n {{ name }}</p>",
    "email_text": "",
    "sms_text": "",
    "versions-TOTAL_FORMS": 0,
    "versions-INITIAL_FORMS": 0,
}
ADD = "admin:templates_app_template_add"


@pytest.fixture
def staff(client, db):
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


def change(template):
    return reverse("admin:templates_app_template_change", args=[template.pk])


def errors(answer):
    return answer.context["adminform"].form.errors


@pytest.fixture
def template(staff):
    staff.post(reverse(ADD), FIELDS)
    return Template.objects.get()


def test_a_new_template_is_a_draft_as_it_was_written(template):
    draft = template.versions.get()
    assert draft.published_at is None
    assert draft.created_by == "root"
    assert draft.variables == ["name"]
    assert draft.channels == {
        "email": {"subject": "Hello {{ name }}", "html": "<p>Hello\n {{ name }}</p>"}
    }


def test_publishing_takes_one_post(staff, template):
    staff.post(change(template), {**FIELDS, "_publish": "1"})
    assert template.versions.get().published_at is not None
    answer = staff.post(change(template), {**FIELDS, "_publish": "1"}, follow=True)
    assert "Change the template first" in answer.content.decode()
    assert template.versions.count() == 1


def test_a_new_template_can_be_published_at_once(staff):
    staff.post(reverse(ADD), {**FIELDS, "_publish": "1"})
    assert Template.objects.get().versions.get().published_at is not None


def test_a_change_after_publishing_is_a_new_draft_and_the_published_one_stays(staff, template):
    services.publish(template)
    staff.post(change(template), {**FIELDS, "email_subject": "Hi {{ name }}"})
    draft, published = template.versions.all()
    assert (draft.number, published.number) == (2, 1)
    assert published.channels["email"]["subject"] == "Hello {{ name }}"


def test_saving_what_is_there_makes_no_draft_and_a_new_name_none_either(staff, template):
    services.publish(template)
    staff.post(change(template), {**FIELDS, "name": "Good day"})
    template.refresh_from_db()
    assert template.name == "Good day"
    assert template.versions.count() == 1


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"email_html": "<p>\n{{ name </p>"}, "email_html", "line 2, column"),
        ({"email_subject": "{% include 'x' %}"}, "email_subject", "line 1, column"),
        ({"sms_text": "{{ a.b() }}"}, "sms_text", "line 1, column"),
        ({"email_subject": ""}, "email_subject", "needs a subject"),
        ({"email_html": ""}, "email_text", "needs a plain text"),
        ({"email_subject": "", "email_html": ""}, "__all__", "Write an email or an SMS"),
        ({"key": "Hello World"}, "key", "valid"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_nothing_is_stored(staff, fields, field, says):
    answer = staff.post(reverse(ADD), {**FIELDS, **fields})
    assert answer.status_code == 200
    assert says in str(errors(answer)[field])
    assert not Template.objects.exists()


def test_a_key_is_used_once(staff, template):
    assert "key" in errors(staff.post(reverse(ADD), FIELDS))


def test_content_the_form_has_no_fields_for_is_kept(staff, template):
    services.revise(
        template,
        name=None,
        channels={"email": {"subject": "a", "text": "b"}, "push": {"title": "c"}},
        locale="",
        author="api",
    )
    staff.post(change(template), FIELDS)
    assert template.versions.get().channels["push"] == {"title": "c"}


def test_a_layout_that_is_gone_is_said_and_not_a_crash(staff, template):
    layout = services.create(
        key="frame",
        name="Frame",
        channels={"email": {"html": "{{ content }}"}},
        locale="",
        author="api",
        kind=Kind.LAYOUT,
    )
    services.publish(layout)
    services.revise(template, name=None, channels=None, locale=None, author="api", layout="frame")
    services.archive(layout)
    answer = staff.post(change(template), FIELDS)
    assert "no published layout" in str(errors(answer)["__all__"])


def test_an_email_of_mjml_keeps_it(staff, template):
    mjml = "<mjml><mj-body></mj-body></mjml>"
    email = {"subject": "a", "mjml": mjml}
    services.revise(template, name=None, channels={"email": email}, locale="", author="api")
    staff.post(change(template), {**FIELDS, "email_html": ""})
    assert template.versions.get().channels["email"] == {
        "subject": "Hello {{ name }}",
        "mjml": mjml,
    }


def test_archiving_asks_first_and_closes_the_editor(staff, template):
    url = reverse("admin:templates_app_template_archive", args=[template.pk])
    assert url in staff.get(change(template)).content.decode()
    assert "Archive hello?" in staff.get(url).content.decode()
    unused = Template.objects.filter(archived_at__isnull=False)
    assert not unused.exists()
    staff.post(url)
    assert unused.exists()
    shown = staff.get(change(template)).content.decode()
    assert "Save and publish" not in shown
    assert "No new message can use this template" in shown
    assert staff.post(change(template), FIELDS).status_code == 403


def test_a_version_shows_its_source(staff, template):
    version = template.versions.get()
    url = reverse("admin:templates_app_templateversion_change", args=[version.pk])
    assert "&lt;p&gt;Hello" in staff.get(url).content.decode()


def test_a_template_is_found_by_its_key(staff, template):
    url = reverse("admin:templates_app_template_changelist")
    assert list(staff.get(url, {"q": "hello"}).context["cl"].result_list) == [template]
    assert not staff.get(url, {"q": "hell"}).context["cl"].result_list
