from __future__ import annotations

import pytest

from commsproject.common.errors import InvalidInput
from templates_app.build import CLIPPED_AT, Built, build
from templates_app.compile import MAX_SOURCE
from templates_app.includes import MAX_DEPTH, Library
from templates_app.models import Kind, Template, TemplateVersion
from templates_app.rendering import render


def version(channels, kind: Kind = Kind.MESSAGE, number: int = 1, **fields) -> TemplateVersion:
    return TemplateVersion(
        template=Template(key="t", kind=kind), channels=channels, number=number, **fields
    )


def email(**parts) -> dict[str, dict[str, str]]:
    return {"email": {"subject": "s", **parts}}


def partial(number: int = 1, **parts) -> TemplateVersion:
    return version({"email": parts}, Kind.PARTIAL, number)


def layout(**parts) -> TemplateVersion:
    return version({"email": parts}, Kind.LAYOUT)


def built(channels, library: Library | None = None, **fields) -> Built:
    return build(version(channels, **fields), library or {})


def refusals(channels, library: Library | None = None, kind=Kind.MESSAGE, **fields):
    with pytest.raises(InvalidInput) as caught:
        build(version(channels, kind, **fields), library or {})
    return [(error.field, error.message) for error in caught.value.errors]


def codes(result: Built) -> list[str]:
    return [notice.code for notice in result.notices]


# What is built


def test_what_needs_no_building_is_as_it_was_written():
    channels = {
        "email": {"subject": "s {{ a }}", "text": "t", "html": "<P>{{ b }}"},
        "sms": {"text": "x"},
        "push": {"title": "t", "link": "https://x"},
    }
    assert built(channels).content == {"": channels}
    assert built(channels).variables == ["a", "b"]
    assert built(channels).pins == []


def test_an_email_from_mjml_with_styles_text_and_preheader():
    source = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ name }}</mj-text></mj-column>"
        "</mj-section></mj-body></mjml>"
    )
    parts = built(email(mjml=source, preheader="A & {{ b|e }}")).content[""]["email"]
    assert list(parts) == ["subject", "text", "html"]
    assert parts["text"] == "Hi {{ name }}"
    before, after = parts["html"].split("A &amp; {{ b|e }}</div>")
    assert before.endswith('overflow:hidden">')
    assert "<body" in before.split("display:none")[0]
    assert "Hi {{ name }}" in after


def test_a_preheader_of_a_fragment_comes_first():
    html = built(email(html="<p>x</p>", preheader="y")).content[""]["email"]["html"]
    assert html.startswith('<div style="display:none')
    assert html.endswith(">y</div><p>x</p>")


def test_styles_are_inlined():
    html = "<style>p{top:0}</style><p>{{ x }}</p>"
    parts = built(email(html=html)).content[""]["email"]
    assert parts["html"] == html.replace("<p>", '<p style="top: 0">')


def test_every_translation_is_built():
    result = built(
        email(html="<p>Hello</p>"), translations={"de": email(html="<p>Hallo {{ n }}</p>")}
    )
    assert result.content["de"]["email"]["text"] == "Hallo {{ n }}"
    assert result.variables == ["n"]


def test_html_larger_than_a_source_may_be_still_renders():
    text = "x" * 60_000
    library = {"p": partial(html=text)}
    result = built(email(html='{% include "p" %}{% include "p" %}'), library)
    html = result.content[""]["email"]["html"]
    assert len(html) > MAX_SOURCE
    assert render({"html": html}, {})["html"] == html
    assert "clipped" in codes(result)


# Partials and layouts


def test_partials_are_put_in_and_pinned():
    library = {
        "foot": partial(7, html='<i>{{ f }}</i>{% include "end" %}', text="f"),
        "end": partial(3, html="."),
        "unused": partial(1, html="u"),
    }
    result = built(
        email(html="<p>{%- include 'foot' -%} </p>", text='a {% include "foot" %} b'), library
    )
    parts = result.content[""]["email"]
    assert parts["html"] == "<p><i>{{ f }}</i>.</p>"
    assert parts["text"] == "a f b"
    assert result.pins == [{"key": "end", "number": 3}, {"key": "foot", "number": 7}]
    assert result.variables == ["f"]


def test_a_partial_sees_the_loop_it_stands_in():
    library = {"row": partial(text="{{ x.n }};")}
    text = built(email(text='{% for x in xs %}{% include "row" %}{% endfor %}'), library).content[
        ""
    ]["email"]["text"]
    assert render({"text": text}, {"xs": [{"n": 1}, {"n": 2}]}) == {"text": "1;2;"}


