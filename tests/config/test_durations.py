"""Durations: what people may write, and the one spelling that becomes a label."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.config.durations import describe_duration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1h", 3_600_000),
        ("90s", 90_000),
        ("24h", 86_400_000),
        ("7d", 604_800_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("500ms", 500),
        ("3600", 3_600_000),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_as_milliseconds(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", " ", "h", "1x", "1h ", "30m1h", "1h1h", "-1h", "+1h", "1.5h", "1H", "1 h", "1w", "1e3", "٣s", "1ms5"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (60 * 60_000, "1h"),
        (86_400_000, "24h"),
        (2 * 86_400_000, "48h"),
        (3 * 86_400_000, "3d"),
        (604_800_000, "7d"),
        (5_400_000, "90m"),
        (90_000, "90s"),
        (1_500, "1500ms"),
        (50 * 3_600_000, "50h"),
        (0, "0s"),
    ],
)
def test_a_duration_has_one_spelling(milliseconds: int, text: str) -> None:
    assert format_duration(milliseconds) == text


@given(st.integers(0, 10**12))
def test_every_spelling_reads_back_as_the_same_duration(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds
    assert parse_duration(describe_duration(milliseconds)) == milliseconds


def test_a_duration_is_described_by_its_parts() -> None:
    assert describe_duration(parse_duration("20165m")) == "14d5m"
    assert describe_duration(0) == "0s"


@given(st.integers(0, 400), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 5_000))
def test_parts_add_up(days: int, hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    text = f"{days}d{hours}h{minutes}m{seconds}s{milliseconds}ms"
    total = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000 + milliseconds
    assert parse_duration(text) == total
    assert format_duration(parse_duration(text)) == format_duration(total)
