"""A web configuration in exporter-toolkit's format is read as Prometheus reads it, or refused with all its problems."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests import certificates
from tests.certificates import Certificate
from tests.processes import tool
from tidegauge.config.problems import ConfigurationError
from tidegauge.config.web import explain_web, load_web
from tidegauge.config.web_schema import HEADERS, TLS, WEB

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
EVERYTHING = f"""\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: authority.crt
  client_allowed_sans: [prometheus.example, 2001:db8::1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP384]
http_server_config:
  http2: true
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: ""
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  alice: {HASH}
  bob: {HASH}
"""
PAIR = "cert_file: server.crt, key_file: server.key"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("web")
    authority = certificates.authority(made)
    certificates.issue(authority, "server")
    certificates.issue(authority, "other")
    (made / "nothing.pem").write_text("no certificate\n")
    locked = [
        "pkey",
        "-in",
        str(made / "server.key"),
        "-out",
        str(made / "locked.key"),
        "-aes256",
        "-passout",
        "pass:x",
    ]
    subprocess.run([certificates.openssl(), *locked], check=True, capture_output=True)
    return made


def written(directory: Path, text: str) -> Path:
    file = directory / "web.yml"
    file.write_text(text)
    return file


def problems(directory: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load_web(written(directory, text))
    return [str(problem).removeprefix(f"{directory}/") for problem in refused.value.problems]


def test_every_key_is_read(directory: Path) -> None:
    settings = load_web(written(directory, EVERYTHING + "rate_limit: {interval: 500ms, burst: 20}\n"))
    context = settings.context
    assert context is not None
    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    older = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
    assert older == ["ECDHE-ECDSA-AES256-GCM-SHA384"]
    assert settings.allowed_names == {"prometheus.example", "2001:db8::1"}
    assert settings.users == {"alice": HASH.encode(), "bob": HASH.encode()}
    assert dict(settings.headers) == {
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "deny",
        "X-Content-Type-Options": "nosniff",
        "Strict-Transport-Security": "max-age=31536000",
    }
    assert settings.rate is not None
    assert (settings.rate.interval, settings.rate.burst) == (500, 20)
    assert [file.name for file in settings.files] == ["web.yml", "server.crt", "server.key", "authority.crt"]
    assert "clients must show a certificate; basic authentication of alice, bob" in explain_web(settings)


def test_promtool_takes_the_same_file(directory: Path) -> None:
    # Debian's promtool is older than the allowed names.
    text = "".join(line for line in EVERYTHING.splitlines(keepends=True) if "client_allowed_sans" not in line)
    done = subprocess.run(
        [tool("promtool"), "check", "web-config", str(written(directory, text))], capture_output=True, text=True
    )
    assert "SUCCESS" in done.stdout + done.stderr


@pytest.mark.parametrize("text", ["{}", "tls_server_config: {cert_file: server.crt, key_file: server.key}"])
def test_the_defaults_are_those_of_the_format(directory: Path, text: str) -> None:
    settings = load_web(written(directory, text))
    assert (settings.users, settings.rate, settings.headers, settings.allowed_names) == ({}, None, (), frozenset())
    if settings.context is not None:
        assert settings.context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert settings.context.verify_mode is ssl.CERT_NONE
        assert settings.context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert settings.context is not None or text == "{}"


def inline(certificate: Certificate, authority: Path) -> str:
    def block(name: str, file: Path) -> str:
        return f"  {name}: |\n" + "".join(f"    {line}\n" for line in file.read_text().splitlines())

    return (
        "tls_server_config:\n  client_auth_type: VerifyClientCertIfGiven\n"
        + block("cert", certificate.file)
        + block("key", certificate.key)
        + block("client_ca", authority)
    )


def test_certificates_and_keys_may_stand_in_the_file_itself(directory: Path) -> None:
    server = Certificate(directory / "server.crt", directory / "server.key")
    settings = load_web(written(directory, inline(server, directory / "authority.crt")))
    assert settings.context is not None
    assert settings.context.verify_mode is ssl.CERT_OPTIONAL
    assert [file.name for file in settings.files] == ["web.yml"]


@pytest.mark.parametrize(("interval", "limited"), [("0", False), ("0s", False), ("1s", True), ("1m30s", True)])
def test_an_interval_of_0_means_no_rate_limit(directory: Path, interval: str, limited: bool) -> None:
    settings = load_web(written(directory, f"rate_limit: {{interval: {interval}, burst: 1}}"))
    assert (settings.rate is not None) is limited


def test_versions_that_openssl_no_longer_speaks_are_taken_as_the_lowest_that_it_does(directory: Path) -> None:
    settings = load_web(written(directory, f"tls_server_config: {{{PAIR}, min_version: TLS10}}"))
    assert settings.context is not None
    assert settings.context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_suites_of_tls_1_3_alone_leave_tls_1_3_alone(directory: Path) -> None:
    text = f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}"
    settings = load_web(written(directory, text))
    assert settings.context is not None
    assert settings.context.minimum_version is ssl.TLSVersion.TLSv1_3


def test_all_problems_are_told_at_once_with_their_lines(directory: Path) -> None:
    found = problems(
        directory,
        "tls_server_config:\n"
        "  cert_fil: server.crt\n"
        "  key_file: [server.key]\n"
        "  min_version: TLS14\n"
        "  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n"
        "basic_auth_users:\n"
        "  alice: hunter2\n"
        "http_server_config:\n"
        "  http2: yes\n"
        "  headers: {X-Powered-By: tide, X-Frame-Options: maybe}\n"
        "surprise: 1\n",
    )
    starts = [problem.split(": found")[0] for problem in found]
    assert starts == [
        "web.yml:1: tls_server_config.cert_file",
        "web.yml:2: tls_server_config.cert_fil",
        "web.yml:3: tls_server_config.key_file",
        "web.yml:4: tls_server_config.min_version",
        "web.yml:5: tls_server_config.cipher_suites[0]",
        "web.yml:7: basic_auth_users.alice",
        "web.yml:9: http_server_config.http2",
        "web.yml:10: http_server_config.headers.X-Powered-By",
        "web.yml:10: http_server_config.headers.X-Frame-Options",
        "web.yml:11: surprise",
    ]
    assert 'did you mean "cert_file"?' in found[1]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "web.yml:1", "an empty file"),
        ("- a", "web.yml:1", "a list"),
        ("tls_server_config: {cert_file: server.crt}", "tls_server_config.key_file", "nothing"),
        ("tls_server_config: {cert_file: no.crt, key_file: server.key}", "cert_file", "cannot be read: No such file"),
        ("tls_server_config: {cert_file: nothing.pem, key_file: server.key}", "cert_file", "without such a block"),
        ("tls_server_config: {cert_file: server.crt, key_file: other.key}", "key_file", "the key of another"),
        ("tls_server_config: {cert_file: server.crt, key_file: locked.key}", "key_file", "a key with a passphrase"),
        (f"tls_server_config: {{{PAIR}, client_auth_type: RequireAndVerifyClientCert}}", "client_ca_file", "nothing"),
        (f"tls_server_config: {{{PAIR}, client_auth_type: RequireAnyClientCert}}", "client_auth_type", "verif"),
        (
            f"tls_server_config: {{{PAIR}, client_ca_file: authority.crt}}",
            "client_ca_file",
            "NoClientCert makes no use",
        ),
        (f"tls_server_config: {{{PAIR}, client_allowed_sans: [a]}}", "client_allowed_sans", "makes no use"),
        (
            f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}",
            "min_version",
            "at most max_version",
        ),
        (f"tls_server_config: {{{PAIR}, curve_preferences: [P256]}}", "curve_preferences[0]", "CurveP256"),
        (f"tls_server_config: {{{PAIR}, cipher_suites: [DES]}}", "cipher_suites[0]", "TLS_AES"),
        (f"tls_server_config: {{{PAIR}, max_version: TLS11}}", "max_version", "TLS12, TLS13"),
        (
            f"tls_server_config: {{{PAIR}, max_version: TLS12, cipher_suites: [TLS_AES_128_GCM_SHA256]}}",
            "cipher_suites",
            "none for TLS 1.2",
        ),
        (f"tls_server_config: {{{PAIR}, curve_preferences: [X25519, CurveP256]}}", "curve_preferences", "one curve"),
        ('http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb"}}', "X-XSS-Protection", "printable ASCII"),
        ("rate_limit: {interval: 1s}", "rate_limit.burst", "refuses every request"),
        ("rate_limit: {interval: 5, burst: 1}", "rate_limit.interval", "name the unit"),
    ],
)
def test_what_cannot_work_is_refused_where_it_stands(directory: Path, text: str, place: str, words: str) -> None:
    (problem,) = problems(directory, text)
    assert place in problem
    assert words in problem


def test_all_unreadable_files_are_told_at_once(directory: Path) -> None:
    text = "tls_server_config: {cert_file: no.crt, key_file: nothing.pem, client_ca_file: ., client_auth_type: "
    found = problems(directory, text + "RequireAndVerifyClientCert}\nbasic_auth_users: {alice: x}\n")
    assert [problem.split(": found")[0].split(".")[-1] for problem in found] == [
        "cert_file",
        "key_file",
        "client_ca_file",
        "alice",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "basic_auth_users: {alice: topsecret}",
        "basic_auth_users: {alice: [topsecret]}",
        "tls_server_config: {cert_file: server.crt, key: topsecret}",
        "tls_server_config: {cert_file: server.crt, key: topsecret, key_file: server.key}",
    ],
)
def test_a_secret_is_never_repeated(directory: Path, text: str) -> None:
    assert "topsecret" not in "\n".join(problems(directory, text))


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(HASH))
KEYS = st.sampled_from([key.name for section in (WEB, TLS, HEADERS) for key in section.keys] + ["interval", "burst"])
ANY_VALUE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4)
)


@given(st.dictionaries(KEYS, ANY_VALUE, max_size=4).map(yaml.safe_dump) | st.text(max_size=100))
def test_any_file_is_read_or_refused_with_lines_of_its_own(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yml"
    file.write_text(text, encoding="utf-8", errors="replace")
    try:
        load_web(file)
    except ConfigurationError as refused:
        lines = file.read_bytes().count(b"\n") + 1
        assert all(1 <= problem.line <= lines and problem.allowed for problem in refused.problems)
