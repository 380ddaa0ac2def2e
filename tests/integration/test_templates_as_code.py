"""`manage.py templates`: folders and installations, here and over HTTP, all or nothing."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient
from typing_extensions import override

from commsproject.common.identity import keys
from commsproject.common.identity.scopes import Scope
from commsproject.common.models import ApiClient
from templates_app import bundle, services
from templates_app.models import Template, TemplateVersion
from tests.fakes.http import FakeHttpServer
from tests.fakes.wire import Request, Response
from tests.integration.test_api_templates import fields_of, ok, problem_of
from tests.unit.templates_app.test_preview import MJML

URL = "/api/v1/templates"

FILES = {
    "frame/template.yaml": "name: Frame\nkind: layout\n",
    "frame/email.html": "<html><body>{{ content }}{% include 'foot' %}</body></html>\n",
    "foot/template.yaml": "name: Foot\nkind: partial\n",
    "foot/email.html": "<p>{{ company }} {{ unsubscribe_words }}</p>\n",
    "order/template.yaml": (
        "name: Order # of the shop\nlocale: en\nlayout: frame\nnull_is: error\n"
        "samples:\n- name: Ada\n  locale: pt-BR\n  data:\n"
        "    {name: Ada, company: Ours, unsubscribe_words: Unsubscribe, nr: 7}\n"
    ),
    "order/email.subject.txt": "Order {{ nr }}\n",
    "order/email.html": "<p>Dear {{ name }}</p>\n",
    "order/sms.txt": "Order {{ nr }}",
    "order/pt-BR/email.subject.txt": "Pedido {{ nr }}\n",
    "order/pt-BR/email.html": "<p>Olá {{ name }}</p>\n",
    "order/README.md": "Not a part.\n",
    "README.md": "Not a template.\n",
    ".git/config": "nor is this\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, FILES)
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")


def read(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes().decode()
        for path in root.rglob("*")
        if path.is_file()
    }


def run(*args: object, code: int = 0) -> str:
    """What the command says, on both channels; it has to end with `code`."""
    said = io.StringIO()
    ended = 0
    try:
        call_command("templates", *map(str, args), stdout=said, stderr=said)
    except CommandError as error:
        ended = error.returncode
        said.write(str(error))
    assert ended == code, said.getvalue()
    return said.getvalue()


def numbers(key: str) -> list[tuple[int, bool]]:
    rows = TemplateVersion.objects.filter(template__key=key).order_by("number")
    return [(row.number, row.published_at is not None) for row in rows]


# --- Here --------------------------------------------------------------------------------------


def test_a_folder_is_pushed_published_and_pulled_back_as_it_was(db, folder, tmp_path_factory):
    said = run("push", folder, "--publish")
    assert said.splitlines()[-1] == "3 templates: 3 created."
    assert "created    order (published as v1)" in said
    version = TemplateVersion.objects.get(template__key="order")
    assert [pin["key"] for pin in version.pins] == ["foot", "frame"]
    assert run("diff", folder) == ""
    assert run("pull", folder) == "3 templates.\n"
    assert read(folder) == FILES
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert "written    order" in run("pull", elsewhere)
    assert run("diff", elsewhere) == ""
    assert run("push", elsewhere, "--publish").splitlines() == ["3 templates: 3 unchanged."]
    assert numbers("order") == [(1, True)]


def test_what_has_changed_is_shown_and_becomes_a_draft(db, folder):
    run("push", folder, "--publish")
    write(folder, {"order/sms.txt": "Your order {{ nr }}"})
    (folder / "order/pt-BR/email.subject.txt").write_text("O pedido {{ nr }}\n", encoding="utf-8")
    difference = [
        "--- order/pt-BR/email.subject.txt",
        "+++ order/pt-BR/email.subject.txt",
        "@@ -1 +1 @@",
        "-Pedido {{ nr }}",
        "+O pedido {{ nr }}",
        "--- order/sms.txt",
        "+++ order/sms.txt",
        "@@ -1 +1 @@",
        "-Order {{ nr }}",
        "+Your order {{ nr }}",
        "They differ.",
    ]
    assert run("diff", folder, code=1).splitlines() == difference
    assert run("push", folder, "--dry-run", code=1).splitlines() == difference
    assert numbers("order") == [(1, True)]
    assert run("push", folder).splitlines()[0] == "changed    order"
    assert numbers("order") == [(1, True), (2, False)]
    assert run("diff", folder) == ""
    assert "order (published as v2)" in run("push", folder, "--publish")


def test_a_changed_partial_is_published_with_all_that_has_it(db, folder):
    run("push", folder, "--publish")
    write(folder, {"foot/email.html": "<p>{{ company }}, {{ unsubscribe_words }}</p>\n"})
    said = run("push", folder, "--publish")
    for line in ("changed    foot (published as v2)", "unchanged  order (published as v2)"):
        assert line in said
    version = TemplateVersion.objects.get(template__key="order", number=2)
    assert {"key": "foot", "number": 2} in version.pins
    assert run("push", folder, "--publish").splitlines() == ["3 templates: 3 unchanged."]


def test_one_mistake_changes_nothing_and_all_are_named_by_file_line_and_column(db, folder):
    write(
        folder,
        {
            "order/email.html": "<p>\n  {{ name | nope }}</p>\n",
            "order/pt-BR/email.subject.txt": "{% if %}",
            "foot/email.html": "{{ company.",
            "extra/template.yaml": "name: Extra\nlocale: nowhere-at-all-is-this-a-language\n",
            "extra/sms.foo.txt": "Hi",
            "other/template.yaml": "name: Other\nhosted:\n  sendgrid: {id: 5}\n",
        },
    )
    lines = run("push", folder, "--publish", code=2).splitlines()
    assert lines[-1] == "2 errors: nothing was changed."
    assert [line.partition(": ")[0] for line in lines[:-1]] == [
        "extra/sms.foo.txt:1:1",
        "other/template.yaml:3:3",
    ]
    (folder / "extra/sms.foo.txt").unlink()
    write(folder, {"other/template.yaml": "name: Other\n"})
    lines = run("push", folder, "--publish", code=2).splitlines()
    found = {line.partition(": ")[0] for line in lines[:-1]}
    assert {"order/email.html:2:13", "order/pt-BR/email.subject.txt:1:1"} <= found
    assert any(place.startswith("foot/email.html:1:") for place in found)
    assert not Template.objects.exists()


def test_a_sample_that_does_not_render_is_a_mistake_too(db, folder):
    write(folder, {"order/email.html": "<p>Dear {{ name }} of {{ city }}</p>\n"})
    lines = run("push", folder, "--publish", code=2).splitlines()
    assert any(line.startswith("order/email.html:1:") and "Ada" in line for line in lines)
    assert not Template.objects.exists()


def test_files_that_are_no_template_are_refused_before_anything_is_asked(db, folder):
    write(folder, {"order/email.htm": "x", "empty/sms.txt": "x"})
    lines = run("push", folder, code=2).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "empty/template.yaml:1:1",
        "order/email.htm:1:1",
        "2 errors",
    ]
    assert "nowhere" in run("push", folder / "nowhere", code=2)


def test_pruning_archives_what_the_folder_has_not_and_asks_first(db, folder, monkeypatch):
    services.create(key="old", name="Old", channels={"sms": {"text": "Hi"}}, author="x")
    run("push", folder, "--publish")
    assert run("diff", folder) == ""
    assert "-name: Old" in run("diff", folder, "--prune", code=1)
    assert "say --yes" in run("push", folder, "--prune", code=2)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, code in (("n", 2), ("y", 0)):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        assert "To be archived: old" in run("push", folder, "--prune", code=code)
        assert Template.objects.filter(archived_at=None).count() == (4 if code else 3)
    write(folder, {"old/template.yaml": "name: Old\n", "old/sms.txt": "Hi"})
    assert "changed    old" in run("push", folder)  # back from the archive
    assert "does not go with keys" in run("push", folder, "order", "--prune", code=2)
    (folder / "old/sms.txt").unlink()
    (folder / "old/template.yaml").unlink()
    assert "archived   old" in run("push", folder, "--prune", "--yes")


def test_pruning_leaves_nothing_in_use_without_what_it_needs(db, folder):
    run("push", folder, "--publish")
    write(folder, {"frame/email.html": "<html><body>{{ content }}</body></html>\n"})
    for path in (folder / "foot").iterdir():
        path.unlink()
    told = run("push", folder, "--prune", "--yes", code=2)  # as a draft: v1 of frame has it still
    assert "foot is used by frame" in told
    assert Template.objects.filter(archived_at=None).count() == 3
    assert bundle.export(["frame"])[0]["channels"]["email"]["html"].count("foot") == 1
    assert "archived   foot" in run("push", folder, "--prune", "--yes", "--publish")


def test_only_some_are_pulled_and_what_is_gone_there_goes_here_when_asked(db, folder):
    run("push", folder, "--publish")
    before = read(folder)
    write(folder, {"order/sms.txt": "mine", "foot/email.html": "mine"})
    run("pull", folder, "order")
    assert read(folder) == {
        **before,
        "order/sms.txt": "Order {{ nr }}\n",
        "foot/email.html": "mine",
    }
    assert "no template nope" in run("pull", folder, "nope", code=2)
    services.shelve(Template.objects.get(key="foot"))
    assert "only here  foot" in run("pull", folder)
    assert (folder / "foot").exists()
    assert "removed    foot" in run("pull", folder, "--prune")
    assert not (folder / "foot").exists()
    services.revise(
        Template.objects.get(key="order"),
        author="x",
        channels={"sms": {"text": "Hi"}},
        translations={},
    )
    run("pull", folder)
    assert {name for name in read(folder) if name.startswith("order/")} == {
        "order/README.md",
        "order/sms.txt",
        "order/template.yaml",
    }


def test_a_described_schema_travels_and_stays(db, folder):
    run("push", folder, "--publish")
    assert "schema" not in bundle.export(["order"])[0] or not bundle.export(["order"])[0]["schema"]
    template = Template.objects.get(key="order")
    found = template.versions.get().schema
    found["properties"]["nr"]["description"] = "Its number."
    services.revise(template, author="x", schema=found)
    run("pull", folder)
    text = (folder / "order/template.yaml").read_text()
    assert "Its number." in text
    assert run("push", folder).splitlines() == ["3 templates: 3 unchanged."]
    write(folder, {"order/template.yaml": text.replace("nr:", "number:")})
    (line, _) = run("push", folder, code=2).splitlines()
    assert line.startswith("order/template.yaml:")


def test_a_plain_page_becomes_an_email(db, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<html><title>Hi &amp; bye</title><body><p>Hello</p></body></html>")
    assert run("import-html", page, "hello", "--publish") == "created    hello\n"
    assert numbers("hello") == [(1, True)]
    page.write_text("<p>Hello again</p>")
    assert run("import-html", page, "hello", "--name", "Hello") == "changed    hello\n"
    (document,) = bundle.export(["hello"])
    assert document["name"] == "Hello"
    assert document["channels"]["email"] == {
        "subject": "Hi & bye",
        "html": "<p>Hello again</p>",
        "text": "Hello again",
    }
    assert "say the subject" in run("import-html", page, "other", code=2)
    page.write_text("<p>{{ }}</p>")
    assert "line 1" in run("import-html", page, "hello", code=2)


def test_an_imported_page_loses_what_mail_cannot_have_and_the_template_nothing_else(db, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<title>Hi</title><style>@import url(http://x/y.css); p{color:red}</style>"
        "<script>alert(1)</script><form action='https://x'><input></form>"
        "<iframe src='https://x'></iframe><p onclick='x()'>Hello</p>"
    )
    services.create(
        key="hello",
        name="Hello",
        author="ada",
        samples=[{"name": "one", "data": {}}],
        channels={"sms": {"text": "Hi"}, "email": {"subject": "S", "text": "T"}},
        translations={"de": {"sms": {"text": "Na"}}},
    )
    told = run("import-html", page, "hello")
    for left_out in ("<script>", "forms", "<iframe>", "onclick", "@import"):
        assert left_out in told
    (document,) = bundle.export(["hello"])
    email = document["channels"]["email"]
    assert email["html"] == "<title>Hi</title><style> p{color:red}</style><p>Hello</p>"
    assert email["text"] == "Hello"
    assert document["channels"]["sms"] == {"text": "Hi"}
    assert document["translations"] == {"de": {"sms": {"text": "Na"}}}
    assert document["samples"] == [{"name": "one", "data": {}}]
    services.archive(Template.objects.get(key="hello"))
    assert "archived" in run("import-html", page, "hello", code=2)
    assert Template.objects.get(key="hello").samples
    page.write_bytes(b"\xff\xfe<html>")
    assert "not UTF-8" in run("import-html", page, "other", code=2)


# --- The API -----------------------------------------------------------------------------------


def test_the_api_takes_what_it_gives(api, folder):
    run("push", folder, "--publish")
    given = ok(api.get(f"{URL}/export"))
    assert [each["key"] for each in given["templates"]] == ["foot", "frame", "order"]
    assert ok(api.get(f"{URL}/export?key=order&key=nope"))["templates"] == given["templates"][2:]
    assert api.get(f"{URL}/export?key=a%00b").status_code == 400
    Template.objects.all().delete()
    body = {**given, "publish": True}
    answer = ok(api.post(f"{URL}/import", {**body, "dry_run": True}, format="json"))
    assert {each["action"] for each in answer["changes"]} == {"created"}
    assert not Template.objects.exists()
    made = ok(api.post(f"{URL}/import", body, format="json"))
    assert made == answer
    assert ok(api.get(f"{URL}/export")) == given
    again = ok(api.post(f"{URL}/import", {**given, "prune": True}, format="json"))
    assert [(each["action"], each["published"]) for each in again["changes"]] == [
        ("unchanged", None)
    ] * 3


def test_what_is_wrong_is_named_by_its_place_in_the_request(api):
    good: dict[str, Any] = {"key": "a", "name": "A", "channels": {"sms": {"text": "Hi"}}}
    for changes, field in (
        ({"key": "a b"}, "key"),
        ({"key": "export"}, "key"),
        ({"key": None}, "key"),
        ({"name": " "}, "name"),
        ({"name": 5}, "name"),
        ({"kind": "poem"}, "kind"),
        ({"null_is": []}, "null_is"),
        ({"locale": None}, "locale"),
        ({"locale": "no such"}, "locale"),
        ({"key": "FIRST"}, ""),
        ({"samples": [1]}, "samples"),
        ({"samples": [{"name": "x"}]}, "samples.0.data"),
        ({"schema": []}, "schema"),
        ({"schema": {"properties": {"nope": {}}}}, "schema.nope"),
        ({"hosted": []}, "hosted"),
        ({"hosted": {"sendgrid": {"id": 1, "variables": {}}}}, "hosted.sendgrid"),
        ({"hosted": {"acme": {"id": "d-1", "variables": {}}}}, "hosted.acme"),
        ({"channels": []}, "channels"),
        ({"channels": {"fax": {"text": "Hi"}}}, "channels.fax"),
        ({"channels": {"sms": "Hi"}}, "channels.sms"),
        ({"channels": {"sms": {"html": "Hi"}}}, "channels.sms.html"),
        ({"channels": {"sms": {"text": 5}}}, "channels.sms.text"),
        ({"channels": {"sms": {"text": "{{"}}}, "channels.sms.text"),
        ({"translations": []}, "translations"),
        ({"translations": {"de": {"sms": {"text": "{{"}}}}, "translations.de.sms.text"),
        ({"translations": {"de": {"fax": {}}}}, "translations.de.fax"),
        ({"layout": "nope"}, "layout"),
        ({"colour": "red"}, "colour"),
    ):
        answer = api.post(
            f"{URL}/import",
            {"templates": [{**good, "key": "first"}, {**good, **changes}]},
            format="json",
        )
        assert fields_of(problem_of(answer, 400)) == {f"templates.1.{field}".rstrip(".")}, changes
    bodies: list[Any] = [{"templates": [5]}, {"templates": [good, good]}, {}, {"templates": {}}]
    for body in bodies:
        problem_of(api.post(f"{URL}/import", body, format="json"), 400)
    assert not Template.objects.exists()
    ok(api.post(f"{URL}/import", {"templates": [good]}, format="json"))
    answer = api.post(f"{URL}/import", {"templates": [{**good, "kind": "partial"}]}, format="json")
    assert fields_of(problem_of(answer, 400)) == {"templates.0.kind"}


def test_reading_and_writing_ask_for_their_scopes(agent):
    _, secret = keys.issue(agent, [Scope.TEMPLATES_READ])
    reader = APIClient()
    reader.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    ok(reader.get(f"{URL}/export"))
    problem_of(reader.post(f"{URL}/import", {"templates": []}, format="json"), 403)
    problem_of(reader.post(f"{URL}/x/import-html", {"html": "x"}, format="json"), 403)


def test_a_page_of_html_becomes_an_email(api):
    one = f"{URL}/hello/import-html"
    html = "<title>Hi</title><script>x</script><p onclick='x()'>Hello {{ name }}</p>"
    made = api.post(one, {"html": html, "publish": True}, format="json")
    assert made.status_code == 201
    assert made.json() == {
        "key": "hello",
        "action": "created",
        "published": 1,
        "notices": [
            "Left out: <script> with what is in it.",
            "Left out: scripts in attributes such as onclick.",
        ],
    }
    assert made.headers["ETag"] == api.get(f"{URL}/hello").headers["ETag"]
    again = ok(api.post(one, {"html": html, "publish": True}, format="json"))
    assert (again["action"], again["published"]) == ("unchanged", None)
    mjml = {"email": {"subject": "S", "mjml": MJML}, "sms": {"text": "Hi"}}
    ok(api.patch(f"{URL}/hello", {"channels": mjml}, format="json"))
    changed = {"html": "<p>Bye</p>", "name": "Bye", "subject": "Ends"}
    assert ok(api.post(one, changed, format="json"))["action"] == "changed"
    (document,) = bundle.export(["hello"])
    assert (document["name"], document["channels"]) == (
        "Bye",
        {
            "email": {"subject": "Ends", "html": "<p>Bye</p>", "text": "Bye"},
            "sms": {"text": "Hi"},
        },
    )
    for body, field in (
        ({}, "html"),
        ({"html": ""}, "html"),
        ({"html": 5}, "html"),
        ({"html": "x" * 1_000_001}, "html"),
        ({"html": "<p>{{</p>"}, "channels.email.html"),
        ({"html": "<p>x</p>", "colour": "red"}, "colour"),
        ({"html": "<p>x</p>", "subject": ""}, "subject"),
    ):
        assert field in fields_of(problem_of(api.post(one, body, format="json"), 400)), field
    answer = api.post(f"{URL}/other/import-html", {"html": "<p>x</p>"}, format="json")
    assert fields_of(problem_of(answer, 400)) == {"subject"}
    stale = api.post(one, changed, format="json", HTTP_IF_MATCH=made.headers["ETag"])
    assert problem_of(stale, 412)["code"] == "changed_meanwhile"
    api.delete(f"{URL}/hello")
    assert problem_of(api.post(one, {"html": html}, format="json"), 409)["code"] == "key_taken"


# --- Elsewhere ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_another_installation_is_reached_by_its_api(live_server, folder, monkeypatch):
    _, secret = keys.issue(ApiClient.objects.create(name="ci"), list(Scope))
    there = ("--url", live_server.url, "--key", secret)
    assert "3 templates: 3 created." in run("push", folder, "--publish", *there)
    assert TemplateVersion.objects.get(template__key="order").created_by == "ci"
    monkeypatch.setenv("TEMPLATES_URL", f"{live_server.url}/")
    (folder / ".secret").write_text(f"{secret}\n")
    monkeypatch.setenv("TEMPLATES_API_KEY_FILE", str(folder / ".secret"))
    assert run("diff", folder) == ""
    write(folder, {"order/email.html": "<p>\n  {{ name | nope }}</p>\n"})
    lines = run("push", folder, code=2).splitlines()
    assert lines[0].startswith("order/email.html:2:13: ")
    assert "401" in run("diff", folder, "--key", "wrong", code=2)
    (folder / "page.html").write_text("<title>Hi</title><script>x</script><p>Hello</p>")
    told = run("import-html", folder / "page.html", "hello", "--publish")
    assert told == "Left out: <script> with what is in it.\ncreated    hello\n"
    assert numbers("hello") == [(1, True)]
    assert "409" in run("import-html", folder / "page.html", "HELLO", code=2)


class Impostor(FakeHttpServer):
    answer = Response(200, b"<html>")

    @override
    def respond(self, request: Request) -> Response:
        return self.answer


def test_an_installation_that_is_none_is_told_from_one(db, folder):
    with Impostor() as server:
        there = ("--url", server.url, "--key", "k")
        for answer in (
            Response(200, b"<html>"),
            Response(200, b"[]"),
            Response(500, b"oops"),
            Response(400, b'{"detail": "no", "errors": [{"field": 1}]}'),
            Response(302, b"", {"Location": f"{server.url}/stolen"}),
        ):
            server.answer = answer
            assert "It answers" in run("diff", folder, *there, code=2)
        assert {request.path for request in server.ledger} == {"/api/v1/templates/export"}
    assert "does not answer" in run("diff", folder, *there, code=2)
    assert "https://" in run("diff", folder, "--url", "file:///etc", "--key", "k", code=2)
    assert "TEMPLATES_API_KEY" in run("diff", folder, "--url", "https://x.invalid", code=2)
