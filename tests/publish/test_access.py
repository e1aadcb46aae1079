"""TLS, passwords and headers as the web configuration says, followed while the server runs."""

from __future__ import annotations

import base64
import http.client
import logging
import os
import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import bcrypt
import numpy as np
import pytest

from tests import certificates
from tests.processes import LOOPBACK, wait_until
from tidegauge.config.problems import ConfigurationError
from tidegauge.config.web import Rate
from tidegauge.publish.access import Access, Bucket
from tidegauge.publish.documents import Document
from tidegauge.publish.listener import Limits
from tidegauge.publish.samples import Family, Samples
from tidegauge.publish.server import Hooks, Publication, Server

TIDE = Family("tide_level_meters", "gauge", "Level of the tide.", ("station",))
SALT = b"$2b$04$" + b"tidetidetidetidetidetu"  # always the same: the hashes are part of the names of tests
SESAME = bcrypt.hashpw(b"sesame", SALT).decode()
OPENED = bcrypt.hashpw(b"opened", SALT).decode()
PAIR = "cert_file: server.crt, key_file: server.key"
PAGE = Document(lambda: b"<!DOCTYPE html>", "text/html", (("Content-Security-Policy", "default-src 'none'"),))


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("issued")
    authority = certificates.authority(made)
    for name in ("server", "next"):
        certificates.issue(authority, name)
    certificates.issue(authority, "client", names="DNS:prometheus.example,IP:2001:db8::1,URI:spiffe://tide/scraper")
    certificates.issue(certificates.authority(made, "stranger"), "intruder", names="DNS:prometheus.example")
    return made


@pytest.fixture
def directory(issued: Path, tmp_path: Path) -> Path:
    shutil.copytree(issued, tmp_path, dirs_exist_ok=True)
    return tmp_path


@contextmanager
def serving(directory: Path, text: str, *, seconds: float = 10) -> Iterator[tuple[Server, Access]]:
    web = directory / "web.yml"
    web.write_text(text)
    access = Access(web, watch_seconds=0.02)
    hooks = Hooks(healthy=lambda: True, reload=lambda: (True, "reloaded"))
    server = Server("127.0.0.1:0", hooks, enable_lifecycle=True, access=access, limits=Limits(request_seconds=seconds))
    server.start()
    server.publish(Publication([Samples(TIDE, [("harbour",)], np.ones(1))], PAGE, PAGE, True))
    try:
        yield server, access
    finally:
        server.stop()


def trusting(directory: Path, client: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(directory / "authority.crt"))
    if client is not None:
        context.load_cert_chain(directory / f"{client}.crt", directory / f"{client}.key")
    return context


def ask(
    server: Server,
    path: str = "/metrics",
    *,
    tls: ssl.SSLContext | None = None,
    login: str | None = None,
    method: str = "GET",
) -> http.client.HTTPResponse:
    client = (
        http.client.HTTPSConnection(LOOPBACK, server.port, timeout=10, context=tls)
        if tls
        else http.client.HTTPConnection(LOOPBACK, server.port, timeout=10)
    )
    with closing(client):
        headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
        client.request(method, path, headers=headers)
        answer = client.getresponse()
        answer.read()
        return answer


def shown_certificate(server: Server, directory: Path) -> bytes:
    context = trusting(directory)
    with (
        socket.create_connection((LOOPBACK, server.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=LOOPBACK) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def der(certificate: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.read_text())


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_https_serves_what_http_does_on_connections_that_stay(directory: Path) -> None:
    with serving(directory, f"tls_server_config: {{{PAIR}}}") as (server, _):
        client = http.client.HTTPSConnection(LOOPBACK, server.port, timeout=10, context=trusting(directory))
        with closing(client):
            for _ in range(3):
                client.request("GET", "/metrics")
                answer = client.getresponse()
                assert (answer.status, b'station="harbour"' in answer.read()) == (200, True)


def test_the_lowest_version_is_tls_1_2_unless_said_otherwise(directory: Path) -> None:
    old = trusting(directory)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(directory, f"tls_server_config: {{{PAIR}}}") as (server, _):
        assert ask(server, tls=old).status == 200
    with serving(directory, f"tls_server_config: {{{PAIR}, min_version: TLS13}}") as (server, _):
        assert ask(server, tls=trusting(directory)).status == 200
        with pytest.raises(ssl.SSLError):
            ask(server, tls=old)


def test_plain_http_to_the_tls_port_is_told_so(directory: Path) -> None:
    with serving(directory, f"tls_server_config: {{{PAIR}}}") as (server, _):
        answer = ask(server)
        assert answer.status == 400
        assert ask(server, tls=trusting(directory)).status == 200
        assert server.refused["handshake"] == 1


def test_garbage_instead_of_a_handshake_ends_that_connection_alone(directory: Path) -> None:
    with serving(directory, f"tls_server_config: {{{PAIR}}}") as (server, _):
        for garbage in (b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"A" * 70_000, os.urandom(1_000)):
            with (
                suppress(OSError),  # reset or broken pipe, as the kernel likes
                socket.create_connection((LOOPBACK, server.port), timeout=10) as client,
            ):
                client.sendall(garbage)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65_536):
                    pass
        assert ask(server, tls=trusting(directory)).status == 200


def test_a_handshake_that_is_never_finished_is_given_up(directory: Path) -> None:
    with (
        serving(directory, f"tls_server_config: {{{PAIR}}}", seconds=0.3) as (server, _),
        socket.create_connection((LOOPBACK, server.port), timeout=10) as client,
    ):
        began = time.monotonic()
        with pytest.raises(OSError):  # reset or broken pipe, as the kernel likes
            for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500):
                client.sendall(bytes([byte]))
                time.sleep(0.05)
                client.settimeout(0.001)
                try:
                    if client.recv(1) == b"":
                        raise ConnectionResetError
                except TimeoutError:
                    continue
        assert time.monotonic() - began < 2


