"""What others do with the same rows, case by case; each in a process of its own, see bench/drift.py.

They read Parquet with the columns they need; neither parsing JSON nor joining is charged to them, but in one case.
Every version is compared with the reference once, as a whole or in NannyML's ten chunks. NannyML and alibi-detect need
other versions of numpy and pandas than Tidegauge: this module needs nothing but them, and runs in their environment.
Run as: python -m bench.drift_peers CASE DIRECTORY
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

CURRENT, REFERENCE = "predictions.parquet", "reference.parquet"
BINS = 10
Found = dict[tuple[str, str, str], float]
"""Statistics by version, feature and name."""


def numeric(frame: Any) -> list[str]:
    """The features that are numbers."""
    return [name for name in frame.columns if name != "version" and frame[name].dtype.kind == "f"]


def categorical(frame: Any) -> list[str]:
    """The others."""
    return [name for name in frame.columns if name != "version" and frame[name].dtype.kind != "f"]


Mark = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Case:
    """`work` takes a directory, and what is to be called when it begins and when the reference is known."""

    work: Callable[[Path, Mark, Mark], Found]
    packages: tuple[str, ...]
    modules: tuple[str, ...]


def pandas_scipy(directory: Path, begin: Mark, fitted: Mark, *, logs: bool = False) -> Found:
    """Exact statistics by hand: PSI and Jensen-Shannon in ten bins, Kolmogorov-Smirnov, Wasserstein, chi-squared.

    From the logs: both are read by pyarrow, and joined, which gives the accuracy of each version besides.
    """
    import numpy as np
    import pandas as pd
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

    def psi(p: Any, q: Any) -> float:
        p, q = np.maximum(p, 1e-6), np.maximum(q, 1e-6)
        return float(np.sum((p - q) * np.log(p / q)))

    begin()
    reference = pd.read_parquet(directory / REFERENCE)
    current = joined(directory) if logs else pd.read_parquet(directory / CURRENT)
    edges, shares = {}, {}
    for name in numeric(reference):
        cuts = np.unique(np.quantile(reference[name], np.linspace(0, 1, BINS + 1)[1:-1]))
        edges[name] = np.concatenate([[-np.inf], cuts, [np.inf]])
        shares[name] = np.histogram(reference[name], edges[name])[0] / len(reference)
    counts = {name: reference[name].value_counts() for name in categorical(reference)}
    fitted()
    found: Found = {}
    for which, rows in current.groupby("version"):
        if logs:
            told = rows.dropna(subset="label")
            found[which, "", "accuracy"] = float((told["prediction"] == told["label"]).mean())
        for name, p in shares.items():
            values, before = rows[name].to_numpy(), reference[name].to_numpy()
            q = np.histogram(values, edges[name])[0] / len(rows)
            spread = before.std()
            found[which, name, "psi"] = psi(p, q)
            found[which, name, "jensen_shannon"] = float(jensenshannon(p, q, base=2))
            found[which, name, "kolmogorov_smirnov"] = float(ks_2samp(before, values).statistic)
            found[which, name, "wasserstein"] = float(wasserstein_distance(before, values) / spread)
        for name, then in counts.items():
            now = rows[name].value_counts().reindex(then.index, fill_value=0)
            p, q = then / then.sum(), now / now.sum()
            found[which, name, "psi"] = psi(p, q)
            found[which, name, "jensen_shannon"] = float(jensenshannon(p, q, base=2))
            found[which, name, "chi_squared"] = float(chi2_contingency([then, now], correction=False).statistic)
    return found


def joined(directory: Path) -> Any:
    """Both logs in one table, a row a prediction; the fastest way that is known to us."""
    import pyarrow.json

    predictions, feedback = (
        pyarrow.json.read_json(directory / f"{name}.jsonl") for name in ("predictions", "feedback")
    )
    features = predictions.column("features").combine_chunks()
    for number, kind in enumerate(features.type):
        predictions = predictions.append_column(kind.name, features.field(number))
    told = feedback.to_pandas().drop_duplicates("prediction_id", keep="last")[["prediction_id", "label"]]
    return predictions.drop_columns("features").to_pandas().merge(told, on="prediction_id", how="left")


def nannyml(directory: Path, begin: Mark, fitted: Mark) -> Found:
    """NannyML's univariate drift: Kolmogorov-Smirnov, Jensen-Shannon, Wasserstein; Jensen-Shannon and chi-squared."""
    import pandas as pd
    from nannyml import UnivariateDriftCalculator

    begin()
    reference, current = pd.read_parquet(directory / REFERENCE), pd.read_parquet(directory / CURRENT)
    names = [*numeric(reference), *categorical(reference)]
    calculator = UnivariateDriftCalculator(
        column_names=names,
        treat_as_categorical=categorical(reference),
        continuous_methods=["kolmogorov_smirnov", "jensen_shannon", "wasserstein"],
        categorical_methods=["jensen_shannon", "chi2"],
    )
    calculator.fit(reference)
    fitted()
    found: Found = {}
    for which, rows in current.groupby("version"):
        result = calculator.calculate(rows).filter(period="analysis").to_df()
        for name, statistic, part in result.columns:
            if part == "value":  # of the last chunk
                found[which, name, statistic] = float(result[name, statistic, part].iloc[-1])
    return found


def alibi_detect(directory: Path, begin: Mark, fitted: Mark) -> Found:
    """alibi-detect's TabularDrift: Kolmogorov-Smirnov of numbers, chi-squared of categories, nothing else."""
    import numpy as np
    import pandas as pd
    from alibi_detect.cd import TabularDrift

    begin()
    reference, current = pd.read_parquet(directory / REFERENCE), pd.read_parquet(directory / CURRENT)
    names = [*numeric(reference), *categorical(reference)]
    categories = {name: pd.Index(sorted(reference[name].unique())) for name in categorical(reference)}

    def matrix(rows: Any) -> Any:
        columns = [
            categories[name].get_indexer(rows[name]) if name in categories else rows[name].to_numpy() for name in names
        ]
        return np.stack(columns, axis=1).astype(np.float64)

    detector = TabularDrift(
        matrix(reference), p_val=0.05, categories_per_feature={names.index(name): None for name in categories}
    )
    fitted()
    found: Found = {}
    for which, rows in current.groupby("version"):
        distances = detector.predict(matrix(rows), drift_type="feature")["data"]["distance"]
        for name, distance in zip(names, distances, strict=True):
            found[which, name, "chi2" if name in categories else "kolmogorov_smirnov"] = float(distance)
    return found


CASES = {
    "pandas_scipy": Case(pandas_scipy, ("pandas", "scipy", "numpy"), ("pandas", "scipy", "pyarrow")),
    "pandas_scipy_logs": Case(partial(pandas_scipy, logs=True), ("pandas", "pyarrow"), ("pandas", "scipy", "pyarrow")),
    "nannyml": Case(nannyml, ("nannyml", "pandas", "numpy"), ("nannyml", "pyarrow")),
    "alibi_detect": Case(alibi_detect, ("alibi-detect", "pandas", "numpy"), ("alibi_detect", "pyarrow")),
}


def main() -> int:
    case = CASES[sys.argv[1]]
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    moments: list[float] = []

    def mark() -> None:
        moments.append(time.process_time())

    found = case.work(Path(sys.argv[2]), mark, mark)
    mark()
    begun, fitted, ended = moments
    said = {
        "work": ended - begun,
        "fit": fitted - begun,
        "versions": [f"{name} {version(name)}" for name in case.packages],
        "found": [[*place, value] for place, value in found.items()],
    }
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
