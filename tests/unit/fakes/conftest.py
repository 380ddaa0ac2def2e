from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.http import FakeHttpServer
from tests.fakes.identity import IdentityServer
from tests.fakes.sendgrid import SendGridServer
from tests.fakes.ses import SesServer
from tests.fakes.smtp import SmtpServer


@pytest.fixture
def server() -> Iterator[FakeHttpServer]:
    with FakeHttpServer() as running:
        yield running


@pytest.fixture
def sendgrid() -> Iterator[SendGridServer]:
    with SendGridServer() as running:
        yield running


@pytest.fixture
def ses() -> Iterator[SesServer]:
    with SesServer() as running:
        yield running


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def identity() -> Iterator[IdentityServer]:
    with IdentityServer() as running:
        yield running
