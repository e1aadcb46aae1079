"""A TLS context as a web configuration describes it, on Python's own ssl module.

Certificates and keys are read here and handed on in memory, so a key given as text never touches a disk.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidegauge.config.problems import quote
from tidegauge.config.web_schema import CURVES, TLS12_CIPHERS, VERIFYING

_VERSIONS = {"TLS13": ssl.TLSVersion.TLSv1_3}
_LARGEST_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Pem:
    """Where a certificate or key comes from: a file, or text in the configuration."""

    key: str  # of tls_server_config
    file: Path | None
    text: str = ""
    marker: str = "CERTIFICATE-----"  # how a line ends that begins what is looked for


@dataclass(frozen=True, slots=True)
class Tls:
    """What tls_server_config says, checked as far as text can be."""

    certificate: Pem
    private_key: Pem
    client_auth_type: str = "NoClientCert"
    client_authorities: Pem | None = None
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: Sequence[str] = ()
    prefer_server_cipher_suites: bool = True
    curve: str | None = None


class TlsError(Exception):
    """What a key of tls_server_config names cannot be used."""

    def __init__(self, key: str, found: str, allowed: str) -> None:
        super().__init__(f"{key}: {found}")
        self.key, self.found, self.allowed = key, found, allowed


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for the server's side of connections. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _limit_versions(context, tls)
    _choose_ciphers(context, tls)
    if tls.curve is not None:
        try:
            context.set_ecdh_curve(CURVES[tls.curve])
        except (ValueError, ssl.SSLError) as error:
            raise TlsError("curve_preferences", f"{tls.curve}, which OpenSSL refuses", "another curve") from error
    _load_certificate(context, tls)
    if tls.client_auth_type in VERIFYING and tls.client_authorities is not None:
        _verify_clients(context, tls, tls.client_authorities)
    return context


def names_of(certificate: Mapping[str, object]) -> Iterator[str]:
    """The subject alternative names in what `SSLSocket.getpeercert` returns, as they are written there."""
    names = certificate.get("subjectAltName", ())
    assert isinstance(names, tuple), "the ssl module's documentation says so"
    yield from (str(name) for _, name in names)


def _limit_versions(context: ssl.SSLContext, tls: Tls) -> None:
    # Python warns of versions below 1.2 and Debian's OpenSSL does not speak them: TLS 1.2 is the lowest there is.
    context.minimum_version = _VERSIONS.get(tls.min_version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _VERSIONS.get(tls.max_version, ssl.TLSVersion.TLSv1_2)


def _choose_ciphers(context: ssl.SSLContext, tls: Tls) -> None:
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if not tls.cipher_suites:
        return
    older = [TLS12_CIPHERS[name] for name in tls.cipher_suites if name in TLS12_CIPHERS]
    if older:
        context.set_ciphers(":".join(older))
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_3


def _load_certificate(context: ssl.SSLContext, tls: Tls) -> None:
    certificate = read_pem(tls.certificate)
    private_key = read_pem(tls.private_key)
    if b"ENCRYPTED" in private_key:
        raise TlsError(tls.private_key.key, "a key with a passphrase", "a key without one, readable by its owner alone")
    try:
        with _as_file(certificate) as first, _as_file(private_key) as second:
            context.load_cert_chain(first, second, password="")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        if reason == "KEY_VALUES_MISMATCH":
            raise TlsError(
                tls.private_key.key, "the key of another certificate", "the certificate's own key"
            ) from error
        words = f"what OpenSSL refuses ({reason.replace('_', ' ').lower()})"
        raise TlsError(tls.certificate.key, words, "a certificate with its key in PEM format") from error


def _verify_clients(context: ssl.SSLContext, tls: Tls, authorities: Pem) -> None:
    allowed = "certificates in PEM format"
    try:
        context.load_verify_locations(cadata=read_pem(authorities).decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise TlsError(authorities.key, "what OpenSSL refuses", allowed) from error
    # As in Go, whatever is named here is trusted, be it the root or not.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    required = tls.client_auth_type == "RequireAndVerifyClientCert"
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL


def read_pem(pem: Pem) -> bytes:
    """The content of a certificate or key. Raises TlsError if it cannot be read or is none."""
    allowed = f"PEM format, with -----BEGIN ... {pem.marker}"
    if pem.file is None:
        content = pem.text.encode()
    else:
        try:
            with pem.file.open("rb") as file:
                content = file.read(_LARGEST_FILE)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise TlsError(pem.key, f"{quote(str(pem.file))}, which cannot be read: {reason}", allowed) from error
    if pem.marker.encode() not in content:
        where = quote(str(pem.file)) if pem.file else "text"
        raise TlsError(pem.key, f"{where} without such a block", allowed)
    return content


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path that OpenSSL can read the content from, in memory."""
    with os.fdopen(os.memfd_create("pem"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
