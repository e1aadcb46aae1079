"""Every form of timestamp in the contract, against datetime; nothing is silently cut or guessed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.decode.timestamps import INVALID, MISSING, parse, parse_one

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
moments = st.datetimes(datetime(1990, 1, 2), datetime(2200, 12, 30))


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MS


@st.composite
def rfc3339(draw: st.DrawFn) -> tuple[str, int]:
    """A text and its milliseconds."""
    moment = draw(moments)
    minutes = draw(st.integers(-23 * 60 - 59, 23 * 60 + 59))
    digits = draw(st.text("0123456789", max_size=12))
    zone = draw(st.sampled_from(["Z", "z", "offset"]))
    sign, size = ("-" if minutes < 0 else "+"), abs(minutes)
    suffix = f"{sign}{size // 60:02d}:{size % 60:02d}" if zone == "offset" else zone
    text = moment.strftime("%Y-%m-%d") + draw(st.sampled_from("Tt ")) + moment.strftime("%H:%M:%S")
    text += ("." + digits if digits else "") + suffix
    tz = timezone(timedelta(minutes=minutes)) if zone == "offset" else UTC
    exact = moment.replace(microsecond=int(digits[:6].ljust(6, "0")), tzinfo=tz)
    return text, milliseconds(exact)


@given(st.lists(rfc3339(), min_size=1, max_size=60), st.integers(1, 40))
def test_rfc3339_with_any_fraction_and_offset_alone_and_in_any_company(
    texts: list[tuple[str, int]], copies: int
) -> None:
    column = [text for text, _ in texts] * copies
    assert parse(column).tolist() == [expected for _, expected in texts] * copies
    assert [parse_one(text) for text, _ in texts] == [expected for _, expected in texts]


@given(st.lists(moments, min_size=1, max_size=50))
def test_texts_that_datetime_writes_are_read_as_datetime_reads_them(some: list[datetime]) -> None:
    column = [moment.isoformat() for moment in some]
    expected = [milliseconds(datetime.fromisoformat(text).replace(tzinfo=UTC)) for text in column]
    assert parse(column).tolist() == expected
    assert parse(column * 20).tolist() == expected * 20


BERLIN = ZoneInfo("Europe/Berlin")


@given(st.lists(moments, min_size=1, max_size=30))
def test_naive_times_are_in_the_zone_of_the_source(some: list[datetime]) -> None:
    expected = [milliseconds(moment.replace(tzinfo=BERLIN, microsecond=0, fold=0).astimezone(UTC)) for moment in some]
    column = [moment.replace(microsecond=0).isoformat() for moment in some]
    assert parse(column * 20, BERLIN).tolist() == expected * 20
    assert [parse_one(text, BERLIN) for text in column] == expected


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2024-10-27T02:30:00", "2024-10-27T00:30:00Z"),  # happens twice: the first
        ("2024-03-31T02:30:00", "2024-03-31T01:30:00Z"),  # never happens: as if the clock had not been changed yet
        ("2024-07-01T12:00:00", "2024-07-01T10:00:00Z"),
        ("2024-07-01T12:00:00Z", "2024-07-01T12:00:00Z"),  # says itself
    ],
)
def test_daylight_saving(local: str, utc: str) -> None:
    assert parse([local], BERLIN).tolist() == parse([utc]).tolist()
    assert parse([local] * 50, BERLIN).tolist() == parse([utc] * 50).tolist()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_700_000_000, 1_700_000_000_000),
        (1_700_000_000_123, 1_700_000_000_123),
        (1_700_000_000_123_999, 1_700_000_000_123),
        (1_700_000_000_123_999_999, 1_700_000_000_123),
        (1_700_000_000.0, 1_700_000_000_000),
        (1_700_000_000.123, 1_700_000_000_123),
        (1_700_000_000_123.9, 1_700_000_000_123),
        (1.700000000123e15, 1_700_000_000_123),
        ("1700000000", 1_700_000_000_000),
        ("1700000000.123", 1_700_000_000_123),
        ("1700000000123", 1_700_000_000_123),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),  # a leap second is the next second
        ("2016-12-31T23:59:60.5Z", 1_483_228_800_500),
        ("2024-05-01T10:00:00+0530", 1_714_537_800_000),
        ("2024-05-01T10:00:00-02", 1_714_564_800_000),
        ("2024-05-01T10:00:00,25Z", 1_714_557_600_250),
        ("2024-05-01T10:00:00.1239999Z", 1_714_557_600_123),
        ("1990-01-01T00:00:00Z", 631_152_000_000),
        ("2200-12-31T23:59:59.999Z", 7_289_654_399_999),
        (None, MISSING),
    ],
)
def test_forms(value: str | int | float | None, expected: int) -> None:
    assert parse_one(value) == expected
    assert parse([value] * 40).tolist() == [expected] * 40


WRONG: list[str | int | float] = [
    "",
    " ",
    "now",
    "2024-05-01",
    "2024-05-01T10:00Z",
    "2024-05-01T10:00:00.Z",
    "2024-05-01T10:00:00 Z",
    "2024-05-01T10:00:00Z ",
    " 2024-05-01T10:00:00Z",
    "2024-05-01T10:00:00Zulu",
    "2024-05-01T10:00:00+5:30",
    "2024-05-01T10:00:00+24:00",
    "2024-05-01T10:00:00+05:60",
    "2024-05-01T24:00:00Z",
    "2024-05-01T10:60:00Z",
    "2024-05-01T10:00:61Z",
    "2024-00-01T10:00:00Z",
    "2024-13-01T10:00:00Z",
    "2024-05-00T10:00:00Z",
    "2024-04-31T10:00:00Z",
    "2023-02-29T10:00:00Z",
    "2100-02-29T10:00:00Z",
    "1989-12-31T23:59:59.999Z",
    "2201-01-01T00:00:00Z",
    "1990-01-01T00:00:00+00:01",
    "0000-00-00T00:00:00Z",
    "2024/05/01 10:00:00",
    "2024-05-01T1\uff10:00:00Z",
    "2024-05-01T10:00:0\nZ",
    "20240501T100000Z",
    "-1700000000",
    "1e9",
    "1700000000x",
    "99999999999999999999999",
    0,
    -1,
    1,
    631_151_999,
    10**11,
    2**63,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    True,
]


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_what_is_no_timestamp_is_invalid_and_spoils_no_neighbour(value: str | int | float) -> None:
    good, expected = "2024-05-01T10:00:00Z", 1_714_557_600_000
    assert parse_one(value) == INVALID
    assert parse([value] * 40).tolist() == [INVALID] * 40
    assert parse([good, value, good] * 30).tolist() == [expected, INVALID, expected] * 30
    assert parse([value, good] * 30).tolist() == [INVALID, expected] * 30


def test_any_single_wrong_character_is_noticed() -> None:
    """A text of the right length with one character changed reads as datetime reads it, or not at all."""
    good = "2024-05-01T10:20:30.456+05:30"
    texts = [good[:at] + other + good[at + 1 :] for at in range(len(good)) for other in "0479:-.+TZ z/é\t"]
    times = parse(texts).tolist()
    for text, time in zip(texts, times, strict=True):
        if time != INVALID:
            assert time == milliseconds(datetime.fromisoformat(text.upper().replace("Z", "T"))), text
    assert parse(texts[::-1]).tolist() == times[::-1]
    assert [parse_one(text) for text in texts] == times


def test_a_mixture_of_all_forms_in_any_order() -> None:
    forms: list[str | int | float | None] = [
        *WRONG,
        None,
        1_700_000_000,
        1_700_000_000.5,
        "2024-05-01T10:00:00.5+01:00",
    ]
    forms += [f"2024-05-{day:02d} 10:00:00" for day in range(1, 32)]
    random.Random(1).shuffle(forms)
    assert parse(forms * 3).tolist() == [parse_one(form) for form in forms] * 3
