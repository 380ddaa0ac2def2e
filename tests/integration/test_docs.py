"""The documentation cannot rot: what it names exists, what it shows works."""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache, reduce
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.apps import apps
from django.conf import settings
from django.core.mail.backends.base import BaseEmailBackend
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, get_resolver, resolve
from django.utils.module_loading import import_string
from rest_framework.test import APIClient

from commsproject.common.api import problems
from commsproject.common.env import Env
from commsproject.common.errors import CommsError
from commsproject.common.identity.scopes import Scope
from commsproject.console import demo
from notifications import checks
from notifications.models import Delivery, SimulatedMessage
from notifications.providers import (
    apns,
    aws_sms_api,
    fcm,
    sendgrid,
    ses,
    simulator,
    twilio,
    webpush,
)
from notifications.providers.base import Provider
from notifications.providers.common.email import EmailProvider
from notifications.services import audit
from notifications.states import State
from notifications.types import Channel, ErrorClass, Outbound, Wanted
from templates_app import compile as compiler
from templates_app import dates, expressions, filters, language, rendering, values
from templates_app.errors import TemplateError, TemplateSyntaxError
from tests.documents import FENCE, PAGES, ROOT, fences, named
from tests.engine import drain
from tests.providers.live import cases
from tests.walk import each

LIVE = ROOT / "tests" / "providers" / "live"
CODE = ("commsproject", "conversations", "notifications", "templates_app", "tracking")

_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_BAR = re.compile(r"(?<!\\)\|")
_READ = re.compile(
    r"""env(?:\.\w+|iron\.get)\(\s*"([A-Z0-9_]+)"|environ\[\s*"([A-Z0-9_]+)"|variable: ClassVar\[str\] = "([A-Z0-9_]+)\""""
)
_PRESENT = re.compile(r"_(?:present|on_with)\(([^)]*)\)")
_NOT_OURS = {"ACME_API_KEY", "HOME", "PYTHON"}
"""Of the shell, of make, or of the made-up provider."""
LIVE_VARIABLES = set(
    re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", "".join(p.read_text() for p in LIVE.glob("*.py")))
)
"""Of the tests with real accounts, among other names."""


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def spans(page: Path) -> list[str]:
    return _SPAN.findall(prose(page))


def cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in _BAR.split(line.strip())[1:-1]]


def tables(page: Path, *header: str) -> list[list[str]]:
    """The rows of every table with this header."""
    found, inside = [], False
    for line in prose(page).splitlines():
        if not line.startswith("|"):
            inside = False
        elif tuple(cells(line)) == header:
            inside = True
        elif inside and not line.startswith("|---"):
            found.append(cells(line))
    return found


def bare(cell: str) -> str:
    return cell.removeprefix("`").removesuffix("`")


@cache
def source(*folders: str) -> str:
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return "\n".join(path.read_text() for path in [*files, ROOT / "manage.py", ROOT / "Makefile"])


def read_variables(text: str) -> set[str]:
    found = {name for match in _READ.findall(text) for name in match if name}
    for names in _PRESENT.findall(text):
        found |= set(re.findall(r'"([A-Z_]+)"', names))
    return found


@cache
def variables() -> set[str]:
    return read_variables(source(*CODE))


@cache
def names_in_capitals() -> set[str]:
    return (
        set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", source(*CODE, "tests/performance"))) | LIVE_VARIABLES
    )


every_page = each("page", PAGES)


# --- What is named exists --------------------------------------------------------------------


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if link.startswith(("http:", "https:")):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{named(page)} links to {link}"
        if anchor:
            assert anchor in anchors(file), f"{named(page)} links to {link}"


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link).resolve() for link in _LINK.findall(index.read_text())}
    pages = set(PAGES) - {index, ROOT / "CHANGELOG.md"}
    assert pages <= linked


@every_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for text in [*fences(page, "sh"), *spans(page)]:
        assert set(re.findall(r"\bmake ([a-z0-9-]+)", text)) <= targets, text


@every_page
def test_commands_and_their_options_exist(page: Path) -> None:
    known = get_commands()
    for text in [*fences(page, "sh"), *spans(page)]:
        for name, rest in re.findall(r"manage\.py ([a-z_]+)([^|\n)]*)", text):
            assert name in known, text
            command = load_command_class(known[name], name)
            options = command.create_parser("manage.py", name)._option_string_actions
            assert set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest)) <= set(options), text


