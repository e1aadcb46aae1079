"""Reads a web configuration file: TLS, basic authentication, headers, a rate limit; or says all that is wrong with it.

The format is that of Prometheus' exporter-toolkit. Paths are relative to the file.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tidegauge.config.problems import ConfigurationError, Problem, listed
from tidegauge.config.tls import Pem, Tls, TlsError, read_pem, tls_context
from tidegauge.config.walk import INVALID, Findings, walk
from tidegauge.config.web_schema import TLS12_CIPHERS, VERIFYING, WEB
from tidegauge.config.yaml_lines import read_nodes

_TLS_PLACE = ("tls_server_config",)


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket for all requests: a token every `interval` ms, at most `burst` of them."""

    interval: int
    burst: int


@dataclass(frozen=True, slots=True)
class WebSettings:
    """A whole web configuration, ready for use."""

    path: Path
    context: ssl.SSLContext | None  # None: HTTP in the clear
    allowed_names: frozenset[str]  # of client certificates; empty: any that is verified
    headers: tuple[tuple[str, str], ...]
    users: Mapping[str, bytes]  # name -> bcrypt hash; empty: no authentication
    rate: Rate | None
    files: tuple[Path, ...]  # this file and those it names


def load_web(path: Path) -> WebSettings:
    """The settings of a web configuration file. Raises ConfigurationError with every problem of the file."""
    # An empty file is refused, though exporter-toolkit takes it: half-written, it would let everybody in.
    root = read_nodes(path, WEB.allowed)
    if isinstance(root, Problem):
        raise ConfigurationError((root,))
    findings = Findings(str(path))
    values = walk(root, WEB, findings)
    if values is INVALID:
        raise ConfigurationError(findings.sorted())
    _check_rate(values, findings)
    base = path.absolute().parent
    tls = _tls(values, base, findings)
    context = _context(tls, findings)
    if findings.problems:
        raise ConfigurationError(findings.sorted())
    section = values.get("tls_server_config", {})
    headers = values.get("http_server_config", {}).get("headers", {})
    rate = Rate(**{"interval": 0, "burst": 0, **values.get("rate_limit", {})})
    return WebSettings(
        path=path.absolute(),
        context=context,
        allowed_names=frozenset(map(plain_name, section.get("client_allowed_sans", ()))),
        headers=tuple((name, value) for name, value in headers.items() if value),
        users=dict(values.get("basic_auth_users", {})),
        rate=rate if rate.interval else None,
        files=(path.absolute(), *_files(tls)),
    )


def plain_name(name: str) -> str:
    """A subject alternative name in one spelling: addresses have several."""
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def explain_web(settings: WebSettings) -> str:
    """A summary for people, ended by a newline."""
    clients = ""
    if settings.context is not None and settings.context.verify_mode is not ssl.CERT_NONE:
        clients = {
            ssl.CERT_REQUIRED: ", clients must show a certificate",
            ssl.CERT_OPTIONAL: ", certificates of clients are verified where shown",
        }[settings.context.verify_mode]
    users = f"basic authentication of {listed(settings.users)}" if settings.users else "no authentication by password"
    lines = [
        f"{settings.path}: valid",
        f"  {'TLS' if settings.context else 'no TLS'}{clients}; {users}",
    ]
    if settings.rate:
        lines.append(f"  rate limit: a request every {settings.rate.interval} ms, {settings.rate.burst} at once")
    return "\n".join(lines) + "\n"


def _check_rate(values: Mapping[str, Any], findings: Findings) -> None:
    rate = values.get("rate_limit", INVALID)
    if rate is not INVALID and rate.get("interval", 0) not in (0, INVALID) and rate.get("burst", 0) == 0:
        findings.add(("rate_limit", "burst"), "0", "at least 1", "a burst of 0 refuses every request")


