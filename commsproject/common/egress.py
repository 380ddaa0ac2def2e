"""Calls to addresses that somebody outside gave us: only to the public internet, whatever it says.

Names lie: they may stand for an address of our own network, for another one a moment later, or be
written so that only the resolver understands them. So nothing is judged by the text alone: each
socket is judged by the very address that it is about to connect to.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from django.conf import settings
from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = frozenset({443, 8443})
MAX_BODY = 64 * 1024
"""Bytes of an answer that are read."""

_CARRIERS = (
    (ipaddress.ip_network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (ipaddress.ip_network("::/96"), 0),  # IPv4-compatible, RFC 4291
    (ipaddress.ip_network("::ffff:0:0:0/96"), 0),  # translated, RFC 2765
    (ipaddress.ip_network("2002::/16"), 80),  # 6to4, RFC 3056
)
"""IPv6 networks that carry an IPv4 address, and how many bits from the right it stands."""

_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that was ever given out as public. What lies outside is local (site-local `fec0::/10`,
NAT64 of one's own `64:ff9b:1::/48`), discarded (`100::/64`), or nobody's yet.
"""

_SPECIAL = (
    ipaddress.ip_network("192.0.0.0/24"),  # for protocols, RFC 6890
    ipaddress.ip_network("192.88.99.0/24"),  # relays of 6to4, RFC 7526
    ipaddress.ip_network("3fff::/20"),  # for documentation, RFC 9637
)
"""What IANA's registries of special addresses do not call globally reachable, and `is_global` of some
Python from 3.11 on does.
"""

_TEREDO = ipaddress.ip_network("2001::/32")


class Forbidden(ValueError):
    """No address that may be called; the text says why."""


class _NotPublic(OSError):
    """Found when about to connect."""


@dataclass(frozen=True)
class Answer:
    """What came back, or why nothing did: `error` is empty where there is a status."""

    status: int | None
    seconds: float
    text: str = ""
    error: str = ""
    retry_after: float | None = None