@every_page
def test_files_and_objects_exist(page: Path) -> None:
    paths = re.compile(rf"({'|'.join(CODE)}|tests|docs|requirements|\.ci)/[\w./-]*")
    for span in spans(page):
        if paths.fullmatch(span):
            assert (ROOT / span).exists(), f"{named(page)} names {span}"
    for dotted in re.findall(rf'"((?:{"|".join(CODE)})(?:\.\w+)+\.[A-Z]\w+)"', page.read_text()):
        if not dotted.endswith(".Acme"):
            import_string(dotted)


@every_page
def test_addresses_of_the_service_exist(page: Path) -> None:
    ours = re.compile(r"(?:`|http://localhost:8002)(/(?:admin|api|demo|webhooks)/[\w/.-]+)")
    for path in ours.findall(prose(page)):
        if path != "/api/v1":
            resolve(path)


@every_page
def test_calls_exist(page: Path) -> None:
    call = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (?:/api/v1/)?([a-z][^?\s]*)\S*")
    for span in spans(page):
        if found := call.fullmatch(span):
            assert hasattr(view(found[2]), found[1].lower()), f"{named(page)} names {span}"


def view(path: str) -> Any:
    """The class that answers; `{...}` in the path stands for an id, a key or a number."""
    for one in (UUID(int=1), 1):
        with contextlib.suppress(Resolver404):
            match: Any = resolve("/api/v1/" + re.sub(r"{\w+}", str(one), path))
            return match.func.cls
    return None


def test_metrics_are_on_their_page() -> None:
    told = re.findall(r"`(comms_[a-z_]+)", prose(ROOT / "docs/subsystems/metrics.md"))
    for page in PAGES:
        named = set(re.findall(r"`(comms_[a-z_]+)", prose(page))) - {"comms_client"}
        assert named <= set(told), page


@every_page
def test_no_page_knows_the_machine_it_was_written_on(page: Path) -> None:
    assert not re.search(r"/(work|root|home/\w+)/|/tmp/", page.read_text())


# --- Variables -------------------------------------------------------------------------------


@every_page
def test_variables_are_read_by_the_code(page: Path) -> None:
    read = variables()
    rows = [
        *tables(page, "Variable", "Value"),
        *tables(page, "Variable", "Meaning"),
        *tables(page, "Variable", "Default", "Meaning"),
    ]
    tabled = {name for row in rows for name in _SPAN.findall(row[0])}
    if page.name == "README.md" and page.parent == ROOT:
        for _, needed, also, _page in tables(page, "Provider", "On with", "Also", "Page"):
            tabled |= set(_SPAN.findall(needed + also))
    script = "\n".join(fences(page, "sh"))
    given = set(re.findall(r"\b([A-Z][A-Z_]+)=", script)) - set(re.findall(r"\$(\w+)", script))
    assert tabled | given <= read | _NOT_OURS | LIVE_VARIABLES


@every_page
def test_names_in_capitals_are_in_the_code(page: Path) -> None:
    """Settings, constants, variables: none that has been renamed."""
    known = names_in_capitals()
    for span in spans(page):
        if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", span) and span != "NAME_FILE":
            assert span in known, f"{named(page)} names {span}"


def test_every_variable_of_the_service_is_documented() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    named_files = [
        f"commsproject/settings/{name}.py"
        for name in ("comms", "base", "conversations", "live", "staff")
    ]
    wanted = read_variables("\n".join((ROOT / name).read_text() for name in named_files))
    wanted |= read_variables(source("commsproject/embedded", "commsproject/common/management"))
    wanted |= {"COMMS_ADMIN_PASSWORD"}
    assert not {name for name in wanted if f"`{name}`" not in text}


def test_names_of_older_set_ups_are_told_and_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, str] = {}
    for older, today in tables(ROOT / "docs/deployment/README.md", "Older name", "Today"):
        told |= dict.fromkeys(_SPAN.findall(older), _SPAN.findall(today)[0])
    assert told == checks.OLDER
    assert told.keys() >= {
        "SENDGRID_WEBHOOK_URL",
        "TWILIO_WEBHOOK_URL",
        "SMTP_HOST",
        "FCM_SERVER_KEY",
        "APNS_CERT_PATH",
    }
    assert not told.keys() & variables()
    assert set(told.values()) <= variables()
    assert not checks.older_names_are_not_read(None)
    for name in told:
        monkeypatch.setenv(name, "x")
    warned = checks.older_names_are_not_read(None)
    assert [one.msg.split()[0] for one in warned] == list(told)


