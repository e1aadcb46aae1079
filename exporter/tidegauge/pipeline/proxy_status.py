"""Proxy signals of a model's versions as the page shows them, read from the families that are published."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.publish.report import ProxyReport
from tidegauge.publish.samples import AnySamples, Samples

PREFIX = "model_proxy_"
FIELDS = ("score", "score_lower", "score_upper", "samples")


def proxy_reports(samples: Sequence[AnySamples]) -> dict[str, tuple[ProxyReport, ...]]:
    """By version, in the order of the samples. Families by slice are left to the boards."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for part in samples:
        field = part.family.name.removeprefix(PREFIX)
        if not isinstance(part, Samples) or part.family.name == field or field not in FIELDS:
            continue
        for row, value in zip(part.rows, part.values, strict=True):
            labels = dict(zip(part.family.labels, row, strict=True))
            place = (labels["version"], labels["signal"], labels["window"])
            found.setdefault(place, {})[field] = float(value)
    reports: dict[str, list[ProxyReport]] = {}
    for (version, signal, window), values in found.items():
        score, lower, upper, rows = (values.get(field) for field in FIELDS)
        reports.setdefault(version, []).append(ProxyReport(signal, window, score, lower, upper, rows))
    return {version: tuple(of_version) for version, of_version in reports.items()}
