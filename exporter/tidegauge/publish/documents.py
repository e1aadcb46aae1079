"""What is rendered when somebody asks for it, kept for a moment, and rendered again when it has become old."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from http import HTTPStatus

from tidegauge.publish.request import Response

KEPT_SECONDS = 2.0
"""Long enough that asking in a loop costs next to nothing, short enough for "4 s ago" to be true."""


class Document:
    """One page, whose rendering says how old it is; several threads may ask at a time."""

    def __init__(
        self, render: Callable[[], bytes], content_type: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """`render` is called from the server's threads, never by two at a time."""
        self._render = render
        self._content_type = content_type
        self._headers = (*headers, ("Cache-Control", "no-store"), ("Vary", "Accept-Encoding"))
        self._lock = threading.Lock()
        self._body = self._packed = b""
        self._until = 0.0

    def response(self, *, compressed: bool) -> Response:
        """The page, rendered within the last moment."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._body, self._packed = self._render(), b""
                self._until = time.monotonic() + KEPT_SECONDS
            if not compressed:
                return Response(HTTPStatus.OK, self._body, self._content_type, self._headers)
            if not self._packed:
                self._packed = gzip.compress(self._body, compresslevel=1, mtime=0)
            headers = (*self._headers, ("Content-Encoding", "gzip"))
            return Response(HTTPStatus.OK, self._packed, self._content_type, headers)
