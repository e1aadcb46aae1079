"""HTTP/1.1 on one connection: reading a request's head within limits, writing a response.

Knows nothing of what is served. Bodies of requests are never used: whoever sends one gets the answer and the connection
is closed, so that no byte of a body can pass for the next request.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

MAX_HEAD_BYTES = 16 << 10
MAX_HEADERS = 100
_MAX_DRAIN_BYTES = 64 << 10
_DRAIN_SECONDS = 1.0
_JOINED_BYTES = 64 << 10  # bodies up to this are copied to go out with their head in one packet
_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([01])")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\0-\x08\n-\x1f\x7f]")  # RFC 9110, section 5.5: not in a value


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request."""

    method: str
    path: str  # without query, not percent-decoded
    headers: Mapping[str, str]  # lower-case names; of repeated ones the values joined by ", "
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; its length, date and connection headers are added when it is written."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class BadRequestError(Exception):
    """A request that cannot be answered as asked; `status` says why."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ConnectionReader:
    """Reads one request head after another from a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def wait(self, timeout: float) -> bool:
        """Waits for the first byte of a request; False if the client closed. Raises TimeoutError."""
        if not self._buffer:
            self._connection.settimeout(timeout)
            self._buffer += self._connection.recv(MAX_HEAD_BYTES)
        return bool(self._buffer)

    def read(self, timeout: float) -> Request:
        """The next request, all of whose head must come within `timeout` seconds.

        Raises TimeoutError, ConnectionError if the client goes away, BadRequestError.
        """
        deadline = time.monotonic() + timeout
        searched = 0
        while (end := self._buffer.find(b"\r\n\r\n", max(0, searched - 3))) < 0:
            searched = len(self._buffer)
            if searched > MAX_HEAD_BYTES:
                raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too long")
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            self._connection.settimeout(remaining)
            received = self._connection.recv(MAX_HEAD_BYTES)
            if not received:
                raise ConnectionResetError
            self._buffer += received
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        if len(head) > MAX_HEAD_BYTES:
            raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too long")
        return parse_head(head)

    def drain(self) -> None:
        """Takes in, within limits, what the client still sends, so that closing does not destroy the answer."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        taken = 0
        try:
            self._connection.shutdown(socket.SHUT_WR)
            while taken < _MAX_DRAIN_BYTES and (remaining := deadline - time.monotonic()) > 0:
                self._connection.settimeout(remaining)
                received = len(self._connection.recv(MAX_HEAD_BYTES))
                if not received:
                    return
                taken += received
        except OSError:
            return


def parse_head(head: bytes) -> Request:
    """The request of this head, given without its empty line (RFC 9112, sections 2, 3, 5). Raises BadRequestError."""
    lines = head.lstrip(b"\r\n").decode("latin-1").split("\r\n")
    match = _REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "not an HTTP/1.1 request")
    method, target, minor = match.groups()
    if len(lines) - 1 > MAX_HEADERS:
        raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many headers")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or _HEADER_NAME.fullmatch(name) is None or _CONTROL.search(value):
            raise BadRequestError(HTTPStatus.BAD_REQUEST, "a malformed header")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if minor == "1" and "host" not in headers:
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "no Host header")
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    keep_alive = not has_body and "close" not in options and (minor == "1" or "keep-alive" in options)
    return Request(method, _path(target), headers, keep_alive)


def write_response(
    connection: socket.socket, response: Response, *, with_body: bool, keep_alive: bool, timeout: float
) -> None:
    """Sends the response, which must get through within `timeout` seconds. Raises OSError.

    Without a body (HEAD) the headers are those that the body would have had.
    """
    lines = [
        f"HTTP/1.1 {response.status.value} {response.status.phrase}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "X-Content-Type-Options: nosniff",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    connection.settimeout(timeout)
    if with_body and len(response.body) <= _JOINED_BYTES:
        head += response.body
    connection.sendall(head)
    if with_body and len(response.body) > _JOINED_BYTES:
        connection.sendall(response.body)


def _path(target: str) -> str:
    if not target.startswith("/") and "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    return target.partition("?")[0]
