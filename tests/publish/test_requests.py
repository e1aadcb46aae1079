"""Requests of every odd shape are answered or refused at once, alone, and never taken for another request."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from tests.processes import LOOPBACK, wait_until
from tidegauge.publish.listener import Limits
from tidegauge.publish.request import BadRequestError, Request, parse_head
from tidegauge.publish.samples import Family, Samples
from tidegauge.publish.server import Hooks, Publication, Server

TIDE = Family("tide_level_meters", "gauge", "Level of the tide.", ("station",))
HOST = b"Host: x\r\n"
SMUGGLED = b"GET /-/healthy HTTP/1.1\r\nHost: smuggled\r\n\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server("127.0.0.1:0", Hooks(lambda: True, lambda: (True, "reloaded")), enable_lifecycle=True)
    made.start()
    made.publish(Publication([Samples(TIDE, [("harbour",)], np.ones(1))], b"<!DOCTYPE html>", True))
    yield made
    made.stop()


def answers(server: Server, raw: bytes) -> tuple[list[int], bytes]:
    """The statuses of all answers until the server closes the connection, which it must do soon, and what came."""
    received = b""
    with socket.create_connection((LOOPBACK, server.port), timeout=5) as client:
        with suppress(OSError):  # the server may have refused already
            client.sendall(raw)
        with suppress(ConnectionResetError):
            while chunk := client.recv(65_536):
                received += chunk
    return [int(status) for status in STATUS.findall(received)], received


def closing(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([line, b"Host: x", *headers, b"Connection: close", b"", b""])


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/metrics", 200),
        (b"/metrics?name[]=%00&name[]=..", 200),
        (b"/?<script>alert(1)</script>", 200),
        (b"http://elsewhere.example/metrics", 200),
        (b"HTTPS://elsewhere.example:99/metrics?x", 200),
        (b"http://elsewhere.example", 200),
        (b"http://elsewhere.example?x=/metrics", 200),
        (b"ftp://elsewhere.example/metrics", 400),
        (b"elsewhere.example:443", 400),
        (b"metrics", 400),
        (b"?x=://a/metrics", 400),
        (b"*", 404),
        (b"//metrics", 404),
        (b"/./metrics", 404),
        (b"/../metrics", 404),
        (b"/metrics/../-/ready", 404),
        (b"/%6detrics", 404),
        (b"/-%2Fready", 404),
        (b"/metrics%00", 404),
        (b"/metrics%0d%0aX: y", 400),
        (b"/metrics%0d%0aX:y", 404),
        (b"/metrics;a=b", 404),
        (b"/metrics#fragment", 404),
        (b"/\\metrics", 404),
        (b"/metrics\x00", 400),
        (b"/metrics\x7f", 400),
        (b"/metrics\x1b[31m", 400),
        (b"/metr\xc3\xafcs", 400),
        (b"/metr\tics", 400),
        (b"", 400),
    ],
)
def test_a_path_is_matched_as_it_is_written(server: Server, target: bytes, status: int) -> None:
    statuses, received = answers(server, closing(b"GET " + target + b" HTTP/1.1"))
    assert statuses == [status]
    assert b"<script" not in received


@pytest.mark.parametrize(
    ("method", "status"),
    [
        (b"GET", 200),
        (b"HEAD", 200),
        (b"get", 405),
        (b"TRACE", 405),
        (b"DELETE", 405),
        (b"PATCH", 405),
        (b"PROPFIND", 405),
        (b"M-SEARCH", 405),
        (b"X" * 5_000, 405),
        (b"G\x00T", 400),
        (b"G(T", 400),
        ("GÉT".encode(), 400),
    ],
)
def test_only_get_and_head_read_metrics(server: Server, method: bytes, status: int) -> None:
    statuses, received = answers(server, closing(method + b" /metrics HTTP/1.1"))
    assert statuses == [status]
    if status == 405:
        assert b"\r\nAllow: GET, HEAD\r\n" in received


def test_no_tunnel_is_made(server: Server) -> None:
    assert answers(server, closing(b"CONNECT elsewhere.example:443 HTTP/1.1"))[0] == [400]
    upgrade = closing(b"GET /metrics HTTP/1.1", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
    assert answers(server, upgrade)[0] == [200]
    assert answers(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")[0] == [400]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: 44\r\n", 200),
        (b"Content-Length: 0\r\nContent-Length: 44\r\n", 400),
        (b"Content-Length: 44\r\nContent-Length: 44\r\n", 400),
        (b"Content-Length: 0, 44\r\n", 400),
        (b"Content-Length: +44\r\n", 400),
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: 0x2c\r\n", 400),
        (b"Content-Length: 4 4\r\n", 400),
        (b"Content-Length:\r\n", 400),
        (b"Content-Length: \xb2\r\n", 400),
        (b"Content-Length : 44\r\n", 400),
        (b"Content-Length: 99999999999999999999999\r\n", 200),
        (b"Transfer-Encoding: chunked\r\n", 200),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", 400),
        (b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
        (b"Transfer-Encoding: chunked, identity\r\n", 501),
        (b"Transfer-Encoding: xchunked\r\n", 501),
        (b"Transfer-Encoding: \x0bchunked\r\n", 400),
        (b"Transfer-Encoding : chunked\r\n", 400),
        (b"Transfer-Encoding\r\n", 400),
        (b"X: y\nContent-Length: 44\r\n", 400),
        (b"X: y\rContent-Length: 44\r\n", 400),
        (b"X: y\r\n Content-Length: 44\r\n", 400),
        (b"X: y\x00\r\n", 400),
        (b"Host: other\r\n", 400),
        (b"Expect: 100-continue\r\nContent-Length: 44\r\n", 200),
    ],
)
def test_no_body_passes_for_a_second_request(server: Server, headers: bytes, status: int) -> None:
    for method in (b"GET", b"POST"):
        raw = method + b" /-/healthy HTTP/1.1\r\n" + HOST + headers + b"\r\n" + SMUGGLED
        expected = 405 if status == 200 and method == b"POST" else status
        assert answers(server, raw)[0] == [expected]


def test_chunks_pass_for_nothing(server: Server) -> None:
    body = b"2c\r\n" + SMUGGLED + b"\r\n0\r\n\r\n" + SMUGGLED
    raw = b"POST /-/reload HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + body
    assert answers(server, raw)[0] == [200]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /metrics HTTP/1.1\nHost: x\n\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\n\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\n",
        b"GET /metrics\r\n\r\n",
        b"GET  /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.10\r\nHost: x\r\n\r\n",
        b"GET /metrics http/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x/y\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x y\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
        b"\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
    ],
)
def test_what_two_readers_could_read_differently_is_refused_at_once(server: Server, raw: bytes) -> None:
    began = time.monotonic()
    assert answers(server, raw)[0] == [400]
    assert time.monotonic() - began < 3


def test_http_1_0_is_answered_and_closed_unless_it_asks_otherwise(server: Server) -> None:
    statuses, received = answers(server, b"GET /-/healthy HTTP/1.0\r\n\r\n" + SMUGGLED)
    assert statuses == [200]
    assert b"\r\nConnection: close\r\n" in received
    kept = b"GET /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert answers(server, kept + b"GET /-/ready HTTP/1.0\r\n\r\n")[0] == [200, 200]


def test_a_refused_request_ends_its_pipeline(server: Server) -> None:
    good = b"GET /-/ready HTTP/1.1\r\n" + HOST + b"\r\n"
    assert answers(server, good * 3 + b"GET /-/ready HTTP/3\r\n\r\n" + good)[0] == [200, 200, 200, 400]


def test_a_long_pipeline_is_answered_in_order(server: Server) -> None:
    one = b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    received = answers(server, one * 200 + closing(b"GET /-/ready HTTP/1.1"))[0]
    assert received == [200, 404] * 200 + [200]


def test_a_huge_body_is_neither_read_nor_waited_for(server: Server) -> None:
    head = b"POST /metrics HTTP/1.1\r\n" + HOST + b"Content-Length: 10000000000\r\n\r\n"
    sent = 0
    began = time.monotonic()
    with socket.create_connection((LOOPBACK, server.port), timeout=5) as client, suppress(OSError):
        client.sendall(head)
        while sent < 100 << 20:
            sent += client.send(bytes(65_536))
    assert sent < 20 << 20
    assert time.monotonic() - began < 5


def test_hostile_requests_write_nothing_into_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for raw in (b"GET /\x1b[31m HTTP/1.1\r\n\r\n", b"\xff" * 20_000, closing(b"GET /%0aevil HTTP/1.1")):
            answers(server, raw)
    assert caplog.records == []


def test_any_head_is_a_request_or_refused() -> None:
    random = np.random.default_rng(7)
    pieces = [b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b"\n", b":", b"Host: x", b"Content-Length: 1", b"\x00", b"\xff"]
    for _ in range(20_000):
        head = b"".join(pieces[n] for n in random.integers(0, len(pieces), random.integers(1, 12)))
        with suppress(BadRequestError):
            assert isinstance(parse_head(head), Request)


def test_reloads_that_wait_are_few_and_leave_room_for_scrapes() -> None:
    go = threading.Event()

    def reload() -> tuple[bool, str]:
        go.wait(10)
        return True, "reloaded"

    server = Server("127.0.0.1:0", Hooks(lambda: True, reload), enable_lifecycle=True, limits=Limits(connections=8))
    server.start()
    found: list[int] = []

    def ask() -> None:
        found.extend(answers(server, closing(b"POST /-/reload HTTP/1.1"))[0])

    threads = [threading.Thread(target=ask) for _ in range(7)]
    try:
        for thread in threads:
            thread.start()
        wait_until(lambda: found.count(503) == 3, what="those beyond the bound")
        assert answers(server, closing(b"GET /-/healthy HTTP/1.1"))[0] == [200]
    finally:
        go.set()
        for thread in threads:
            thread.join()
        server.stop()
    assert (found.count(200), found.count(503)) == (4, 3)