# --- Tables that repeat the code -------------------------------------------------------------


def design() -> Path:
    return ROOT / "docs" / "architecture" / "DESIGN.md"


def test_the_states_are_those_of_the_code() -> None:
    found = [bare(row[0]) for row in tables(design(), "State", "Group", "Means")]
    assert sorted(found) == sorted(State.values)


def test_each_state_has_its_line_among_the_troubles() -> None:
    page = ROOT / "docs/how-to/troubleshooting.md"
    rows = tables(page, "Status and reason", "Cause", "What to do")
    assert {name for row in rows for name in _SPAN.findall(row[0])} == set(State.values)


def test_what_is_quoted_among_the_troubles_is_said_by_the_code() -> None:
    """As far as it is no number, name or path of the case at hand."""
    said = re.sub(r'"\s*f?"', "", source(*CODE))
    said = re.sub(r"\s+", " ", re.sub(r"{[^{}\s]*}", "", said))
    for symptom in re.findall(r'"([^"\n]+)"', prose(ROOT / "docs/how-to/troubleshooting.md")):
        for part in re.split(r"\.\.\.|\([^)]*\)|[\d.]*\d|\bpostgres\b", symptom):
            assert part.strip() in said, symptom


def test_the_rows_are_those_of_the_code() -> None:
    found = [
        name for row in tables(design(), "Row", "What it is") for name in _SPAN.findall(row[0])
    ]
    models = [model for app in CODE for model in apps.get_app_config(label(app)).get_models()]
    assert sorted(found) == sorted(model.__name__ for model in models)


def label(app: str) -> str:
    return "common" if app == "commsproject" else app


def test_the_files_of_the_flow_are_those_of_the_code() -> None:
    rows = tables(design(), "Of a message", "Files of `notifications/services/`")
    found = [name for row in rows for name in re.findall(r"\w+", row[1])]
    files = (ROOT / "notifications" / "services").glob("[!_]*.py")
    assert sorted(found) == sorted(file.stem for file in files)


def test_the_error_classes_are_those_of_the_code() -> None:
    rows = tables(design(), "Class", "Sent?", "Delivery", "Provider's breaker")
    assert [bare(row[0]) for row in rows] == ErrorClass.values


def test_the_audits_rules_are_those_of_the_code() -> None:
    page = ROOT / "docs" / "how-to" / "troubleshooting.md"
    assert [bare(row[0]) for row in tables(page, "Rule", "What is wrong")] == list(audit._RULES)


def test_sendgrids_errors_are_those_of_the_code() -> None:
    page = ROOT / "docs/how-to/providers/sendgrid.md"
    found = {int(row[0]): bare(row[1]) for row in tables(page, "HTTP", "Class", "Means")}
    assert found == {status: known.value for status, known in sendgrid.STATUSES.items()}


def test_ses_errors_are_those_of_the_code() -> None:
    page = ROOT / "docs/how-to/providers/ses.md"
    found = {bare(row[0]): bare(row[1]) for row in tables(page, "Code", "Class")}
    assert found == {code: known.value for code, known in ses.CODES.items()}


def test_twilios_errors_are_those_of_the_code() -> None:
    page = ROOT / "docs/how-to/providers/twilio.md"
    found = {int(row[0]): bare(row[1]) for row in tables(page, "Code", "Class", "Means")}
    assert found == {code: known.value for code, known in twilio.ERRORS.items()}


def test_web_pushs_errors_are_those_of_the_code() -> None:
    page = ROOT / "docs/how-to/providers/webpush.md"
    found = {int(row[0]): bare(row[1]) for row in tables(page, "HTTP", "Class", "Means")}
    assert found == {status: known.value for status, known in webpush.STATUSES.items()}


def test_fcms_errors_are_those_of_the_code() -> None:
    page = ROOT / "docs/how-to/providers/fcm.md"
    found = {row[0]: bare(row[1]) for row in tables(page, "Code", "Class", "Means")}
    assert found == {code: known.value for code, known in fcm.CODES.items()}


