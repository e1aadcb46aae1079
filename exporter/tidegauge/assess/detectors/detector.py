"""The form of a detector: a recursion over sealed blocks with a small explicit state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegauge.config.settings import Channel, Model
from tidegauge.tally.blocks import SealedBlock

State = Mapping[str, Any]
"""Plain JSON values; it is saved with the sums and replays to the same result."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the codes of a block mean."""

    model: Model
    channel: Channel
    versions: tuple[str, ...]
    classes: tuple[str, ...]
    room: int  # classes that a confusion matrix has room for
    split: Callable[[NDArray[np.int64]], tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]
    """Series numbers to (version, slice key or -1 for the whole version, slice value)."""


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


@dataclass(frozen=True, slots=True)
class Detector:
    """`advance(state, block)` must depend on nothing but its arguments: blocks come in order, each once.

    Readings name families of the catalogue or of `families`.
    """

    name: str
    initial: State
    advance: Callable[[State, SealedBlock, Context], State]
    readings: Callable[[State], list[Reading]]
    families: tuple[Published, ...] = ()
    forget: Callable[[State, str], State] = lambda state, version: state
    """Drops what the state holds of a version that is gone for good."""
