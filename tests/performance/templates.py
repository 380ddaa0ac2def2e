"""Rendering: our engine beside Django's, sandboxed Jinja2 and python-liquid, the same email in the same run.

python -m tests.performance.templates
"""

from __future__ import annotations

import html
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import django
import liquid
from django.template import Context, Engine
from jinja2 import DictLoader
from jinja2.sandbox import SandboxedEnvironment

from templates_app.compile import compile_part
from templates_app.inline import inlined
from templates_app.markup import LINK_START
from templates_app.plain_text import plain_text
from templates_app.rendering import render
from templates_app.schema import validate
from templates_app.types import Manner
from templates_app.values import Admitted, admit
from templates_app.variables import infer
from tests.performance import content
from tests.performance.report import Figures, percentile
from tests.performance.world import Failed, World

Render = Callable[[dict[str, Any]], str]

RENDERS = 4000
SLOT = 100
"""Renders of one engine before it is the next one's turn: a machine's moods meet all alike."""
SAVES = 100

STYLE = (
    ".b {margin: 0; font-family: Arial} h1 {color: #123} td {padding: 4px 8px} .cta {color: #fff}"
)
HEAD = f"""<html><head><style>{STYLE}</style></head><body class="b">
<table width="600"><tr><td><img src="https://example.org/logo.png" alt="{{{{ company }}}}"></td></tr>
<tr><td><div>"""
FOOT = """</div></td></tr><tr><td><p>{{ company }}, {{ line1 }}, {{ city }}, {{ year }}.
<a href="https://example.org/u/{{ ref }}">Unsubscribe</a></p></td></tr></table></body></html>"""
BODY = """<h1>Hello {{ first }} {{ last }}</h1>
<p>Thanks for order {{ number }} on {{ date }}. Total {{ total }} {{ currency }}.</p>
{% if vip %}<p>With us since {{ since }}</p>{% else %}<p>Join the club</p>{% endif %}
<p>Ship to: {{ line1 }}, {{ city }} {{ zip }} {{ country }}</p>
<table>{% for it in rows %}<tr><td>{{ it.name }}</td><td>{{ it.qty }}</td>
<td>{{ it.price }} {{ currency }}</td></tr>{% endfor %}</table>
<p>{{ support }} <a class="cta" href="{{ url }}">{{ label }}</a> {{ ref }}</p>"""

WRITTEN = {"subject": content.SUBJECT, "html": HEAD + BODY + FOOT}
"""20 variables, a loop of 10, a condition, a layout, styles; no text part: it is made."""

LOCALISED = {
    "subject": "Order {{ number }}: {{ total | currency(currency) }}",
    "html": (HEAD + BODY + FOOT)
    .replace("{{ date }}", "{{ date | date('long') }}")
    .replace("{{ total }} {{ currency }}", "{{ total | currency(currency) }}")
    .replace("{{ it.price }} {{ currency }}", "{{ it.price | currency(currency) }}")
    .replace("{{ it.qty }}", "{{ it.qty | number }}"),
}
"""The same with a date and prices as the reader's language has them."""


def rendering(world: World) -> Figures:
    """Renders a second of each engine on the HTML alone; then whole messages of ours, and a save."""
    figures: Figures = json.loads(world.module("tests.performance.templates"))
    return figures


def main() -> None:
    django.setup()
    sys.stdout.write(json.dumps(_figures()))


def _figures() -> Figures:
    figures: dict[str, float] = {}
    engines = _engines(_built(WRITTEN)["html"])
    _check_alike(engines)
    for name, took in _in_turn(engines).items():
        figures[f"{name}, renders/s"] = len(took) / sum(took)
        figures[f"{name}, p99 us"] = percentile(took, 0.99) * 1e6
    for name in list(engines)[2:]:
        times = figures["ours, renders/s"] / figures[f"{name}, renders/s"]
        figures[f"{name}, x slower than ours"] = times
    for title, written in (("message", WRITTEN), ("message, localised", LOCALISED)):
        took = _messages(written)
        figures[f"{title}, p50 ms"] = percentile(took, 0.5) * 1e3
        figures[f"{title}, p99 ms"] = percentile(took, 0.99) * 1e3
    saves = list(_saves())[1:]
    return figures | {
        "save, p50 ms": percentile(saves, 0.5) * 1e3,
        "save, p95 ms": percentile(saves, 0.95) * 1e3,
    }


def _built(written: dict[str, str]) -> dict[str, str]:
    """As publishing makes it: styles in the tags, a text part from the HTML."""
    body = inlined(written["html"])
    return {"subject": written["subject"], "text": plain_text(body), "html": body}