VERIFYING = f"tls_server_config: {{{PAIR}, client_ca_file: authority.crt, client_auth_type: "


@pytest.mark.parametrize(
    ("kind", "client", "served"),
    [
        ("RequireAndVerifyClientCert", "client", True),
        ("RequireAndVerifyClientCert", None, False),
        ("RequireAndVerifyClientCert", "intruder", False),
        ("VerifyClientCertIfGiven", "client", True),
        ("VerifyClientCertIfGiven", None, True),
        ("VerifyClientCertIfGiven", "intruder", False),
    ],
)
def test_certificates_of_clients_are_verified(directory: Path, kind: str, client: str | None, served: bool) -> None:
    with serving(directory, VERIFYING + kind + "}") as (server, _):
        context = trusting(directory, client)
        if served:
            assert ask(server, tls=context).status == 200
        else:
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                ask(server, tls=context)


@pytest.mark.parametrize(
    ("allowed", "served"),
    [
        ("prometheus.example", True),
        ("2001:DB8:0:0::1", True),
        ("spiffe://tide/scraper", True),
        ("prometheus", False),
        ("*.example", False),
    ],
)
def test_a_client_needs_one_of_the_allowed_names(directory: Path, allowed: str, served: bool) -> None:
    text = VERIFYING + f'RequireAndVerifyClientCert, client_allowed_sans: [nobody.example, "{allowed}"]}}'
    with serving(directory, text) as (server, _):
        context = trusting(directory, "client")
        if served:
            assert ask(server, tls=context).status == 200
        else:
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                ask(server, tls=context)


# --- passwords, headers, the rate limit -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/-/reload", "/nowhere"])
def test_every_path_asks_for_a_password(directory: Path, path: str) -> None:
    with serving(directory, f"basic_auth_users: {{alice: {SESAME}}}") as (server, _):
        method = "POST" if path == "/-/reload" else "GET"
        for login in (None, "alice:wrong", "carol:sesame"):
            answer = ask(server, path, login=login, method=method)
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert ask(server, path, login="alice:sesame", method=method).status == (404 if path == "/nowhere" else 200)


def test_the_headers_are_on_every_answer_and_the_page_keeps_its_own_otherwise(directory: Path) -> None:
    headers = "http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1}}"
    with serving(directory, headers) as (server, _):
        for path in ("/", "/metrics", "/nowhere"):
            answer = ask(server, path)
            assert (answer.headers["X-Frame-Options"], answer.headers["Strict-Transport-Security"]) == (
                "deny",
                "max-age=1",
            )
            assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert "default-src 'none'" in ask(server, "/").headers["Content-Security-Policy"]
    with serving(directory, "http_server_config: {headers: {Content-Security-Policy: default-src *}}") as (server, _):
        assert ask(server, "/").headers.get_all("Content-Security-Policy") == ["default-src *"]


def test_requests_beyond_the_rate_limit_are_refused(directory: Path) -> None:
    with serving(directory, "rate_limit: {interval: 1h, burst: 3}") as (server, _):
        assert [ask(server).status for _ in range(5)] == [200, 200, 200, 429, 429]
        assert server.refused["rate_limited"] == 2


def test_a_bucket_fills_as_time_goes_by_up_to_its_burst() -> None:
    now = 100.0
    bucket = Bucket(Rate(interval=500, burst=2), clock=lambda: now)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now += 0.6
    assert [bucket.take() for _ in range(2)] == [True, False]
    now += 1_000
    assert [bucket.take() for _ in range(3)] == [True, True, False]


# --- following the files ----------------------------------------------------------------------------------------------


