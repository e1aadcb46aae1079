"""Everything a file source must remember over a restart: its parts, what it ignores, its counts.

One ledger belongs to one FileSource. `to_json` and `from_json` are the position that is saved with the sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tidegauge.sources.block import EVENTS
from tidegauge.sources.part import Part

FORMAT = 1
MAX_GONE = (
    500  # files remembered after they went away, so that a compressed copy or a remounted directory is known again
)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A rotated file that lay there before its stream was first followed, and that the glob does not name."""

    head_length: int
    head_hash: int
    content_size: int  # decompressed, modulo 2**32
    mtime_ns: int


@dataclass(slots=True)
class Ledger:
    parts: list[Part] = field(default_factory=list)
    gone: list[Part] = field(default_factory=list)  # oldest first
    ignored: list[Ignored] = field(default_factory=list)
    events: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EVENTS, 0))
    read_bytes: int = 0
    next_order: int = 0
    since_ms: int | None = None  # when this source was first polled, ever

    def count(self, event: str, amount: int = 1) -> None:
        self.events[event] += amount

    def add(self, part: Part) -> None:
        self.next_order += 1
        part.order = self.next_order
        self.parts.append(part)

    def bury(self, part: Part) -> None:
        """Stops following a part and remembers what it was."""
        self.parts.remove(part)
        part.present, part.buried = False, True
        part.first_target = None
        self.gone.append(part)
        del self.gone[:-MAX_GONE]

    def revive(self, part: Part) -> None:
        if part not in self.parts:
            self.gone.remove(part)
            part.buried = False
            self.parts.append(part)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "parts": [part.to_json() for part in self.parts],
            "gone": [part.to_json() for part in self.gone],
            "ignored": [[i.head_length, i.head_hash, i.content_size, i.mtime_ns] for i in self.ignored],
            "events": {name: count for name, count in self.events.items() if count},
            "read_bytes": self.read_bytes,
            "next_order": self.next_order,
            "since_ms": self.since_ms,
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Ledger:
        if saved.get("format") != FORMAT:
            raise ValueError(f"file positions: found format {saved.get('format')!r}, expected {FORMAT}")
        ledger = cls(
            parts=[Part.from_json(part) for part in saved["parts"]],
            gone=[Part.from_json(part) for part in saved["gone"]],
            ignored=[Ignored(*values) for values in saved["ignored"]],
            read_bytes=saved["read_bytes"],
            next_order=saved["next_order"],
            since_ms=saved["since_ms"],
        )
        for part in ledger.gone:
            part.buried = True
        ledger.events.update({name: count for name, count in saved["events"].items() if name in ledger.events})
        return ledger
