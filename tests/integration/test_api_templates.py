"""`/api/v1/templates` from outside: drafts, published versions that never change, previews."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from notifications.models import Notification, SimulatedMessage
from templates_app.models import Template, TemplateVersion
from tests.engine import drain
from tests.factories import CHANNELS, TemplateFactory, TemplateVersionFactory
from tests.walk import each

URL = "/api/v1/templates"
ONE = f"{URL}/welcome"
GOOD: dict[str, Any] = {"key": "welcome", "name": "Welcome", "channels": CHANNELS}


def but(**changes: Any) -> dict[str, Any]:
    """A good request with other or more fields; `None` leaves one out."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


def email(**parts: Any) -> dict[str, Any]:
    return but(channels={"email": {**CHANNELS["email"], **parts}})


def create(api: APIClient, body: Any = None) -> dict[str, Any]:
    answer = api.post(URL, body or GOOD, format="json")
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def ok(answer: Any) -> Any:
    assert answer.status_code == 200, answer.content
    return answer.json()


def problem_of(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    return problem


def fields_of(problem: dict[str, Any]) -> set[str]:
    return {error["field"] for error in problem["errors"]}


# Writing


def test_a_template_is_made_as_a_draft(api: APIClient):
    made = create(api)
    assert (made["key"], made["name"], made["published_version"]) == ("welcome", "Welcome", None)
    latest = made["latest"]
    assert (latest["number"], latest["published_at"]) == (1, None)
    assert latest["channels"] == CHANNELS
    assert latest["variables"] == ["name"]
    assert latest["created_by"] == "billing"
    assert ok(api.get(ONE)) == made


def test_the_source_is_kept_as_it_was_written(api: APIClient):
    parts = {"subject": " {{ name }} ", "text": "\n a \n\n", "html": "<p> {# why #}\n</p>\n"}
    made = create(api, but(channels={"email": parts, "sms": {"text": " hi "}}))
    assert made["latest"]["channels"] == {"email": parts, "sms": {"text": " hi "}}


WRONG: list[tuple[dict[str, Any], str]] = [
    (but(key=None), "key"),
    (but(key=""), "key"),
    (but(key="we lcome"), "key"),
    (but(key="wel/come"), "key"),
    (but(key="k" * 101), "key"),
    (but(key=["welcome"]), "key"),
    (but(name=None), "name"),
    (but(name=""), "name"),
    (but(name="n" * 201), "name"),
    (but(channels=None), "channels"),
    (but(channels={}), "channels"),
    (but(channels=[]), "channels"),
    (but(channels={"fax": {"text": "x"}}), "channels.fax"),
    (but(channels={"sms": {}}), "channels.sms.text"),
    (but(channels={"sms": {"text": ""}}), "channels.sms.text"),
    (but(channels={"sms": "text"}), "channels.sms"),
    (but(channels={"sms": {"text": "x", "html": "x"}}), "channels.sms.html"),
    (but(channels={"email": {"text": "x"}}), "channels.email.subject"),
    (but(channels={"email": {"subject": "x"}}), "channels.email.text"),
    (email(body="x"), "channels.email.body"),
    (email(text=["x"]), "channels.email.text"),
    (email(text="x" * 65_537), "channels.email.text"),
    (email(text="ü" * 40_000), "channels.email.text"),
    (email(html="<a href={{ name }}>x</a>"), "channels.email.html"),
    (email(html="<script>{{ name }}</script>"), "channels.email.html"),
    (email(text="{{ name() }}"), "channels.email.text"),
    (email(text="{{ __class__ }}"), "channels.email.text"),
    (email(text="{% include 'x' %}"), "channels.email.text"),
    (but(locale="x" * 36), "locale"),
    (but(colour="red"), "colour"),
]


@each(("body", "field"), WRONG)
def test_a_wrong_field_is_named_and_nothing_is_stored(api: APIClient, body, field):
    problem = problem_of(api.post(URL, body, format="json"), 400)
    assert field in fields_of(problem)
    assert not Template.objects.exists()
    assert not TemplateVersion.objects.exists()


def test_a_syntax_error_names_part_line_and_column(api: APIClient):
    body = email(text="Hello\n  {{ name }\nBye")
    (error,) = problem_of(api.post(URL, body, format="json"), 400)["errors"]
    assert (error["field"], error["code"]) == ("channels.email.text", "syntax")
    assert "line 2, column 3" in error["message"]


def test_the_errors_of_all_parts_are_told_together(api: APIClient):
    body = email(subject="{{", html="{% for x in y %}")
    body["channels"]["sms"] = {"text": "{{ x | nothing }}"}
    problem = problem_of(api.post(URL, body, format="json"), 400)
    assert fields_of(problem) == {
        "channels.email.subject",
        "channels.email.html",
        "channels.sms.text",
    }


def test_a_key_that_is_taken_is_409(api: APIClient):
    create(api)
    for key in ("welcome", "Welcome", "WELCOME"):
        problem = problem_of(api.post(URL, but(name="Another", key=key), format="json"), 409)
        assert problem["code"] == "key_taken"
    assert Template.objects.get().name == "Welcome"


def test_a_draft_may_change(api: APIClient):
    create(api, but(locale="de"))
    channels = {"sms": {"text": "Hi {{ you }}"}}
    changed = ok(api.patch(ONE, {"channels": channels, "name": "New"}, format="json"))
    assert changed["name"] == "New"
    assert changed["latest"]["number"] == 1
    assert changed["latest"]["channels"] == channels
    assert changed["latest"]["variables"] == ["you"]
    assert changed["latest"]["locale"] == "de"


def test_what_a_change_leaves_out_stays_as_it_is(api: APIClient):
    create(api, but(locale="de"))
    named = ok(api.patch(ONE, {"name": "New"}, format="json"))
    assert (named["name"], named["latest"]["channels"]) == ("New", CHANNELS)
    assert named["latest"]["locale"] == "de"
    moved = ok(api.patch(ONE, {"locale": "fr"}, format="json"))
    assert (moved["name"], moved["latest"]["channels"]) == ("New", CHANNELS)
    assert moved["latest"]["locale"] == "fr"
    assert ok(api.patch(ONE, {}, format="json")) == moved


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"channels": {}}, "channels"),
        ({"channels": {"sms": {"text": "{{"}}}, "channels.sms.text"),
        ({"name": ""}, "name"),
        ({"key": "other"}, "key"),
    ],
)
def test_a_wrong_change_changes_nothing(api: APIClient, body, field):
    made = create(api)
    problem = problem_of(api.patch(ONE, {"name": "New", **body}, format="json"), 400)
    assert field in fields_of(problem)
    assert ok(api.get(ONE)) == made


