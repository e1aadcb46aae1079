"""Counters of right and wrong answers. They are made of sealed blocks, so they only ever grow."""

from __future__ import annotations

import numpy as np

from tidegauge.assess.detectors.detector import Context, Detector, Reading, State, View
from tidegauge.tally.blocks import SealedBlock
from tidegauge.tally.families import confusion


def _advance(state: State, block: SealedBlock, context: Context) -> State:
    found = block.counts.get(confusion.name(context.channel.name))
    if found is None:
        return state
    series, sums = found
    version, key, _ = context.split(series)
    grown = {name: {actual: dict(answers) for actual, answers in cells.items()} for name, cells in state.items()}
    for row in np.flatnonzero(key < 0):
        cells = grown.setdefault(context.versions[int(version[row])], {})
        matrix = sums[row].reshape(context.room, context.room)
        for actual, predicted in zip(*np.nonzero(matrix), strict=True):
            # Keyed by the classes' texts, not their codes: the state outlives a change of the configuration.
            row_cells = cells.setdefault(context.classes[int(actual)], {})
            answer = context.classes[int(predicted)]
            row_cells[answer] = row_cells.get(answer, 0) + int(matrix[actual, predicted])
    return grown


def _readings(state: State, view: View) -> list[Reading]:
    readings = []
    for version, actuals in state.items():
        right = wrong = 0
        for actual, answers in actuals.items():
            for predicted, count in answers.items():
                labels = (("version", version), ("actual", actual), ("predicted", predicted))
                readings.append(Reading("model_confusion_total", labels, count))
                right += count if actual == predicted else 0
                wrong += count if actual != predicted else 0
        for result, count in (("correct", right), ("incorrect", wrong)):
            readings.append(Reading("model_outcomes_total", (("version", version), ("result", result)), count))
    return readings


def _forget(state: State, version: str) -> State:
    return {name: cells for name, cells in state.items() if name != version}


DETECTOR = Detector("outcomes", dict, _advance, _readings, forget=_forget)