def test_a_partial_is_in_the_language_of_what_it_is_put_into():
    footer = version(
        {"email": {"text": "Bye"}},
        Kind.PARTIAL,
        locale="en",
        translations={"de": {"email": {"text": "Tschüss"}}},
    )
    source = email(text='{% include "f" %}')
    result = built(source, {"f": footer}, locale="de-AT", translations={"en": source, "fr": source})
    said = {locale: content["email"]["text"] for locale, content in result.content.items()}
    assert said == {"": "Tschüss", "en": "Bye", "fr": "Bye"}


@pytest.mark.parametrize(
    ("source", "library", "message"),
    [
        ('{% include "no" %}', {}, "no published partial 'no'"),
        ('{% include "l" %}', {"l": layout(text="{{ content }}")}, "no published partial 'l'"),
        ("{% include name %}", {}, "takes one key"),
        ('{% include "a" ignore missing %}', {}, "takes one key"),
        ('{% include "a" %}', {"a": partial(html="x")}, "has no text for email"),
        ('{% include "a" %}', {"a": partial(text='{% include "a" %}')}, "'a' includes itself"),
        (
            '{% include "a" %}',
            {"a": partial(text='{% include "b" %}'), "b": partial(text='{% include "a" %}')},
            "'a' includes itself",
        ),
        (
            '{% include "0" %}',
            {str(n): partial(text=f'{{% include "{n + 1}" %}}') for n in range(MAX_DEPTH + 1)},
            "deeper than 5",
        ),
        (
            '{% include "0" %}',
            {"9": partial(text="x" * 60_000)}
            | {
                str(n): partial(text=f'{{% include "{n + 1 if n < 3 else 9}" %}}' * 3_000)
                for n in range(4)
            },
            "longer than",
        ),
    ],
)
def test_an_include_that_cannot_be_is_refused_where_it_stands(source, library, message):
    [(field, said)] = refusals(email(text=f"a\n b{source}"), library)
    assert field == "channels.email.text"
    assert message in said
    assert said.endswith("(line 2, column 3)")


def test_errors_beside_an_include_keep_their_place():
    [(_, said)] = refusals(email(text='{% include\n"a" %} {{ x( }}'), {"a": partial(text="1\n2")})
    assert "(line 2, column" in said


def test_a_layout_goes_around_each_body():
    around = layout(
        html='<html>{{ content }}{% include "p" %}</html>', text="[{{- content -}} ]", subject="no"
    )
    library = {"l": around, "p": partial(4, html="<hr>")}
    result = built(email(html="<p>{{ x }}</p>", text="t"), library, layout="l")
    assert result.content[""]["email"] == {
        "subject": "s",
        "text": "[t]",
        "html": "<html><p>{{ x }}</p><hr></html>",
    }
    assert result.pins == [{"key": "l", "number": 1}, {"key": "p", "number": 4}]
    assert result.variables == ["x"]


def test_html_in_a_layout_of_mjml():
    around = layout(
        mjml="<mjml><mj-body><mj-section><mj-column><mj-text>{{ content }}</mj-text></mj-column>"
        "</mj-section></mj-body></mjml>"
    )
    parts = built(email(html="<p>{{ x }}</p>"), {"l": around}, layout="l").content[""]["email"]
    assert "<p>{{ x }}</p>" in parts["html"]
    assert parts["text"] == "{{ x }}"


def test_a_layout_must_be_there_and_fit():
    assert refusals(email(text="t"), layout="no") == [
        ("layout", "There is no published layout 'no'.")
    ]
    [(field, message)] = refusals(
        email(mjml="<mjml></mjml>"), {"l": layout(html="{{ content }}")}, layout="l"
    )
    assert (field, "cannot be in mjml" in message) == ("channels.email.mjml", True)


@pytest.mark.parametrize("text", ["x", "{{ content }}{{ content }}", "{{ content|upper }}"])
def test_a_layout_says_content_once(text):
    [(field, message)] = refusals({"email": {"text": text}}, kind=Kind.LAYOUT)
    assert field == "channels.email.text"
    assert "{{ content }} once" in message


def test_layouts_and_partials_are_checked_and_not_built():
    source = {"email": {"html": "<style>p{top:0}</style><p>{{ content }}{{ x }}</p>"}}
    assert build(version(source, Kind.LAYOUT), {}).content == {}
    assert build(version(source, Kind.LAYOUT), {}).variables == ["x"]
    assert build(version(source, Kind.PARTIAL), {}).content == {}


# What is refused