def test_a_change_goes_through_only_where_nobody_else_made_one(api: APIClient):
    read = api.post(URL, GOOD, format="json").headers["ETag"]
    assert api.get(ONE).headers["ETag"] == read

    def patch(name: str, tag: str) -> Any:
        return api.patch(ONE, {"name": name}, format="json", HTTP_IF_MATCH=tag)

    first = patch("Mine", read)
    now = first.headers["ETag"]
    assert ok(first)["name"] == "Mine"
    assert now != read
    late = [
        patch("Theirs", read),
        patch("Theirs", f"W/{now}"),
        api.post(f"{ONE}/publish", HTTP_IF_MATCH=read),
        api.post(f"{ONE}/versions/1/restore", HTTP_IF_MATCH=read),
    ]
    for answer in late:
        assert problem_of(answer, 412)["code"] == "changed_meanwhile"
    for tag in ("", "x", "'x'"):
        assert fields_of(problem_of(patch("Theirs", tag), 400)) == {"If-Match"}
    assert ok(api.get(ONE)) == first.json()
    for tag in ("*", f"{read}, {now}"):
        assert patch("Mine", tag).headers["ETag"] == now
    published = api.post(f"{ONE}/publish", HTTP_IF_MATCH=now)
    assert ok(published)["number"] == 1
    restored = api.post(f"{ONE}/versions/1/restore", HTTP_IF_MATCH=published.headers["ETag"])
    assert ok(restored)["number"] == 2
    assert restored.headers["ETag"] == api.get(ONE).headers["ETag"]


# Publishing


