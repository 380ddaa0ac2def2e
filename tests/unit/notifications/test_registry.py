"""Secrets from files: renewed while the process runs, and never by what cannot be used."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import weakref
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog
from django.conf import settings
from django.utils.module_loading import import_string
from typing_extensions import override

from commsproject.common import clock
from commsproject.common.env import MAX_SECRET, Env, FileSecret
from notifications.models import ProviderChange, ProviderState
from notifications.providers import registry
from notifications.providers.base import LoopProvider, Provider
from notifications.providers.common import shared_secret
from notifications.services.route import Routes, report
from notifications.types import Channel, ErrorClass, ProviderError, Sent

OLD, NEW = "old-swordfish", "new-swordfish"


class Keyed(LoopProvider):
    """Two secrets; `unusable` is one that it cannot even be made with, `bad` one with a problem."""

    channels: ClassVar = frozenset({Channel.EMAIL})

    def __init__(self, name: str, *, key: str, key_id: str = "") -> None:
        super().__init__(name)
        if key == "unusable":
            raise LookupError(key)
        self.key, self.key_id = key, key_id
        self.closed = 0

    @override
    def problems(self) -> list[str]:
        return ["KEY is none"] if self.key == "bad" else []

    @override
    async def carry(self, messages: Any) -> Sent:
        return Sent(self.key)

    @override
    async def aclose(self) -> None:
        await super().aclose()
        self.closed += 1


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock by which the registry looks."""
    moment = [1000.0]
    monkeypatch.setattr(registry, "monotonic", lambda: moment[0])
    return moment


@pytest.fixture
def key(tmp_path: Path, settings: Any) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{OLD}\n")
    use(settings, key=FileSecret(OLD, file))
    return file


def use(settings: Any, **options: str) -> None:
    entry = {"CLASS": f"{__name__}.Keyed", "ENABLED": True, "OPTIONS": options}
    settings.PROVIDERS = {"keyed": entry}


def present() -> Keyed:
    found = registry.get("keyed")
    assert isinstance(found, Keyed)
    return found


def looks(now: list[float], times: int = 2) -> Keyed:
    for _ in range(times):
        now[0] += registry.LOOK_SECONDS
        found = present()
    return found


def test_a_changed_file_makes_a_new_provider(key: Path, now: list[float]) -> None:
    old = looks(now)
    assert old.key == OLD
    key.write_text(f"{NEW}\n")
    assert present() is old  # it has been looked at within the second
    assert looks(now, 1) is old  # it may be half written
    new = looks(now, 1)
    assert (new.key, old.key) == (NEW, OLD)
    assert registry.is_replaced(old)
    assert not registry.is_replaced(new)
    assert looks(now, 5) is new


def test_a_link_that_is_turned_round_counts_as_a_change(
    tmp_path: Path, settings: Any, now: list[float]
) -> None:
    """How Kubernetes updates a secret: `key -> ..data/key`, `..data -> ..2026_1`."""
    for version, secret in (("1", OLD), ("2", NEW)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "key").write_text(secret)
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "key").symlink_to("..data/key")
    use(settings, key=FileSecret(OLD, tmp_path / "key"))
    assert looks(now).key == OLD
    (tmp_path / "..new").symlink_to("2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    assert looks(now).key == NEW


def test_a_file_that_is_still_written_to_is_left_alone(key: Path, now: list[float]) -> None:
    looks(now)
    for length in range(1, len(NEW)):
        key.write_text(NEW[:length])
        assert looks(now, 1).key == OLD
    key.write_text(NEW)
    assert looks(now).key == NEW


def test_two_files_are_taken_together(tmp_path: Path, settings: Any, now: list[float]) -> None:
    files = {name: tmp_path / name for name in ("key", "key_id")}
    for file in files.values():
        file.write_text("1")
    use(settings, **{name: FileSecret("1", file) for name, file in files.items()})
    looks(now)
    files["key_id"].write_text("2")
    assert looks(now, 1).key_id == "1"
    files["key"].write_text("2")
    seen = [(found.key, found.key_id) for found in (looks(now, 1) for _ in range(4))]
    assert set(seen) == {("1", "1"), ("2", "2")}


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b" \r\n", b"\xff\xfe", b"x" * (MAX_SECRET + 1), b"unusable", b"bad"],
    ids=["empty", "line end", "blank", "no text", "huge", "unusable", "with a problem"],
)
def test_what_cannot_be_used_keeps_the_old_one_and_is_told_once(
    key: Path, now: list[float], content: bytes
) -> None:
    old = looks(now)
    key.write_bytes(content)
    with structlog.testing.capture_logs() as logs:
        assert looks(now, 10) is old
    (warning,) = logs
    assert warning["log_level"] == "warning"
    assert not any(word in str(warning) for word in ("swordfish", "unusable'", "'bad'", "xxx"))
    key.write_text(NEW)
    assert looks(now).key == NEW


def test_a_file_that_is_gone_or_forbidden_keeps_the_old_one(key: Path, now: list[float]) -> None:
    old = looks(now)
    key.unlink()
    with structlog.testing.capture_logs() as logs:
        assert looks(now, 5) is old
    assert [entry["why"] for entry in logs] == ["FileNotFoundError"]
    key.mkdir()  # as unreadable as can be, for root too
    with structlog.testing.capture_logs() as logs:
        assert looks(now, 5) is old
    assert [entry["why"] for entry in logs] == ["IsADirectoryError"]
    key.rmdir()
    key.write_text(NEW)
    assert looks(now).key == NEW