def replace_pair(directory: Path, name: str) -> None:
    """As an ACME client does: new files beside the old ones, then renamed over them, one after the other."""
    for suffix in ("crt", "key"):
        shutil.copy(directory / f"{name}.{suffix}", directory / f"new.{suffix}")
        (directory / f"new.{suffix}").rename(directory / f"server.{suffix}")


def test_a_renewed_certificate_is_shown_without_a_restart(directory: Path) -> None:
    old, new = der(directory / "server.crt"), der(directory / "next.crt")
    with serving(directory, f"tls_server_config: {{{PAIR}}}") as (server, access):
        assert shown_certificate(server, directory) == old
        replace_pair(directory, "next")
        wait_until(lambda: shown_certificate(server, directory) == new, what="the new certificate")
        assert access.reloaded


def test_connections_of_before_go_on_through_a_renewal(directory: Path) -> None:
    with serving(directory, f"tls_server_config: {{{PAIR}}}") as (server, _):
        client = http.client.HTTPSConnection(LOOPBACK, server.port, timeout=10, context=trusting(directory))
        with closing(client):
            client.request("GET", "/-/ready")
            assert client.getresponse().read() == b"ready\n"
            new = der(directory / "next.crt")
            replace_pair(directory, "next")
            wait_until(lambda: shown_certificate(server, directory) == new, what="the new certificate")
            client.request("GET", "/-/ready")
            assert client.getresponse().read() == b"ready\n"


def test_users_come_and_go_without_a_restart(directory: Path) -> None:
    with serving(directory, f"basic_auth_users: {{alice: {SESAME}}}") as (server, _):
        assert ask(server, login="alice:sesame").status == 200
        (directory / "web.yml").write_text(f"basic_auth_users: {{bob: {OPENED}}}")
        wait_until(lambda: ask(server, login="bob:opened").status == 200, what="the new user")
        assert ask(server, login="alice:sesame").status == 401


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("", "an empty file"),
        ("tls_server_config: {", "a syntax error"),
        (f"tls_server_config: {{{PAIR}}}", "authentication cannot be switched off"),
        (f"basic_auth_users: {{alice: {SESAME}}}", "whether TLS is spoken cannot change"),
        (None, "cannot be read"),
    ],
)
def test_a_broken_file_keeps_the_old_one_says_so_once_and_recovers(
    directory: Path, caplog: pytest.LogCaptureFixture, broken: str | None, words: str
) -> None:
    good = f"tls_server_config: {{{PAIR}}}\nbasic_auth_users: {{alice: {SESAME}}}\n"
    web = directory / "web.yml"
    with caplog.at_level(logging.INFO), serving(directory, good) as (server, access):
        if broken is None:
            web.unlink()
        else:
            web.write_text(broken)
        wait_until(lambda: not access.reloaded, what="the refusal")
        for _ in range(5):
            os.utime(directory / "server.crt")
            time.sleep(0.1)
        told = [str(vars(record)["problem"]) for record in caplog.records if hasattr(record, "problem")]
        assert len([line for line in told if words in line]) == 1
        assert ask(server, tls=trusting(directory), login="alice:sesame").status == 200
        assert ask(server, tls=trusting(directory)).status == 401
        web.write_text(good + "http_server_config: {headers: {X-Frame-Options: deny}}\n")
        wait_until(lambda: access.reloaded, what="the recovery")
        assert ask(server, tls=trusting(directory), login="alice:sesame").headers["X-Frame-Options"] == "deny"


def test_a_certificate_without_its_key_keeps_the_old_pair(directory: Path) -> None:
    old = der(directory / "server.crt")
    with serving(directory, f"tls_server_config: {{{PAIR}}}") as (server, access):
        shutil.copy(directory / "next.crt", directory / "server.crt")
        wait_until(lambda: not access.reloaded, what="the refusal")
        assert shown_certificate(server, directory) == old
        shutil.copy(directory / "next.key", directory / "server.key")
        wait_until(lambda: access.reloaded, what="the key")
        assert shown_certificate(server, directory) == der(directory / "next.crt")


def test_a_file_that_is_still_being_written_is_not_read(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    whole = f"basic_auth_users:\n  alice: {SESAME}\n  bob: {OPENED}\n"
    with serving(directory, f"basic_auth_users: {{alice: {SESAME}}}") as (server, access):
        access.stop()
        slow = Access(directory / "web.yml", watch_seconds=0.6)
        slow.start()
        try:
            with (directory / "web.yml").open("w") as file:
                for start in range(0, len(whole), 8):
                    file.write(whole[start : start + 8])
                    file.flush()
                    time.sleep(0.05)
            wait_until(lambda: "web configuration reloaded" in caplog.text or not slow.reloaded, what="the new file")
            assert slow.reloaded
        finally:
            slow.stop()
        assert ask(server, login="alice:sesame").status == 200


def test_a_refused_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        Access(tmp_path / "none.yml")
