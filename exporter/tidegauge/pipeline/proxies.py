"""Samples of one model's signals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tidegauge.assess.proxies import Proxy
from tidegauge.config.durations import format_duration
from tidegauge.pipeline.engine import Engine
from tidegauge.publish import catalogue
from tidegauge.publish.samples import AnySamples, Family, Samples

_WHOLE = (
    catalogue.MODEL_PROXY_SCORE,
    catalogue.MODEL_PROXY_SCORE_LOWER,
    catalogue.MODEL_PROXY_SCORE_UPPER,
    catalogue.MODEL_PROXY_NUMERATOR,
    catalogue.MODEL_PROXY_DENOMINATOR,
    catalogue.MODEL_PROXY_SAMPLES,
)
_SLICED = (
    catalogue.MODEL_SLICE_PROXY_SCORE,
    catalogue.MODEL_SLICE_PROXY_SCORE_LOWER,
    catalogue.MODEL_SLICE_PROXY_SCORE_UPPER,
    catalogue.MODEL_SLICE_PROXY_NUMERATOR,
    catalogue.MODEL_SLICE_PROXY_DENOMINATOR,
    catalogue.MODEL_SLICE_PROXY_SAMPLES,
)


def proxy_samples(engine: Engine, proxies: Iterable[Proxy], versions: Mapping[int, str]) -> list[AnySamples]:
    """Every window of every signal; whole versions first, as slices are the first to go under the cap."""
    found = list(proxies)
    whole = _samples(_WHOLE, [one for one in found if not one.sliced], engine, versions)
    return whole + _samples(_SLICED, [one for one in found if one.sliced], engine, versions)


def _samples(
    families: Sequence[Family], proxies: Sequence[Proxy], engine: Engine, versions: Mapping[int, str]
) -> list[AnySamples]:
    rows: list[list[tuple[str, ...]]] = [[] for _ in families]
    values: list[list[float]] = [[] for _ in families]
    for proxy in proxies:
        codes, keys, slice_values = (part.tolist() for part in engine.tally.series.split(proxy.series))
        window, estimates = format_duration(proxy.window), proxy.estimates
        # How much there is is always said, 0 included; what it comes to only where there is any.
        nothing = estimates.samples == 0
        columns = (
            estimates.score,
            estimates.lower,
            estimates.upper,
            np.where(nothing, 0.0, estimates.numerator),
            np.where(nothing, 0.0, estimates.denominator),
            estimates.samples,
        )
        for place, code in enumerate(codes):
            if code not in versions:
                continue
            labels: tuple[str, ...] = (engine.model.name, versions[code])
            if proxy.sliced:
                key = keys[place]
                labels = (*labels, engine.model.slices[key], engine.slices[key].texts[slice_values[place]])
            row = (*labels, proxy.signal, window)
            for number, column in enumerate(columns):
                value = float(column[place])
                if value == value:
                    rows[number].append(row)
                    values[number].append(value)
    return [Samples(family, rows[number], values[number]) for number, family in enumerate(families) if rows[number]]
