"""The server serves the latest publication, whole, in the wanted form, and no client can take it from the others."""

from __future__ import annotations

import gzip
import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tidegauge.publish.listener import Limits, parse_address
from tidegauge.publish.negotiation import OPENMETRICS_TYPE, TEXT_TYPE
from tidegauge.publish.request import BadRequestError, parse_head
from tidegauge.publish.samples import Family, Samples
from tidegauge.publish.server import Hooks, Publication, Server

TIDE = Family("tide_level_meters", "gauge", "Level of the tide.", ("station",))
PAGE = b"<!DOCTYPE html><title>Tide</title>"


def _publication(value: float = 1.5, *, stations: int = 3, ready: bool = True) -> Publication:
    rows = [(f"station-{number}",) for number in range(stations)]
    return Publication([Samples(TIDE, rows, np.full(stations, value))], PAGE, ready)


def _hooks(*, healthy: bool = True, reloaded: tuple[bool, str] = (True, "reloaded")) -> Hooks:
    return Hooks(healthy=lambda: healthy, reload=lambda: reloaded)


@contextmanager
def _serving(hooks: Hooks | None = None, *, publish: bool = True, **options: Any) -> Iterator[Server]:
    server = Server("127.0.0.1:0", hooks or _hooks(), **options)
    server.start()
    if publish:
        server.publish(_publication())
    try:
        yield server
    finally:
        server.stop()


def _ask(
    server: Server, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as client:
        client.request(method, path, body, headers or {})
        answer = client.getresponse()
        return answer, answer.read()


def _connect(server: Server) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def _exchange(server: Server, raw: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    with _connect(server) as client:
        client.sendall(raw)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
        return received


# --- what is served ---------------------------------------------------------------------------------------------------


def test_metrics_are_text_unless_openmetrics_is_asked_for() -> None:
    with _serving() as server:
        answer, body = _ask(server, "/metrics")
        assert (answer.status, answer.headers["Content-Type"]) == (200, TEXT_TYPE)
        assert len(next(iter(parse_text(body.decode()))).samples) == 3
        answer, body = _ask(server, "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
        assert (answer.status, answer.headers["Content-Type"]) == (200, OPENMETRICS_TYPE)
        (family,) = parse_openmetrics(body.decode())  # type: ignore[no-untyped-call]
        assert len(family.samples) == 3
        assert answer.headers["Vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text"])
def test_gzip_is_the_same_page_smaller(accept: str) -> None:
    with _serving(publish=False) as server:
        server.publish(_publication(stations=1000))
        _, plain = _ask(server, "/metrics", headers={"Accept": accept})
        answer, packed = _ask(server, "/metrics", headers={"Accept": accept, "Accept-Encoding": "gzip"})
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed) == plain
        assert len(packed) < len(plain) / 5


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/nowhere"])
def test_head_has_the_headers_of_get_and_no_body(path: str) -> None:
    with _serving() as server:
        got, body = _ask(server, path)
        headed, nothing = _ask(server, path, "HEAD")
        assert (headed.status, headed.headers["Content-Length"]) == (got.status, str(len(body)))
        assert headed.headers["Content-Type"] == got.headers["Content-Type"]
        assert nothing == b""


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    with _serving() as server:
        answer, body = _ask(server, "/?from=here")
        assert (answer.status, answer.headers["Content-Type"], body) == (200, "text/html; charset=utf-8", PAGE)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_new_publication_replaces_the_old_one_in_every_form() -> None:
    forms = [{}, {"Accept-Encoding": "gzip"}, {"Accept": "application/openmetrics-text"}]
    with _serving() as server:
        for value in (1.25, 2.25):
            server.publish(_publication(value))
            for headers in forms:
                answer, body = _ask(server, "/metrics", headers=headers)
                text = gzip.decompress(body) if answer.headers["Content-Encoding"] else body
                assert text.count(f"}} {value}\n".encode()) == 3


def test_before_the_first_publication_scrapes_fail_and_health_does_not() -> None:
    with _serving(publish=False) as server:
        assert [_ask(server, path)[0].status for path in ("/metrics", "/", "/-/ready", "/-/healthy")] == [
            503,
            503,
            503,
            200,
        ]


def test_ready_follows_the_publication() -> None:
    with _serving() as server:
        assert _ask(server, "/-/ready")[0].status == 200
        server.publish(_publication(ready=False))
        assert _ask(server, "/-/ready")[0].status == 503


def test_health_is_what_the_exporter_says() -> None:
    with _serving(_hooks(healthy=False)) as server:
        assert _ask(server, "/-/healthy")[0].status == 503


@pytest.mark.filterwarnings("default")
def test_a_failing_hook_is_an_internal_error_that_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def healthy() -> bool:
        raise RuntimeError("secret")

    with _serving(Hooks(healthy=healthy, reload=lambda: (True, ""))) as server:
        answer, body = _ask(server, "/-/healthy")
        assert answer.status == 500
        assert b"secret" not in body
        assert "secret" in caplog.text


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_reload_needs_the_lifecycle_to_be_enabled(method: str) -> None:
    with _serving() as server:
        assert _ask(server, "/-/reload", method)[0].status == 403


@pytest.mark.parametrize(("outcome", "status"), [((True, "2 models"), 200), ((False, "line 3: what?"), 500)])
def test_reload_tells_its_outcome(outcome: tuple[bool, str], status: int) -> None:
    with _serving(_hooks(reloaded=outcome), enable_lifecycle=True) as server:
        answer, body = _ask(server, "/-/reload", "POST", body=b"ignored")
        assert (answer.status, body.decode()) == (status, outcome[1] + "\n")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/metrics", "GET, HEAD"), ("OPTIONS", "/", "GET, HEAD"), ("GET", "/-/reload", "POST, PUT")],
)
def test_other_methods_are_refused_with_those_allowed(method: str, path: str, allowed: str) -> None:
    with _serving(enable_lifecycle=True) as server:
        answer, _ = _ask(server, path, method)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)