def test_a_published_version_never_changes(api: APIClient):
    create(api)
    published = ok(api.post(f"{ONE}/publish"))
    assert [one["code"] for one in published.pop("warnings")] == ["no_unsubscribe"]
    assert published["number"] == 1
    assert published["published_at"]
    changed = ok(api.patch(ONE, {"channels": {"sms": {"text": "New"}}}, format="json"))
    assert (changed["latest"]["number"], changed["published_version"]) == (2, 1)
    versions = ok(api.get(f"{ONE}/versions"))["results"]
    assert [version["number"] for version in versions] == [2, 1]
    assert versions[1] == published
    assert ok(api.post(f"{ONE}/publish"))["number"] == 2
    assert ok(api.get(f"{ONE}/versions"))["results"][1] == published
    assert ok(api.get(ONE))["published_version"] == 2


def test_without_a_draft_there_is_nothing_to_publish(api: APIClient):
    create(api)
    api.post(f"{ONE}/publish")
    assert problem_of(api.post(f"{ONE}/publish"), 409)["code"] == "nothing_to_publish"


def test_a_change_of_the_name_makes_no_version(api: APIClient):
    create(api)
    api.post(f"{ONE}/publish")
    assert ok(api.patch(ONE, {"name": "New"}, format="json"))["latest"]["number"] == 1


def test_a_draft_cannot_be_sent(api: APIClient):
    create(api)
    message = {"to": {"email": "a@simulator.test"}, "template": "welcome", "data": {"name": "A"}}
    problem = problem_of(api.post("/api/v1/notifications", message, format="json"), 400)
    assert fields_of(problem) == {"template"}
    api.post(f"{ONE}/publish")
    assert api.post("/api/v1/notifications", message, format="json").status_code == 202


# Preview


def test_a_preview_renders_every_channel_of_the_newest_version(api: APIClient):
    create(api, but(channels={**CHANNELS, "sms": {"text": "Hi {{ name }}"}}))
    shown = ok(api.post(f"{ONE}/preview", {"data": {"name": "A & B"}}, format="json"))
    assert shown["channels"] == {
        "email": {
            "subject": "Hello A & B",
            "text": "Good to have you, A & B.",
            "html": "<p>Good to have you, <b>A &amp; B</b>.</p>",
        },
        "sms": {"text": "Hi A & B"},
    }


def test_a_preview_may_ask_for_one_channel(api: APIClient):
    create(api, but(channels={**CHANNELS, "sms": {"text": "Hi"}}))
    shown = ok(api.post(f"{ONE}/preview", {"channel": "sms"}, format="json"))
    assert shown["channels"] == {"sms": {"text": "Hi"}}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "data.name"),
        ({"data": {"nome": "A"}}, "data.name"),
        ({"data": []}, "data"),
        ({"data": {"name": {"a": 1}}}, "data.name"),
        ({"data": {"name": "x" * 20_000}}, "data"),
        ({"data": {"name": "A"}, "channel": "sms"}, "channel"),
        ({"data": {"name": "A"}, "channel": "email" * 3}, "channel"),
        ({"data": {"name": "A"}, "colour": "red"}, "colour"),
    ],
)
def test_what_a_preview_lacks_is_named(api: APIClient, body, field):
    create(api, but(channels={"email": {"subject": "Hi {{ name }}", "text": "x"}}))
    problem = problem_of(api.post(f"{ONE}/preview", body, format="json"), 400)
    assert field in fields_of(problem)


def test_an_unsafe_link_is_not_rendered(api: APIClient):
    create(api, email(html='<a href="{{ name }}">x</a>'))
    body = {"data": {"name": "javascript:alert(1)"}}
    problem = problem_of(api.post(f"{ONE}/preview", body, format="json"), 400)
    assert fields_of(problem) == {"channels.email.html"}


