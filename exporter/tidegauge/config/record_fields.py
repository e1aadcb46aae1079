"""The fields of the two kinds of records: name, type and meaning, as `fields` of a source may map them.

Data only: the decoder reads what it knows by these names; references and the JSON Schema are written from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordField:
    """What a record may hold under a name."""

    type: str
    meaning: str


_ID = RecordField("text or whole number", 'Joins feedback to its prediction; `1` and `"1"` are the same id.')
_TIME = (
    "RFC 3339 text, or an epoch number in s, ms, µs or ns by its size. Without an offset it is read in the source's"
    " `timezone`."
)
_MODEL = "Which model, if the source, its path or the configuration does not say."

PREDICTION: Mapping[str, RecordField] = {
    "prediction_id": RecordField(
        _ID.type, f"{_ID.meaning} Needed where feedback is expected. Of a repeated id the first record holds."
    ),
    "timestamp": RecordField("text or number", f"When it was asked for; the time of everything. {_TIME}"),
    "model": RecordField("text", _MODEL),
    "version": RecordField("text", 'Which version answered; "unknown" if nobody says.'),
    "prediction": RecordField(
        "text, number, boolean or list",
        "The answer: a class, a number (regression), a list of items from the top (ranking), a text.",
    ),
    "score": RecordField(
        "number", "Binary: the probability of the positive class. Others: the answer's own confidence."
    ),
    "scores": RecordField("object of numbers", "Multiclass: the probability of each class."),
    "features": RecordField("object", "What the model saw, as far as it is worth watching: numbers, texts, booleans."),
    "slices": RecordField("object of texts", "Further names to slice by, besides features."),
    "unit_id": RecordField(
        "text or whole number",
        "The user or thing that was judged. What one of them gets hangs together; comparisons allow for it.",
    ),
    "latency_ms": RecordField("number", "How long the answer took."),
    "error": RecordField(
        "text or boolean", "Set where no answer was given: such a prediction counts, and has no score."
    ),
    "weight": RecordField("number above 0", "1 / sampling fraction of the log, default 1: a statistical weight."),
    "count": RecordField("whole number from 1", "This record stands for so many identical predictions, default 1."),
    "experiment": RecordField("text", "The experiment it belongs to. Not used yet."),
    "variant": RecordField("text", "The experiment's arm. Not used yet."),
    "role": RecordField("`primary` or `shadow`", "Whether the answer was used; default `primary`."),
    "request_id": RecordField("text", "One request that several versions answered. Not used yet."),
}

FEEDBACK: Mapping[str, RecordField] = {
    "prediction_id": _ID,
    "timestamp": RecordField("text or number", f"When the truth was known; the latest holds. {_TIME}"),
    "model": RecordField("text", "Which model, if ids alone do not tell."),
    "label": RecordField("as `prediction`", "The truth; of a ranking the relevant item or items."),
    "signal": RecordField("text", "The name of a proxy, in place of a label."),
    "value": RecordField(
        "number or boolean", "The proxy's value; of a boolean one it may be left out, and is then true."
    ),
    "channel": RecordField("text", "By which channel it came, if neither the source nor its path says."),
    "propensity": RecordField(
        "number above 0, up to 1", "The known probability that this prediction was chosen for a label."
    ),
    "retract": RecordField("boolean", "Withdraws the channel's earlier label, or the signal's earlier value."),
}
