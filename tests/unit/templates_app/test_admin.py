from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from commsproject.common.models import ApiClient
from notifications.models import Notification
from templates_app import rendering, services
from templates_app.admin import cheat_sheet, differences
from templates_app.admin.starters import STARTERS, starter
from templates_app.filters import FILTERS
from templates_app.models import Kind, Template, TemplateVersion
from templates_app.preview import preview
from tests.factories import SuppressionFactory

EMAIL = {"subject": "Hello {{ name }}", "html": "<p>Hello\n {{ name }}</p>"}
NEW = {"key": "hello", "name": "Hello", "kind": "message", "begin": "mjml", "locale": "en"}


@pytest.fixture
def staff(client, db):
    client.force_login(User.objects.create_superuser("root", password="x"))
    return client


@pytest.fixture
def template(db):
    return make("hello")


def make(key, **content):
    content = {"channels": {"email": EMAIL}, "locale": "en", **content}
    return services.create(key=key, name=key.title(), author="api", **content)


def url(name, *args):
    return reverse(f"admin:templates_app_template_{name}", args=[getattr(a, "pk", a) for a in args])


def state(staff, template):
    """What the editor's page is given."""
    return staff.get(url("change", template)).context["editor"]


def post(staff, name, template, body):
    return staff.post(url(name, template), json.dumps(body), content_type="application/json")


def save(staff, template, before=None, **changes):
    before = before or state(staff, template)
    body = {"stamp": before["stamp"], "content": {**before["content"], **changes}}
    return post(staff, "draft", template, body)


def test_a_new_template_opens_its_editor(staff):
    answer = staff.post(url("add"), NEW)
    template = Template.objects.get()
    assert answer["Location"] == url("change", template)
    draft = template.versions.get()
    assert (draft.published_at, draft.created_by, draft.locale) == (None, "root", "en")
    again = staff.post(url("add"), {**NEW, "locale": "not a language"})
    assert set(again.context["adminform"].form.errors) == {"key", "locale"}
    for fields in ({"key": "HELLO"}, {"key": "export"}, {"key": "x", "locale": "abcdefgh"}):
        again = staff.post(url("add"), {**NEW, **fields})
        assert len(again.context["adminform"].form.errors) == 1, fields


@pytest.mark.parametrize("kind", Kind)
def test_what_a_new_template_begins_with_can_be_published(db, kind):
    for name in STARTERS:
        channels = starter(kind, name)
        template = make(f"{kind}-{name}", kind=kind, channels=channels)
        if channels:
            services.publish(template)
            data = {"name": "Ada", "code": "1"}
            found = preview(template.versions.get(), data)
            assert list(found.errors) == []
            assert set(found.channels) == set(channels)


def test_the_cheat_sheet_prints_what_it_says_and_names_every_filter():
    examples = [example for _, example in cheat_sheet.STATEMENTS]
    examples += [example for *_, example in cheat_sheet.FILTERS]
    printed = [rendering.render({"text": one.source}, one.data)["text"] for one in examples]
    assert printed == [one.result for one in examples]
    assert {name for name, *_ in cheat_sheet.FILTERS} | {"e"} == set(FILTERS)


def test_saving_changes_the_draft_as_it_was_written(staff, template):
    services.publish(template)
    before = state(staff, template)
    translations = {"de": {"email": {"subject": "Hallo", "html": ""}, "sms": {"text": " "}}}
    answer = save(
        staff,
        template,
        name="Good day",
        channels={"email": {**EMAIL, "html": "<p>\r\n{{ name }}</p>", "text": ""}},
        translations=translations,
        samples=[{"name": "Ada", "data": {"name": "Ada"}, "locale": ""}],
    )
    assert answer.status_code == 200
    assert answer.json()["stamp"] != before["stamp"]
    assert answer.json()["badge"]["text"] == "v1 in use, v2 drafted"
    draft, published = template.versions.all()
    assert published.channels == {"email": EMAIL}
    assert draft.channels == {"email": {**EMAIL, "html": "<p>\n{{ name }}</p>"}}
    assert draft.translations == {"de": {"email": {"subject": "Hallo"}}}
    assert draft.created_by == "root"
    template.refresh_from_db()
    assert (template.name, len(template.samples)) == ("Good day", 1)
    assert LogEntry.objects.get().change_message == "Saved in the editor."


