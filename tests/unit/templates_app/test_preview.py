from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from commsproject.common.errors import InvalidInput
from templates_app import demands, services
from templates_app.build import MAX_TRANSLATIONS
from templates_app.diff import Change, diff
from templates_app.errors import SourceError
from templates_app.models import Kind, Template, TemplateVersion
from templates_app.preview import MAX_SAMPLES, preview, wrong_samples

pytestmark = pytest.mark.django_db

MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Hi\n {{ a.b }}</mj-text></mj-column>"
    "</mj-section></mj-body></mjml>"
)


def draft(channels: Any, kind: Kind = Kind.MESSAGE, **fields: Any) -> TemplateVersion:
    return TemplateVersion(template=Template(kind=kind), channels=channels, **fields)


def places(version: TemplateVersion, data: Any, **reader: Any) -> list[tuple[str, int, int, str]]:
    return [
        (error.field, error.line, error.column, error.code)
        for error in preview(version, data, **reader).errors
        if isinstance(error, SourceError)
    ]


def test_every_channel_is_shown_for_its_reader():
    version = draft(
        {
            "email": {"subject": "{{ d|date }}", "html": "<p>{{ n|number(1) }}</p>"},
            "sms": {"text": "{{ n|number }} “x”"},
        },
        locale="en",
        translations={"de": {"sms": {"text": "{{ d|time }}"}}},
    )
    data = {"d": "2026-11-22T12:00:00Z", "n": 1234.5}
    found = preview(version, data, locale="de-AT", time_zone="Europe/Vienna")
    assert found.errors == []
    assert found.channels["email"].parts["html"] == "<p>1,234.5</p>"
    assert found.channels["email"].locale == "en"
    assert found.channels["sms"].parts == {"text": "13:00"}
    assert found.channels["sms"].locale == "de"
    assert found.channels["email"].facts["bytes"] == 14
    assert "List-Unsubscribe" in found.channels["email"].facts["headers"]
    assert [notice.code for notice in found.warnings] == ["no_text", "no_unsubscribe"]
    assert found.schema["properties"]["n"]["format"] == "decimal"
    one = preview(version, data, channel="sms")
    assert list(one.channels) == ["sms"]
    assert one.channels["sms"].facts["segments"] == 1
    assert one.channels["sms"].facts["encoding"] == "gsm7"


def test_the_preheader_is_shown_with_its_partials_as_the_reader_gets_it():
    parts = {"preheader": "{{ n|number }} of {{ none }}"}
    foot = services.create(
        key="foot", name="F", author="ada", kind=Kind.PARTIAL, channels={"email": parts}
    )
    services.publish(foot)
    channels = {"email": {"subject": "s", "text": "t", "preheader": "Now {% include 'foot' %}"}}
    data = {"n": 1234, "none": None}
    shown = preview(draft(channels, locale="en"), data, locale="en-IN").channels["email"]
    assert (shown.preheader, sorted(shown.parts)) == ("Now 1,234 of", ["subject", "text"])
    version = services.publish(services.create(key="a", name="A", author="ada", channels=channels))
    services.revise(foot, author="ada", channels={"email": {"preheader": "later"}})
    services.publish(foot)
    assert preview(version, data).channels["email"].preheader == "Now 1,234 of"
    strict = draft(channels, null_is="error")
    assert preview(strict, data).channels["email"].preheader == "Now later"


def test_a_text_message_says_what_it_costs_or_that_it_is_too_long(settings):
    settings.SMS_PRICES = {"DE": Decimal("0.075"), "*": Decimal("0.05")}
    long = preview(draft({"sms": {"text": "{{ a }}"}}), {"a": "x" * 200}).channels["sms"].facts
    assert (long["segments"], long["costs"]) == (2, {"DE": "0.150", "*": "0.10"})
    beyond = preview(draft({"sms": {"text": "{{ a }}"}}), {"a": "x" * 2000}).channels["sms"].facts
    assert beyond["segments"] == 14
    assert "10 are allowed" in beyond["too_long"]


def test_an_error_has_the_place_of_the_authors_own_tag():
    """Whatever was built of it: each case is a source, its data and where it fails."""
    cases: list[tuple[dict[str, str], Any, tuple[str, int, int]]] = [
        ({"text": "a {{ x }}\n{{- y }}"}, {"x": 1}, ("text", 2, 1)),
        (
            {"text": "{% if x %}\n {{ z }}{{ y|upper }}{% endif %}"},
            {"x": 1, "z": 1},
            ("text", 2, 9),
        ),
        (
            {"text": "{% for i in l %}{{ i.a }}\n{% endfor %}"},
            {"l": [{"a": 1}, {}]},
            ("text", 1, 17),
        ),
        ({"text": "\n{% for i in l %}{% endfor %}"}, {"l": 5}, ("text", 2, 1)),
        ({"text": "{{ x }} {{ x|currency('EUR') }}"}, {"x": "q"}, ("text", 1, 9)),
        ({"html": "<style>p{top:0}</style>\n<p>{{ x }}</p>", "text": "t"}, {}, ("html", 2, 4)),
        ({"html": '<a href="{{ x }}">x</a>', "text": "t"}, {"x": "data:x"}, ("html", 1, 1)),
        ({"mjml": MJML}, {"a": {}}, ("mjml", 2, 2)),
        ({"text": "{# é #}\r\n{{ x }}"}, {}, ("text", 2, 1)),
    ]
    for parts, data, (part, line, column) in cases:
        found = places(draft({"email": {"subject": "s", **parts}}), data)
        assert found == [(f"channels.email.{part}", line, column, "render")], parts


