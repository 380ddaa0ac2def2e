"""What is sent: the same templates for us and for the peers, in the syntax that both share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

SUBJECT = "Order {{ number }} for {{ first }}"

HTML = """<html><body class="b"><h1>Hello {{ first }} {{ last }}</h1>
<p>Thanks for order {{ number }} on {{ date }}. Total {{ total }} {{ currency }}.</p>
{% if vip %}<p>With us since {{ since }}</p>{% else %}<p>Join the club</p>{% endif %}
<p>Ship to: {{ line1 }}, {{ city }} {{ zip }} {{ country }}</p>
<table>{% for it in rows %}<tr><td>{{ it.name }}</td><td>{{ it.qty }}</td>
<td>{{ it.price }} {{ currency }}</td></tr>{% endfor %}</table>
<p>{{ company }}, {{ support }}, {{ year }}.
<a class="cta" href="{{ url }}">{{ label }}</a> {{ ref }}</p></body></html>"""

TEXT = """Hello {{ first }} {{ last }}

Thanks for order {{ number }} on {{ date }}. Total {{ total }} {{ currency }}.
{% for it in rows %}- {{ it.name }} x {{ it.qty }} {{ it.price }}
{% endfor %}{{ company }} {{ url }}
"""

LOOPS = {"subject": SUBJECT, "text": TEXT, "html": HTML}
"""A loop and a condition: about 1.2 kB of HTML, rendered for every recipient."""

_ITEMS = "".join(
    f"<tr><td>Something from the shelf, number {n}</td><td>{n}</td><td>{3.5 * n:.2f} EUR</td></tr>\n"
    for n in range(1, 11)
)

SUBSTITUTES = {
    "subject": SUBJECT,
    "text": """Hello {{ first }} {{ last }}

Thanks for order {{ number }} on {{ date }}. Total {{ total }} {{ currency }}.
We send it to {{ line1 }}, {{ city }} {{ zip }} {{ country }}.
{{ company }} {{ url }}
""",
    "html": f"""<html><body class="b"><h1>Hello {{{{ first }}}} {{{{ last }}}}</h1>
<p>Thanks for order {{{{ number }}}} on {{{{ date }}}}. Total {{{{ total }}}} {{{{ currency }}}}.</p>
<p>Ship to: {{{{ line1 }}}}, {{{{ city }}}} {{{{ zip }}}} {{{{ country }}}}</p>
<table>{_ITEMS}</table>
<p>{{{{ company }}}}, {{{{ support }}}}, {{{{ year }}}}.
<a class="cta" href="{{{{ url }}}}">{{{{ label }}}}</a> {{{{ ref }}}}</p></body></html>""",
}
"""As long, with nothing but values to put in: what a provider's batch call can carry."""

TEMPLATES = {"bench-loops": LOOPS, "bench-substitutes": SUBSTITUTES}

SHARED: dict[str, Any] = {
    "date": "2026-01-02",
    "currency": "EUR",
    "since": "2020",
    "rows": [
        {"name": f"Item <{n}> & co", "qty": n + 1, "price": f"{n * 3.5:.2f}"} for n in range(10)
    ],
    "line1": "1 Main St",
    "city": "Oslo",
    "zip": "0150",
    "country": "NO",
    "company": "Example Ltd",
    "support": "help@example.org",
    "year": "2026",
    "url": "https://example.org/o?a=1",
    "label": "View order",
    "ref": "r-1",
}
"""The same for all recipients of a run."""


def own(number: int) -> dict[str, Any]:
    """The data of recipient `number`."""
    return {
        "first": f"Ada {number}",
        "last": "O'Neil & Sons",
        "number": f"A-{number}",
        "total": "129.90",
        "vip": number % 2 == 0,
    }


def address(number: int) -> str:
    return f"person-{number}@example.org"


def ndjson(numbers: Iterable[int]) -> bytes:
    """The rows of an upload: a recipient and what is their own."""
    rows = ({"to": {"email": address(number)}, "data": own(number)} for number in numbers)
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)
