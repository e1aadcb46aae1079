"""What a value alone cannot show: rules between the parts of a configuration.

Takes what the walker left (plain dicts and lists, INVALID where a value was refused) and notes problems; passes over
whatever was refused already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tidegauge.config.drift_rules import check_drift
from tidegauge.config.durations import describe_duration, format_duration
from tidegauge.config.metrics import Metric, comparable_names, find_metric, is_comparable, metric_names
from tidegauge.config.panes import PANE_WIDTHS, pane_width
from tidegauge.config.problems import Place, listed, quote, suggest
from tidegauge.config.schema import (
    FEEDBACK_FIELDS,
    MODEL,
    NO_FEEDBACK_MISSING,
    PREDICTION_FIELDS,
    SIGNAL,
    SOURCE,
    implied_type,
)
from tidegauge.config.settings import CLASSIFICATION, EARLY, ORIGINS, SIGNAL_PREFIX, SIGNAL_TYPES, TASKS, WORDY
from tidegauge.config.shapes import Section, between
from tidegauge.config.walk import INVALID, Findings

Values = Mapping[str, Any]

TASKS_OF_ORIGIN = {
    "confidence": ("binary", "multiclass", "ranking", "text"),
    "entropy": CLASSIFICATION,
    "abstention": ("binary", "multiclass", "text"),
    "answer_length": ("ranking", "text"),
    "disagreement": CLASSIFICATION,
}
"""Tasks whose predictions have what a signal is derived from; those not named here suit all."""

NUMBERS = ("score", "scores", "latency_ms", "weight", "count")
"""Fields of predictions that are read as numbers."""

_TEXTS = ("categorical", "boolean", INVALID)
"""Kinds of features whose values are read as they are written; what was refused is not judged by."""

_GRACE = next(key.default for key in MODEL.keys if key.name == "grace")


def check_models(models: list[Any], base: Path, findings: Findings) -> None:
    """Rules within each model, and between their names."""
    seen: set[str] = set()
    for index, model in enumerate(models):
        place: Place = ("models", index)
        if model is INVALID:
            continue
        name = model.get("name", INVALID)
        if name is not INVALID and name in seen:
            findings.add((*place, "name"), f"{quote(name)} a second time", "each model once")
        seen.add(name)
        task = model.get("task", INVALID)
        if task is not INVALID:
            _check_belonging(model, MODEL, task, f"{task} models", place, findings)
        _check_channels(model, task, place, findings)
        _check_classes(model, place, findings)
        _check_signals(model, task, place, findings)
        _check_times(model, place, findings)
        _check_reference(model, base, place, findings)
        _check_objectives(model, task, place, findings)
        _check_margins(model, task, place, findings)
        check_drift(model, place, findings)


def check_sources(sources: list[Any], models: list[Any], findings: Findings) -> None:
    """Rules within each source, between sources, and between sources and models."""
    channels = _channels_of(models)
    seen: dict[tuple[str, str], int] = {}
    for index, source in enumerate(sources):
        place: Place = ("sources", index)
        if source is INVALID:
            continue
        kinds = [kind for kind in SOURCE.exactly_one if kind in source]
        if len(kinds) != 1:
            continue
        kind = kinds[0]
        pattern = source[kind]
        if pattern is not INVALID and (kind, pattern) in seen:
            other = seen[kind, pattern]
            findings.add((*place, kind), f"{quote(pattern)} a second time (sources[{other}])", "each glob once")
        seen.setdefault((kind, pattern), index)
        _check_belonging(source, SOURCE, kind, f"{kind} sources", place, findings)
        _check_fields(source, kind, models, place, findings)
        _check_groups(source, kind, place, findings)
        _check_model_of_source(source, channels, place, findings)
        _check_channel_of_source(source, channels, place, findings)
    known = [source for source in sources if source is not INVALID]
    _check_rules(known, models, findings)
    if known == sources and sources and not any("predictions" in source for source in sources):
        findings.add(("sources",), "feedback sources only", "at least one source of predictions")


def _check_belonging(
    values: Values, section: Section, variant: str, variants: str, place: Place, found: Findings
) -> None:
    for key in section.keys:
        if key.name in values and key.only and variant not in key.only:
            found.add((*place, key.name), f"a key that {variants} do not have", f"only with {listed(key.only)}")


def _channels(model: Values) -> dict[str, Any]:
    feedback = model.get("feedback", INVALID)
    return {} if feedback is INVALID else feedback


def _check_channels(model: Values, task: Any, place: Place, findings: Findings) -> None:
    for name, channel in _channels(model).items():
        silence = INVALID if channel is INVALID else channel.get("no_feedback", NO_FEEDBACK_MISSING)
        if silence in (INVALID, NO_FEEDBACK_MISSING):
            continue
        here = (*place, "feedback", name, "no_feedback")
        kind = channel.get("kind", "complete")
        if kind not in ("complete", INVALID):
            findings.add(
                here, quote(silence), NO_FEEDBACK_MISSING, f"silence on a {kind} channel says nothing about the truth"
            )
        elif task == "regression" and not _is_number(silence):
            findings.add(here, quote(silence), "missing, or a number")
        elif task in WORDY:
            findings.add(
                here, quote(silence), NO_FEEDBACK_MISSING, f"{task} models have no label that silence could be"
            )


def _check_signals(model: Values, task: Any, place: Place, findings: Findings) -> None:
    signals = model.get("signals", INVALID)
    for name, signal in ({} if signals is INVALID else signals).items():
        here: Place = (*place, "signals", name)
        if signal is INVALID:
            continue
        values = {"type": signal} if isinstance(signal, str) else signal
        origin = values.get("from", "feedback")
        if origin is INVALID:
            continue
        if origin == "feedback" and name in _channels(model):
            findings.add(here, f"{quote(name)}, which is a channel's name", "a name that no channel of the model has")
        _check_belonging(values, SIGNAL, origin, f"signals from {origin}", here, findings)
        _check_signal_type(values, task, origin, here, findings)
        if task is not INVALID and task not in TASKS_OF_ORIGIN.get(origin, TASKS):
            allowed = listed([one for one in ORIGINS if task in TASKS_OF_ORIGIN.get(one, TASKS)])
            findings.add((*here, "from"), f"{origin}, which {task} models do not have", allowed)


def _check_signal_type(values: Values, task: Any, origin: str, here: Place, findings: Findings) -> None:
    kind, silence = values.get("type"), values.get("no_feedback", NO_FEEDBACK_MISSING)
    if origin == "feedback":
        if kind is None:
            findings.add((*here, "type"), "nothing", f"{listed(SIGNAL_TYPES)} (required of feedback)")
        if silence in (INVALID, NO_FEEDBACK_MISSING) or kind is INVALID:
            return
        if kind == "boolean" and silence not in ("true", "false"):
            findings.add((*here, "no_feedback"), quote(silence), "missing, true or false")
        if kind == "numeric" and not _is_number(silence):
            findings.add((*here, "no_feedback"), quote(silence), "missing, or a number")
        if values.get("maturity", 0) == 0:
            findings.add(
                (*here, "no_feedback"), quote(silence), "only with a maturity above 0", "silence takes time to mean it"
            )
        return
    implied = implied_type(origin)
    if kind not in (None, INVALID, implied):
        findings.add((*here, "type"), quote(kind), f"{implied}, which is what {origin} gives")
    if origin == "abstention" and task != "text" and "labels" not in values:
        findings.add((*here, "labels"), "nothing", "the answers that are none (required unless the answer is a text)")
    if origin == "disagreement" and "field" not in values:
        findings.add((*here, "field"), "nothing", "a dotted path in the record (required of disagreement)")


def _check_classes(model: Values, place: Place, findings: Findings) -> None:
    classes, most = model.get("classes", INVALID), model.get("max_classes", INVALID)
    if classes is INVALID:
        return
    if most is INVALID:
        most = next(key.default for key in MODEL.keys if key.name == "max_classes")
    if len(classes) > most:
        findings.add((*place, "classes"), f"{len(classes)} labels", f"at most {most} (max_classes)")


def _check_times(model: Values, place: Place, findings: Findings) -> None:
    windows = model.get("windows", INVALID)
    for index, window in enumerate(() if windows is INVALID else windows):
        if window is not INVALID:
            try:
                pane_width(window)
            except ValueError as error:
                findings.add((*place, "windows", index), quote(format_duration(window)), str(error))
    block = model.get("block", INVALID)
    if block is not INVALID and block not in PANE_WIDTHS:
        findings.add((*place, "block"), quote(format_duration(block)), listed(map(format_duration, PANE_WIDTHS)))
    horizon, grace = model.get("horizon", INVALID), model.get("grace", _GRACE)
    signals = model.get("signals", INVALID)
    of_signals = [] if signals is INVALID else [one for one in signals.values() if isinstance(one, dict)]
    maturities = [
        values.get("maturity", INVALID) for values in (*_channels(model).values(), *of_signals) if values is not INVALID
    ]
    known = [maturity for maturity in maturities if maturity is not INVALID]
    if horizon is not INVALID and grace is not INVALID and known and horizon < max(known) + grace:
        allowed = f"at least the longest maturity plus grace, {describe_duration(max(known) + grace)}"
        findings.add((*place, "horizon"), quote(describe_duration(horizon)), allowed)


def _check_reference(model: Values, base: Path, place: Place, findings: Findings) -> None:
    reference = model.get("reference", INVALID)
    if reference is INVALID:
        return
    try:
        with (base / reference).open("rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        findings.add((*place, "reference"), f"{quote(reference)}, which cannot be read: {reason}", "a readable file")


def _check_objectives(model: Values, task: Any, place: Place, findings: Findings) -> None:
    objectives = model.get("objectives", INVALID)
    for name, objective in ({} if objectives is INVALID else objectives).items():
        here: Place = (*place, "objectives", name)
        metric = _checked_metric(name, model, task, here, findings)
        if isinstance(objective, dict):
            here, objective = (*here, "target"), objective.get("target", INVALID)
        if metric and objective is not INVALID and not metric.low <= objective <= metric.high:
            findings.add(
                here, f"{objective:g}", between(metric.low, metric.high), _percent_hint(objective, metric.high)
            )


def _check_margins(model: Values, task: Any, place: Place, findings: Findings) -> None:
    release = model.get("release", INVALID)
    margins = INVALID if release is INVALID else release.get("margins", INVALID)
    signals = model.get("signals", INVALID)
    early = [*EARLY, *(f"{SIGNAL_PREFIX}{name}" for name in ({} if signals is INVALID else signals))]
    for name, margin in ({} if margins is INVALID else margins).items():
        here = (*place, "release", "margins", name)
        if name in early:
            _check_early_margin(name, margin, model, here, findings)
            continue
        if name.startswith(SIGNAL_PREFIX) or (task is not INVALID and not is_comparable(name, task)):
            found = f"{quote(name)}, which is not compared of {'this model' if task is INVALID else f'{task} models'}"
            findings.add(
                here, found, listed([*comparable_names(task), *early]), suggest(name, [*comparable_names(task), *early])
            )
            continue
        metric = _checked_metric(name, model, task, here, findings)
        if metric and margin is not INVALID and not 0 <= margin < metric.high - metric.low:
            span = metric.high - metric.low
            findings.add(
                here, f"{margin:g}", f"a number from 0 to less than {span:g}", _percent_hint(margin, metric.high)
            )


def _check_early_margin(name: str, margin: Any, model: Values, here: Place, findings: Findings) -> None:
    if margin is not INVALID and margin <= 0:
        findings.add(here, f"{margin:g}", "a number above 0")
    if not name.startswith(SIGNAL_PREFIX):
        return
    signal = model["signals"][name.removeprefix(SIGNAL_PREFIX)]
    if signal is not INVALID and (isinstance(signal, str) or "better" not in signal):
        found = f"{quote(name)}, of which it is not said which way is good"
        findings.add(here, found, "a signal with `better`: higher or lower")


def _checked_metric(name: str, model: Values, task: Any, place: Place, findings: Findings) -> Metric | None:
    """The metric, if this model can have it; else None and a problem, unless task or channels are in doubt."""
    if task is INVALID:
        return None
    metric = find_metric(name, task)
    if metric is None:
        findings.add(place, f"{quote(name)}, which {task} models do not have", listed(metric_names(task)))
        return None
    channels = _channels(model).values()
    kinds = [INVALID if channel is INVALID else channel.get("kind", "complete") for channel in channels]
    if kinds and INVALID not in kinds and not any(kind in metric.kinds for kind in kinds):
        found = f"{quote(name)}, which no channel of this model supports"
        allowed = listed(metric_names(task, tuple(kinds)))
        findings.add(place, found, allowed, f"it needs a channel of kind {' or '.join(metric.kinds)}")
        return None
    return metric


def _percent_hint(value: float, high: float) -> str:
    return f"a ratio, not a percentage: {value / 100:g}" if high == 1 and 1 < value <= 100 else ""


def _is_number(text: str) -> bool:
    try:
        return float(text) - float(text) == 0
    except ValueError:
        return False


def _check_fields(source: Values, kind: str, models: list[Any], place: Place, findings: Findings) -> None:
    fields = source.get("fields", INVALID)
    if fields is INVALID:
        return
    names = PREDICTION_FIELDS if kind == "predictions" else FEEDBACK_FIELDS
    for name in fields:
        if name not in names:
            findings.add((*place, "fields", name), f"a field that {kind} records do not have", listed(names))
    explicit = {name: tuple(path.split(".")) for name, path in fields.items() if path is not INVALID and name in names}
    field_by_path = _paths_of_values({name: explicit.get(name, (name,)) for name in names}, models)
    told: set[tuple[str, str]] = set()
    for path, inner in field_by_path.items():
        for depth in range(1, len(path)):
            outer = field_by_path.get(path[:depth])
            if outer is not None and (inner, outer) not in told:
                told.add((inner, outer))
                found = f"{quote('.'.join(path))}, inside {quote('.'.join(path[:depth]))}, where {outer} is read"
                hint = "" if outer in explicit else f"map {outer} too, to a path of its own"
                place_of = inner if inner in explicit else outer
                findings.add((*place, "fields", place_of), found, "a path that is not inside another field", hint)


def _check_rules(sources: list[Any], models: list[Any], findings: Findings) -> None:
    """The answer of a rule is read as text, so nothing else may be read there, within it or around it."""
    read: dict[tuple[str, ...], str] = {}
    for source in sources:
        fields = source.get("fields", {})
        if "predictions" in source and fields is not INVALID:
            mapped = {name: tuple(path.split(".")) for name, path in fields.items() if path is not INVALID}
            read |= _paths_of_values({name: mapped.get(name, (name,)) for name in PREDICTION_FIELDS}, models)
    numbers = {("features", name) for model in models for name, kind in _features(model) if kind not in _TEXTS}
    for index, model in enumerate(models):
        signals = INVALID if model is INVALID else model.get("signals", INVALID)
        for name, signal in ({} if signals is INVALID else signals).items():
            given = signal.get("field", INVALID) if isinstance(signal, dict) else INVALID
            if given is INVALID or signal.get("from") != "disagreement":
                continue
            path = tuple(given.split("."))
            for taken, by in read.items():
                number = by in NUMBERS or (by, taken[-1]) in numbers
                shorter, longer = sorted((path, taken), key=len)
                if longer[: len(shorter)] == shorter and (path != taken or number):
                    found = f"{quote(given)}, where {by} is read" + (" as a number" if path == taken else "")
                    findings.add(("models", index, "signals", name, "field"), found, "a place of its own in the record")
                    break
            read.setdefault(path, f"another rule ({name})")


def _features(model: Any) -> list[tuple[str, Any]]:
    """(name, kind) of a model's features; INVALID for a kind that was refused."""
    features = INVALID if model is INVALID else model.get("features", INVALID)
    listed_ones = {} if features is INVALID else features
    return [(name, one.get("type", INVALID) if isinstance(one, dict) else one) for name, one in listed_ones.items()]