def test_a_broken_part_leaves_the_others_to_be_seen():
    version = draft({"email": {"subject": "{{ a", "text": "x"}, "sms": {"text": "{{ b }}"}})
    found = preview(version, {"b": "B"})
    assert list(found.channels) == ["sms"]
    [error] = found.errors
    assert isinstance(error, SourceError)
    assert (error.channel, error.part, error.locale) == ("email", "subject", "")
    translated = SourceError("translations.pt-BR.sms.text", "syntax", "x")
    assert (translated.locale, translated.channel, translated.part) == ("pt-BR", "sms", "text")


def test_data_are_held_against_what_people_ask():
    version = draft({"sms": {"text": "{{ a }}"}}, schema={"properties": {"a": {"type": "number"}}})
    errors = preview(version, {"a": "x"}).errors
    assert [(error.field, error.code) for error in errors] == [("data.a", "invalid_value")]
    [error] = preview(version, {"a": "x" * 20_000}).errors
    assert error.field == "data"


def test_layouts_and_partials_can_be_looked_at():
    layout = draft({"email": {"text": "[{{ content }} {{ y }}]"}}, Kind.LAYOUT)
    assert preview(layout, {"y": 1}).channels["email"].parts["text"].startswith("[Here is")
    part = draft({"email": {"html": "<i>{{ y }}</i>"}}, Kind.PARTIAL)
    assert preview(part, {"y": "<"}).channels["email"].parts["html"] == "<i>&lt;</i>"


# Samples


def create(**fields: Any) -> Template:
    found: dict[str, Any] = {"key": "t", "name": "T", "locale": "en", "author": "ada"}
    return services.create(**{**found, **fields})


def test_publishing_renders_every_sample_in_every_channel_and_language():
    template = create(
        channels={"sms": {"text": "{{ a }}"}, "push": {"title": "t", "body": "\n {{ b }}"}},
        translations={"de": {"sms": {"text": "{{ a|number }}"}}},
        samples=[
            {"name": "good", "data": {"a": 1, "b": 2}},
            {"name": "no b", "data": {"a": 1}},
            {"name": "a text", "data": {"a": "x", "b": 2}, "locale": "de"},
        ],
    )
    with pytest.raises(InvalidInput) as caught:
        services.publish(template)
    found = [error for error in caught.value.errors if isinstance(error, SourceError)]
    assert [(e.sample, e.field, e.line, e.column) for e in found] == [
        ("no b", "channels.push.body", 2, 2),
        ("a text", "translations.de.sms.text", 1, 1),
    ]
    assert "with the sample 'no b'" in found[0].message
    services.revise(template, author="ada", samples=[{"name": "g", "data": {"a": 1, "b": 2}}])
    assert services.publish(template).number == 1


def test_layouts_and_partials_are_tried_with_their_samples():
    for kind, text in ((Kind.LAYOUT, "{{ content }}{{ a }}"), (Kind.PARTIAL, "{{ a }}")):
        channels = {"email": {"text": text}}
        template = create(
            key=kind.value, kind=kind, channels=channels, samples=[{"name": "none", "data": {}}]
        )
        with pytest.raises(InvalidInput) as caught:
            services.publish(template)
        assert [error.field for error in caught.value.errors] == ["channels.email.text"]
        services.revise(template, author="ada", samples=[{"name": "a", "data": {"a": 1}}])
        services.publish(template)


def test_a_sample_that_is_wrong_in_itself_is_not_stored():
    wrong: list[tuple[Any, str]] = [
        ([{"name": "a", "data": {}}, {"name": "a", "data": {}}], "samples.0.name"),
        ([{"name": "", "data": {}}], "samples.0.name"),
        ([{"name": "a\nb", "data": {}}], "samples.0.name"),
        ([{"data": {}}], "samples.0.name"),
        ([{"name": "a", "data": []}], "samples.0.data"),
        ([{"name": "a", "data": {"x": "y" * 20_000}}], "samples.0.data"),
        ([{"name": "a", "data": {}, "locale": "no tag"}], "samples.0.locale"),
        ([{"name": str(n), "data": {}} for n in range(MAX_SAMPLES + 1)], "samples"),
    ]
    for samples, field in wrong:
        assert wrong_samples(samples)[0].field == field
        with pytest.raises(InvalidInput):
            create(channels={"sms": {"text": "x"}}, samples=samples)
    assert not Template.objects.exists()


