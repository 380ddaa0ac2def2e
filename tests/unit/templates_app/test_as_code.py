"""Templates as files: exact both ways, and every flaw has its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates_app.as_code import DEFAULTS, META, Flawed, changes, from_files, is_ours, to_files
from templates_app.bundle import PARTS

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
LINES = st.lists(st.sampled_from(["a", "{{ b }}", "", " ", "\r", "é", "\ufeff", "\x85"])).map(
    "\n".join
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(["yes", "no", "null", "~", "1e5", "2026-01-01", "0x1F", "- a", "a: b", "<<"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
CHANNELS = st.fixed_dictionaries(
    {},
    optional={
        channel: st.dictionaries(st.sampled_from(sorted(parts)), TEXT | LINES, min_size=1)
        for channel, parts in PARTS.items()
    },
)
DOCUMENT = st.fixed_dictionaries(
    {
        "key": st.from_regex(r"[-a-zA-Z0-9_]{1,20}", fullmatch=True),
        "name": TEXT,
        "kind": st.sampled_from(["message", "layout", "partial"]),
        "locale": st.sampled_from(["", "no", "de", "pt-BR"]),
        "layout": st.sampled_from(["", "base", "on", "1"]),
        "null_is": st.sampled_from(["empty", "error"]),
        "samples": st.lists(st.dictionaries(TEXT, JSON, max_size=3), max_size=2),
        "schema": st.dictionaries(TEXT, JSON, max_size=2),
        "hosted": st.dictionaries(TEXT, JSON, max_size=2),
        "channels": CHANNELS,
        "translations": st.dictionaries(
            st.sampled_from(["de", "pt-BR", "zh_Hant"]), CHANNELS.filter(bool), max_size=2
        ),
    }
)


@settings(max_examples=60)
@given(DOCUMENT)
def test_what_is_written_is_read_back_exactly(document):
    files = to_files(document)
    assert from_files(document["key"], files)[0] == document
    assert to_files(from_files(document["key"], files)[0]) == files
    assert all(is_ours(name) for name in files)
    assert changes(document, document) == []


@given(st.dictionaries(st.sampled_from(["email.html", META, "de/sms.txt"]), st.binary()))
def test_whatever_is_in_the_files_it_is_read_or_refused_with_a_place(files):
    try:
        read, _ = from_files("a", files)
    except Flawed as caught:
        found = caught.flaws
    else:
        found = []
        assert from_files("a", to_files(read))[0] == read
    assert all(flaw.file.startswith("a/") and flaw.line > 0 < flaw.column for flaw in found)


def document(**changes: Any) -> dict[str, Any]:
    return {"key": "news", **DEFAULTS, "channels": {}, "translations": {}, **changes}


def flaws(meta: str = "name: News", files: dict[str, bytes] | None = None) -> list[str]:
    with pytest.raises(Flawed) as caught:
        from_files("news", {META: meta.encode(), **(files or {})})
    return [str(flaw) for flaw in caught.value.flaws]


def test_files_are_plain():
    channels = {
        "email": {"subject": "Hi {{ name }}", "html": "<p>Hi</p>\n", "text": "Hi"},
        "push": {"title": "Hi", "collapse_id": "n"},
    }
    made = document(
        name="Café: news",
        locale="no",
        samples=[{"name": "Ada", "data": {"name": "Ada", "since": "2026-01-01", "of": None}}],
        channels=channels,
        translations={"pt-BR": {"sms": {"text": "Olá"}}},
    )
    assert {name: content.decode() for name, content in to_files(made).items()} == {
        META: (
            "name: 'Café: news'\n"
            "locale: no\n"
            "samples:\n"
            "- data:\n    name: Ada\n    of: null\n    since: 2026-01-01\n  name: Ada\n"
        ),
        "email.subject.txt": "Hi {{ name }}\n",
        "email.html": "<p>Hi</p>\n\n",
        "email.txt": "Hi\n",
        "push.title.txt": "Hi\n",
        "push.collapse_id.txt": "n\n",
        "pt-BR/sms.txt": "Olá\n",
    }


def test_a_file_without_a_last_line_end_says_the_same():
    read, _ = from_files("news", {META: b"name: News # as it is called", "sms.txt": b"Hi"})
    assert read == document(name="News", channels={"sms": {"text": "Hi"}})


def test_flaws_have_their_places():
    known = "name, kind, locale, layout, null_is, samples, schema, hosted"
    assert flaws("name: 1\n2: x\nname: y\nfoo:\n  - 1") == [
        "news/template.yaml:2:1: A name is a text: put it in quotes.",
        "news/template.yaml:1:1: 'name' is here twice.",
        f"news/template.yaml:4:1: There is no 'foo' here. Known: {known}.",
    ]
    for meta, expected in (
        ("name: *a", "news/template.yaml:1:7: This is not YAML: no aliases, please."),
        ("name: [", "news/template.yaml:1:8: This is not YAML: "),
        ("name: 'a\n b: c", "news/template.yaml:2:6: This is not YAML: "),
        ("- a", "news/template.yaml:1:1: Write `name: ...`"),
        ("", "news/template.yaml:1:1: Write `name: ...`"),
        ("name: !!binary YQ==", "news/template.yaml:1:1: This is no value that JSON has."),
        (
            "samples:\n- data: {a: 1e999}",
            "news/template.yaml:2:10: This is no value that JSON has.",
        ),
        ('name: "\\0"', "news/template.yaml:1:1: This is no value that JSON has."),
        ("name: " + "[" * 1500, "news/template.yaml:1:1: This is nested too deeply."),
        ("name: \x01", "news/template.yaml:1:1: This is not YAML: it has a character"),
    ):
        (found,) = flaws(meta)
        assert found.startswith(expected), found
    assert flaws(files={"sms.txt": b"a\nb\xff", "push.txt": b"a\0"}) == [
        "news/push.txt:1:1: A text holds no NUL.",
        "news/sms.txt:2:2: This is not UTF-8.",
    ]
    with pytest.raises(Flawed, match=r"news/template\.yaml:1:1: This file is missing"):
        from_files("news", {"sms.txt": b"Hi"})


@pytest.mark.parametrize(
    "name", ["email.htm", "email.text.txt", "a/b/sms.txt", "Email.html", "email.html.txt", "sms"]
)
def test_a_misspelt_file_is_not_left_out(name):
    (found,) = flaws(files={name: b"Hi"})
    assert found.startswith(f"news/{name}:1:1: No part of a template has this name.")


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "../etc"},
        {"key": ""},
        {"translations": {"../de": {"sms": {"text": "x"}}}},
        {"channels": {"../sms": {"text": "x"}}},
        {"channels": {"sms": {"a/b": "x"}}},
        {"channels": {"sms": {"text.html": "x"}}},
    ],
)
def test_nothing_is_written_outside_of_its_folder(changed):
    with pytest.raises(ValueError, match="name"):
        to_files(document(**changed))


def test_changes_are_a_diff_of_files():
    before = document(name="News", channels={"sms": {"text": "a\nb"}})
    after = document(name="News", channels={"sms": {"text": "a\nc"}, "email": {"subject": "S"}})
    assert changes(before, after) == [
        "--- /dev/null",
        "+++ news/email.subject.txt",
        "@@ -0,0 +1 @@",
        "+S",
        "--- news/sms.txt",
        "+++ news/sms.txt",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]
    assert changes(before, None)[:2] == ["--- news/sms.txt", "+++ /dev/null"]