def check(url: str) -> None:
    """Raises `Forbidden` for what can never be called. What a name stands for is asked only when it
    is.
    """
    if not url.isascii() or any(char <= " " or char in '\\\x7f"<>`{}|^' for char in url):
        raise Forbidden("It may hold printable ASCII characters only.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        seen = URL(url).host
    except ValueError:
        raise Forbidden("It is no address of a web server.") from None
    schemes = {"https", "http"} if _allowed() else {"https"}
    if parts.scheme not in schemes:
        raise Forbidden("It begins with https://.")
    if not host or seen != host:
        raise Forbidden("It names no host.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Forbidden("It may hold no user, password or fragment.")
    usual = 443 if parts.scheme == "https" else 80
    _check_where(host, usual if port is None else port)


def _check_where(host: str, port: int) -> None:
    """The same refusals as at the connection, told early where the text already shows them."""
    check_host(host)
    address = _literal(host.rstrip("."))
    is_free = bool(_allowed()) if address is None else _is_allowed(_carried(address))
    if port not in PORTS and not is_free:
        raise Forbidden(_WRONG_PORT)


def check_host(host: str) -> None:
    """Raises `Forbidden` where its text already shows that nothing may go there."""
    host = host.lower().strip("[]").rstrip(".")
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        if not _allowed():
            raise Forbidden(_PRIVATE)
    elif (address := _literal(host)) and _is_private(address):
        raise Forbidden(_PRIVATE)


def _literal(host: str) -> Address | None:
    """None for a name."""
    try:
        return ipaddress.ip_address(socket.inet_aton(host))  # decimal, octal and short forms too
    except OSError:
        pass
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


_PRIVATE = "It is in a private network."
_WRONG_PORT = f"Its port is none of {', '.join(map(str, sorted(PORTS)))}."


def refusal(address: Address, port: int) -> str:
    """Why nothing is sent there; empty: it may be."""
    if _is_private(address):
        return _PRIVATE
    return "" if port in PORTS or _is_allowed(_carried(address)) else _WRONG_PORT


def _is_private(address: Address) -> bool:
    """And none that is allowed."""
    address = _carried(address)
    is_odd = address.is_multicast or address.is_reserved or any(address in one for one in _SPECIAL)
    is_beyond = address.version == 6 and address not in _UNICAST
    return (is_odd or is_beyond or not address.is_global) and not _is_allowed(address)


def _is_allowed(address: Address) -> bool:
    return any(address in network for network in _allowed())


def _carried(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in _TEREDO:
        return ipaddress.IPv4Address(~int(address) & 0xFFFFFFFF)
    for network, shift in _CARRIERS:
        if address in network and int(address) > 1:
            return ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


def _allowed() -> Sequence[Network]:
    return _networks(tuple(settings.WEBHOOK_NETWORKS))


@cache
def _networks(names: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(name) for name in names)


def session() -> aiohttp.ClientSession:
    """For `post`; to be closed on its loop. Knows no proxies, cookies or earlier answers of DNS."""
    connector = aiohttp.TCPConnector(
        limit=0, use_dns_cache=False, keepalive_timeout=2, socket_factory=_public_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )


def _public_socket(info: Any) -> socket.socket:
    family, kind, protocol, _, where = info
    if why := refusal(_numeric(where[0]), int(where[1])):
        raise _NotPublic(why)
    return socket.socket(family, kind, protocol)


async def post(
    client: aiohttp.ClientSession,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float,
) -> Answer:
    """Never raises. Redirects are answers like any other; `seconds` are for all of it."""
    began = time.monotonic()

    def told(error: str) -> Answer:
        return Answer(None, time.monotonic() - began, error=error)

    try:
        check(url)
        limit = aiohttp.ClientTimeout(total=seconds)
        async with client.post(
            URL(url), data=body, headers=headers, timeout=limit, allow_redirects=False
        ) as response:
            start = await response.content.read(MAX_BODY)
            wait = response.headers.get("Retry-After", "")
            return Answer(
                response.status,
                time.monotonic() - began,
                start.decode(errors="replace").replace("\0", ""),
                retry_after=float(wait) if wait.isdecimal() and len(wait) < 7 else None,
            )
    except Forbidden as error:
        return told(str(error))
    except TimeoutError:
        return told(f"No answer within {seconds:g} s.")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return told(_words(error))


def _words(error: BaseException) -> str:
    """What went wrong, without the address."""
    why: BaseException | None = error
    while why is not None:
        if isinstance(why, _NotPublic):
            return str(why)
        why = why.__cause__ or why.__context__
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "The name of its host is not known."
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "Its certificate is not trusted."
    if isinstance(error, aiohttp.ClientConnectorError):
        return "It does not take the connection."
    return f"The connection failed ({type(error).__name__})."


# --- Libraries that open connections themselves ---------------------------------------------------

_CONNECTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_guard = threading.local()


@contextmanager
def public_only() -> Iterator[list[str]]:
    """Within it this thread reaches no private network, whatever opens the connection; what was
    refused is in the list. On any port: mail and chats have their own. Holds for Python's sockets,
    in this thread alone.
    """
    _watch()
    _guard.refused = refused = list[str]()
    try:
        yield refused
    finally:
        _guard.refused = None


@cache
def _watch() -> None:
    """Python asks a hook of this kind before each connection; it can never be taken out again."""
    sys.addaudithook(_judge)


def _judge(event: str, args: tuple[Any, ...]) -> None:
    if event not in _CONNECTS or (refused := getattr(_guard, "refused", None)) is None:
        return
    where = args[1]
    if where is None:  # connected already
        return
    try:
        is_private = _is_private(_numeric(where[0]))
    except ValueError:  # a path, or a name that would be looked up once more
        is_private = True
    if is_private:
        refused.append(_PRIVATE)
        raise _NotPublic(_PRIVATE)


def _numeric(host: object) -> Address:
    """Raises `ValueError` for what is no address in figures."""
    return ipaddress.ip_address(str(host).partition("%")[0])