# Schema


def test_the_schema_goes_with_the_version_and_keeps_what_people_say():
    said = {"properties": {"a": {"description": "An a", "examples": [1]}}, "title": "All"}
    template = create(channels={"sms": {"text": "{{ a|number }}{{ b }}"}}, schema=said)
    first = services.publish(template)
    assert first.schema["title"] == "All"
    assert first.schema["required"] == ["a", "b"]
    assert first.schema["properties"]["a"]["description"] == "An a"
    assert demands.strict(first) is None
    services.revise(template, author="ada", channels={"sms": {"text": "{{ a }}"}})
    second = services.publish(template)
    assert second.schema["properties"].keys() == {"a"}
    assert second.schema["properties"]["a"]["description"] == "An a"
    first.refresh_from_db()
    assert first.schema["properties"].keys() == {"a", "b"}


def test_a_schema_that_the_template_cannot_have_is_refused():
    wrong: list[tuple[Any, str, str]] = [
        ({"properties": {"z": {}}}, "schema.z", "unknown_name"),
        ({"properties": {"o": {"properties": {"z": {}}}}}, "schema.o.z", "unknown_name"),
        ({"properties": {"l": {"items": {"type": "object"}}}}, "schema.l[]", "unfit_type"),
        ({"properties": {"a": {"type": "array"}}}, "schema.a", "unfit_type"),
        ({"properties": {"a": {"pattern": "x"}}}, "schema.a", "invalid_schema"),
        ({"properties": []}, "schema", "invalid_schema"),
        ([], "schema", "invalid_schema"),
    ]
    source = "{{ a }}{{ o.p }}{% for x in l %}{{ x }}{% endfor %}"
    for schema, field, code in wrong:
        with pytest.raises(InvalidInput) as caught:
            create(channels={"sms": {"text": source}}, schema=schema)
        assert [(error.field, error.code) for error in caught.value.errors] == [(field, code)]


# Versions


def test_a_version_is_restored_as_a_draft():
    template = create(
        channels={"sms": {"text": "one"}}, translations={"de": {"sms": {"text": "eins"}}}
    )
    services.publish(template)
    services.revise(template, author="bob", channels={"sms": {"text": "two"}}, translations={})
    services.publish(template)
    services.revise(template, author="bob", channels={"sms": {"text": "three"}})
    draft = services.restore(template, 1, author="eve")
    assert (draft.number, draft.published_at, draft.created_by) == (3, None, "eve")
    assert draft.channels == {"sms": {"text": "one"}}
    assert draft.translations == {"de": {"sms": {"text": "eins"}}}
    assert services.publish(template).number == 3


def test_a_diff_tells_of_each_part_that_differs():
    before = draft({"sms": {"text": "a\nb\nc"}, "email": {"subject": "s"}}, locale="en")
    after = draft(
        {"sms": {"text": "a\nB\nc"}},
        locale="en",
        layout="frame",
        translations={"de": {"sms": {"text": "x"}}},
    )
    assert diff(before, before) == []
    assert diff(before, after) == [
        Change("", "", "layout", ["@@ -0,0 +1 @@", "+frame"]),
        Change("", "email", "subject", ["@@ -1 +0,0 @@", "-s"]),
        Change("", "sms", "text", ["@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]),
        Change("de", "sms", "text", ["@@ -0,0 +1 @@", "+x"]),
    ]


def test_two_texts_that_would_take_a_minute_to_compare_count_as_new():
    lines = [str(n % 101) for n in range(20_000)]
    before = draft({"sms": {"text": "\n".join(["same", *lines])}})
    after = draft(
        {"sms": {"text": "\n".join(["same", *(str(n * 37 % 101) for n in range(20_000))])}}
    )
    [change] = diff(before, after)
    assert change.lines[0] == "@@ -2,20000 +2,20000 @@" or change.lines[0].startswith("@@ -3,")
    assert len(change.lines) > 39_000


def test_a_template_has_so_many_languages_and_no_more():
    translations = {f"de-A{n}": {"sms": {"text": "x"}} for n in range(MAX_TRANSLATIONS + 1)}
    with pytest.raises(InvalidInput) as caught:
        create(channels={"sms": {"text": "x"}}, translations=translations)
    assert [error.field for error in caught.value.errors] == ["translations"]


def test_samples_that_take_too_long_stop_a_publishing(monkeypatch):
    monkeypatch.setattr("templates_app.preview.MAX_SECONDS", -1)
    template = create(channels={"sms": {"text": "x"}}, samples=[{"name": "a", "data": {}}])
    with pytest.raises(InvalidInput) as caught:
        services.publish(template)
    assert [error.code for error in caught.value.errors] == ["too_slow"]