def _data(number: int) -> dict[str, Any]:
    return {**content.SHARED, **content.own(number)}


def _engines(source: str) -> dict[str, Render]:
    """Ours first. The others take the layout as a template of its own, in their own way."""
    start, end = source.index("<h1"), source.index("</div>")
    head, body, foot = source[:start], source[start:end], source[end:]
    return {
        "ours": _ours(source),
        "ours, data checked": _ours_checked(source),
        "Django": _django(head, body, foot),
        "Jinja2 sandboxed": _jinja2(head, body, foot),
        "python-liquid": _liquid(head, body, foot),
    }


def _ours(source: str) -> Render:
    program = compile_part(source, "html")
    shapes = admit(_data(0)).shapes
    return lambda data: program.run(Admitted(data, 0, shapes))


def _ours_checked(source: str) -> Render:
    """With what no other does: the data checked, and the links."""
    parts = {"html": source}
    return lambda data: render(parts, data)["html"]


def _parent_and_child(head: str, body: str, foot: str) -> dict[str, str]:
    return {
        "base": f"{head}{{% block content %}}{{% endblock %}}{foot}",
        "mail": f"{{% extends 'base' %}}{{% block content %}}{body}{{% endblock %}}",
    }


def _django(head: str, body: str, foot: str) -> Render:
    loaders = [
        (
            "django.template.loaders.cached.Loader",
            [("django.template.loaders.locmem.Loader", _parent_and_child(head, body, foot))],
        )
    ]
    template = Engine(loaders=loaders).get_template("mail")
    return lambda data: template.render(Context(data))


def _jinja2(head: str, body: str, foot: str) -> Render:
    loader = DictLoader(_parent_and_child(head, body, foot))
    template = SandboxedEnvironment(autoescape=True, loader=loader).get_template("mail")
    return template.render


def _liquid(head: str, body: str, foot: str) -> Render:
    parts = {"head": head, "foot": foot}
    source = "{% include 'head' %}" + body + "{% include 'foot' %}"
    environment = liquid.Environment(autoescape=True, loader=liquid.CachingDictLoader(parts))
    template = environment.from_string(source)
    return lambda data: str(template.render(**data))


def _check_alike(engines: dict[str, Render]) -> None:
    """The same page from all, but for how a character is escaped and blanks."""
    pages = {name: _read(engine(_data(2))) for name, engine in engines.items()}
    for name, page in pages.items():
        if page != pages["ours"]:
            raise Failed(f"{name} renders another page")


def _read(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(page).replace(LINK_START, ""))


def _in_turn(engines: dict[str, Render]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in engines}
    for start in range(0, RENDERS + SLOT, SLOT):
        for name, engine in engines.items():
            took = [_timed(engine, _data(number)) for number in range(start, start + SLOT)]
            times[name] += took if start else []  # the first are for caches
    return times


def _timed(function: Callable[..., object], *arguments: object) -> float:
    """Of the processor: nothing here waits, and what others take of it is not ours."""
    started = time.thread_time()
    function(*arguments)
    return time.thread_time() - started


def _messages(written: dict[str, str]) -> list[float]:
    """A whole message: its data held against the schema, then subject, text and HTML."""
    parts = _built(written)
    schema, reader = infer(parts.items()), Manner("de", "Europe/Berlin")

    def whole(data: dict[str, Any]) -> None:
        if validate(schema, data):
            raise Failed("the data do not fit the schema found")
        render(parts, data, manner=reader)

    return [_timed(whole, _data(number)) for number in range(RENDERS)][SLOT:]


def _saves() -> Iterator[float]:
    """What publishing does but for its rows, each time as something new: all parts checked, built
    and compiled, the schema found, a sample rendered. In two languages.
    """
    # Models need Django, which only the process that measures has set up.
    from templates_app.build import build
    from templates_app.models import Kind, Template, TemplateVersion
    from templates_app.preview import failing_samples

    sample = {"name": "one", "data": _data(1)}
    draft = TemplateVersion(
        template=Template(kind=Kind.MESSAGE, samples=[sample]),
        channels={"email": LOCALISED},
        translations={"de": {"email": LOCALISED | {"subject": "Bestellung {{ number }}"}}},
    )

    def save() -> None:
        if failing_samples(draft, build(draft, {}).content):
            raise Failed("the sample is not rendered")

    for _ in range(SAVES):
        compile_part.cache_clear()
        yield _timed(save)


if __name__ == "__main__":
    main()
