"""Clients that are silent, slow or never finish a handshake: a scrape is still answered within half a second."""

from __future__ import annotations

import gzip
import http.client
import resource
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests import certificates
from tests.end_to_end import logs
from tests.processes import LOOPBACK, Exporter, parse, wait_until

IDLE, SLOW, UNFINISHED = 1_000, 50, 50
SCRAPES = 15
BAR = 0.5
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
# The beginning of a TLS record that promises 508 bytes of ClientHello.
HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)


@pytest.fixture(scope="module", autouse=True)
def _enough_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * (IDLE + SLOW + UNFINISHED)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A model whose page is far larger than what the kernel takes in for a client that does not read."""
    logs.append(
        tmp_path / "predictions.jsonl",
        (
            logs.prediction("fraud", "v1", n, logs.START + n * 1_000, "1", score=0.5, slices={"country": f"c{n % 200}"})
            for n in range(4_000)
        ),
    )
    logs.append(
        tmp_path / "feedback.jsonl", (logs.feedback("fraud", n, logs.START + n * 1_000, "1") for n in range(4_000))
    )
    file = tmp_path / "tidegauge.yml"
    text = logs.configuration(logs.FRAUD + "    max_slice_values: 250\n")
    file.write_text(text.replace("refresh_interval: 200ms", "refresh_interval: 1s"))
    return file


class Crowd:
    """Hostile connections that come back whenever they are thrown out."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self._connect = connect

    @contextmanager
    def around(self, *kinds: tuple[int, Callable[[socket.socket], socket.socket]]) -> Iterator[None]:
        """So many of each kind are there within the block; a kind is what a client does once it is connected."""
        stop, complete = threading.Event(), threading.Event()
        keeper = threading.Thread(target=self._keep, args=(kinds, stop, complete))
        keeper.start()
        try:
            assert complete.wait(30), "the crowd never got in"
            yield
        finally:
            stop.set()
            keeper.join()

    def _keep(
        self,
        kinds: tuple[tuple[int, Callable[[socket.socket], socket.socket]], ...],
        stop: threading.Event,
        complete: threading.Event,
    ) -> None:
        with selectors.DefaultSelector() as selector:
            try:
                for number, behave in kinds:
                    for _ in range(number):
                        selector.register(behave(self._connect()), selectors.EVENT_READ, behave)
                complete.set()
                while not stop.wait(0.1):
                    for key, _ in selector.select(0)[:20]:
                        client = key.fileobj
                        assert isinstance(client, socket.socket)
                        if self._read_a_little(client):
                            continue
                        selector.unregister(client)
                        client.close()
                        with suppress(OSError):
                            selector.register(key.data(self._connect()), selectors.EVENT_READ, key.data)
            finally:
                for key in list(selector.get_map().values()):
                    assert isinstance(key.fileobj, socket.socket)
                    key.fileobj.close()

    @staticmethod
    def _read_a_little(client: socket.socket) -> bool:
        try:
            return bool(client.recv(64))
        except (TimeoutError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False


def scrape(port: int, context: ssl.SSLContext | None = None) -> tuple[float, bytes]:
    """How long a whole scrape on a new connection takes, in seconds, and the page."""
    began = time.perf_counter()
    client = (
        http.client.HTTPSConnection(LOOPBACK, port, timeout=10, context=context)
        if context
        else http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    )
    with closing(client):
        client.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        answer = client.getresponse()
        page = answer.read()
        assert answer.status == 200
    return time.perf_counter() - began, gzip.decompress(page)


def assert_scrapes_within_the_bar(exporter: Exporter, context: ssl.SSLContext | None = None) -> None:
    scrape(exporter.port, context)  # connections queue: once through, the whole crowd has been let in
    rounds: list[float] = []
    page = b""
    # Somebody else on the machine may take the processor for a moment: of two rounds the better counts.
    while len(rounds) < 2 and (not rounds or rounds[0] >= BAR):
        slowest = 0.0
        for _ in range(SCRAPES):
            took, page = scrape(exporter.port, context)
            slowest = max(slowest, took)
            time.sleep(0.1)
        rounds.append(slowest)
    assert min(rounds) < BAR, rounds
    assert parse(page.decode()).total("model_predictions_total") == 4_000


def connecting(port: int, receive_buffer: int = 4_096) -> Callable[[], socket.socket]:
    def connect() -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(10)
        client.connect((LOOPBACK, port))
        return client

    return connect


def silent(client: socket.socket) -> socket.socket:
    client.settimeout(0.001)
    return client


def kept_alive(client: socket.socket) -> socket.socket:
    client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
    with suppress(OSError):
        client.recv(4_096)
    return silent(client)


def slow_reader(client: socket.socket) -> socket.socket:
    client.sendall(REQUEST)
    return silent(client)


def dripping(client: socket.socket) -> socket.socket:
    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
    return silent(client)


def unfinished_handshake(client: socket.socket) -> socket.socket:
    client.sendall(HALF_A_HELLO)
    return silent(client)


def test_silent_idle_and_slow_clients_do_not_delay_a_scrape(config: Path) -> None:
    with Exporter(config) as exporter:
        exporter.wait_ready().settle()
        assert len(exporter.page()) > 600_000
        crowd = Crowd(connecting(exporter.port))
        with crowd.around((IDLE // 2, silent), (IDLE // 2, kept_alive), (SLOW, slow_reader), (UNFINISHED, dripping)):
            assert_scrapes_within_the_bar(exporter)
        assert exporter.stop() == 0


def test_more_slow_readers_than_there_are_places_do_not_delay_a_scrape(config: Path) -> None:
    with Exporter(config) as exporter:
        exporter.wait_ready().settle()
        with Crowd(connecting(exporter.port)).around((600, slow_reader)):
            assert_scrapes_within_the_bar(exporter)


def test_over_tls_unfinished_handshakes_and_slow_readers_do_not_delay_a_scrape(config: Path, tmp_path: Path) -> None:
    authority = certificates.authority(tmp_path)
    server = certificates.issue(authority, "server")
    web = tmp_path / "web.yml"
    web.write_text(f"tls_server_config: {{cert_file: {server.file.name}, key_file: {server.key.name}}}\n")
    context = ssl.create_default_context(cafile=str(authority.file))

    def slow_reader_over_tls(client: socket.socket) -> socket.socket:
        secured = context.wrap_socket(client, server_hostname=LOOPBACK)
        secured.sendall(REQUEST)
        secured.settimeout(0.001)
        return secured

    with Exporter(config, "--web.config.file", str(web)).launch().wait_listening() as exporter:
        wait_until(lambda: b"model_quality_score{" in scrape(exporter.port, context)[1], what="a full page")
        crowd = Crowd(connecting(exporter.port))
        with crowd.around((SLOW, slow_reader_over_tls), (IDLE, silent), (UNFINISHED, unfinished_handshake)):
            assert_scrapes_within_the_bar(exporter, context)
        assert exporter.stop() == 0