def test_saving_what_is_there_makes_no_draft(staff, template):
    services.publish(template)
    before = state(staff, template)
    assert save(staff, template).json()["stamp"] == before["stamp"]
    assert template.versions.count() == 1
    assert not LogEntry.objects.exists()


def test_who_saves_second_is_told_and_given_what_the_first_saved(staff, template):
    before = state(staff, template)
    services.revise(template, author="ada", channels={"email": {**EMAIL, "subject": "By Ada"}})
    answer = save(staff, template, before, channels={"email": {**EMAIL, "subject": "Mine"}})
    assert answer.status_code == 412
    problem = answer.json()
    assert problem["detail"] == "ada saved v1."
    assert problem["theirs"]["content"]["channels"]["email"]["subject"] == "By Ada"
    assert template.versions.get().channels["email"]["subject"] == "By Ada"
    assert post(staff, "publish", template, {"stamp": before["stamp"]}).status_code == 412
    taken = save(staff, template, problem["theirs"], channels={"email": {**EMAIL, "subject": "M"}})
    assert taken.status_code == 200


def test_a_draft_is_kept_with_its_errors_and_not_published_with_them(staff, template):
    described = {"properties": {"name": {"type": "string", "description": "What we call them"}}}
    save(staff, template, schema=described)
    broken = {"subject": "{{ name", "html": "<p>\n{{ name | uper }}</p>"}
    answer = save(staff, template, channels={"email": broken})
    assert answer.status_code == 200
    assert template.versions.get().channels == {"email": broken}
    refused = post(staff, "publish", template, {"stamp": answer.json()["stamp"]})
    assert refused.status_code == 400
    assert {(error["field"], error["line"]) for error in refused.json()["errors"]} == {
        ("channels.email.subject", 1),
        ("channels.email.html", 2),
    }
    answer = save(staff, template, channels={"email": EMAIL})
    schema = answer.json()["content"]["schema"]
    assert schema["properties"]["name"]["description"] == "What we call them"
    assert post(staff, "publish", template, {"stamp": answer.json()["stamp"]}).status_code == 200
    assert template.versions.get().published_at is not None
    nothing = post(staff, "publish", template, {"stamp": state(staff, template)["stamp"]})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_publish")


BAD = [
    ("[]", "body"),
    ("{", "body"),
    (" " * 2_000_001, "body"),
    ("[" * 100_000, "body"),
    ('{"a": "\\u0000"}', "body"),
    ('{"a": [{"\\ud800": 1}]}', "body"),
    ('{"a": NaN}', "body"),
    ('{"a": 1e999}', "body"),
    ("\ud800".encode("utf-8", "surrogatepass"), "body"),
    ({"content": 1}, "content"),
    ({"content": {}}, "content"),
    ({"name": " "}, "name"),
    ({"name": 1}, "name"),
    ({"null_is": "x"}, "null_is"),
    ({"locale": "not a language"}, "locale"),
    ({"locale": None}, "locale"),
    ({"layout": None}, "layout"),
    ({"channels": []}, "channels"),
    ({"channels": {"fax": {}}}, "channels.fax"),
    ({"channels": {"email": {"body": "x"}}}, "channels.email"),
    ({"channels": {"email": {"subject": 1}}}, "channels.email"),
    ({"translations": {"x" * 99: {}}}, "translations"),
    ({"translations": {"de": {"sms": 1}}}, "translations.de.sms"),
    ({"samples": {}}, "samples"),
    ({"samples": [{}]}, "samples.0.name"),
    ({"schema": []}, "schema"),
    ({"schema": {"$ref": "#"}}, "schema"),
    ({"hosted": 1}, "hosted"),
    ({"hosted": {"sendgrid": 1}}, "hosted"),
    ({"hosted": {"sendgrid": {"id": "d-1", "variables": {"a": {}}}}}, "hosted"),
    ({"hosted": {"sendgrid": {"id": 1, "variables": {}}}}, "hosted"),
    ({"layout": "x" * 101}, "layout"),
]