def test_an_unknown_path_is_not_found() -> None:
    with _serving() as server:
        assert _ask(server, "/metrics/")[0].status == 404


# --- connections ------------------------------------------------------------------------------------------------------


def test_a_connection_serves_many_requests_also_pipelined() -> None:
    with _serving() as server, closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as client:
        for _ in range(3):
            client.request("GET", "/-/healthy")
            assert client.getresponse().read() == b"healthy\n"
        one = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n"
        received = _exchange(server, one + b"\r\n" + one + b"\r\n" + one + b"Connection: close\r\n\r\n")
        assert received.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /-/healthy HTTP/1.0\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_connection_closes_when_it_should(request_head: bytes) -> None:
    with _serving() as server:
        received = _exchange(server, request_head)
        assert received.count(b"HTTP/1.1 ") == 1
        assert b"200 OK" in received
        assert b"Connection: close" in received


def test_a_request_in_drips_is_understood() -> None:
    with _serving() as server, _connect(server) as client:
        for byte in b"GET http://host:1/-/healthy?x=1 HTTP/1.1\r\nHost: x\r\n\r\n":
            client.sendall(bytes([byte]))
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 1_000_000, 431),
    ],
)
def test_a_malformed_or_overlong_request_is_refused(raw: bytes, status: int) -> None:
    with _serving() as server:
        assert _exchange(server, raw).startswith(f"HTTP/1.1 {status} ".encode())
        assert _ask(server, "/-/healthy")[0].status == 200


def test_repeated_headers_are_one() -> None:
    request = parse_head(b"GET / HTTP/1.1\r\nHost: x\r\nAccept:  a \r\naccept: b")
    assert request.headers["accept"] == "a, b"


def test_a_hostile_header_is_parsed_in_linear_time() -> None:
    start = time.perf_counter()
    parse_head(b"GET / HTTP/1.1\r\nHost: x\r\nAccept: x" + b" " * 16_000 + b"y")
    with pytest.raises(BadRequestError):
        parse_head(b"G" * 16_000)
    assert time.perf_counter() - start < 0.1


def test_a_silent_client_is_hung_up_on() -> None:
    with _serving(limits=Limits(request_seconds=0.2)) as server, _connect(server) as client:
        assert client.recv(1) == b""