def _tls(values: Mapping[str, Any], base: Path, findings: Findings) -> Tls | None:
    """What tls_server_config says, unless a rule between its keys is broken; notes the problems."""
    section = values.get("tls_server_config")
    if section is None or section is INVALID:
        return None
    certificate = _pem(section, "cert_file", "cert", base, findings, required=True)
    private_key = _pem(section, "key_file", "key", base, findings, required=True)
    authorities = _pem(section, "client_ca_file", "client_ca", base, findings, required=False)
    _check_clients(section, findings)
    _check_versions(section, findings)
    curves = section.get("curve_preferences", ())
    if curves is not INVALID and len(curves) > 1:
        hint = "without the key OpenSSL's own list is used"
        findings.add((*_TLS_PLACE, "curve_preferences"), f"{len(curves)} curves", "one curve, or no such key", hint)
    for pem in (certificate, private_key, authorities):
        if pem is not None:
            _check_readable(pem, findings)
    refused = any(problem.path.startswith(_TLS_PLACE[0]) for problem in findings.problems)
    if refused or certificate is None or private_key is None:
        return None
    return Tls(
        certificate,
        private_key,
        client_auth_type=section.get("client_auth_type", "NoClientCert"),
        client_authorities=authorities,
        min_version=section.get("min_version", "TLS12"),
        max_version=section.get("max_version", "TLS13"),
        cipher_suites=section.get("cipher_suites", ()),
        prefer_server_cipher_suites=section.get("prefer_server_cipher_suites", True),
        curve=curves[0] if curves else None,
    )


def _pem(
    section: Mapping[str, Any], file_key: str, text_key: str, base: Path, findings: Findings, *, required: bool
) -> Pem | None:
    marker = "PRIVATE KEY-----" if text_key == "key" else "CERTIFICATE-----"
    both = f"one of {file_key}, {text_key}"
    if file_key in section and text_key in section:
        findings.add((*_TLS_PLACE, text_key), f"both {file_key} and {text_key}", both)
        return None
    if file_key in section:
        file = section[file_key]
        return None if file is INVALID else Pem(file_key, base / file, marker=marker)
    if text_key in section:
        text = section[text_key]
        return None if text is INVALID else Pem(text_key, None, text, marker=marker)
    if required:
        findings.add((*_TLS_PLACE, file_key), "nothing", both)
    return None


def _check_readable(pem: Pem, findings: Findings) -> None:
    try:
        read_pem(pem)
    except TlsError as error:
        findings.add((*_TLS_PLACE, error.key), error.found, error.allowed)


def _check_clients(section: Mapping[str, Any], findings: Findings) -> None:
    kind = section.get("client_auth_type", "NoClientCert")
    named = "client_ca_file" in section or "client_ca" in section
    if kind is INVALID:
        return
    if kind in VERIFYING and not named:
        findings.add((*_TLS_PLACE, "client_ca_file"), "nothing", f"who signs clients' certificates, with {kind}")
    for key in ("client_ca_file", "client_ca", "client_allowed_sans"):
        if kind not in VERIFYING and key in section:
            findings.add((*_TLS_PLACE, key), f"a key that {kind} makes no use of", f"only with {listed(VERIFYING)}")


def _check_versions(section: Mapping[str, Any], findings: Findings) -> None:
    low, high = section.get("min_version", "TLS12"), section.get("max_version", "TLS13")
    if INVALID in (low, high):
        return
    if low > high:
        findings.add((*_TLS_PLACE, "min_version"), f'"{low}"', f"at most max_version, {high}")
    ciphers = section.get("cipher_suites", ())
    named = ciphers is not INVALID and ciphers and INVALID not in ciphers
    if named and high == "TLS12" and not any(name in TLS12_CIPHERS for name in ciphers):
        findings.add((*_TLS_PLACE, "cipher_suites"), "none for TLS 1.2", "at least one, with max_version TLS12")


def _context(tls: Tls | None, findings: Findings) -> ssl.SSLContext | None:
    if tls is None:
        return None
    try:
        return tls_context(tls)
    except TlsError as error:
        findings.add((*_TLS_PLACE, error.key), error.found, error.allowed)
        return None


def _files(tls: Tls | None) -> list[Path]:
    sources = (tls.certificate, tls.private_key, tls.client_authorities) if tls else ()
    return [pem.file for pem in sources if pem is not None and pem.file is not None]