def test_what_no_editor_sends_is_refused_by_name(staff, template):
    before = state(staff, template)
    for given, field in BAD:
        body = given
        if isinstance(given, dict):
            content = given if "content" in given else {"content": {**before["content"], **given}}
            body = json.dumps({"stamp": before["stamp"], **content})
        answer = staff.post(url("draft", template), body, content_type="application/json")
        assert answer.status_code == 400, given
        assert answer.json()["errors"][0]["field"] == field
    assert state(staff, template)["stamp"] == before["stamp"]
    assert staff.get(url("draft", template)).status_code == 405


def asked(staff, template, data=None, **changes):
    before = state(staff, template)
    content = {**before["content"], **changes}
    return {"content": content, "data": {"name": "Ada"} if data is None else data, "locale": "en"}


def test_the_preview_shows_what_is_not_saved(staff, template):
    channels = {
        "email": {**EMAIL, "preheader": "For {{ name }}"},
        "sms": {"text": "Hi {{ name }}"},
    }
    shown = post(staff, "preview", template, asked(staff, template, channels=channels)).json()
    email, sms = shown["channels"]["email"], shown["channels"]["sms"]
    assert (email["parts"]["subject"], email["parts"]["preheader"]) == ("Hello Ada", "For Ada")
    assert email["parts"]["page"].index("Content-Security-Policy") < email["parts"]["page"].index(
        "Ada"
    )
    assert (sms["parts"]["text"], sms["facts"]["segments"]) == ("Hi Ada", 1)
    assert list(shown["schema"]["properties"]) == ["name"]
    assert shown["errors"] == []
    assert {(one["channel"], one["part"]) for one in shown["warnings"]} >= {("email", "text")}
    assert template.versions.get().channels == {"email": EMAIL}


def test_the_preview_names_every_error_at_its_place(staff, template):
    channels = {"email": {"subject": "{{ x", "html": "<p>\n{{ y.z() }}</p>"}}
    translations = {"de": {"email": {"subject": "{% if %}", "html": "<p>"}}}
    body = asked(staff, template, channels=channels, translations=translations)
    errors = post(staff, "preview", template, body).json()["errors"]
    found = {(e["locale"], e["channel"], e["part"], e["line"]) for e in errors}
    assert found == {
        ("", "email", "subject", 1),
        ("", "email", "html", 2),
        ("de", "email", "subject", 1),
    }
    missing = post(staff, "preview", template, asked(staff, template, data={})).json()["errors"]
    assert ("", "email", "html") in {
        (e.get("locale"), e.get("channel"), e.get("part")) for e in missing
    }
    assert post(staff, "preview", template, {"data": {}}).status_code == 400


def test_a_layout_and_a_partial_are_shown_by_themselves(staff):
    for kind, source in (
        (Kind.LAYOUT, "<p>Top</p>{{ content }}"),
        (Kind.PARTIAL, "<p>{{ x }}</p>"),
    ):
        template = make(kind.value, kind=kind, channels={"email": {"html": source}})
        shown = post(staff, "preview", template, asked(staff, template, data={"x": "X"})).json()
        assert shown["errors"] == []
        assert "<p>" in shown["channels"]["email"]["parts"]["page"]


def test_remote_pictures_are_on_a_page_that_can_do_nothing_else(staff, template):
    channels = {"email": {**EMAIL, "html": "<script>1</script><img src='https://a.test/b.png'>"}}
    body = json.dumps(asked(staff, template, channels=channels))
    answer = staff.post(url("pictures", template), {"asked": body})
    assert b"https://a.test/b.png" in answer.content
    policy = answer["Content-Security-Policy"]
    assert "sandbox;" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert staff.post(url("pictures", template), {"asked": "{"}).status_code == 400
    assert staff.get(url("pictures", template)).status_code == 405