RICH: dict[str, Any] = {
    "key": "order",
    "name": "Order",
    "locale": "en",
    "channels": {
        "email": {
            "subject": "Order {{ id }}",
            "preheader": "Look",
            "mjml": "<mjml><mj-body><mj-section><mj-column><mj-text>{{ id }}</mj-text>"
            "</mj-column></mj-section></mj-body></mjml>",
        },
        "push": {"title": "{{ id }}", "link": "https://example.org/{{ id }}", "badge": "1"},
        "inapp": {"body": "{{ id }}"},
    },
    "translations": {"pt": {"push": {"title": "Pedido {{ id }}"}}},
    "layout": "",
    "null_is": "error",
    "samples": [{"name": "one", "data": {"id": 17}, "locale": "pt-BR"}],
    "schema": {"properties": {"id": {"description": "Its number"}}},
    "hosted": {"sendgrid": {"id": "d-1", "variables": {"id": "id"}}},
}


def test_all_of_a_template_goes_in_and_comes_out(api: APIClient):
    made = create(api, RICH)
    latest = made["latest"]
    for name in ("locale", "channels", "translations", "layout", "null_is", "hosted"):
        assert latest[name] == RICH[name]
    assert made["samples"] == RICH["samples"]
    assert latest["schema"]["properties"]["id"]["description"] == "Its number"
    assert latest["schema"]["required"] == ["id"]
    assert {one["code"] for one in made["warnings"]} == {"no_text", "no_unsubscribe"}
    assert ok(api.get(f"{URL}/order")) == made


def test_a_preview_of_a_sample_for_a_reader_and_of_what_is_not_saved(api: APIClient):
    create(api, RICH)
    url = f"{URL}/order/preview"
    shown = ok(api.post(url, {"sample": "one"}, format="json"))
    assert shown["channels"]["push"] == {"title": "Pedido 17"}
    assert shown["locales"] == {"email": "en", "push": "pt", "inapp": "en"}
    assert shown["channels"]["email"]["text"] == "17"
    assert shown["channels"]["email"]["preheader"] == "Look"
    assert shown["hosted"] == {"sendgrid": {"id": "17"}}
    assert shown["facts"]["email"]["headers"]["List-Unsubscribe-Post"]
    body = {"sample": "one", "data": {"id": 5}, "locale": "en", "channel": "push"}
    assert ok(api.post(url, body, format="json"))["channels"] == {
        "push": {"title": "5", "link": "https://example.org/5", "badge": "1"}
    }
    unsaved = {"channels": {"sms": {"text": "{{ id|currency('EUR') }} ✓"}}, "translations": {}}
    shown = ok(api.post(url, {"sample": "one", "content": unsaved}, format="json"))
    assert shown["channels"] == {"sms": {"text": "€17.00 ✓"}}
    assert shown["facts"]["sms"]["encoding"] == "ucs2"
    unsaved = {"channels": {"sms": {"text": "\n {{ id + 1 }}"}}}
    problem = problem_of(api.post(url, {"data": {}, "content": unsaved}, format="json"), 400)
    (error,) = [one for one in problem["errors"] if one["field"] == "channels.sms.text"]
    assert (error["line"], error["column"]) == (2, 8)
    for wrong, field in (
        ({"sample": "two"}, "sample"),
        ({"content": {"channels": {"fax": {}}}}, "content.channels.fax"),
        ({"sample": "one", "locale": "no tag"}, "locale"),
    ):
        assert field in fields_of(problem_of(api.post(url, wrong, format="json"), 400))
    problem_of(api.post(url, {"sample": "one", "version": 9}, format="json"), 404)


RICH_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"kind": "poem"}, "kind"),
    ({"channels": {"push": {"link": "https://x"}}}, "channels.push.body"),
    ({"channels": {"inapp": {"badge": "1"}}}, "channels.inapp.badge"),
    ({"translations": {"pt": {"email": {"text": "x"}}}}, "translations.pt.email.subject"),
    ({"translations": {"pt": {"sms": {"text": "x"}}}}, "translations.pt.sms"),
    ({"translations": {"no tag": {"push": {"title": "x"}}}}, "translations.no tag"),
    ({"null_is": "none"}, "null_is"),
    ({"layout": "no-such"}, "layout"),
    ({"samples": [{"name": "a"}]}, "samples.0.data"),
    ({"samples": [{"name": "a", "data": {}, "locale": "?"}]}, "samples.0.locale"),
    ({"schema": {"properties": {"colour": {}}}}, "schema.colour"),
    ({"hosted": {"sendgrid": {"variables": {}}}}, "hosted.sendgrid.id"),
    ({"hosted": {"fax": {"id": "x"}}}, "hosted.fax"),
]