def test_apns_errors_are_those_of_the_code() -> None:
    page = ROOT / "docs/how-to/providers/apns.md"
    found = {row[0]: bare(row[1]) for row in tables(page, "Reason", "Class", "Means")}
    assert found == {reason: known.value for reason, known in apns.REASONS.items()}


def test_aws_sms_errors_are_those_of_the_code() -> None:
    page = ROOT / "docs/how-to/providers/aws-sms.md"
    for column, table in (
        ("Code", aws_sms_api.SNS_CODES),
        ("Exception", aws_sms_api.EUM_CODES),
        ("Reason", aws_sms_api.EUM_REASONS),
    ):
        found = {bare(row[0]): row[1] for row in tables(page, column, "Class")}
        assert found == {code: described(known) for code, known in table.items()}


def described(known: aws_sms_api.Refused) -> str:
    note = ", opt-out" if known.is_opt_out else ", for that country" if known.for_country else ""
    return f"`{known.error_class.value}`{note}"


PROVIDERS_PAGE = ROOT / "docs" / "how-to" / "providers" / "README.md"


def made(name: str) -> Any:
    """The provider, without credentials."""
    entry = settings.PROVIDERS[name]
    return import_string(entry["CLASS"])(name, **entry["OPTIONS"])


def has_replies(kind: type[Provider]) -> bool:
    """Whether it says itself that it may give messages of people: `Report` is an event or one of
    these.
    """
    own = vars(kind).get("parse")
    return own is not None and "Report" in own.__annotations__["return"]


def test_the_providers_can_do_what_the_index_says() -> None:
    header = ("Name", "Channel", "One call carries", "Files", "Receipts", "Replies", "Look-up")
    more = ("Their templates", "Tells its quota", "`check_providers`", "Live test")
    rows = tables(PROVIDERS_PAGE, *header, *more)
    assert [bare(row[0]) for row in rows] == list(settings.PROVIDERS)
    for name, channels, carries, *told in rows:
        provider = made(bare(name))
        kind = type(provider)
        platform = getattr(provider, "platform", None)
        address = f"{platform.value}:x" if platform else ""
        files = Wanted(min(provider.channels), address, has_attachments=True)
        assert set(channels.split(", ")) == {channel.value for channel in kind.channels}, name
        assert int(carries.replace(",", "")) == getattr(kind, "batch_limit", 1), name
        can = (
            provider.lacks(files) == "",
            kind.verify is not Provider.verify,
            has_replies(kind),
            kind.looks_up,
            kind.hosts_templates,
            kind.knows_quota,
            kind.check is not Provider.check,
            provider.name in {case.provider for case in cases.CASES},
        )
        assert told == ["yes" if one else "no" for one in can], name


def test_the_readme_says_how_each_provider_is_turned_on() -> None:
    rows = tables(ROOT / "README.md", "Provider", "On with", "Also", "Page")
    told = {Path(link).stem.replace("-", "_") for row in rows for link in _LINK.findall(row[3])}
    assert told == {name for name in settings.PROVIDERS if name not in NEED_NOTHING}


NEED_NOTHING = {"inapp", "simulator", "simulator-b"}


def test_each_feature_of_each_provider_names_a_test_that_exists() -> None:
    tested: dict[str, set[str]] = defaultdict(set)
    for feature, providers, tests in tables(PROVIDERS_PAGE, "Feature", "Providers", "Test"):
        named = _SPAN.findall(providers)
        for node in _SPAN.findall(tests):
            file, *places = node.split("::")
            module = import_module(file.removesuffix(".py").replace("/", "."))
            chain = [reduce(getattr, places[:depth], module) for depth in range(len(places) + 1)]
            assert callable(chain[-1]), node
            assert places[-1].startswith("test_"), node
            for name in named:
                assert is_about(name, module, chain[1]), f"{node} is not of {name}"
        tested[feature].update(named)
    header, *rows = (cells(line) for line in prose(PROVIDERS_PAGE).splitlines() if "|" in line)
    index = [row for row in rows if bare(row[0]) in settings.PROVIDERS and len(row) == len(header)]
    assert len(index) == len(settings.PROVIDERS)
    for place, feature in enumerate(header[2:], start=2):
        can = {bare(row[0]) for row in index if row[place] not in ("no", "1")}
        assert tested.pop(feature) == can, feature
    for feature in ("The request", "The error table", "No answer"):
        assert tested[feature] == {case.provider for case in cases.CASES}, feature


