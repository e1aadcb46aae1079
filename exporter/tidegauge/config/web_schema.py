"""The web configuration file as data: the format of Prometheus' exporter-toolkit, every key of it.

Source: prometheus/exporter-toolkit, docs/web-configuration.md. What is secret is never repeated in a message.
"""

from __future__ import annotations

import re

from tidegauge.config.durations import parse_duration
from tidegauge.config.settings import HOUR
from tidegauge.config.shapes import (
    Checked,
    Choice,
    Integer,
    Items,
    Key,
    Named,
    PathText,
    Refused,
    Scalar,
    Section,
    Text,
)

# tls.CipherSuites() of Go's crypto/tls, and what OpenSSL calls them; TLS 1.3 has names of its own, the same in both.
TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
TLS12_CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}
CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
VERIFYING = ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
CLIENT_AUTH_TYPES = ("NoClientCert", "RequestClientCert", *VERIFYING)
UNVERIFYING = ("RequireAnyClientCert", "RequireClientCert")

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_HEADER_VALUE = re.compile(r"[ -~]{0,4096}")


def _boolean(value: Scalar, raw: str) -> bool:
    if not isinstance(value, bool):
        raise Refused
    return value


def _pem(value: Scalar, raw: str) -> str:
    if not isinstance(value, str) or "-----BEGIN " not in raw:
        raise Refused(found="something else (not shown)", hint="a block scalar keeps its lines: key: |")
    return raw


def _bcrypt(value: Scalar, raw: str) -> bytes:
    if not isinstance(value, str) or _BCRYPT.fullmatch(raw) is None:
        raise Refused(found="something else (not shown)", hint="docs/security.md says how to make one")
    return raw.encode("ascii")


def _header(value: Scalar, raw: str) -> str:
    if isinstance(value, bool) or _HEADER_VALUE.fullmatch(raw) is None:
        raise Refused
    return raw.strip()


def _client_auth(value: Scalar, raw: str) -> str:
    if raw in UNVERIFYING:
        hint = (
            "Python's TLS asks for no certificate that it does not verify; RequireAndVerifyClientCert is the safe one"
        )
        raise Refused(hint)
    return Choice(CLIENT_AUTH_TYPES).read(value, raw)


def _interval(value: Scalar, raw: str) -> int:
    # Go reads a bare number as nanoseconds, people read it as seconds: only 0 is without doubt.
    if raw.isdigit() and raw != "0":
        raise Refused("name the unit")
    try:
        milliseconds = parse_duration(raw)
    except ValueError:
        raise Refused from None
    if isinstance(value, bool) or milliseconds > HOUR:
        raise Refused
    return milliseconds


_BOOLEAN = Checked("true or false", _boolean)
_INLINE = Checked("text in PEM format, on several lines", _pem)
_FREE_HEADER = Checked("printable ASCII text on one line; blank means no such header", _header)

TLS = Section(
    "TLS",
    (
        Key(
            "cert_file", PathText("a certificate file in PEM format"), "The server's certificate, chain included.", None
        ),
        Key("cert", _INLINE, "The same as text, instead of cert_file.", None),
        Key("key_file", PathText("a key file in PEM format"), "The certificate's private key.", None),
        Key("key", _INLINE, "The same as text, instead of key_file.", None),
        Key(
            "client_auth_type",
            Checked(Choice(CLIENT_AUTH_TYPES).allowed, _client_auth),
            "Whether clients must show a certificate. RequestClientCert is taken as NoClientCert.",
            "NoClientCert",
        ),
        Key("client_ca_file", PathText("a certificate file in PEM format"), "Who signs clients' certificates.", None),
        Key("client_ca", _INLINE, "The same as text, instead of client_ca_file.", None),
        Key(
            "client_allowed_sans",
            Items(Text("a DNS name, IP address, e-mail address or URI", 2048), "names", fewest=1),
            "Subject alternative names of which a client's certificate must have one.",
            (),
        ),
        Key("min_version", Choice(VERSIONS), "The lowest TLS version; below TLS12 is taken as TLS12.", "TLS12"),
        Key("max_version", Choice(VERSIONS[2:]), "The highest TLS version.", "TLS13"),
        Key(
            "cipher_suites",
            Items(Choice((*TLS12_CIPHERS, *TLS13_CIPHERS)), "cipher suites"),
            "Suites for TLS 1.2, by Go's names; those of TLS 1.3 are always all offered.",
            (),
        ),
        Key("prefer_server_cipher_suites", _BOOLEAN, "Whether the server's order of suites decides.", True),
        Key("curve_preferences", Items(Choice(tuple(CURVES)), "curves"), "The curve; one at most.", ()),
    ),
)

HEADERS = Section(
    "headers",
    (
        Key("Content-Security-Policy", _FREE_HEADER, "Replaces the page's own.", None),
        Key("X-Frame-Options", Choice(("deny", "sameorigin")), "Whether other pages may frame the page.", None),
        Key("X-Content-Type-Options", Choice(("nosniff",)), "Always sent as nosniff.", "nosniff"),
        Key("X-XSS-Protection", _FREE_HEADER, "For browsers of long ago.", None),
        Key("Strict-Transport-Security", _FREE_HEADER, "Makes browsers insist on TLS for this host.", None),
    ),
)

WEB = Section(
    "the web configuration",
    (
        Key("tls_server_config", TLS, "TLS; without it HTTP is spoken in the clear.", None),
        Key(
            "http_server_config",
            Section(
                "HTTP",
                (
                    Key("http2", _BOOLEAN, "Accepted; HTTP/1.1 is spoken in any case.", True),
                    Key("headers", HEADERS, "Headers added to every answer.", None),
                ),
            ),
            "How HTTP is spoken.",
            None,
        ),
        Key(
            "basic_auth_users",
            Named("user names to bcrypt hashes", Checked('a bcrypt hash, such as "$2y$10$..."', _bcrypt)),
            "Who may ask for anything at all; without it everybody may.",
            None,
        ),
        Key(
            "rate_limit",
            Section(
                "a rate limit",
                (
                    Key(
                        "interval",
                        Checked("a duration up to 1h, such as 100ms", _interval),
                        "One request in so long; 0: no limit.",
                        0,
                    ),
                    Key("burst", Integer(0, 1_000_000), "So many at once.", 0),
                ),
            ),
            "For all clients together; beyond it requests are answered 429.",
            None,
        ),
    ),
)
