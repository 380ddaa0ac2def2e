"""HTTP as uvicorn speaks it, with a bound for what comes before the body and after it: its own parser keeps
headers of any size.
"""

from __future__ import annotations

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 64 * 1024
"""Bytes of a head, more or less one piece of the transport. Proxies let 8 to 32 KiB through."""


class BoundedHeads(HttpToolsProtocol):
    """Who sends more is answered 400, and the connection ends."""

    _bare = 0
    """Bytes since the request began, or since the last piece of its body."""

    @override
    def data_received(self, data: bytes) -> None:
        self._bare += len(data)
        super().data_received(data)
        if self._bare > MOST and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    @override
    def on_headers_complete(self) -> None:
        self._bare = 0
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._bare = 0
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._bare = 0
        super().on_message_complete()
