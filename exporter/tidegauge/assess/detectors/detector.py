"""The form of a detector: a recursion over the sealed blocks of a stream, with a small explicit state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.assess.measures.measure import Measure
from tidegauge.assess.releases.lifecycle import Lifecycle, Release
from tidegauge.config.settings import Channel, Model
from tidegauge.tally.blocks import SealedBlock

State = Any
"""Whatever the detector makes of it; `save` turns it into JSON values and `load` back. It is saved with the sums and
replays to the same result."""

LABELS, SIGNALS, ARRIVALS = "labels", "signals", "arrivals"
ARRIVING = Channel("", ARRIVALS, maturity=0)
"""Stands for a channel where the stream is that of arrivals."""


def stream_of(channel: Channel) -> str:
    """LABELS of a channel, SIGNALS of a signal that comes as feedback, ARRIVALS of what comes with the prediction."""
    if channel.kind == ARRIVALS:
        return ARRIVALS
    return LABELS if channel.carries == "label" else SIGNALS


@dataclass(frozen=True, slots=True)
class Context:
    """What the codes of a block mean."""

    model: Model
    channel: Channel  # ARRIVING for the arrivals
    versions: tuple[str, ...]
    classes: tuple[str, ...]
    room: int  # classes that a confusion matrix has room for
    split: Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]
    """Series numbers to (version, slice key or -1 for the whole version, slice value)."""
    slices: tuple[tuple[str, ...], ...] = ()  # the values of each slice key, by code
    clustered: bool = False  # a prediction of this block's time or before has carried a unit_id
    measures: tuple[Measure, ...] = ()  # of the model, all streams
    releases: tuple[Release, ...] = ()  # as arrivals tell them, which are sealed first

    @property
    def stream_key(self) -> str:
        """The key of the stream, as measures name it."""
        return self.channel.key


@dataclass(frozen=True, slots=True)
class View:
    """What readings are made for."""

    model: Model
    channel: Channel  # ARRIVING for the arrivals
    measures: tuple[Measure, ...]
    lifecycle: Lifecycle
    block: int  # ms; width of a block

    @property
    def stream_key(self) -> str:
        """The key of the stream, as measures name it."""
        return self.channel.key

    def published(self, release: Release) -> bool:
        """Whether a release is still to be seen: as long as the version gets traffic."""
        return not self.lifecycle.lost(release.candidate, self.block)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value that a detector has to publish: family name, further labels beside model and channel, value."""

    family: str
    labels: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True, slots=True)
class Published:
    """A metric family that comes with a detector."""

    name: str
    kind: str  # "gauge" | "counter"
    help: str
    labels: tuple[str, ...]  # "model" and "channel" among them


def _as_it_is(state: Any) -> Any:
    return state


@dataclass(frozen=True, slots=True)
class Detector:
    """`advance(state, block)` must depend on nothing but its arguments: blocks of a stream come in order, each once.

    It has a state of its own for each stream; the one that it is given is its to change. Blocks that come together are
    given stream by stream: arrivals, then the slots in order. Readings name families of the catalogue or
    of `families`.
    """

    name: str  # without a slash
    initial: Callable[[], State]
    advance: Callable[[State, SealedBlock, Context], State]
    readings: Callable[[State, View], list[Reading]]
    families: tuple[Published, ...] = ()
    forget: Callable[[State, str], State] = lambda state, version: state
    """Drops what the state holds of a version that is gone for good."""
    streams: frozenset[str] = frozenset((LABELS,))
    """Which blocks it reads: of LABELS, SIGNALS, ARRIVALS."""
    save: Callable[[State], Any] = _as_it_is
    """The state as JSON values."""
    load: Callable[[Any], State] = _as_it_is
    """The state that was saved. Raises ValueError or KeyError for one that it cannot use: it then begins anew."""
