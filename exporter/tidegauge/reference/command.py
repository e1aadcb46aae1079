"""What `tidegauge reference` does: reads records, writes a prepared reference, says what it found.

The file appears whole or not at all. A file that is no prepared reference is never replaced.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tidegauge.config.load import load
from tidegauge.config.problems import listed, quote
from tidegauge.decode.names import model_named
from tidegauge.reference.build import PREPARED, Scorer, build, is_prepared
from tidegauge.reference.format import KEY, dump
from tidegauge.reference.value import Reference
from tidegauge.tally.features.schema import Bins, NumericBins

NOTABLE = 0.05
"""Share of missing values that is worth a word."""
FEW = 1000
"""Records, below which a reference is worth a word."""


def make(config_file: Path, model_name: str, records: Path, output: Path, scorer: Scorer) -> str:
    """Writes the reference of a model; returns what there is to say of it.

    Raises ConfigurationError, ValueError or OSError, naming the file; nothing is written then.
    """
    settings = load(config_file, references=False)
    model = model_named(model_name, settings)
    if model is None:
        known = listed(quote(one.name) for one in settings.models)
        raise ValueError(f"{config_file}: found no model {quote(model_name)}; allowed: {known}")
    _check_output(output)
    if is_prepared(records):
        raise ValueError(f"{records}: found a prepared reference; allowed: records in CSV, JSON Lines or Parquet")
    reference = build(replace(model, name=model_name), settings, records, scorer)
    text = dump(reference)
    _write(output, text)
    return "\n".join(_said(reference, records, output, len(text.encode())))


def _check_output(output: Path) -> None:
    if output.suffix.lower() not in PREPARED:
        raise ValueError(f"{output}: found a name without {listed(PREPARED)}; allowed: a YAML file")
    if output.exists() and not (output.is_file() and _is_ours(output)):
        raise ValueError(f"{output}: found a file that is no prepared reference; allowed: a new file, or one of these")
    if not output.absolute().parent.is_dir():
        raise ValueError(f"{output}: found no directory {output.parent}; allowed: a file in a directory that is there")


def _is_ours(output: Path) -> bool:
    with output.open("rb") as file:
        begin = file.read(1 << 16)
    return not begin.strip() or any(line.startswith(f"{KEY}:".encode()) for line in begin.splitlines())


def _write(output: Path, text: str) -> None:
    # A link stays a link: what it names is replaced.
    target = output.resolve()
    number, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _said(reference: Reference, records: Path, output: Path, size: int) -> Iterator[str]:
    yield f"{output}: reference data of model {quote(reference.model)}, made from {records} ({size / 1000:.1f} kB)"
    rejected = ", ".join(f"{reason} {count}" for reason, count in reference.rejected.items())
    yield f"records: {reference.records}" + (f"; not used: {rejected}" if rejected else "")
    labels = 0 if reference.label is None else int(reference.label.schema.conditions(reference.label.counts)[0, 0])
    if reference.label is not None:
        yield f"labels: {labels}"
    if reference.schema.features:
        yield "features:"
        shown = [_shown(bins.name) for bins in reference.schema.features]
        width = max(map(len, shown))
        for name, bins, kind in zip(shown, reference.schema.features, reference.kinds, strict=True):
            yield f"  {name:<{width}}  {kind}, {_bins(bins)}"
    if reference.scores:
        yield "scores: " + ", ".join(f"{name} {score:.4g}" for name, score in reference.scores.items())
    warnings = [*_warnings(reference), *reference.notes]
    if warnings:
        yield "warnings:"
        yield from (f"  {warning}" for warning in warnings)


def _bins(bins: Bins) -> str:
    if isinstance(bins, NumericBins):
        inner = f"{bins.inner} {'bin' if bins.inner == 1 else 'bins'}"
        return f"{inner} from {bins.edges[0]:.6g} to {bins.edges[-1]:.6g}"
    named = f"{len(bins.values)} {'category' if len(bins.values) == 1 else 'categories'}"
    if not bins.hashed:
        return named
    others = f"{len(bins.known)} others" if bins.known is not None else "others too many to tell which are new"
    return f"{named} and {others} in {bins.hashed} buckets"


def _warnings(reference: Reference) -> Iterator[str]:
    if reference.records < FEW:
        yield f"{reference.records} records are few: only large changes will be told from chance"
    conditions = reference.schema.conditions(reference.counts).tolist()
    varied = reference.schema.varied(reference.counts).tolist()
    for bins, found, varies in zip(reference.schema.features, conditions, varied, strict=True):
        name = _shown(bins.name)
        _, missing, _, _, invalid, non_finite = found
        if not varies:
            yield f"{name} is constant: any other value will be drift"
        for number, what in ((missing, "missing"), (invalid, "of a wrong type"), (non_finite, "not finite")):
            if number > (NOTABLE * reference.records if what == "missing" else 0):
                yield f"{name}: {number} of {reference.records} values ({number / reference.records:.1%}) are {what}"


def _shown(name: str) -> str:
    return name if name.isprintable() and " " not in name else quote(name)
