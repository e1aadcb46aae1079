"""Numbers as Grafana writes them in the units that the boards use."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_SHORT = ((1e9, " B"), (1e6, " M"), (1e3, " K"))
_BYTES = ((1 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB"), (1, " B"))
_SECONDS = ((86_400, " d"), (3600, " h"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs"))
_AFTER = {"reqps": " req/s", "cps": " c/s"}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A value in a unit; without `decimals`, three figures that say something."""
    if unit == "dateTimeAsIso":
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    if unit == "percentunit":
        return _number(100 * value, decimals) + "%"
    if unit == "s":
        return _scaled(value, _SECONDS, decimals)
    if unit in ("bytes", "Bps"):
        return _scaled(value, _BYTES, decimals) + ("/s" if unit == "Bps" else "")
    if unit == "short":
        return _scaled(value, _SHORT, decimals)
    return _number(value, decimals) + _AFTER.get(unit, "")


def _scaled(value: float, scale: tuple[tuple[float, str], ...], decimals: int | None) -> str:
    for factor, name in scale:
        if abs(value) >= factor:
            return _number(value / factor, decimals) + name
    return _number(value, decimals) + (scale[-1][1] if value and scale is _SECONDS else "")


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    figures = max(0, 2 - math.floor(math.log10(abs(value))))
    short = f"{value:.{min(figures, 6)}f}"
    return short.rstrip("0").rstrip(".") if "." in short else short


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, about as many as wanted."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / wanted
    unit = 10 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= rough)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float, wanted: int = 5) -> list[float]:
    """Powers of ten between 10**low and 10**high, about as many as wanted."""
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    step = max(1, math.ceil((last - first) / wanted))
    return [10.0**power for power in range(first, last + 1) if power % step == 0]
