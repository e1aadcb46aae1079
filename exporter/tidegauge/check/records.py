"""Records that are refused, or lack what the configuration counts on: names, fields, mappings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tidegauge.check.findings import Finding, names, some
from tidegauge.check.seen import Record, Seen, similar, text_at
from tidegauge.config.problems import quote, suggest
from tidegauge.config.settings import Model, Settings
from tidegauge.decode.columns import REASON_MEANINGS
from tidegauge.decode.names import model_named

_RARE = 0.01
"""A smaller share of refused lines is a matter of the log, not of the configuration."""
_FIELD_OF = {
    "missing_model": "model",
    "missing_prediction_id": "prediction_id",
    "missing_timestamp": "timestamp",
    "missing_channel": "channel",
    "missing_prediction": "prediction",
    "missing_label": "label",
    "missing_signal_value": "value",
}


def refused(seen: Seen, settings: Settings) -> Iterator[Finding]:
    """Lines that would not be counted, by reason, where they are more than a few."""
    counts = Counter(rejection.reason for _, rejection in seen.rejections)
    for reason, count in counts.most_common():
        if count < _RARE * seen.lines:
            continue
        piece, first = next((piece, one) for piece, one in seen.rejections if one.reason == reason)
        share = "all" if count == seen.lines else f"{count:,} of"
        fact = f"{share} {seen.lines:,} lines are refused as {reason}. {REASON_MEANINGS[reason]}"
        fact = f"{fact[0].upper()}{fact[1:]} The first is {piece.where(first.offset)}."
        yield Finding(f"source {seen.source.name}", *_explained(reason, fact, seen, settings))
    if seen.sample.too_long:
        fact = f"{seen.sample.too_long:,} lines are longer than max_line_bytes ({settings.max_line_bytes:,})."
        yield Finding(f"source {seen.source.name}", fact, "Raise max_line_bytes, or log less in one record.")


def _explained(reason: str, fact: str, seen: Seen, settings: Settings) -> tuple[str, str]:
    configured = [model.name for model in settings.models]
    if reason == "unknown_model":
        found = Counter(name for name in seen.texts("model") if model_named(name, settings) is None)
        hint = next((hint for name in found if (hint := suggest(name, configured))), "")
        advice = f'Name these models under models, or add an entry named "*". Configured: {names(configured)}'
        return f"{fact} Models seen: {some(found)}.", f"{advice} ({hint})." if hint else f"{advice}."
    if reason == "unknown_channel":
        channels = {channel.name for model in _all_models(settings) for channel in model.channels}
        found = Counter(name for name in seen.texts("channel") if name not in channels)
        advice = f"Name the channel under the model's feedback. Configured: {names(sorted(channels))}."
        return f"{fact} Channels seen: {some(found)}.", advice
    if reason == "unknown_signal":
        signals = {signal.name for model in _all_models(settings) for signal in model.signals}
        found = Counter(name for name in seen.texts("signal") if name not in signals)
        advice = f"Name the signal under the model's signals. Configured: {names(sorted(signals)) or 'none'}."
        return f"{fact} Signals seen: {some(found)}.", advice
    if reason in _FIELD_OF:
        field = _FIELD_OF[reason]
        if reason == "missing_prediction" and seen.has(("label",)) and not seen.has(seen.path_of("prediction")):
            return fact, "These lines look like feedback: name the glob under feedback, not under predictions."
        if reason == "missing_label" and seen.has(("prediction",)) and not seen.has(seen.path_of("label")):
            return fact, "These lines look like predictions: name the glob under predictions, not under feedback."
        advice = _where_instead(field, seen)
        if field in ("model", "channel"):
            advice += f" Or say `{field}:` in the source."
        return fact, advice
    if reason == "invalid_json" and _looks_like_csv(seen):
        return fact, "The file does not hold JSON Lines: write one JSON object a line, without brackets around all."
    if reason == "invalid_timestamp":
        return f"{fact} {_examples(seen, 'timestamp')}", "Write RFC 3339 in UTC, such as 2026-01-05T09:00:00.125Z."
    if reason.startswith("invalid_") and reason.removeprefix("invalid_") in ("label", "prediction", "propensity"):
        field = reason.removeprefix("invalid_")
        return f"{fact} {_examples(seen, field)}", "Correct the task of the model, or what the service writes."
    return fact, "Look at the line that is named."


def _examples(seen: Seen, field: str) -> str:
    found = Counter(seen.texts(field))
    return f"Written, among others: {some(found, 3)}." if found else f"No `{field}` is text or a number."


def _looks_like_csv(seen: Seen) -> bool:
    return not seen.written


def _where_instead(field: str, seen: Seen) -> str:
    """What to write under `fields` where a field is not where it should be."""
    place = ".".join(seen.path_of(field))
    keys = seen.keys()
    other = similar(field, keys)
    if other is not None and other != place:
        return f"The records have `{other}`: if that is it, add `fields: {{{field}: {other}}}` to the source."
    if other is not None:
        return f"Have the service write `{place}` into every record."
    return f"Have the service write `{place}`, or map it under `fields`. The records have {names(keys)}."


def mappings(seen: Seen) -> Iterator[Finding]:
    """Mapped paths at which no record has anything."""
    if not seen.written:
        return
    for field, mapped in seen.source.fields:
        if seen.has(mapped.split(".")):
            continue
        fact = f"`fields` maps {field} to {quote(mapped)}, and none of {len(seen.written):,} records has that."
        keys = seen.keys()
        other = similar(mapped, keys) or similar(field, keys)
        advice = f"Map it to {quote(other)}" if other else f"The records have {names(keys)}"
        yield Finding(f"source {seen.source.name}", fact, f"{advice}.")


def lacking(seen: Seen, settings: Settings, expects_feedback: bool) -> Iterator[Finding]:
    """Predictions that cannot be joined, or told apart by version, for want of a field."""
    if seen.source.kind != "predictions" or not seen.accepted:
        return
    about = f"source {seen.source.name}"
    without = sum(int((batch.key == 0).sum()) for batch in seen.predictions)
    if expects_feedback and without == seen.accepted:
        fact = f"None of {without:,} predictions has a prediction_id, so no feedback can be joined to them."
        yield Finding(about, fact, _where_instead("prediction_id", seen))
    elif expects_feedback and without > _RARE * seen.accepted:
        fact = f"{without:,} of {seen.accepted:,} predictions have no prediction_id: feedback cannot reach those."
        yield Finding(about, fact, "Have the service write an id into every record.")
    if seen.has(seen.path_of("version")) or any(written.names.version for written in seen.written):
        return
    place = ".".join(seen.path_of("version"))
    keys = seen.keys()
    other = similar("version", keys)
    advice = f"Have the service write `{place}`, or say `version:` in the source."
    if other is not None and other != place:
        advice = f"The records have `{other}`: if that is it, add `fields: {{version: {other}}}` to the source."
    fact = 'No record has a version: all are counted as version "unknown", and a release cannot be told from the last.'
    yield Finding(about, fact, advice)


def repeated(seen: Seen) -> Iterator[Finding]:
    """Ids that more than one prediction of a file bears: only the first of them counts."""
    if seen.source.kind != "predictions":
        return
    path = seen.path_of("prediction_id")
    ids: Counter[tuple[str, str]] = Counter()
    for written in seen.written:
        if (text := text_at(written.record, path)) is not None:
            ids[written.piece.path, text] += 1
    again = ids.total() - len(ids)
    if again <= _RARE * ids.total():
        return
    often = Counter({text: count for (_, text), count in ids.items() if count > 1})
    fact = f"{again:,} of {ids.total():,} predictions bear an id that came before, and are not used."
    fact += f" Ids: {some(often, 3)}."
    yield Finding(
        f"source {seen.source.name}", fact, "Make one id a prediction; the id of a user or an order is not one."
    )


def inputs(seen: list[Seen], settings: Settings) -> Iterator[Finding]:
    """Features and slices that no record of the model has, and slices with too many values."""
    predictions = [one for one in seen if one.source.kind == "predictions"]
    by_model: dict[str, list[tuple[Seen, list[Record]]]] = {}
    for one in predictions:
        for entry, records in _by_entry(one, settings).items():
            by_model.setdefault(entry, []).append((one, records))
    for model in _all_models(settings):
        groups = by_model.get(model.name, [])
        count = sum(len(records) for _, records in groups)
        if not count:
            continue
        about = f"model {model.name}"
        for name in dict.fromkeys([*model.slices, *(feature.name for feature in model.features)]):
            kind = "slice" if name in model.slices else "feature"
            places = ("slices", "features") if kind == "slice" else ("features",)
            paths = [(records, one.path_of(f"{place}.{name}")) for one, records in groups for place in places]
            values = {text_at(record, path) for records, path in paths for record in records} - {None}
            if not values:
                yield _never(kind, name, about, count, predictions)
            elif kind == "slice" and len(values) > model.max_slice_values:
                fact = (
                    f"The slice {name} has at least {len(values):,} values; beyond {model.max_slice_values}"
                    ' (max_slice_values) they fold into "other".'
                )
                yield Finding(about, fact, "Slice by something coarser, or raise max_slice_values (at most 250).")


def _by_entry(seen: Seen, settings: Settings) -> dict[str, list[Record]]:
    """The records by the entry under `models` that is theirs; "*" for models that are not named."""
    path = seen.path_of("model")
    entries: dict[str, str | None] = {}
    found: dict[str, list[Record]] = {}
    for written in seen.written:
        name = text_at(written.record, path) or written.names.model or ""
        if name not in entries:
            model = model_named(name, settings)
            entries[name] = None if model is None else model.name
        entry = entries[name]
        if entry is not None:
            found.setdefault(entry, []).append(written.record)
    return found


def _never(kind: str, name: str, about: str, records: int, seen: list[Seen]) -> Finding:
    keys = sum((one.keys() for one in seen), Counter[str]())
    inner = Counter({key: count for key, count in keys.items() if key.rpartition(".")[2] != key})
    other = similar(name, inner) or similar(name, keys)
    fact = f"None of {records:,} records has the {kind} {quote(name)}."
    if other is None:
        return Finding(about, fact, f"Correct its name under {kind}s. The records have {names(inner or keys)}.")
    outer = other.rpartition(".")[0]
    if outer in ("features", "slices"):
        advice = f"The records have {quote(other)}: correct the name under {kind}s."
    elif outer:
        advice = f"The records have {quote(other)}: add `fields: {{features: {outer}}}` to the source."
    else:
        advice = f"The records have {quote(other)}: have the service write it inside `features` or `slices`."
    return Finding(about, fact, advice)


def _all_models(settings: Settings) -> tuple[Model, ...]:
    return settings.models + ((settings.default_model,) if settings.default_model is not None else ())
