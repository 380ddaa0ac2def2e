"""Many machines on one: hosts are network namespaces, joined by a router that can swallow packets.

What is cut off hears nothing of it: no reset, no end of a connection, no "unreachable". A namespace
ends with the descriptor that holds it and the processes in it, so nothing is left behind, however a
test ends. Needs Linux, root and `ip`.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of <linux/sched.h>
_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str:
    """What is missing here for hosts; empty if they can be made."""
    if not hasattr(_libc, "setns"):
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not shutil.which("ip"):
        return "network namespaces need `ip` (iproute2)"
    try:
        with networked("probe"):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespaces here ({type(error).__name__})"


def enter(namespace: str) -> None:
    """Move this thread, and what it starts from now on, to a namespace by its path."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        _call(_libc.setns(descriptor, _NEW_NETWORK))
    finally:
        os.close(descriptor)


class Host:
    """One machine, reached by its `address`."""

    def __init__(self, address: str) -> None:
        self.address = address
        with _coming_back():
            _call(_libc.unshare(_NEW_NETWORK))
            self._descriptor = os.open(_HERE, os.O_RDONLY)
        self.namespace = f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @contextmanager
    def here(self) -> Iterator[None]:
        """Sockets, threads and processes that are made in the block are on this host."""
        with _coming_back():
            enter(self.namespace)
            yield

    def strays(self) -> list[str]:
        """Threads of this process that were started here and go on: they reach nothing at home."""
        here = Path(self.namespace).readlink()
        return [thread.name for thread in threading.enumerate() if _network_of(thread) == here]

    def close(self) -> None:
        os.close(self._descriptor)

    def ip(self, *commands: str) -> None:
        """Run commands of `ip` on this host."""
        with self.here():
            subprocess.run(["ip", "-batch", "-"], input="\n".join(commands).encode(), check=True)


class Network:
    """Hosts by name, and the router between them."""

    def __init__(self, router: Host, hosts: dict[str, Host]) -> None:
        self._router, self._hosts = router, hosts

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    @contextmanager
    def cut(self, host: Host, *others: Host) -> Iterator[None]:
        """Packets between `host` and `others`, or everybody, vanish until the end of the block."""
        ends = [other.address for other in others] or ["all"]
        ways = [
            way
            for end in ends
            for way in (f"from {host.address} to {end}", f"from {end} to {host.address}")
        ]
        self._router.ip(*(f"rule add {way} blackhole" for way in ways))
        try:
            yield
        finally:
            self._router.ip(*(f"rule del {way} blackhole" for way in ways))


@contextmanager
def networked(*names: str) -> Iterator[Network]:
    """Hosts of these names, each on a wire of its own to the router.

    Raises `OSError` or `CalledProcessError` where that is not to be had.
    """
    with ExitStack() as stack:
        router = Host("198.18.0.1")  # RFC 2544: networks of tests, which nobody else has
        stack.callback(router.close)
        hosts = {}
        for number, name in zip(itertools.count(1), names, strict=False):
            hosts[name] = Host(f"198.18.{number}.2")
            stack.callback(hosts[name].close)
            _wire(router, hosts[name], number)
        with router.here():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        yield Network(router, hosts)


def _wire(router: Host, host: Host, number: int) -> None:
    gateway = f"198.18.{number}.1"
    router.ip(
        f"link add host{number} type veth peer name eth0 netns {host.namespace}",
        f"address add {gateway}/24 dev host{number}",
        f"link set host{number} up",
    )
    host.ip(
        "link set lo up",
        f"address add {host.address}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {gateway}",
    )


_HERE = "/proc/thread-self/ns/net"


def _network_of(thread: threading.Thread) -> Path | None:
    try:
        return Path(f"/proc/self/task/{thread.native_id}/ns/net").readlink()
    except OSError:
        return None  # it has ended


@contextmanager
def _coming_back() -> Iterator[None]:
    here = os.open(_HERE, os.O_RDONLY)
    try:
        yield
    finally:
        _call(_libc.setns(here, _NEW_NETWORK))
        os.close(here)


def _call(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