def test_what_is_wrong_in_any_field_is_named_and_nothing_is_stored(api: APIClient):
    for body, field in RICH_WRONG:
        problem = problem_of(api.post(URL, {**RICH, **body}, format="json"), 400)
        assert field in fields_of(problem), problem
    assert not Template.objects.exists()


def test_layouts_and_partials_need_no_subject(api: APIClient):
    frame = {"email": {"html": "<b>{{ content }}</b>"}}
    create(api, {"key": "frame", "name": "F", "kind": "layout", "channels": frame})
    ok(api.post(f"{URL}/frame/publish"))
    create(api, but(layout="frame"))
    published = ok(api.post(f"{ONE}/publish"))
    assert published["pins"] == [{"key": "frame", "number": 1}]
    assert published["layout"] == "frame"


def test_versions_are_read_compared_and_restored(api: APIClient):
    create(api, but(channels={"sms": {"text": "a\nb"}}))
    ok(api.post(f"{ONE}/publish"))
    api.patch(ONE, {"channels": {"sms": {"text": "a\nc"}}}, format="json")
    assert ok(api.get(f"{ONE}/versions/1"))["channels"] == {"sms": {"text": "a\nb"}}
    found = ok(api.get(f"{ONE}/versions/1/diff"))
    assert (found["before"], found["after"]) == (1, 2)
    (change,) = found["changes"]
    assert change["lines"] == ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]
    assert ok(api.get(f"{ONE}/versions/2/diff", {"to": 2}))["changes"] == []
    draft = ok(api.post(f"{ONE}/versions/1/restore"))
    assert (draft["number"], draft["channels"]) == (2, {"sms": {"text": "a\nb"}})
    for path in ("versions/9", "versions/9/diff", "versions/1/diff?to=9"):
        problem_of(api.get(f"{ONE}/{path}"), 404)
    problem_of(api.post(f"{ONE}/versions/9/restore"), 404)
    problem_of(api.get(f"{ONE}/versions/1/diff?to=x"), 400)


def test_a_template_comes_back_from_the_archive(api: APIClient):
    create(api)
    api.post(f"{ONE}/publish")
    api.delete(ONE)
    assert [row["key"] for row in ok(api.get(URL, {"archived": "true"}))["results"]] == ["welcome"]
    problem_of(api.get(URL, {"archived": "perhaps"}), 400)
    assert ok(api.post(f"{ONE}/unarchive"))["archived_at"] is None
    assert ok(api.get(ONE))["published_version"] == 1
    problem_of(api.post(f"{URL}/no-such/unarchive"), 404)


# Sending to look at it


def test_a_draft_is_sent_as_it_would_be_published(api: APIClient):
    create(api, {**RICH, "hosted": {}})
    url = f"{URL}/order/test-send"
    to = {"email": "a@simulator.test", "user_id": "u-1"}
    answer = api.post(url, {"to": to, "sample": "one", "data": {"id": 5}}, format="json")
    assert answer.status_code == 202, answer.content
    assert {one["channel"] for one in answer.json()["deliveries"]} == {"email", "inapp"}
    drain()
    parts = [message.parts for message in SimulatedMessage.objects.all()]
    assert [one["text"] for one in parts if "subject" in one] == ["5"]
    sent = Notification.objects.get()
    assert (sent.tags, sent.locale, sent.template_version) == (["test-send"], "pt-BR", None)

    ok(api.post(f"{URL}/order/publish"))
    body = {"to": to, "data": {"id": 6}, "channels": ["email"], "version": 1}
    assert api.post(url, body, format="json").status_code == 202
    drain()
    assert Notification.objects.latest("id").template_version is not None
    assert SimulatedMessage.objects.latest("id").parts["subject"] == "Order 6"