def test_a_test_is_accepted_like_any_message_and_sent_by_nobody_here(staff, template):
    body = {"channel": "email", "to": "a@b.test", "data": {"name": "Ada"}, "locale": "en"}
    assert "make one first" in post(staff, "test", template, body).json()["detail"]
    agent = ApiClient.objects.create(name="billing")
    answer = post(staff, "test", template, body)
    assert "billing" in answer.json()["detail"]
    assert "a@b.test" not in LogEntry.objects.get().change_message
    delivery = Notification.objects.get(client=agent).deliveries.get()
    assert (delivery.channel, delivery.address, delivery.state) == ("email", "a@b.test", "queued")
    assert not delivery.attempts.exists()
    for name, wrong in (
        ("to", "nobody"),
        ("to", " "),
        ("channel", "fax"),
        ("data", {}),
        ("data", []),
    ):
        assert post(staff, "test", template, {**body, name: wrong}).status_code == 400, wrong
    push = make("push", channels={"push": {"title": "Hi"}})
    answer = post(staff, "test", push, {**body, "channel": "push", "to": "u-1"})
    assert (answer.status_code, "push address" in answer.json()["detail"]) == (400, True)
    assert Notification.objects.count() == 1
    SuppressionFactory(address="a@b.test")
    assert "Not sent: " in post(staff, "test", template, body).json()["detail"]


def test_a_page_of_html_becomes_parts(staff, template):
    answer = post(staff, "import", template, {"html": "<title>T</title><script>x</script><p>Hi"})
    assert answer.json()["subject"] == "T"
    assert answer.json()["notices"] == ["Left out: <script> with what is in it."]
    for wrong in ("", None, "x" * 1_000_001):
        assert post(staff, "import", template, {"html": wrong}).status_code == 400


def test_versions_are_listed_compared_and_restored(staff, template):
    services.publish(template)
    services.revise(
        template, author="ada", channels={"email": {**EMAIL, "subject": "Hi {{ name }}"}}
    )
    shown = staff.get(url("versions", template)).content.decode()
    assert "In use" in shown
    assert "Draft" in shown
    page = staff.get(url("compare", template), {"from": 1, "to": 2}).content.decode()
    assert "<del>Hello</del>" in page
    assert "<ins>Hi</ins>" in page
    for wrong in ({}, {"from": "x", "to": "1"}, {"from": 1, "to": 9}, {"from": 1, "to": "9" * 30}):
        assert staff.get(url("compare", template), wrong).status_code == 404
    restore = url("restore", template, 1)
    assert "what the draft says now is lost" in staff.get(restore).content.decode()
    assert template.versions.get(number=2).channels["email"]["subject"] == "Hi {{ name }}"
    staff.post(restore)
    assert template.versions.get(number=2).channels == {"email": EMAIL}
    assert staff.get(url("restore", template, 9)).status_code == 404
    version = reverse(
        "admin:templates_app_templateversion_change", args=[template.versions.last().pk]
    )
    assert "&lt;p&gt;Hello" in staff.get(version).content.decode()


def test_a_layout_says_who_uses_it(staff):
    layout = make("frame", kind=Kind.LAYOUT, channels={"email": {"html": "{{ content }}"}})
    services.publish(layout)
    for key in ("uses", "used-once"):
        services.publish(make(key, layout="frame"))
    left = Template.objects.get(key="used-once")
    services.revise(left, author="ada", layout="")
    services.publish(left)
    shown = staff.get(url("versions", layout)).content.decode()
    assert ">uses<" in shown
    assert ">used-once<" not in shown


