"""Target: any bytes from a client, in any pieces."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from tests.fuzz.target import Target
from tidegauge.publish.negotiation import accepts_gzip, wants_openmetrics
from tidegauge.publish.request import MAX_HEAD_BYTES, MAX_HEADERS, BadRequestError, ConnectionReader, Request

CORPUS = Path(__file__).parents[1] / "corpus" / "requests"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class _Client(socket.socket):
    """The socket of a client that sends the data in pieces and goes away."""

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__()
        self._data, self._piece = data, piece

    def recv(self, size: int, flags: int = 0) -> bytes:
        taken = self._data[: min(size, self._piece)]
        self._data = self._data[len(taken) :]
        return taken

    def settimeout(self, seconds: float | None) -> None:
        assert seconds is not None and seconds > 0


def check(data: bytes) -> None:
    """Whole requests, then at most one refusal; the same however the bytes arrive."""
    whole = conversation(data, max(1, len(data)))
    assert conversation(data, 7) == whole
    assert len(whole) <= data.count(b"\r\n\r\n") + 1


def conversation(data: bytes, piece: int) -> list[Request | int]:
    with _Client(data, piece) as client:
        return _converse(ConnectionReader(client))


def _converse(reader: ConnectionReader) -> list[Request | int]:
    said: list[Request | int] = []
    while True:
        try:
            if not reader.wait(1):
                return said
            request = reader.read(60)
        except BadRequestError as refusal:
            assert 400 <= refusal.status < 500 or refusal.status == 501
            f"{refusal}".encode("latin-1")
            reader.drain()
            return [*said, int(refusal.status)]
        except ConnectionResetError:
            return said
        _check_request(request)
        said.append(request)


def _check_request(request: Request) -> None:
    assert _TOKEN.fullmatch(request.method)
    assert request.path.isascii() and request.path.isprintable() and "?" not in request.path
    assert len(request.headers) <= MAX_HEADERS
    assert sum(map(len, request.headers.values())) <= MAX_HEAD_BYTES + 2 * MAX_HEADERS
    for name, value in request.headers.items():
        assert _TOKEN.fullmatch(name) and name == name.lower()
        assert not re.search(r"[\0-\x08\x0a-\x1f\x7f]", value), "a control character in a header"
    wants_openmetrics(request.headers.get("accept", ""))
    accepts_gzip(request.headers.get("accept-encoding", ""))


def _seeds() -> list[bytes]:
    usual = b"GET /metrics HTTP/1.1\r\nHost: a:8433\r\nAccept: application/openmetrics-text;version=1.0.0;q=0.5,*/*\r\n"
    return [
        usual + b"Accept-Encoding: gzip, *;q=0\r\n\r\n",
        (usual + b"Connection: keep-alive\r\n\r\n") * 3,
        b"POST http://a/-/reload?x HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
        *(path.read_bytes() for path in sorted(CORPUS.glob("*.http"))),
    ]


TARGETS = (
    Target(
        "web_requests",
        "bytes of a client are requests or one refusal, the same however they arrive",
        check,
        _seeds(),
        [
            *(
                b"GET,HEAD,POST, ,/,*,//,?,HTTP/1.1,HTTP/1.0,HTTP/9.9,Host: a,Host:,Transfer-Encoding: chunked".split(
                    b","
                )
            ),
            *(b"Content-Length: 9;Connection: close;Connection: keep-alive;Accept: ;q=;q=nan;q=-1;q=1e999".split(b";")),
            *(
                b"\r\n",
                b"\n",
                b"\r",
                b"\r\n\r\n",
                b"\0",
                b"\t",
                b":",
                b",",
                b";",
                b"=",
                b'"',
                b"\xff",
                b"\x7f",
                b"://",
                b"%00",
            ),
            b"a: b\r\n" * 101,
            b"x" * (MAX_HEAD_BYTES + 1),
            b"x" * 4000,
        ],
        quick=1000,
    ),
)
