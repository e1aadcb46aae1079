"""Bounds of one execution: how long it may take and how much memory it may add.

Memory is the process's high-water mark, which costs nothing to ask for; the address space is capped too, so that what
asks for gigabytes fails here and not on the machine.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tests.fuzz.target import Target

ALLOWANCE = 48 << 20
MOST_ADDRESSES = 8 << 30


class Hang(BaseException):
    """An input took too long. No Exception, so that no handler of the program can go on."""


def peak_memory() -> int:
    """Bytes of memory the process had at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cap_addresses() -> None:
    """Makes the process unable to get more than MOST_ADDRESSES bytes of address space."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, hard))


@contextmanager
def watched(target: Target, size: int) -> Iterator[None]:
    """Raises Hang, or AssertionError if the block's memory exceeds what an input of so many bytes may take."""
    before = peak_memory()
    # Of the processor's time, so that a busy machine is no hang; of the clock's, so that sleeping for ever is one.
    signal.signal(signal.SIGPROF, _hang)
    signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_PROF, target.seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * target.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    grown, allowed = peak_memory() - before, ALLOWANCE + target.bytes_of_memory * size
    assert grown <= allowed, f"{grown} bytes of memory for an input of {size}, {allowed} allowed"


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang("one input took too long")