def test_what_cannot_be_sent_to_look_at_says_why(api: APIClient):
    create(api, {**RICH, "channels": {}, "translations": {}})
    url = f"{URL}/order/test-send"
    to = {"email": "a@simulator.test"}
    for body, field in (
        ({"to": to}, "data.id"),
        ({"to": to, "sample": "one"}, "template"),
        ({"to": to, "sample": "x"}, "sample"),
        ({"to": {}, "sample": "one"}, "to"),
        ({"to": to, "data": {"id": 1}, "colour": "red"}, "colour"),
    ):
        assert field in fields_of(problem_of(api.post(url, body, format="json"), 400))
    problem_of(api.post(url, {"to": to, "version": 9}, format="json"), 404)
    problem_of(api.post(f"{URL}/nothing/test-send", {"to": to}, format="json"), 404)
    assert not Notification.objects.exists()


# Archiving and reading


def test_an_archived_template_is_gone_and_its_key_stays_taken(api: APIClient):
    create(api)
    api.post(f"{ONE}/publish")
    assert api.delete(ONE).status_code == 204
    for answer in (
        api.get(ONE),
        api.delete(ONE),
        api.patch(ONE, {"name": "x"}, format="json"),
        api.get(f"{ONE}/versions"),
        api.post(f"{ONE}/publish"),
        api.post(f"{ONE}/preview", {}, format="json"),
    ):
        problem_of(answer, 404)
    assert ok(api.get(URL))["results"] == []
    message = {"to": {"email": "a@simulator.test"}, "template": "welcome", "data": {"name": "A"}}
    assert api.post("/api/v1/notifications", message, format="json").status_code == 400
    problem_of(api.post(URL, GOOD, format="json"), 409)


def test_a_message_accepted_before_is_sent_after_its_template_was_archived(api: APIClient):
    create(api)
    api.post(f"{ONE}/publish")
    message = {"to": {"email": "a@simulator.test"}, "template": "welcome", "data": {"name": "A"}}
    assert api.post("/api/v1/notifications", message, format="json").status_code == 202
    api.delete(ONE)
    drain()
    assert SimulatedMessage.objects.get().parts["subject"] == "Hello A"


def test_an_unknown_template_is_404(api: APIClient):
    problem_of(api.get(f"{URL}/no-such"), 404)
    problem_of(api.get(f"{URL}/no%20such"), 404)
    problem_of(api.put(ONE, GOOD, format="json"), 405)


def test_templates_are_listed_in_pages(api: APIClient, django_assert_max_num_queries: Any):
    for number in range(5):
        TemplateVersionFactory.create(template=TemplateFactory(key=f"t{number}"))
    page = ok(api.get(URL, {"limit": 3}))
    assert [row["key"] for row in page["results"]] == ["t4", "t3", "t2"]
    assert [row["key"] for row in ok(api.get(page["next"]))["results"]] == ["t1", "t0"]
    assert page["results"][0]["published_version"] == 1
    with django_assert_max_num_queries(4):
        api.get(URL)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("get", URL, Scope.TEMPLATES_READ),
        ("post", URL, Scope.TEMPLATES_WRITE),
        ("get", ONE, Scope.TEMPLATES_READ),
        ("patch", ONE, Scope.TEMPLATES_WRITE),
        ("delete", ONE, Scope.TEMPLATES_WRITE),
        ("get", f"{ONE}/versions", Scope.TEMPLATES_READ),
        ("post", f"{ONE}/publish", Scope.TEMPLATES_WRITE),
        ("post", f"{ONE}/preview", Scope.TEMPLATES_READ),
        ("post", f"{ONE}/unarchive", Scope.TEMPLATES_WRITE),
        ("get", f"{ONE}/versions/1", Scope.TEMPLATES_READ),
        ("get", f"{ONE}/versions/1/diff", Scope.TEMPLATES_READ),
        ("post", f"{ONE}/versions/1/restore", Scope.TEMPLATES_WRITE),
        ("post", f"{ONE}/test-send", Scope.NOTIFICATIONS_WRITE),
    ],
)
def test_each_call_needs_its_scope_and_no_other(agent: ApiClient, method, path, scope):
    def call(scopes: list[Scope]) -> Any:
        client = APIClient()
        _, secret = keys.issue(agent, scopes)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        return getattr(client, method)(path, {} if method != "get" else None, format="json")

    refused = problem_of(call([other for other in Scope if other is not scope]), 403)
    assert scope.value in refused["detail"]
    assert call([scope]).status_code not in (401, 403)
    problem_of(getattr(APIClient(), method)(path), 401)