def is_about(name: str, module: Any, kind: Any) -> bool:
    """Whether a test is the provider's: of a contract, that a class with its name takes over."""
    if not kind.__name__.endswith("Contract"):
        files = [Path(module.__file__), Path(module.__file__).with_name("cases.py")]
        texts = [file.read_text().lower() for file in files if file.exists()]
        return any(name.removesuffix("-b") in text for text in texts)
    places = [f"tests.providers.test_{name}", "tests.providers.test_esps"]
    found = [import_module(place) for place in places if find_spec(place)]
    mine = f"Test{name}".lower()
    return any(
        isinstance(one, type) and issubclass(one, kind) and one.__name__.startswith("Test")
        for module in found
        for one in vars(module).values()
        if module.__name__ == places[0] or getattr(one, "__name__", "").lower().startswith(mine)
    )


def test_email_providers_carry_what_the_index_says() -> None:
    labelled = Outbound(
        attempt_id=UUID(int=1),
        delivery_id=UUID(int=2),
        notification_id=UUID(int=3),
        channel=Channel.EMAIL,
        to="ada@example.org",
        parts={"text": "x"},
        tags=("of-shipping",),
        metadata={"order": "A17"},
    )
    rows = tables(PROVIDERS_PAGE, "Email", "Tags", "Metadata", "Our Message-ID")
    real = [name for name in settings.PROVIDERS if isinstance(made(name), EmailProvider)]
    assert [bare(row[0]) for row in rows] == real
    for name, *told in rows:
        provider = made(bare(name))
        written = str(vars(provider.build(labelled)))
        can = ("of-shipping" in written, "A17" in written, provider.keeps_message_id)
        assert told == ["yes" if one else "no" for one in can], name


def test_every_provider_has_a_page_with_the_same_parts() -> None:
    folder = ROOT / "docs" / "how-to" / "providers"
    pages = {path.stem for path in folder.glob("*.md")} - {"README", "inbound"}
    others = {"simulator-b"}  # on the simulator's
    assert pages == {name.replace("_", "-") for name in settings.PROVIDERS} - others
    for page in pages:
        titles = re.findall(r"^## (.+)$", prose(folder / f"{page}.md"), re.MULTILINE)
        titles = [title.removesuffix("s") if title == "Webhooks" else title for title in titles]
        wanted = ["Account", "DNS", "Environment", "Webhook", "Limits", "Troubleshooting"]
        assert [title for title in titles if title in wanted] == wanted, page


def test_the_live_cases_are_those_of_the_code() -> None:
    page = ROOT / "docs" / "how-to" / "live-tests.md"
    rows = tables(page, "Case", "Sent to", "Delivered?", "Costs", "Receipt")
    assert [row[0] for row in rows] == [str(case) for case in cases.CASES]
    for row, case in zip(rows, cases.CASES, strict=True):
        assert row[4].startswith(f"`{case.ends}`" if case.ends else ""), case
    told = {bare(row[0]) for row in tables(page, "Variable", "Value")}
    assert told == {name for name in LIVE_VARIABLES if name.startswith("LIVE_")}


def test_the_simulators_addresses_are_those_of_the_code() -> None:
    word = r"`?(\w+)@simulator\.test`?"
    readme = re.findall(rf"^\| {word} \|", prose(ROOT / "README.md"), re.MULTILINE)
    page = re.findall(
        rf"^\| {word} \|",
        prose(ROOT / "docs/how-to/providers/simulator.md"),
        re.MULTILINE,
    )
    described = re.findall(r"`(\w+)@`", simulator.__doc__ or "")
    assert sorted(readme) == sorted(page) == sorted(described)


API = ROOT / "docs" / "api"


def test_the_scopes_are_those_of_the_code() -> None:
    found = [bare(row[0]) for row in tables(API / "ACCESS.md", "Scope", "Allows")]
    assert found == Scope.values


def test_the_endpoints_are_those_of_the_code() -> None:
    found = []
    for page in sorted(API.glob("*.md")):
        for call, scope, _ in tables(page, "Call", "Scope", "What it does"):
            method, path = bare(call).split()
            found.append(((method, re.sub(r"{\w+}", "{}", path)), bare(scope)))
    assert sorted(found) == sorted(endpoints())