def test_a_file_that_is_touched_changes_nothing(key: Path, now: list[float]) -> None:
    old = looks(now)
    os.utime(key)
    assert looks(now, 3) is old


def test_a_change_between_the_settings_and_the_first_look_is_seen(
    key: Path, now: list[float]
) -> None:
    key.write_text(NEW)
    assert present().key == OLD
    assert looks(now).key == NEW


def test_what_was_replaced_is_closed_on_its_loop_after_the_last_call(
    key: Path, now: list[float]
) -> None:
    loop = asyncio.new_event_loop()
    old = looks(now)
    loop.run_until_complete(_call(old))
    key.write_text(NEW)
    looks(now)
    now[0] += registry.GRACE - registry.LOOK_SECONDS
    present()
    loop.run_until_complete(asyncio.sleep(0))
    assert (old in registry.made(), old.closed) == (True, 0)

    looks(now)
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    assert (old in registry.made(), old.closed) == (False, 1)
    gone = weakref.ref(old)
    del old
    gc.collect()
    assert gone() is None  # and with it what it had open in threads


async def _call(provider: Keyed) -> None:
    async with provider.place():
        pass


def test_a_loop_that_has_ended_is_left_in_peace(key: Path, now: list[float]) -> None:
    old = looks(now)
    asyncio.run(_call(old))
    key.write_text(NEW)
    looks(now)
    now[0] += registry.GRACE
    looks(now)
    assert (registry.made(), old.closed) == ([present()], 0)


@pytest.mark.django_db
def test_new_credentials_are_tried_though_the_old_ones_were_refused(
    key: Path, now: list[float]
) -> None:
    looks(now)
    report([("keyed", ProviderError(ErrorClass.AUTH_CONFIG, "401", ""))])
    assert Routes(Channel.EMAIL).health("keyed").blocked_until > clock.now()  # type: ignore[operator]
    key.write_text(NEW)
    looks(now)
    chosen = Routes(Channel.EMAIL).choose(())
    assert isinstance(chosen, Keyed)
    assert chosen.key == NEW
    change = ProviderChange.objects.first()
    assert change is not None
    assert (change.now, change.reason) == ("half open", "it has new credentials")


@pytest.mark.django_db
def test_new_credentials_are_no_cure_for_an_outage(key: Path, now: list[float]) -> None:
    looks(now)
    until = clock.now() + timedelta(seconds=50)
    ProviderState.objects.create(
        name="keyed", failures=5, opened_until=until, reason="5 failures in a row, last 503"
    )
    key.write_text(NEW)
    looks(now)
    Routes(Channel.EMAIL)
    assert ProviderState.objects.get().opened_until == until


def test_a_secret_knows_its_file_and_shows_neither_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Env, "ENVIRON", type(Env.ENVIRON)())
    file = tmp_path / "key"
    file.write_text(f"{OLD}\r\n")
    monkeypatch.setenv("SOME_SECRET_FILE", str(file))
    monkeypatch.setenv("OTHER_SECRET", NEW)
    env = Env()
    secret = env.secret("SOME_SECRET")
    assert isinstance(secret, FileSecret)
    assert (secret, secret.path) == (OLD, file)
    assert OLD not in repr({"key": secret})
    assert (env.secret("OTHER_SECRET"), env.secret("NO_SECRET")) == (NEW, "")
    assert not isinstance(env.secret("OTHER_SECRET"), FileSecret)


@pytest.mark.parametrize(
    ("name", "option", "variable"),
    [
        ("sendgrid", "api_key", "SENDGRID_API_KEY"),
        ("ses", "access_key_id", "AWS_ACCESS_KEY_ID"),
        ("ses", "secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        ("aws_sms", "secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        ("postmark", "server_token", "POSTMARK_SERVER_TOKEN"),
        ("mailgun", "api_key", "MAILGUN_API_KEY"),
        ("resend", "api_key", "RESEND_API_KEY"),
        ("brevo", "api_key", "BREVO_API_KEY"),
    ],
)
def test_a_key_of_two_lines_is_a_problem(name: str, option: str, variable: str) -> None:
    """So that a file with the old key and the new one, as webhook secrets may have, is not taken."""
    entry = settings.PROVIDERS[name]
    kind = import_string(entry["CLASS"])

    def problems(key: str) -> list[str]:
        provider: Provider = kind(name, **{**entry["OPTIONS"], option: key})
        return [problem for problem in provider.problems() if variable in problem]

    assert problems(OLD) == []
    (problem,) = problems(f"{OLD}\n{NEW}")
    assert OLD not in problem


def test_every_secret_of_the_settings_may_come_from_a_file() -> None:
    source = (settings.BASE_DIR / "commsproject/settings/comms.py").read_text()
    plain = re.findall(r'env\.str\("(\w+)"', source)
    secret = re.compile(r"KEY|SECRET|TOKEN|ACCOUNT|SMTP_URL")
    assert [name for name in plain if secret.search(name)] == []
    assert len(re.findall(r'env\.secret\("\w+"\)', source)) >= 20


@pytest.mark.parametrize(
    "written", ["one,two", "one, two,", "one\ntwo\n", "one\r\ntwo", " one \n\n, two "]
)
def test_two_secrets_are_written_with_a_comma_or_on_lines(written: str) -> None:
    assert shared_secret.split(written) == ["one", "two"]


def test_no_provider_has_another_way_to_write_two_secrets() -> None:
    for path in (settings.BASE_DIR / "notifications/providers").rglob("*.py"):
        if path.name != "webpush.py":  # whose keys may have lines themselves
            assert '.split(",")' not in path.read_text(), path.name