def test_archiving_asks_first_closes_the_editor_and_can_be_undone(staff, template):
    archive = url("archive", template)
    assert "Archive hello?" in staff.get(archive).content.decode()
    assert Template.objects.get().archived_at is None
    before = state(staff, template)
    staff.post(archive)
    assert Template.objects.get().archived_at is not None
    page = staff.get(url("change", template))
    assert page.context["editor"]["may_change"] is False
    assert b'id="ed-save"' not in page.content
    assert save(staff, template, before, name="New").status_code == 403
    staff.post(url("unarchive", template))
    assert state(staff, template)["may_change"] is True
    assert staff.get(url("unarchive", template)).status_code == 404


def test_who_may_only_look_can_look(client, template):
    looker = User.objects.create_user("looker", password="x", is_staff=True)
    client.force_login(looker)
    assert client.get(url("change", template)).status_code == 403
    assert post(client, "preview", template, {}).status_code == 403
    looker.user_permissions.add(Permission.objects.get(codename="view_template"))
    looker = User.objects.get(pk=looker.pk)
    client.force_login(looker)
    body = asked(client, template)
    assert post(client, "preview", template, body).status_code == 200
    assert client.get(url("versions", template)).status_code == 200
    assert state(client, template)["may_change"] is False
    for name in ("draft", "publish", "import", "test"):
        assert post(client, name, template, body).status_code == 403
    for name in ("archive", "unarchive"):
        assert client.post(url(name, template)).status_code in (403, 404)
    assert template.versions.get().published_at is None


def test_the_list_says_what_each_template_is(staff, template, django_assert_max_num_queries):
    make("other", channels={"push": {"title": "x"}}, translations={"de": {"push": {"title": "y"}}})
    with django_assert_max_num_queries(12):
        shown = staff.get(url("changelist")).content.decode()
    for said in ("Draft only", "Push", "en, de", "Message"):
        assert said in shown
    assert list(staff.get(url("changelist"), {"q": "hello"}).context["cl"].result_list) == [
        template
    ]


def sides(before, after):
    versions = [
        TemplateVersion(channels={"sms": {"text": text}}, locale="en") for text in (before, after)
    ]
    found = differences.between(*versions)
    assert len(found) <= 1
    return found[0].rows if found else []


def test_two_versions_stand_line_by_line_with_the_words_that_differ():
    assert sides("a", "a") == []
    (row,) = sides("one two three", "one 2 three")
    assert row.before.pieces == [("one ", False), ("two", True), (" three", False)]
    assert row.after.pieces == [("one ", False), ("2", True), (" three", False)]
    (row,) = sides("entirely different", "nothing shared 1234567890")
    assert [piece for piece, _ in row.before.pieces] == ["entirely different"]
    rows = sides("a\nb\nc", "a\nc\nd")
    assert [(r.before and r.before.number, r.after and r.after.number) for r in rows] == [
        (1, 1),
        (2, None),
        (3, 2),
        (None, 3),
    ]
    long = [str(n) for n in range(30)]
    changed = [*long[:2], "x", *long[3:27], "y", *long[28:]]
    rows = sides("\n".join(long), "\n".join(changed))
    assert sum(row.before is None and row.after is None for row in rows) == 1


def test_no_content_of_the_right_shape_breaks_the_page(staff, template):
    odd: list[dict[str, Any]] = [
        {"hosted": {"nobody": {"id": "", "variables": {"": "1"}}}},
        {"hosted": {"sendgrid": {"id": "d-1", "variables": {"first": "{{ name"}}}},
        {"layout": "nothing-of-this-name"},
        {"translations": {"de": {"push": {"title": "only here"}}}},
        {"channels": {"email": {"html": "a", "mjml": "b"}}},
        {"channels": {"email": {"html": "<div>" * 5_000}}},
        {"channels": {"email": {"html": "{% include 'x' %}" * 1_000}}},
        {"channels": {"sms": {"text": "x" * 500_000}}},
        {"schema": {"properties": {"gone": {"type": "string"}}}},
    ]
    for changes in odd:
        assert (
            post(staff, "preview", template, asked(staff, template, **changes)).status_code == 200
        )
        answer = save(staff, template, **changes)
        assert answer.status_code in (200, 400), changes
        assert staff.get(url("change", template)).status_code == 200