def endpoints() -> Iterator[tuple[tuple[str, str], str]]:
    patterns: list[Any] = get_resolver().url_patterns
    (root,) = [one for one in patterns if str(one.pattern) == "api/v1/"]
    for group in root.url_patterns:
        for pattern in group.url_patterns:
            path = re.sub(r"<[\w:]+>", "{}", f"{group.pattern}{pattern.pattern}")
            for method, scope in pattern.callback.cls.required_scopes.items():
                yield (method, path), scope.value if scope else "any"


def test_the_error_codes_are_those_of_the_code() -> None:
    get_resolver().url_patterns  # noqa: B018 - loads every module that has errors
    told = {
        bare(code): int(status)
        for status, code, _ in tables(API / "ERRORS.md", "Status", "Code", "What to do")
    }
    raised = {kind.code: kind.status for kind in errors(CommsError) if kind is not problems._Other}
    bases = {"error", "conflict"}
    assert raised.items() - told.items() <= {(code, raised[code]) for code in bases}
    assert set(told) - set(raised) == {"method_not_allowed"}


def errors(base: type[CommsError]) -> Iterator[type[CommsError]]:
    """Those that the API can answer with; not what only commands say."""
    yield base
    for kind in base.__subclasses__():
        if kind.__module__.startswith(CODE) and ".management." not in kind.__module__:
            yield from errors(kind)


# --- Templates -------------------------------------------------------------------------------

TEMPLATES = ROOT / "docs" / "how-to" / "templates.md"
PRINTED = [tuple(map(bare, row)) for row in tables(TEMPLATES, "Written", "With", "Prints")]


@pytest.mark.parametrize(("written", "data", "printed"), PRINTED)
def test_a_template_prints_what_the_page_shows(written: str, data: str, printed: str) -> None:
    assert rendering.render({"text": written}, json.loads(data))["text"] == printed


def test_the_longer_examples_print_what_the_page_shows() -> None:
    found = FENCE.findall(TEMPLATES.read_text())
    examples = [(found[at : at + 3]) for at, (kind, _) in enumerate(found) if kind == "jinja"]
    assert len(examples) == 2
    for (_, written), (_, data), (part, printed) in examples:
        shown = rendering.render({part: written}, json.loads(data))[part]
        assert shown.strip() == printed.strip()


@pytest.mark.parametrize(
    ("part", "written", "message"),
    [("text", *row) for row in tables(TEMPLATES, "Written", "Refused with")]
    + [("html", *row) for row in tables(TEMPLATES, "Written in html", "Refused with")],
)
def test_a_template_is_refused_as_the_page_says(part: str, written: str, message: str) -> None:
    with pytest.raises(TemplateSyntaxError) as refusal:
        compiler.check(bare(written), part=part)
    assert refusal.value.message.replace("`", "") == message.replace("`", "")


@pytest.mark.parametrize(
    ("written", "data", "message"), tables(TEMPLATES, "Rendered", "With", "Refused with")
)
def test_data_are_refused_as_the_page_says(written: str, data: str, message: str) -> None:
    with pytest.raises(TemplateError) as refusal:
        rendering.render({"text": bare(written)}, json.loads(bare(data)))
    assert refusal.value.message == message


def test_the_page_shows_all_of_the_language() -> None:
    text = TEMPLATES.read_text()
    written = " ".join(row[0] for row in PRINTED)
    assert set(re.findall(r"\| (\w+)", written)) == set(filters.FILTERS)
    codes = next(line for line in text.splitlines() if line.startswith("Codes:"))
    assert set(re.findall(r"`%(-?.)`", codes)) == set(dates.CODES)
    assert {name for name in expressions.TESTS if f"is {name}" in written} == set(expressions.TESTS)
    assert {name for name in expressions.LOOP_NAMES if f"`loop.{name}`" in text} == set(
        expressions.LOOP_NAMES
    )
    limits = "\n".join(row[1] for row in tables(TEMPLATES, "What", "At most"))
    for limit in (
        compiler.MAX_SOURCE,
        compiler.MAX_TAGS,
        language.MAX_LOOPS,
        expressions.MAX_DEPTH,
        values.MAX_BYTES,
        values.MAX_TEXT,
        values.MAX_ITEMS,
        filters.MAX_TEXT,
        rendering.MAX_OUTPUT,
        rendering.MAX_LINE,
        rendering.MAX_LINK,
    ):
        assert f"{limit:,}" in limits


