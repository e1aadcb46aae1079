"""Which format and coding of the metrics a client wants, from its Accept and Accept-Encoding headers.

Never refuses: who asks for nothing that is known gets plain text, as Prometheus's own libraries do.
"""

from __future__ import annotations

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def wants_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics 1.0 is preferred to text 0.0.4 (RFC 9110, 12.5.1); on equal quality the first named wins."""
    best, openmetrics = 0.0, False
    for name, parameters in _elements(accept):
        version, quality = parameters.get("version", ""), _quality(parameters)
        if name == "application/openmetrics-text" and version in ("", "1.0.0"):
            candidate = True
        elif (name == "text/plain" and version in ("", "0.0.4")) or name in ("text/*", "*/*"):
            candidate = False
        else:
            continue
        if quality > best:
            best, openmetrics = quality, candidate
    return openmetrics


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a gzip answer is welcome; what names gzip itself goes before `*` (RFC 9110, 12.5.3)."""
    qualities = {name: _quality(parameters) for name, parameters in _elements(accept_encoding)}
    return qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0))) > 0


def _elements(header: str) -> list[tuple[str, dict[str, str]]]:
    elements = []
    for element in header.split(","):
        name, *rest = element.split(";")
        parameters = {}
        for parameter in rest:
            key, _, value = parameter.partition("=")
            parameters[key.strip().lower()] = value.strip().strip('"').lower()
        if name.strip():
            elements.append((name.strip().lower(), parameters))
    return elements


def _quality(parameters: dict[str, str]) -> float:
    try:
        quality = float(parameters.get("q", "1"))
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
