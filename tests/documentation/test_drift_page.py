"""The numbers of docs/drift.md, computed anew from nothing but scipy, and its words against those of the program."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from docs.generator.__main__ import DOCS
from tidegauge.config.drift_definitions import DRIFT_DEFINITIONS, FEATURE_STATE_MEANINGS, WATCHED_MEANINGS
from tidegauge.config.settings import DRIFT_REFERENCES, DRIFT_STATISTICS, FEATURE_KINDS, Drift

PAGE = (DOCS / "drift.md").read_text(encoding="utf-8")
RATES = (DOCS / "statistics-rates.md").read_text(encoding="utf-8")
QUANTILES = np.array([0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
SHARES = np.diff(QUANTILES, prepend=0, append=1)
Shares = Sequence[float] | NDArray[np.float64]


def psi(now: Shares, before: Shares) -> float:
    return float(stats.entropy(now, before) + stats.entropy(before, now))


def bell(shift: float = 0.0, spread: float = 1.0) -> NDArray[np.float64]:
    """Shares of a moved bell curve in the bins of one that has not moved."""
    return np.diff(stats.norm.cdf(stats.norm.ppf(QUANTILES), shift, spread), prepend=0, append=1)


def missing(share: float, rows: int = 5_000, reference: int = 10_000) -> float:
    """PSI of a part that the reference lacks, with half a row more in each of 15 bins."""
    now = (rows * share + 0.5) / (rows + 7.5)
    before = 0.5 / (reference + 7.5)
    return psi([now, 1 - now], [before, 1 - before])


EFFECTS = {
    "a bell curve moves by 0.1 of its standard deviation": psi(bell(0.1), SHARES),
    "by 0.2": psi(bell(0.2), SHARES),
    "by 0.3": psi(bell(0.3), SHARES),
    "by 0.5": psi(bell(0.5), SHARES),
    "by 1": psi(bell(1.0), SHARES),
    "its standard deviation grows by a tenth": psi(bell(spread=1.1), SHARES),
    "by a fifth": psi(bell(spread=1.2), SHARES),
    "a share goes from 10 to 13 in 100": psi([0.13, 0.87], [0.1, 0.9]),
    "from 10 to 15 in 100": psi([0.15, 0.85], [0.1, 0.9]),
    "from 10 to 20 in 100": psi([0.2, 0.8], [0.1, 0.9]),
    "from 50 to 55 in 100": psi([0.55, 0.45], [0.5, 0.5]),
    "5 of the 30 in 100 of a category go to one of 20": psi([0.25, 0.25, 0.5], [0.3, 0.2, 0.5]),
    "what was never missing is missing once in 100": missing(0.01),
    "3 times in 100": missing(0.03),
}


def section(title: str) -> str:
    return re.split(r"^#+ ", PAGE.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.M)[0]


def first_cells(title: str) -> list[str]:
    return re.findall(r"^\| ([^|]*?) \|", section(title), re.M)[1:]


def test_every_effect_of_the_table_is_as_large_as_it_says() -> None:
    rows = dict(re.findall(r"^\| (.*?) \| ([\d.]+) \|$", section("How large is that"), re.M))
    assert rows.keys() == EFFECTS.keys()
    for change, shown in rows.items():
        digits = len(shown.partition(".")[2])
        assert float(shown) == pytest.approx(EFFECTS[change], abs=0.5 * 10**-digits), change


def test_the_noise_that_is_named_is_that_of_samples_of_the_reference() -> None:
    assert "of about 0.13 in 14 bins; 1,000 have 0.014" in " ".join(PAGE.split())
    random = np.random.default_rng(3)
    for rows, shown in ((100, 0.13), (1_000, 0.014)):
        counts = random.multinomial(rows, SHARES, size=4_000) + 0.5
        reference = random.multinomial(10_000, SHARES, size=4_000) + 0.5
        now, before = (one / one.sum(axis=1, keepdims=True) for one in (counts, reference))
        mean = ((now - before) * np.log(now / before)).sum(axis=1).mean()
        assert mean == pytest.approx(shown, rel=0.08)


def test_a_shift_shows_in_a_window_after_the_time_that_is_said() -> None:
    said = "after some five hours in a window of 24 hours, after a day and a half in one of seven days"
    assert said in " ".join(PAGE.split())
    for window, early, late in ((24, 4.5, 5.5), (7 * 24, 30, 36)):
        before, after = (psi(SHARES + (bell(0.5) - SHARES) * hours / window, SHARES) for hours in (early, late))
        assert before < Drift().minimum_effect < after


def rate(group: str, cell: str) -> float:
    """In 100, of the page of simulated rates."""
    found = re.findall(rf"^\| {re.escape(group)} \| {re.escape(cell)} \| ([\d.]+) \|", RATES, re.M)
    assert len(found) == 1, cell
    return 100 * float(found[0])


def test_what_is_missed_is_as_the_simulations_have_it() -> None:
    rows = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", section("How often it is wrong, and what it misses"), re.M))
    cells = {
        "5 of 30 in 100 of a category go to one of 20, 5,000 predictions": "from 30 % to 20 %",
        "to one of 10": "from 30 % to 10 %",
        "to another of 25": "from 30 % to 25 %",
        "5 of 20 in 100 go to all others alike": "from 20 % to all others",
        "5 of 30 in 100 go to all others alike": "from 30 % to all others",
    }
    for row, cell in cells.items():
        of_10_000, of_100_000 = (
            rate("a shift missed, or not ranked first", f"12 categories 5 points {cell}, 5,000 rows, reference {size}")
            for size in ("10,000", "100,000")
        )
        shown, bracketed = re.findall(r"in ([\d.]+) % \(([\d.]+|none)", rows[row])[0]
        assert float(shown) == pytest.approx(of_10_000, abs=0.5 if of_10_000 > 10 else 0.05)
        assert float(bracketed.replace("none", "0")) == pytest.approx(of_100_000, abs=0.5 if of_100_000 > 10 else 0.05)
    quiet = re.findall(r"^\| false detection in a window \| [\d,]+ rows.* \| ([\d.]+) \| [\d.]+ \| 0.01", RATES, re.M)
    assert "in none of 8,000 windows" in PAGE and {float(one) for one in quiet} == {0.0}


def test_thresholds_that_people_know_are_exceeded_by_noise_as_often_as_is_said() -> None:
    random = np.random.default_rng(4)
    tenths = np.full(10, 0.1)
    counts = random.multinomial(100, tenths, size=4_000)
    reference = random.multinomial(10_000, tenths, size=4_000)
    now, before = counts / 100, reference / 10_000
    filled = (counts > 0).all(axis=1)
    indices = ((now - before) * np.log(np.where(now > 0, now, 1) / before)).sum(axis=1)[filled]
    assert "0.09 by noise alone" in DRIFT_DEFINITIONS["psi"].folklore
    assert indices.mean() == pytest.approx(0.09, rel=0.1)
    middle = (now + before) / 2
    divergence = (stats.entropy(now, middle, base=2, axis=1) + stats.entropy(before, middle, base=2, axis=1)) / 2
    assert "four in five windows" in DRIFT_DEFINITIONS["jensen_shannon"].folklore
    assert (np.sqrt(divergence) > 0.1).mean() == pytest.approx(0.8, abs=0.05)
    assert "7 of 10 windows of 100" in DRIFT_DEFINITIONS["wasserstein"].folklore
    large = random.normal(size=10_000)
    far = [stats.wasserstein_distance(random.normal(size=100), large) / large.std() for _ in range(200)]
    assert (np.array(far) > 0.1).mean() == pytest.approx(0.7, abs=0.1)


def test_the_page_names_every_statistic_reference_state_type_and_what_is_watched() -> None:
    named = " ".join(first_cells("Statistics")).replace("`", "").replace(",", "").split()
    assert named == list(DRIFT_STATISTICS)
    assert [cell.strip("`") for cell in first_cells("References") if cell.strip("`") in DRIFT_REFERENCES][:4] == list(
        DRIFT_REFERENCES
    )
    states = [state for state in FEATURE_STATE_MEANINGS if state not in ("ok", "learning", "insufficient_samples")]
    assert [cell.strip("`") for cell in first_cells("Broken data")] == states
    for name in (*FEATURE_KINDS, *WATCHED_MEANINGS):
        assert f"`{name}`" in section("What is watched"), name