def test_every_error_of_every_part_is_told():
    found = refusals(
        {"email": {"subject": "{{", "html": "<a href='javascript:x'>"}, "sms": {"text": "{% x %}"}},
        translations={"de": {"sms": {"text": "{{ a"}, "push": {"title": "x"}}},
    )
    assert [field for field, _ in found] == [
        "channels.email.subject",
        "channels.email.html",
        "channels.sms.text",
        "translations.de.sms.text",
        "translations.de.push",
    ]


def test_an_email_has_one_body():
    [(field, _)] = refusals(email(html="<p>x</p>", mjml="<mjml></mjml>"))
    assert field == "channels.email.mjml"


def test_a_value_that_is_safe_in_no_part_of_the_mail_is_refused():
    head = "<mj-head><mj-style>p{top:{{ x }}}</mj-style></mj-head>"
    [(field, message)] = refusals(email(mjml=f"<mjml>{head}<mj-body></mj-body></mjml>"))
    assert field == "channels.email.mjml"
    assert "<style>" in message


def test_a_partial_cannot_bring_a_value_into_a_script():
    source = email(html='<script>{% include "p" %}</script>')
    [(field, message)] = refusals(source, {"p": partial(html="{{ x }}")})
    assert field == "channels.email.html"
    assert "inside <script>" in message


def test_what_is_no_template_at_all_has_its_place():
    [(field, message)] = refusals(email(text='{% include "a" %}\n{{ "'))
    assert field == "channels.email.text"
    assert "(line 2" in message


# What is said of it


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"text": "unsubscribe"}, []),
        ({"text": "x"}, ["no_unsubscribe"]),
        ({"html": "<p>{{ unsubscribe_url }}</p>"}, ["no_text"]),
        ({"html": "<div>" * 300, "text": "unsubscribe"}, []),
        (
            {"html": "<style>p{top:0}</style>" + "<div>" * 300, "text": "unsubscribe"},
            ["not_inlined"],
        ),
        (
            {"html": "<title>{% if x %}</title><p>{% endif %}unsubscribe</p>"},
            ["no_text"],
        ),
        ({"html": "x" * (CLIPPED_AT // 2 + 1), "text": "unsubscribe"}, []),
        (
            {"html": '\n<img src="x">{% if a < b %}<img alt="">{% endif %}', "text": "unsubscribe"},
            ["no_alt"],
        ),
        ({"html": '<a href="HTTP://x">', "text": "unsubscribe"}, ["not_https"]),
        ({"html": '<a href="https://x"><a href="{{ x }}">', "text": "unsubscribe"}, []),
    ],
)
def test_what_will_disappoint_is_named(parts, expected):
    assert codes(built(email(**parts))) == expected


def test_a_notice_has_its_line():
    notice = built(email(html='{# a\n #}\n<img src="x">', text="unsubscribe")).notices[0]
    assert (notice.field, notice.message) == (
        "channels.email.html",
        "An image has no alt text (line 3).",
    )


def test_html_without_a_text_that_can_be_made_goes_out_without_one():
    result = built(email(html="<title>{% if x %}</title><p>{% endif %}unsubscribe</p>"))
    assert "text" not in result.content[""]["email"]


def test_a_line_that_is_too_long_for_any_message_is_refused_when_it_is_written():
    long = "x" * 999
    assert refusals(email(subject=long, text="t"))[0][0] == "channels.email.subject"
    assert refusals({"push": {"title": long}})[0][0] == "channels.push.title"
    assert built(email(subject=f"{{% if x %}}{long}{{% endif %}}", text="t")).content


def test_names_that_differ_only_by_capital_letters_are_told():
    source = "{{ Name }} {{ name }} {% for x in Order.rows %}{{ x.Id }}{{ x.id }}{% endfor %}"
    found = [one.message for one in built({"sms": {"text": source}}).notices]
    assert found == [
        "It reads Name and name: in the data these are two names.",
        "It reads Order.rows[].Id and Order.rows[].id: in the data these are two names.",
    ]
    assert codes(built({"sms": {"text": "{{ a.name }} {{ b.Name }}"}})) == []


def test_a_link_of_a_push_is_checked_as_far_as_it_is_written(settings):
    settings.APP_LINK_SCHEMES = frozenset({"acme"})
    for good in ("https://a.test/{{ x }}", "{{ x }}", "acme://{{ x }}", "/orders/{{ x }}"):
        assert built({"push": {"title": "t", "link": good}}).content
    for bad in (
        "http://a.test/{{ x }}",
        "javascript:{{ x }}",
        "data:x",
        "other://{{ x }}",
        "//{{ x }}",
    ):
        [(field, _)] = refusals({"push": {"title": "t", "link": bad}})
        assert field == "channels.push.link"
