from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import connection

from commsproject.common.errors import InvalidInput, NotFound
from templates_app import bundle, experiments, selectors, services
from templates_app.models import Goal, Kind, Template, TemplateVersion
from tests.factories import TemplateFactory, TemplateVersionFactory

SMS = {"sms": {"text": "Hi {{ name }}, {{ order.total }}"}}


def make(key: str = "welcome", **fields) -> Template:
    return services.create(
        **{"key": key, "name": "N", "channels": SMS, "locale": "de", "author": "ada", **fields}
    )


def revise(template: Template, **fields) -> Template:
    empty = {"name": None, "channels": None, "locale": None, "author": "bob"}
    return services.revise(template, **{**empty, **fields})


# Checks


@pytest.mark.parametrize(
    ("channels", "variables"),
    [
        ({}, []),
        ({"sms": {"text": "no variables"}}, []),
        (SMS, ["name", "order"]),
        (
            {"email": {"subject": "{{ b }}", "text": "{{ a }}"}, "sms": {"text": "{{ b }}"}},
            ["a", "b"],
        ),
        ({"sms": {"text": "{% for x in xs %}{{ x }}{{ y }}{% endfor %}"}}, ["xs", "y"]),
        ({"sms": {"text": "{{ items }}{{ keys.values }}"}}, ["items", "keys"]),
    ],
)
def test_a_template_knows_the_variables_it_reads(channels, variables):
    assert services.check(channels).variables == variables


def test_every_error_has_its_part_line_and_column():
    with pytest.raises(InvalidInput) as caught:
        services.check({"email": {"subject": "{{ a", "text": "ok"}, "sms": {"text": "\n {% x %}"}})
    assert [error.field for error in caught.value.errors] == [
        "channels.email.subject",
        "channels.sms.text",
    ]
    assert "(line 1, column " in caught.value.errors[0].message
    assert "(line 2, column 5)" in caught.value.errors[1].message


# Versions

pytestmark = pytest.mark.django_db


def test_a_template_starts_with_a_draft():
    draft = selectors.latest(make())
    assert (draft.number, draft.published_at, draft.locale) == (1, None, "de")
    assert draft.variables == ["name", "order"]
    assert draft.created_by == "ada"


def test_a_template_that_is_wrong_is_not_made_at_all():
    with pytest.raises(InvalidInput):
        make(channels={"sms": {"text": "{{"}})
    assert not Template.objects.exists()


def test_a_key_is_taken_once_and_the_transaction_of_the_caller_goes_on():
    make()
    with pytest.raises(services.KeyTaken):
        make()
    assert Template.objects.count() == TemplateVersion.objects.count() == 1


def test_a_draft_is_changed_in_place_and_a_published_version_gets_a_successor():
    template = make()
    revise(template, channels={"sms": {"text": "1"}})
    assert [version.number for version in template.versions.all()] == [1]
    services.publish(template)
    revise(template, channels={"sms": {"text": "2"}})
    revise(template, channels={"sms": {"text": "3"}})
    assert [
        (version.number, version.channels["sms"]["text"], version.published_at is None)
        for version in template.versions.order_by("number")
    ] == [(1, "1", False), (2, "3", True)]


@pytest.mark.parametrize("published", [False, True])
def test_a_change_keeps_what_it_does_not_name(published):
    template = make()
    if published:
        services.publish(template)
    revise(template, channels={"sms": {"text": "New"}})
    assert selectors.latest(template).locale == "de"
    revise(template, locale="fr")
    latest = selectors.latest(template)
    assert (latest.locale, latest.channels) == ("fr", {"sms": {"text": "New"}})
    assert latest.created_by == "bob"
    assert latest.number == 1 + published


def test_a_new_name_makes_no_version():
    template = make()
    services.publish(template)
    revise(template, name="New")
    assert Template.objects.get().name == "New"
    assert template.versions.count() == 1


def test_two_who_changed_different_things_keep_both():
    template = make()
    also = Template.objects.get()
    revise(template, name="New")
    revise(also, samples=[{"name": "one", "data": {}}])
    template.refresh_from_db()
    assert (template.name, template.samples) == ("New", [{"name": "one", "data": {}}])