def _paths_of_values(fields: Mapping[str, tuple[str, ...]], models: list[Any]) -> dict[tuple[str, ...], str]:
    """The field that is read at each path of a record; features and slices are read value by value."""
    known = [model for model in models if model is not INVALID]
    paths: dict[tuple[str, ...], str] = {}
    for field, path in fields.items():
        if field in ("features", "slices"):
            members = [model.get(field, INVALID) for model in known]
            paths.update({(*path, str(name)): field for names in members if names is not INVALID for name in names})
        elif field != "scores" or any(model.get("task") == "multiclass" for model in known):
            paths[path] = field
    return paths


def _check_groups(source: Values, kind: str, place: Place, findings: Findings) -> None:
    pattern = source.get("path_pattern", INVALID)
    foreign = "channel" if kind == "predictions" else "version"
    if pattern is not INVALID and foreign in pattern.groupindex:
        found = f'the named group "{foreign}"'
        findings.add((*place, "path_pattern"), found, f"groups that {kind} records have a use for")


def _check_model_of_source(
    source: Values, channels: Mapping[str, Iterable[str]] | None, place: Place, found: Findings
) -> None:
    model = source.get("model", INVALID)
    if model == "*":
        found.add((*place, "model"), quote(model), "the name of one model")
    elif channels is not None and model is not INVALID and model not in channels and "*" not in channels:
        allowed = f"a configured model: {listed(channels)}"
        found.add((*place, "model"), quote(model), allowed, suggest(model, channels))


def _check_channel_of_source(
    source: Values, channels: Mapping[str, Iterable[str]] | None, place: Place, findings: Findings
) -> None:
    channel, model = source.get("channel", INVALID), source.get("model")
    if channels is None or channel is INVALID or "predictions" in source or model is INVALID:
        return
    if model is not None and (model in channels or "*" in channels):
        options = list(channels.get(model, channels.get("*", ())))
    else:
        options = list(dict.fromkeys(name for names in channels.values() for name in names))
    if channel not in options:
        findings.add(
            (*place, "channel"), quote(channel), f"a configured channel: {listed(options)}", suggest(channel, options)
        )


def _channels_of(models: list[Any]) -> dict[str, list[str]] | None:
    """Channel names by model name; None if some were refused, since then any name might be among them."""
    channels: dict[str, list[str]] = {}
    for model in models:
        if model is INVALID or INVALID in (model.get("name", INVALID), model.get("feedback", INVALID)):
            return None
        channels.setdefault(model["name"], []).extend(model["feedback"])
    return channels or None
