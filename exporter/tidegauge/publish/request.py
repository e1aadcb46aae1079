"""HTTP/1.1 on one connection: reading a request's head within limits, writing a response.

Knows nothing of what is served. Bodies of requests are never used: whoever sends one gets the answer and the connection
is closed, so that no byte of a body can pass for the next request.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
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
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_HOST = re.compile(r"[0-9A-Za-z._~%!$&'()*+,;=:\[\]-]*")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_ONCE = ("host", "content-length", "transfer-encoding", "authorization")
"""Headers that say something else when they are there twice: where a request ends, and who asks."""


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
        while (end := _END_OF_HEAD.search(self._buffer, max(0, searched - 3))) is None:
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
        if len(end.group()) < 4:
            raise BadRequestError(HTTPStatus.BAD_REQUEST, "lines of a request end with CR LF")
        head = bytes(self._buffer[: end.start()])
        del end, self._buffer[: len(head) + 4]
        if len(head) > MAX_HEAD_BYTES:
            raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too long")
        return parse_head(head)

    def drain(self) -> None:
        """Takes in, within limits, what the client still sends, so that closing does not destroy the answer."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        taken = 0
        try:
            end_writing(self._connection)
            while taken < _MAX_DRAIN_BYTES and (remaining := deadline - time.monotonic()) > 0:
                self._connection.settimeout(remaining)
                # Beneath TLS, where there is any: nobody reads these bytes.
                received = len(socket.socket.recv(self._connection, MAX_HEAD_BYTES))
                if not received:
                    return
                taken += received
        except OSError:
            return


def end_writing(connection: socket.socket) -> None:
    """Says that no more will be sent; over TLS by its own word for that too. Raises OSError."""
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(0)
        with suppress(OSError, ValueError):
            connection.unwrap()  # sends close_notify; without waiting there is no answer to it, which is an error
    socket.socket.shutdown(connection, socket.SHUT_WR)


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
        if not colon or _HEADER_NAME.fullmatch(name) is None:
            raise BadRequestError(HTTPStatus.BAD_REQUEST, "a malformed header")
        if _HEADER_VALUE.fullmatch(value) is None:
            raise BadRequestError(HTTPStatus.BAD_REQUEST, "a control character in a header")
        name, value = name.lower(), value.strip(" \t")
        if name in headers and name in _ONCE:
            raise BadRequestError(HTTPStatus.BAD_REQUEST, f"the header {name} a second time")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if minor == "1" and "host" not in headers:
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "no Host header")
    if _HOST.fullmatch(headers.get("host", "")) is None:
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "a malformed Host header")
    _check_framing(headers, minor)
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    keep_alive = not has_body and "close" not in options and (minor == "1" or "keep-alive" in options)
    return Request(method, _path(target), headers, keep_alive)


def _check_framing(headers: Mapping[str, str], minor: str) -> None:
    """Refuses whatever two readers could take for different lengths of a request (RFC 9112, section 6)."""
    length, encoding = headers.get("content-length"), headers.get("transfer-encoding")
    if length is not None and not (length.isascii() and length.isdigit()):
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "a malformed Content-Length")
    if encoding is None:
        return
    if length is not None or minor == "0":
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "Transfer-Encoding where it may not be")
    if encoding.lower() != "chunked":
        raise BadRequestError(HTTPStatus.NOT_IMPLEMENTED, "no Transfer-Encoding but chunked")


def write_response(
    connection: socket.socket,
    response: Response,
    *,
    with_body: bool,
    keep_alive: bool,
    timeout: float,
    headers: tuple[tuple[str, str], ...] = (),
) -> None:
    """Sends the response, which must get through within `timeout` seconds. Raises OSError.

    Without a body (HEAD) the headers are those that the body would have had. `headers` take the place of the response's
    own of the same name.
    """
    fields = {
        "Date": formatdate(usegmt=True),
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        "X-Content-Type-Options": "nosniff",
        "Connection": "keep-alive" if keep_alive else "close",
        **dict(response.headers),
        **dict(headers),
    }
    lines = [f"HTTP/1.1 {response.status.value} {response.status.phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    deadline = time.monotonic() + timeout
    if with_body and len(response.body) <= _JOINED_BYTES:
        head += response.body
    _send(connection, head, deadline)
    if with_body and len(response.body) > _JOINED_BYTES:
        _send(connection, response.body, deadline)


def _send(connection: socket.socket, data: bytes, deadline: float) -> None:
    # Not sendall: over TLS that gives each record the whole timeout, and a slow reader could go on for hours.
    rest = memoryview(data)
    while rest:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        connection.settimeout(remaining)
        rest = rest[connection.send(rest[:_JOINED_BYTES]) :]


def _path(target: str) -> str:
    """The path of a request's target (RFC 9112, section 3.2), as written: percent-encoded spellings are other paths."""
    if target.startswith("/") or target == "*":
        return target.partition("?")[0]
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "the target of the request is no path")
    return target[absolute.end() :].partition("?")[0] or "/"