def test_what_is_in_use_is_not_archived():
    frame = shared("frame", Kind.LAYOUT, "[{{ content }}]")
    services.publish(frame)
    template = make(layout="frame")
    services.publish(template)
    revise(template, layout="")
    with pytest.raises(services.InUse):  # by the version in use, if not by the draft
        services.archive(frame)
    services.publish(template)
    services.archive(frame)
    one, two = (experiments.Choice(name, number) for name, number in (("a", 1), ("b", 2)))
    running = experiments.create(template, name="x", goal=Goal.OPENED, variants=[one, two])
    experiments.start(running)
    with pytest.raises(services.InUse):
        services.archive(template)
    experiments.stop(running)
    services.archive(template)
    assert not Template.objects.filter(archived_at=None).exists()


def test_a_wrong_change_changes_nothing():
    template = make()
    with pytest.raises(InvalidInput):
        revise(template, name="New", channels={"sms": {"text": "{{"}})
    assert Template.objects.get().name == "N"
    assert selectors.latest(template).channels == SMS


def test_there_is_something_to_publish_once():
    template = make()
    assert services.publish(template).published_at is not None
    with pytest.raises(services.NothingToPublish):
        services.publish(template)


# Reading


def at_once(*changes: Callable[[], object]) -> None:
    barrier = threading.Barrier(len(changes))

    def carry_out(change: Callable[[], object]) -> None:
        try:
            barrier.wait(5)
            change()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(changes)) as threads:
        for done in [threads.submit(carry_out, change) for change in changes]:
            done.result(20)


@pytest.mark.django_db(transaction=True)
def test_changing_and_publishing_at_once_is_one_after_the_other():
    new = {"sms": {"text": "new"}}
    for number in range(20):
        template = make(f"t-{number}")
        at_once(partial(revise, template, channels=new), partial(services.publish, template))
        versions = template.versions.order_by("-number")
        assert versions[0].channels == new
        assert [version.published_at is None for version in versions] in ([False], [True, False])


def test_the_highest_published_version_is_in_use():
    template = TemplateFactory.create(key="a")
    for number in (1, 2):
        TemplateVersionFactory.create(template=template, number=number)
    TemplateVersionFactory.create(template=template, number=3, published_at=None)
    assert {key: row.number for key, row in selectors.published({"a", "b"}).items()} == {"a": 2}
    assert {key: one.version.number for key, one in selectors.in_use({"a", "b"}).items()} == {
        "a": 2
    }
    assert selectors.latest(template).number == 3


def test_drafts_and_archived_templates_are_not_in_use():
    TemplateVersionFactory.create(template__key="draft", published_at=None)
    archived = TemplateVersionFactory.create(template__key="archived").template
    services.archive(archived)
    keys = {"draft", "archived"}
    assert (selectors.published(keys), selectors.in_use(keys)) == ({}, {})
    with pytest.raises(NotFound):
        selectors.get("archived")


def test_many_templates_are_one_query(django_assert_num_queries):
    for number in range(10):
        TemplateVersionFactory.create(template__key=f"t{number}")
    with django_assert_num_queries(1):
        found = selectors.published([f"t{number}" for number in range(10)])
        assert {row.template.key for row in found.values()} == set(found)
    with django_assert_num_queries(0):
        assert selectors.published(()) == {}


def test_what_versions_say_is_read_once_and_which_are_in_use_each_time(django_assert_num_queries):
    templates = [TemplateVersionFactory.create(template__key=f"t{n}").template for n in range(10)]
    keys = {template.key for template in templates}
    assert {one.version.template.key for one in selectors.in_use(keys).values()} == keys
    revise(templates[3], channels={"sms": {"text": "new"}})
    services.publish(templates[3])
    with django_assert_num_queries(1 + 1):
        assert selectors.in_use(keys)["t3"].version.channels == {"sms": {"text": "new"}}
    with django_assert_num_queries(1):
        assert selectors.in_use(keys).keys() == keys
    with django_assert_num_queries(0):
        assert selectors.in_use(()) == {}


