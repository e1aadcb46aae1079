"""Timestamps that cannot be right: of the future, of long ago, or of another zone than the source says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tidegauge.check.findings import Finding, instant, rough
from tidegauge.check.seen import Seen, value_at
from tidegauge.config.durations import describe_duration
from tidegauge.config.settings import HOUR, MINUTE, Model, Settings
from tidegauge.decode.timestamps import INVALID, MISSING, parse_one
from tidegauge.pipeline.clock import TOLERANCE
from tidegauge.tally.panes import ladder_of

_NAIVE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d([.,]\d+)?", re.ASCII)
_STEP = 30 * MINUTE  # nearly all zones are whole half hours from UTC
_FARTHEST = 14 * HOUR


def future(seen: Seen, wall: int) -> Iterator[Finding]:
    """Timestamps ahead of the machine's clock: such predictions are not used."""
    times = all_times(seen)
    ahead = times[times > wall + TOLERANCE]
    if len(ahead) * 100 < len(times) or not len(ahead):
        return
    if next(local(seen, wall), None) is not None:
        return  # the same, better explained
    share = f"All {len(times):,}" if len(ahead) == len(times) else f"{len(ahead):,} of {len(times):,}"
    fact = (
        f"{share} timestamps are in the future, up to {instant(int(ahead.max()))}, {rough(int(ahead.max()) - wall)}"
        f" from now (this machine's clock says {instant(wall)})."
    )
    if seen.source.kind == "predictions":
        fact += " Predictions more than 5m ahead are not used."
    advice = "Compare the clocks of the machines; write timestamps in UTC, or with an offset."
    if _naive_share(seen) > 0.5:
        advice = "They carry no offset: say `timezone:` in the source, or write them in UTC with a Z."
    yield Finding(f"source {seen.source.name}", fact, advice)


def local(seen: Seen, wall: int) -> Iterator[Finding]:
    """Timestamps without an offset that are off by whole half hours from the time of their file.

    A log's last line is written when the file last changed, so the two should agree to some seconds.
    """
    zone = UTC if seen.source.timezone == "UTC" else ZoneInfo(seen.source.timezone)
    offsets: set[int] = set()
    path = seen.path_of("timestamp")
    ends = {id(piece): piece for piece in seen.sample.pieces if piece.last}
    newest: dict[int, int] = {}
    for written in seen.written:
        value = value_at(written.record, path)
        if id(written.piece) in ends and isinstance(value, str) and _NAIVE.fullmatch(value):
            moment = parse_one(value, zone)
            if moment not in (INVALID, MISSING):
                newest[id(written.piece)] = max(moment, newest.get(id(written.piece), moment))
    for key, moment in newest.items():
        off = moment - ends[key].changed
        nearest = round(off / _STEP) * _STEP
        if abs(off - nearest) > MINUTE or abs(nearest) > _FARTHEST:
            return
        offsets.add(nearest)
    if len(offsets) != 1 or not (offset := offsets.pop()):
        return
    fact = (
        f"The timestamps carry no offset, are read as {seen.source.timezone}, and the newest of each file is"
        f" {describe_duration(abs(offset))} {'ahead of' if offset > 0 else 'behind'} the time at which the file was"
        " written. By the look of it they are in local time."
    )
    advice = "Say `timezone:` in the source, for example Europe/Berlin; better, write UTC with a Z."
    yield Finding(f"source {seen.source.name}", fact, advice)


def _naive_share(seen: Seen) -> float:
    path = seen.path_of("timestamp")
    values = [value_at(written.record, path) for written in seen.written]
    return sum(isinstance(value, str) and _NAIVE.fullmatch(value) is not None for value in values) / max(1, len(values))


def long_ago(model: Model, times: NDArray[np.int64], settings: Settings, clock: int, wall: int) -> Iterator[Finding]:
    """Predictions of a model that no window reaches back to."""
    times = times[times <= wall + TOLERANCE]
    if not len(times):
        return
    newest = int(times.max())
    reach = max(model.windows) + max(slot.maturity for slot in model.slots)
    if newest >= clock - reach:
        return
    oldest_pane = ladder_of(model).edges(clock, clock)[-1]
    fact = f"The newest prediction is of {instant(newest)}, {rough(clock - newest)} ago"
    if newest < oldest_pane:
        fact += f", and all {len(times):,} seen are older than what is kept ({rough(clock - oldest_pane)}): they are"
        fact += " counted as late and not used."
    else:
        fact += f": beyond the longest window and maturity ({describe_duration(reach)}), so every window is empty."
    if settings.clock == "wall":
        advice = "If this is a replay of old logs, set `clock: log`; else look why the service writes no more."
    else:
        advice = "Another model's logs are that much newer: give this model longer windows, or an exporter of its own."
    yield Finding(f"model {model.name}", fact, advice)


def all_times(seen: Seen) -> NDArray[np.int64]:
    """The times of everything that was accepted, in ms."""
    times = [batch.time for batch in seen.predictions] + [batch.time for batch in seen.feedback]
    return np.concatenate(times) if times else np.empty(0, np.int64)


def span(seen: Seen) -> str:
    """From when to when the accepted records are."""
    times = all_times(seen)
    return f"{instant(int(times.min()))} to {instant(int(times.max()))}" if len(times) else "none accepted"


def latest(seen: list[Seen], wall: int) -> int:
    """The log clock: the highest prediction time that is not of the future, in ms; `wall` if there is none."""
    known = [all_times(one) for one in seen if one.source.kind == "predictions"]
    times = np.concatenate(known) if known else np.empty(0, np.int64)
    times = times[times <= wall + TOLERANCE]
    return int(times.max()) if len(times) else wall
