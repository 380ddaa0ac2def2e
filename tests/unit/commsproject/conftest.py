from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from commsproject.common import valkey
from tests.fakes.proxy import TcpProxy


@pytest.fixture
def broker(settings: Any) -> Iterator[TcpProxy]:
    """The broker of this process, by a line that can break."""
    address = urlsplit(settings.REDIS_URL)
    with TcpProxy(address.port or 6379, address.hostname or "localhost") as proxy:
        where = f"{address.netloc.rpartition('@')[0]}@{proxy.host}:{proxy.port}".lstrip("@")
        settings.REDIS_URL = f"redis://{where}{address.path}"
        valkey.client.cache_clear()
        yield proxy
        valkey.client().close()
    valkey.client.cache_clear()