def test_a_template_without_versions_has_no_latest():
    with pytest.raises(NotFound):
        selectors.latest(TemplateFactory.create())


# Translations, layouts and partials


def shared(key: str, kind: Kind, text: str) -> Template:
    return make(key, kind=kind, channels={"sms": {"text": text}}, locale="en")


def built_text(version: TemplateVersion, locale: str = "") -> str:
    return selectors.parts(version, locale)["sms"]["text"]


def test_publishing_builds_and_pins():
    services.publish(shared("foot", Kind.PARTIAL, "bye {{ who }}"))
    services.publish(shared("frame", Kind.LAYOUT, "[{{ content }}]"))
    template = make(channels={"sms": {"text": 'hi {% include "foot" %}'}}, layout="frame")
    assert selectors.latest(template).variables == ["who"]
    version = services.publish(template)
    version.refresh_from_db()
    assert version.built == {"": {"sms": {"text": "[hi bye {{ who }}]"}}}
    assert version.pins == [{"key": "foot", "number": 1}, {"key": "frame", "number": 1}]
    assert version.channels["sms"]["text"] == 'hi {% include "foot" %}'


def test_a_published_version_keeps_its_partials():
    foot = shared("foot", Kind.PARTIAL, "one")
    services.publish(foot)
    template = make(channels={"sms": {"text": '{% include "foot" %}'}})
    first = services.publish(template)
    revise(foot, channels={"sms": {"text": "two"}})
    services.publish(foot)
    revise(template, name="Other", locale="en")
    second = services.publish(template)
    first.refresh_from_db()
    assert (built_text(first), built_text(second)) == ("one", "two")
    assert second.pins == [{"key": "foot", "number": 2}]


def test_a_partial_that_is_gone_stops_publishing_and_not_messages():
    foot = shared("foot", Kind.PARTIAL, "x")
    services.publish(foot)
    template = make(channels={"sms": {"text": '{% include "foot" %}'}})
    services.shelve(foot)
    with pytest.raises(InvalidInput) as caught:
        services.publish(template)
    assert caught.value.errors[0].field == "channels.sms.text"
    assert selectors.latest(template).published_at is None


def test_a_draft_of_a_partial_is_not_used():
    shared("foot", Kind.PARTIAL, "x")
    with pytest.raises(InvalidInput):
        make(channels={"sms": {"text": '{% include "foot" %}'}})


def test_layouts_and_partials_are_no_messages():
    for kind in (Kind.LAYOUT, Kind.PARTIAL):
        services.publish(shared(kind, kind, "{{ content }}"))
    services.publish(make())
    assert set(selectors.published({"welcome", "layout", "partial"})) == {"welcome"}
    assert set(selectors.in_use({"welcome", "layout", "partial"})) == {"welcome"}


def test_a_version_speaks_the_language_of_the_reader():
    pt = {"sms": {"text": "olá"}}
    template = make(translations={"pt": pt})
    version = services.publish(template)
    assert [built_text(version, each) for each in ("pt-BR", "pt", "de", "fr", "")] == [
        "olá",
        "olá",
        *[SMS["sms"]["text"]] * 3,
    ]


def test_a_new_draft_keeps_translations_and_layout():
    services.publish(shared("frame", Kind.LAYOUT, "[{{ content }}]"))
    template = make(layout="frame", translations={"pt": SMS})
    services.publish(template)
    revise(template, channels=SMS)
    draft = selectors.latest(template)
    assert (draft.number, draft.layout, draft.translations) == (2, "frame", {"pt": SMS})
    revise(template, layout="", translations={})
    draft.refresh_from_db()
    assert (draft.layout, draft.translations) == ("", {})


def test_a_version_of_before_versions_were_built_is_as_it_was_written():
    version = TemplateVersionFactory.create(
        channels=SMS, translations={"pt": {"sms": {"text": "o"}}}
    )
    assert built_text(version) == SMS["sms"]["text"]
    assert built_text(version, "pt") == "o"