def test_a_client_that_drips_a_head_is_hung_up_on_in_time() -> None:
    with _serving(limits=Limits(request_seconds=0.3)) as server, _connect(server) as client:
        start = time.monotonic()
        with pytest.raises(OSError):  # reset or broken pipe, as the kernel likes
            while time.monotonic() - start < 5:
                client.sendall(b"x")
                time.sleep(0.05)
                client.settimeout(0.001)
                try:
                    if client.recv(1) == b"":
                        raise ConnectionResetError
                except TimeoutError:
                    continue
        assert time.monotonic() - start < 2


def test_an_idle_connection_is_closed() -> None:
    with _serving(limits=Limits(idle_seconds=0.2)) as server, _connect(server) as client:
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while chunk := client.recv(65536):
            received += chunk
        assert received.endswith(b"healthy\n")


def test_silent_clients_beyond_the_bound_push_out_the_oldest_and_scrapes_go_on() -> None:
    with _serving(limits=Limits(connections=8)) as server:
        silent = [_connect(server) for _ in range(30)]
        try:
            assert _ask(server, "/metrics")[0].status == 200
            assert silent[0].recv(1) == b""
            silent[-1].sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert silent[-1].recv(100).startswith(b"HTTP/1.1 200")
            assert server.refused["evicted"] == 23
        finally:
            for client in silent:
                client.close()


def test_a_client_that_does_not_read_delays_nobody() -> None:
    with _serving(publish=False) as server:
        server.publish(_publication(stations=200_000))
        with _connect(server) as stuck:
            stuck.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.2)
            start = time.perf_counter()
            assert _ask(server, "/metrics", headers={"Accept-Encoding": "gzip"})[0].status == 200
            server.publish(_publication())
            assert _ask(server, "/metrics")[0].status == 200
            assert time.perf_counter() - start < 5


def test_concurrent_scrapes_each_see_one_whole_publication() -> None:
    seen: list[set[bytes]] = []
    stop = threading.Event()

    def scrape(server: Server) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as client:
            while not stop.is_set():
                client.request("GET", "/metrics")
                body = client.getresponse().read()
                seen.append(set(re.findall(rb"} (\S+)\n", body)))

    with _serving(publish=False) as server:
        server.publish(_publication(0, stations=2_000))
        threads = [threading.Thread(target=scrape, args=(server,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for value in range(1, 60):
            server.publish(_publication(value, stations=2_000))
        stop.set()
        for thread in threads:
            thread.join()
    assert len(seen) >= 4
    assert all(len(values) == 1 for values in seen)


def test_stop_closes_everything_at_once_and_may_be_repeated() -> None:
    server = Server("127.0.0.1:0", _hooks())
    server.start()
    port = server.port
    with _connect(server) as idle:
        idle.sendall(b"HEAD /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        server.stop()
        server.stop()
        assert time.monotonic() - start < 1
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("http-")]


def test_stop_lets_an_answer_under_way_finish() -> None:
    def reload() -> tuple[bool, str]:
        time.sleep(0.4)
        return True, "done"

    bodies: list[bytes] = []
    with _serving(Hooks(healthy=lambda: True, reload=reload), enable_lifecycle=True) as server:
        asking = threading.Thread(target=lambda: bodies.append(_ask(server, "/-/reload", "POST")[1]))
        asking.start()
        time.sleep(0.15)
    asking.join()
    assert bodies == [b"done\n"]


def test_a_server_that_never_started_stops() -> None:
    Server(":0", _hooks()).stop()


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        (":8433", ("", 8433)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:8433", ("::1", 8433)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_addresses_are_understood(address: str, parsed: tuple[str, int]) -> None:
    assert parse_address(address) == parsed


@pytest.mark.parametrize(
    "address", ["", "8433", "localhost", "localhost:", "localhost:http", ":70000", "::1:8433", ":-1", ":¹"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Server(address, _hooks())


def test_no_host_means_every_interface() -> None:
    server = Server(":0", _hooks())
    server.start()
    try:
        assert _ask(server, "/-/healthy")[0].status == 200
    finally:
        server.stop()


def test_a_taken_port_is_an_error_at_start() -> None:
    for host in ("127.0.0.1", ""):
        with _serving() as first:
            second = Server(f"{host}:{first.port}", _hooks())
            with pytest.raises(OSError, match="in use"):
                second.start()
            second.stop()