# --- Calls and code --------------------------------------------------------------------------


def calls(page: Path) -> Iterator[tuple[str, str, dict[str, str], Any]]:
    """Method, path, headers and body of every curl call."""
    script = "\n".join(fences(page, "sh"))
    for call in re.split(r"\bcurl\b", script)[1:]:
        path = re.search(r"\$API(/[\w$/-]+)", call)
        if path is None:
            continue
        body = re.search(r"-d '(.*?)'", call, re.DOTALL)
        method = "POST" if body or "-X POST" in call else "GET"
        key = re.search(r"Idempotency-Key: ([\w-]+)", call)
        headers = {"Idempotency-Key": key[1]} if key else {}
        yield method, path[1], headers, json.loads(body[1]) if body else None


def test_the_first_message_of_the_readme(api: APIClient) -> None:
    demo.content()
    message_id, answers = "", []
    for method, path, headers, body in calls(ROOT / "README.md"):
        url = f"/api/v1{path.replace('$ID', message_id)}"
        answer = (
            api.post(url, body, format="json", headers=headers)
            if method == "POST"
            else api.get(url)
        )
        assert answer.status_code < 300, answer.content
        message_id = message_id or answer.json()["id"]
        answers.append(answer.status_code)
        drain()
    assert answers == [202, 200, 201, 200, 202]
    method, path, headers, body = list(calls(ROOT / "README.md"))[-1]
    again = api.post(f"/api/v1{path}", body, format="json", headers=headers)
    assert again["Idempotent-Replayed"] == "true"
    assert [row.state for row in Delivery.objects.all()] == [State.SENT, State.SENT]

    # The API's page goes on with the same template.
    example = json.loads(fences(API / "MESSAGES.md", "json")[0])
    with time_machine.travel("2027-01-01T00:00:00Z", tick=True):
        answer = api.post("/api/v1/notifications", example, format="json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["status"] == "scheduled"


def test_the_fields_of_a_message_are_those_of_the_api(api: APIClient) -> None:
    page = API / "MESSAGES.md"
    rows = tables(page, "Field", "Rule")
    told = {name for row in rows for name in _SPAN.findall(row[0])}
    told |= set(json.loads(fences(page, "json")[0]))
    answer = api.post("/api/v1/notifications", {"nonsense": 1}, format="json")
    known = answer.json()["errors"][0]["message"].partition("Known here: ")[2].rstrip(".")
    assert told == set(known.split(", "))


def test_the_fields_of_a_device_are_those_of_the_api(api: APIClient) -> None:
    rows = tables(API / "PEOPLE.md", "Of a device", "Rule")
    told = {name for row in rows for name in _SPAN.findall(row[0])}
    url = "/api/v1/recipients/u-1042/devices"
    answer = api.post(url, {"nonsense": 1}, format="json")
    known = answer.json()["errors"][0]["message"].partition("Known here: ")[2].rstrip(".")
    assert told == set(known.split(", "))
    registered = [
        body for method, path, _, body in calls(API / "PEOPLE.md") if path.endswith("/devices")
    ]
    for body in registered:
        assert api.post(url, body, format="json").status_code == 201
    assert registered


def test_the_provider_of_the_how_to_is_one() -> None:
    provider, entry = fences(ROOT / "docs" / "how-to" / "add-a-provider.md", "python")
    space: dict[str, Any] = {"__name__": "acme"}
    exec(compile(provider, "acme.py", "exec"), space)
    names = {"_present": lambda *_: True, "env": Env()}
    (options,) = (value["OPTIONS"] for value in eval(f"{{{entry}}}", names).values())
    acme = space["Acme"]("acme", **options)
    assert acme.channels == {Channel.SMS}
    assert acme.send.__func__ is not Provider.send


def test_the_backend_of_the_how_to_sends(db: None) -> None:
    page = ROOT / "docs" / "how-to" / "send-plain-django-mail.md"
    setting, call = fences(page, "python")
    space: dict[str, Any] = {}
    exec(setting, space)
    assert issubclass(import_string(space["EMAIL_BACKEND"]), BaseEmailBackend)
    exec(call, space)
    assert SimulatedMessage.objects.get().address == "ada@example.org"