def test_the_content_of_a_draft_is_what_publishing_would_make_of_it():
    draft = selectors.latest(make(channels={"email": {"subject": "s", "html": "<p>x</p>"}}))
    assert services.content(draft, "")["email"]["text"] == "x"
    draft.refresh_from_db()
    assert draft.built == {}


def test_partials_are_read_in_one_query_a_level(django_assert_max_num_queries):
    for n in range(4):
        inside = f'{{% include "p{n - 1}" %}}' if n else "end"
        services.publish(shared(f"p{n}", Kind.PARTIAL, inside))
    with django_assert_max_num_queries(4):
        assert services.check({"sms": {"text": '{% include "p3" %}{% include "p2" %}'}}).pins
    with django_assert_max_num_queries(0):
        services.check(SMS)


# What a message cannot be sent without


def test_what_cannot_be_sent_is_neither_made_nor_loaded_nor_published():
    lacking = {
        "channels.email.subject": {"email": {"subject": " ", "text": "t"}},
        "channels.email.text": {"email": {"subject": "s", "html": "\n"}},
        "channels.sms.text": {"sms": {"text": " \t"}},
        "channels.push.body": {"push": {"badge": "1"}},
        "channels.inapp.body": {"inapp": {"link": "/x", "title": ""}},
    }
    template = make()
    for field, channels in lacking.items():
        document = {"key": "other", "name": "N", "channels": channels}
        attempts: list[Callable[[], object]] = [
            partial(make, "other", channels=channels),
            partial(revise, template, channels=channels),
            partial(bundle.load, [document], author="ada", publish=True),
        ]
        for attempt in attempts:
            with pytest.raises(InvalidInput) as caught:
                attempt()
            assert [error.field.removeprefix("templates.0.") for error in caught.value.errors] == [
                field
            ]
        revise(template, channels=channels, is_unfinished=True)
        with pytest.raises(InvalidInput) as caught:
            services.publish(template)
        assert [(error.field, error.code) for error in caught.value.errors] == [(field, "required")]
    translations = {"pt": {"sms": {"text": " "}}}
    with pytest.raises(InvalidInput) as caught:
        make("other", translations=translations)
    assert caught.value.errors[0].field == "translations.pt.sms.text"
    assert Template.objects.count() == 1


def test_a_language_has_one_spelling_and_one_text():
    sms = {"sms": {"text": "Oi"}}
    template = make(locale="pt_br", translations={"PT": sms, "zh_hant_tw": sms})
    draft = selectors.latest(template)
    assert draft.locale == "pt-BR"
    assert list(draft.translations) == ["pt", "zh-Hant-TW"]
    for translations, field in (
        ({"pt-br": sms}, "translations.pt-br"),
        ({"de": sms, "fr_ca": sms, "fr-CA": sms}, "translations.fr-CA"),
    ):
        with pytest.raises(InvalidInput) as caught:
            revise(template, translations=translations)
        assert [(error.field, error.code) for error in caught.value.errors] == [
            (field, "duplicate")
        ]


def test_what_mail_clients_remove_is_told_once_of_a_kind():
    page = (
        "<link rel=stylesheet href='https://x'><script>1</script><iframe src='/'></iframe>"
        "<form><object></object></form><p onclick='x()' onload='y()'>x</p><p onclick='z()'>y</p>"
    )
    built = services.check({"email": {"subject": "s", "html": page, "text": "unsubscribe"}})
    told = [notice.message for notice in built.notices if notice.code == "removed"]
    for what in ("stylesheets", "<script>", "<iframe>", "<form>", "<object>", "onclick"):
        assert len([message for message in told if what in message]) == 1
    assert len(told) == 6


def test_a_layout_or_a_partial_in_use_is_not_archived():
    foot = make("foot", kind=Kind.PARTIAL, channels={"sms": {"text": "Bye"}})
    services.publish(foot)
    user = make(channels={"sms": {"text": "Hi {% include 'foot' %}"}})
    with pytest.raises(services.InUse, match="welcome"):
        services.archive(foot)
    services.archive(user)
    services.archive(foot)
    assert not Template.objects.filter(archived_at__isnull=True).exists()
