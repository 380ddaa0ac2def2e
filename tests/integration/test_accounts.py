"""What vendors say of our accounts: limits, alerts, and `manage.py check_providers`."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from typing_extensions import override

from commsproject.common import alerts, scheduler
from commsproject.common.models import Alert, ScheduledJob
from commsproject.settings import comms
from notifications import jobs, limits
from notifications.management.commands.check_providers import rows
from notifications.models import ProviderChange, ProviderState
from notifications.providers.account import Check, Verdict
from notifications.providers.base import Provider
from notifications.services import accounts, route
from notifications.types import Channel, Outbound, ProviderError, Sent
from tests.email_world import KEY, EmailWorld, email_world
from tests.fakes.aws_sms import AwsSmsServer, eum_error, sns_error
from tests.fakes.behaviours import (
    Behaviour,
    Close,
    Drip,
    Garbage,
    Hang,
    HugeBody,
    MalformedJson,
    Redirect,
    Status,
)
from tests.fakes.http import FakeHttpServer
from tests.fakes.ses import SesServer, identity, ses_error
from tests.fakes.smtp import SmtpServer

SECRET = "hunter2-very-secret"

PROVIDERS: dict[str, str] = {
    "ses": "notifications.providers.ses.SES",
    "aws_sms": "notifications.providers.aws_sms.AwsSms",
    "sendgrid": "notifications.providers.sendgrid.SendGrid",
    "postmark": "notifications.providers.postmark.Postmark",
    "mailgun": "notifications.providers.mailgun.Mailgun",
    "resend": "notifications.providers.resend.Resend",
    "brevo": "notifications.providers.brevo.Brevo",
    "smtp": "notifications.providers.smtp.SMTP",
    "simulator": "notifications.providers.simulator.Simulator",
}


def entry(name: str, *, on: bool = True, **options: Any) -> dict[str, Any]:
    return {"CLASS": PROVIDERS[name], "ENABLED": on, "OPTIONS": options}


@pytest.fixture(autouse=True)
def _waits_long(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PROVIDER_CONNECT_TIMEOUT = 10.0
    settings.PROVIDER_READ_TIMEOUT = 10.0
    settings.DEFAULT_FROM_EMAIL = "Comms <notifications@example.com>"
    monkeypatch.setattr(accounts, "CHECK_SECONDS", 20.0)
    monkeypatch.setattr(accounts, "POLL_SECONDS", 20.0)


def hurry(settings: Any, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour) -> None:
    """Waits briefly where `behaviour` is never done; the others may still be slow to answer."""
    if isinstance(behaviour, Hang | Drip):
        settings.PROVIDER_READ_TIMEOUT = 2.0
        monkeypatch.setattr(accounts, "CHECK_SECONDS", 3.0)
        monkeypatch.setattr(accounts, "POLL_SECONDS", 3.0)


# --- The poll ------------------------------------------------------------------------------------


@pytest.fixture
def ses(settings: Any, db: None) -> Iterator[SesServer]:
    with SesServer() as server:
        settings.PROVIDERS = {"ses": aws_entry("ses", server.url)}
        yield server


def aws_entry(name: str, url: str, **options: Any) -> dict[str, Any]:
    common = {
        "access_key_id": "AKIAFAKE",
        "secret_access_key": SECRET,
        "region": "eu-central-1",
        "endpoint_url": url,
        "configuration_set": "",
        "topic_arns": ["arn:aws:sns:eu-central-1:123456789012:events"],
    }
    found = entry(name, **{**common, **options})
    found["LIMIT"] = {"COUNT": 200, "SECONDS": 1, "UNIT": "recipients"}
    found["LIMIT_BY_VENDOR"] = True
    return found


def used(sent: float, of: float = 50_000, rate: float = 14) -> dict[str, Any]:
    return {"SendQuota": {"Max24HourSend": of, "MaxSendRate": rate, "SentLast24Hours": sent}}


def row() -> ProviderState:
    return ProviderState.objects.get(name="ses")


def standing() -> list[tuple[str, str]]:
    return [(alert.key, alert.severity) for alert in alerts.standing()]


def test_what_the_vendor_says_is_kept_and_its_rate_is_the_limit(ses):
    accounts.poll()
    state = row()
    assert (state.quota_per_second, state.quota_per_day, state.quota_sent) == (14, 50_000, 0)
    assert (state.quota_trouble, state.quota_at is None) == ("", False)
    assert limits.provider_limit("ses", state) == limits.Limit(14, 1.0, "recipients")
    assert standing() == []
    bucket = limits.standing(state)
    assert bucket is not None
    assert bucket.free == 14


def test_before_it_is_asked_the_settings_count(ses):
    assert limits.provider_limit("ses", None) == limits.Limit(200, 1, "recipients")
    assert limits.provider_limit("ses", ProviderState(name="ses")) == limits.Limit(200, 1)


def test_what_staff_set_comes_first(ses):
    accounts.poll()
    route.limit("ses", count=3, seconds=2.0, by="ada")
    accounts.poll()
    assert limits.provider_limit("ses", row()) == limits.Limit(3, 2.0)


def test_what_the_environment_says_goes_before_the_vendor(ses, settings):
    accounts.poll()
    settings.PROVIDERS = {"ses": {**settings.PROVIDERS["ses"], "LIMIT_BY_VENDOR": False}}
    assert limits.provider_limit("ses", row()) == limits.Limit(200, 1)


@pytest.mark.parametrize(("value", "by_vendor"), [("", True), ("50/1", False)])
def test_the_environment_says_whether_the_vendor_is_listened_to(monkeypatch, value, by_vendor):
    with monkeypatch.context() as patch:
        patch.setenv("SES_LIMIT", value)
        found = importlib.reload(comms).PROVIDERS["ses"]["LIMIT_BY_VENDOR"]
    importlib.reload(comms)
    assert found is by_vendor


@pytest.mark.parametrize(
    ("rate", "limit"),
    [(14, (14, 1.0)), (5.5, (5, 1.0)), (1, (1, 1.0)), (0.2, (1, 5.0)), (1e12, (10**9, 1.0))],
)
def test_a_rate_is_counted_in_whole_messages(ses, rate, limit):
    ses.account = used(0, rate=rate)
    accounts.poll()
    found = limits.provider_limit("ses", row())
    assert found is not None
    assert (found.count, found.seconds) == limit


def test_a_change_of_the_rate_is_in_the_history_once(ses):
    for rate in (14, 14, 50):
        ses.account = used(0, rate=rate)
        accounts.poll()
    changes = ProviderChange.objects.order_by("at").values_list("was", "now")
    assert list(changes) == [("unknown rate", "14 a second"), ("14 a second", "50 a second")]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (39_999, []),
        (40_000, [("provider.ses.quota", "warning")]),
        (50_000, [("provider.ses.quota", "critical")]),
    ],
)
def test_a_day_nearly_used_up_is_an_alert(ses, sent, expected):
    ses.account = used(sent)
    accounts.poll()
    accounts.poll()
    assert standing() == expected
    ses.account = used(10)
    accounts.poll()
    assert standing() == []
    assert Alert.objects.count() == len(expected)


def test_without_a_limit_for_the_day_there_is_nothing_to_use_up(ses):
    ses.account = used(10**6, of=-1)
    accounts.poll()
    assert row().quota_per_day is None
    assert standing() == []


@pytest.mark.parametrize(
    ("account", "trouble"),
    [
        ({"EnforcementStatus": "PROBATION"}, "the enforcement status is PROBATION"),
        ({"EnforcementStatus": "SHUTDOWN"}, "the enforcement status is SHUTDOWN"),
        ({"SendingEnabled": False}, "sending is disabled"),
    ],
)
def test_an_account_in_trouble_is_an_alert_until_it_is_well(ses, account, trouble):
    ses.account = account
    accounts.poll()
    assert standing() == [("provider.ses.account", "critical")]
    assert trouble in Alert.objects.get().title
    assert row().quota_trouble == trouble
    ses.account = {}
    accounts.poll()
    assert standing() == []
    assert row().quota_trouble == ""


@pytest.mark.parametrize(
    "behaviour",
    [
        Hang(),
        Drip(),
        Close(),
        MalformedJson(),
        MalformedJson(body=b"[]"),
        Status(200, {"SendQuota": {"MaxSendRate": "many"}}),
        Status(
            200, b'{"SendQuota": {"Max24HourSend": NaN, "MaxSendRate": 1, "SentLast24Hours": 0}}'
        ),
        pytest.param(ses_error("AccessDeniedException"), id="refused"),  # it has a random id in it
        Status(500),
    ],
    ids=str,
)
def test_a_vendor_that_does_not_say_leaves_all_as_it_was(ses, settings, monkeypatch, behaviour):
    ses.account = used(45_000)
    accounts.poll()
    before = row()
    hurry(settings, monkeypatch, behaviour)
    ses.script.always(behaviour)
    with pytest.raises((ProviderError, TimeoutError)):
        accounts.poll()
    assert row().quota_at == before.quota_at
    assert standing() == [("provider.ses.quota", "warning")]


def test_an_account_that_we_left_raises_no_alert_any_more(ses, settings):
    ses.account = used(45_000)
    accounts.poll()
    settings.PROVIDERS = {"ses": {**settings.PROVIDERS["ses"], "ENABLED": False}}
    accounts.poll()
    assert standing() == []


def test_it_is_a_job_of_the_leader_every_ten_minutes(ses):
    assert jobs.__name__ == "notifications.jobs"  # registers them
    scheduler.run_due()
    scheduler.run_due()
    assert [request.path for request in ses.ledger] == ["/v2/email/account"]
    job = ScheduledJob.objects.get(name="poll quotas")
    assert job.last_run_at is not None
    assert (job.next_run_at - job.last_run_at).total_seconds() == 600
    assert job.last_error == ""


# --- manage.py check_providers -------------------------------------------------------------------


def found(name: str) -> Sequence[Check]:
    (one,) = [one for one in accounts.check() if one.provider == name]
    return one.checks


def verdicts(name: str) -> list[tuple[str, Verdict]]:
    return [(check.what, check.verdict) for check in found(name)]


OK, WARNING, FAILED = Verdict.OK, Verdict.WARNING, Verdict.FAILED
SENDER = "sender notifications@example.com"


@pytest.fixture
def world(db: None) -> Iterator[EmailWorld]:
    with email_world(DEFAULT_FROM_EMAIL="Comms <notifications@example.com>") as world:
        yield world


class TestSes:
    def test_all_is_well(self, ses):
        assert verdicts("ses") == [("key", OK), ("quota", OK), (SENDER, OK)]
        assert found("ses")[1].found == "0 of 50,000 sent in 24 h, 14 a second"
        assert len(ses.messages) == 0

    @pytest.mark.parametrize(
        ("account", "expected"),
        [
            ({"ProductionAccessEnabled": False}, ("sandbox", WARNING)),
            ({"SendingEnabled": False}, ("account", FAILED)),
            ({"EnforcementStatus": "PROBATION"}, ("account", FAILED)),
        ],
    )
    def test_an_account_that_is_not_well(self, ses, account, expected):
        ses.account = account
        assert expected in verdicts("ses")

    @pytest.mark.parametrize(
        ("identities", "verdict", "words"),
        [
            ({}, FAILED, "no identity"),
            ({"example.com": identity(verified=False)}, FAILED, "example.com is not verified"),
            ({"example.com": identity(dkim="PENDING")}, WARNING, "example.com: DKIM is PENDING"),
            ({"notifications@example.com": identity()}, OK, "is verified, with DKIM"),
            ({"elsewhere.example": identity()}, FAILED, "no identity"),
        ],
    )
    def test_the_sender(self, ses, identities, verdict, words):
        ses.identities = identities
        sender = found("ses")[-1]
        assert (sender.what, sender.verdict) == (SENDER, verdict)
        assert words in sender.found

    def test_the_domain_above_will_do(self, ses, settings):
        settings.DEFAULT_FROM_EMAIL = "a@mail.news.example.com"
        assert verdicts("ses")[-1] == ("sender a@mail.news.example.com", OK)

    def test_a_key_that_is_refused(self, ses):
        ses.access_key = "another"
        (check,) = found("ses")
        assert (check.what, check.verdict) == ("vendor", FAILED)
        assert check.found.startswith("UnrecognizedClientException")

    def test_receipts_that_cannot_be_verified(self, ses, settings):
        settings.PROVIDERS = {"ses": aws_entry("ses", ses.url, topic_arns=[])}
        assert verdicts("ses")[0] == ("receipts", WARNING)
        assert found("ses")[0].advice == "Set SNS_TOPIC_ARNS."


class TestAwsSms:
    @pytest.fixture
    def server(self, db: None) -> Iterator[AwsSmsServer]:
        with AwsSmsServer("AKIAFAKE", SECRET) as server:
            yield server

    @pytest.fixture(params=["sns", "eum"])
    def mode(self, server: AwsSmsServer, settings: Any, request: pytest.FixtureRequest) -> str:
        by_eum = {"origination_identity": "pool-1", "configuration_set": "events"}
        options = {"origination_identity": "", "sender_id": ""}
        chosen = {**options, **(by_eum if request.param == "eum" else {})}
        settings.PROVIDERS = {"aws_sms": aws_entry("aws_sms", server.url, **chosen)}
        return str(request.param)

    def test_all_is_well(self, server, mode):
        receipts = [("receipts", WARNING)] if mode == "sns" else []
        assert verdicts("aws_sms") == [("account", OK), ("spend limit", OK), *receipts]
        assert found("aws_sms")[1].found == "100 USD a month"
        assert len(server.messages) == 0

    def test_in_the_sandbox(self, server, mode):
        server.is_sandbox, server.tier = True, "SANDBOX"
        assert verdicts("aws_sms")[0] == ("account", WARNING)

    def test_a_key_that_is_refused(self, server, mode):
        server.secret_key = "another"
        (check,) = found("aws_sms")
        assert check.found.startswith("SignatureDoesNotMatch")
        assert check.verdict is FAILED

    def test_a_key_that_may_not_ask(self, server, mode):
        error = {"sns": sns_error("AuthorizationError"), "eum": eum_error("AccessDeniedException")}
        server.script.always(error[mode])
        assert verdicts("aws_sms") == [("vendor", FAILED)]

    def test_a_region_that_is_none(self, server, mode, settings):
        chosen = settings.PROVIDERS["aws_sms"]
        options = {**chosen["OPTIONS"], "region": "Frankfurt"}
        settings.PROVIDERS = {"aws_sms": {**chosen, "OPTIONS": options}}
        assert verdicts("aws_sms") == [("options", FAILED)]
        assert len(server.ledger) == 0


class TestSendGrid:
    def test_all_is_well(self, world):
        checks = [one for one in verdicts("sendgrid") if one[0] != "receipts"]
        assert checks == [("key", OK), (SENDER, OK)]
        assert len(world.sendgrid.messages) == 0

    def test_a_key_that_may_not_send(self, world):
        world.sendgrid.scopes = ["whitelabel.read"]
        assert ("key", FAILED) in verdicts("sendgrid")

    def test_a_key_that_may_only_send(self, world):
        world.sendgrid.scopes = ["mail.send"]
        assert verdicts("sendgrid")[-1] == (SENDER, WARNING)

    @pytest.mark.parametrize(
        ("domains", "senders", "verdict"),
        [
            ([], [], FAILED),
            ([{"domain": "example.com", "valid": False}], [], FAILED),
            ([{"domain": "ample.com", "valid": True}], [], FAILED),
            ([{"domain": "Example.COM", "valid": True}], [], OK),
            ([], [{"from_email": "Notifications@example.com", "verified": True}], WARNING),
            ([], [{"from_email": "notifications@example.com", "verified": False}], FAILED),
        ],
    )
    def test_the_sender(self, world, domains, senders, verdict):
        world.sendgrid.domains, world.sendgrid.senders = domains, senders
        assert verdicts("sendgrid")[-1] == (SENDER, verdict)

    def test_a_key_that_is_refused(self, world):
        world.sendgrid.api_key = "another"
        assert verdicts("sendgrid")[-1] == ("vendor", FAILED)
        assert found("sendgrid")[-1].found.startswith("401")


class TestSmtp:
    def at(self, settings: Any, url: str) -> None:
        settings.PROVIDERS = {"smtp": entry("smtp", url=url)}

    @pytest.mark.parametrize(("password", "verdict"), [("right", WARNING), ("wrong", FAILED)])
    def test_the_login(self, settings, db, password, verdict):
        with SmtpServer("ada", "right") as server:
            self.at(settings, f"smtp://ada:{password}@127.0.0.1:{server.port}")
            assert found("smtp")[-1].verdict is verdict

    def test_in_the_clear_is_worth_a_warning(self, world, settings):
        self.at(settings, world.smtp.url)
        (check,) = found("smtp")
        assert (check.verdict, check.found) == (WARNING, "connected in the clear, no login")
        assert len(world.smtp.commands) == 0

    def test_a_relay_that_is_down(self, world, settings):
        self.at(settings, world.smtp.url)
        world.smtp.refuse()
        assert verdicts("smtp") == [("vendor", FAILED)]

    def test_a_url_that_is_none(self, settings, db):
        self.at(settings, "http://somewhere")
        assert verdicts("smtp") == [("options", FAILED)]


ESPS: dict[str, tuple[dict[str, Any], str]] = {
    "postmark": (
        {"server_token": SECRET, "message_stream": "", "webhook_secret": "x"},
        "x-postmark-server-token",
    ),
    "mailgun": ({"api_key": SECRET, "sender_domain": "", "signing_key": "x"}, "authorization"),
    "resend": ({"api_key": SECRET, "webhook_secret": "x"}, "authorization"),
    "brevo": ({"api_key": SECRET, "webhook_secret": "x"}, "api-key"),
}
"""Their options, and the header with the key."""


def domain(state: str) -> dict[str, Any]:
    return {"domain": {"name": "example.com", "state": state}}


def resends(status: str, name: str = "example.com") -> dict[str, Any]:
    return {"data": [{"name": name, "status": status}]}


def brevos(authenticated: bool) -> dict[str, Any]:
    return {"domains": [{"domain_name": "example.com", "authenticated": authenticated}]}


class TestEsps:
    @pytest.fixture
    def server(self, db: None) -> Iterator[FakeHttpServer]:
        with FakeHttpServer() as server:
            yield server

    def asked(
        self, name: str, server: FakeHttpServer, settings: Any, *answers: Behaviour
    ) -> list[tuple[str, Verdict]]:
        options, _ = ESPS[name]
        settings.PROVIDERS = {name: entry(name, api_url=f"{server.url}/v3/", **options)}
        server.script.next(*answers)
        return verdicts(name)

    @pytest.mark.parametrize(
        ("name", "answers", "paths", "expected"),
        [
            ("postmark", [{"DeliveryType": "Live"}], ["server"], [("token", OK)]),
            (
                "postmark",
                [{"DeliveryType": "Sandbox"}],
                ["server"],
                [("token", OK), ("server", WARNING)],
            ),
            (
                "mailgun",
                [domain("active")],
                ["domains/example.com"],
                [("key", OK), ("domain example.com", OK)],
            ),
            (
                "mailgun",
                [domain("unverified")],
                ["domains/example.com"],
                [("key", OK), ("domain example.com", FAILED)],
            ),
            ("resend", [resends("verified")], ["domains"], [("key", OK), (SENDER, OK)]),
            ("resend", [resends("pending")], ["domains"], [("key", OK), (SENDER, FAILED)]),
            (
                "resend",
                [resends("verified", "ample.com")],
                ["domains"],
                [("key", OK), (SENDER, FAILED)],
            ),
            (
                "brevo",
                [{"email": "a@example.com"}, brevos(authenticated=True)],
                ["account", "senders/domains"],
                [("key", OK), (SENDER, OK)],
            ),
            (
                "brevo",
                [{"email": "a@example.com"}, brevos(authenticated=False)],
                ["account", "senders/domains"],
                [("key", OK), (SENDER, FAILED)],
            ),
        ],
    )
    def test_what_the_vendor_says(self, server, settings, name, answers, paths, expected):
        told = [Status(200, answer) for answer in answers]
        assert self.asked(name, server, settings, *told) == expected
        assert [(r.method, r.path) for r in server.ledger] == [("GET", f"/v3/{p}") for p in paths]
        header = server.ledger.last.headers[ESPS[name][1]]
        basic = base64.b64encode(f"api:{SECRET}".encode()).decode()
        assert header in {SECRET, f"Bearer {SECRET}", f"Basic {basic}"}

    @pytest.mark.parametrize("name", ESPS)
    @pytest.mark.parametrize(
        "behaviour",
        [Status(403), Status(500), Hang(), Drip(), Close(), MalformedJson(), Status(200, [])],
        ids=str,
    )
    def test_a_vendor_that_refuses_or_is_in_trouble(
        self, server, settings, monkeypatch, name, behaviour
    ):
        hurry(settings, monkeypatch, behaviour)
        assert self.asked(name, server, settings, behaviour)[-1] == ("vendor", FAILED)

    def test_a_domain_that_mailgun_does_not_know(self, server, settings):
        assert self.asked("mailgun", server, settings, Status(404)) == [
            ("domain example.com", FAILED)
        ]

    def test_a_key_of_resend_for_sending_alone(self, server, settings):
        assert self.asked("resend", server, settings, Status(401)) == [("key", WARNING)]


TROUBLE: Sequence[Behaviour] = (
    Hang(),
    Drip(),
    Close(),
    Garbage(),
    HugeBody(),
    MalformedJson(),
    MalformedJson(body=b"[]"),
    MalformedJson(body=b"null"),
    Redirect("http://127.0.0.1:1/"),
    Status(401),
    Status(429),
    Status(500),
    Status(503, b"<p>No.</p>"),
    Status(200, {"scopes": None, "SendQuota": None}),
)


@pytest.mark.parametrize("behaviour", TROUBLE, ids=str)
@pytest.mark.parametrize("name", ["ses", "sendgrid"])
def test_a_vendor_in_trouble_has_failed_in_time_and_hides_no_other(
    world, settings, monkeypatch, name, behaviour
):
    hurry(settings, monkeypatch, behaviour)
    getattr(world, name).script.always(behaviour)
    every = {one.provider: one for one in accounts.check()}
    assert every[name].failed
    assert every[name].checks[-1].what == "vendor"
    others = {"ses", "sendgrid", "smtp"} - {name}
    assert not any(every[other].failed for other in others)


def test_a_vendor_that_is_down(world):
    world.ses.refuse()
    assert verdicts("ses")[-1] == ("vendor", FAILED)
    assert "connect_failed" in found("ses")[-1].found


class Broken(Provider):
    channels = frozenset({Channel.SMS})

    @override
    def send(self, message: Outbound) -> Sent:
        raise NotImplementedError

    @override
    def check(self) -> Iterator[Check]:
        yield Check("first", "fine")
        raise LookupError(SECRET)


def test_what_came_before_an_error_is_told(settings, db):
    line = {"CLASS": f"{__name__}.Broken", "ENABLED": True, "OPTIONS": {}}
    settings.PROVIDERS = {"broken": line}
    (one,) = accounts.check()
    assert [(check.what, check.verdict) for check in one.checks] == [
        ("first", OK),
        ("vendor", FAILED),
    ]
    assert SECRET not in repr(one)
    assert "LookupError" in one.checks[-1].found


def test_where_there_is_nobody_to_ask_it_says_so(settings, db):
    settings.PROVIDERS = {"simulator": entry("simulator")}
    (one,) = accounts.check()
    assert one.checks == [Check("options", "complete; there is nobody to ask")]


def test_a_default_provider_tells_no_quota(db):
    with pytest.raises(NotImplementedError):
        Broken("broken").quota()


# The table


def test_what_a_vendor_says_cannot_play_with_the_terminal():
    checked = accounts.Checked("a", "sms", "on", [Check("account", "\x1b[2Jgone\n")])
    ((*_, shown, _advice),) = rows(checked)
    assert shown == " [2Jgone "


@pytest.fixture
def table(world: EmailWorld, settings: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        "aws_sms": entry("aws_sms", on=False),
    }

    def call() -> list[str]:
        call_command("check_providers")
        return capsys.readouterr().out.splitlines()

    return call


def test_the_table(table):
    lines = table()
    header = lines[0]
    assert header.split() == [
        *("PROVIDER", "CHANNEL", "STATE", "CHECKED", "RESULT", "FOUND", "WHAT", "TO", "DO"),
    ]
    (key,) = [line for line in lines if "accepted, may send mail" in line]
    assert key.index("accepted") == header.index("FOUND")
    assert key.index("ok") == header.index("RESULT")
    (off,) = [line for line in lines if line.startswith("aws_sms")]
    assert off.split()[:6] == ["aws_sms", "off", "credentials", "-", "not", "set"]
    assert {line.split()[0] for line in lines if line[:1].strip()} >= {"sendgrid", "ses", "smtp"}


def test_no_secret_is_shown_whatever_goes_wrong(table, world, capsys):
    for behaviour in TROUBLE[2:5]:
        world.ses.script.always(behaviour)
        world.sendgrid.script.always(Status(401, {"errors": [{"message": KEY}]}))
        with pytest.raises(CommandError):
            table()
        shown = capsys.readouterr()
        assert KEY not in shown.out + shown.err
        assert "secret" not in shown.out + shown.err


def test_one_that_would_not_send_makes_it_fail(table, world, capsys):
    world.sendgrid.api_key = "another"
    with pytest.raises(CommandError, match=r"Would not send: sendgrid\."):
        table()
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "FAILED" in line]
    assert "Check the credentials" in line


def test_one_that_staff_switched_off_may_fail(table, world):
    world.sendgrid.api_key = "another"
    route.switch("sendgrid", on=False, by="ada")
    (line,) = [line for line in table() if line.startswith("sendgrid")]
    assert "switched off" in line
