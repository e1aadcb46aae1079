"""Holds open files, at most so many: the least recently used is closed first, one that can be opened again before one
that cannot.

A file that was deleted or renamed lives on through its descriptor; that is why files stay open between polls.
"""

from __future__ import annotations

from collections import OrderedDict

from tidegauge.sources.part import Part
from tidegauge.sources.readers import Reader, open_reader

MAX_OPEN_FILES = 256


class OpenFiles:
    """Owns every descriptor of a source."""

    def __init__(self, limit: int = MAX_OPEN_FILES) -> None:
        self._limit = limit
        self._readers: OrderedDict[Part, Reader] = OrderedDict()

    def __len__(self) -> int:
        return len(self._readers)

    def get(self, part: Part) -> Reader | None:
        """The reader held for a part, which now counts as used."""
        reader = self._readers.get(part)
        if reader is not None:
            self._readers.move_to_end(part)
        return reader

    def open(self, part: Part, path: str) -> Reader:
        """The reader held for a part, opened if need be. FileNotFoundError if another file took its place."""
        reader = self.get(part)
        if reader is None:
            reader = open_reader(path)
            if part.inode and reader.stat().st_ino != part.inode:
                reader.close()
                raise FileNotFoundError(path)
            self.hold(part, reader)
        return reader

    def hold(self, part: Part, reader: Reader) -> None:
        """Takes over an open reader."""
        self.close(part)
        while len(self._readers) >= self._limit:
            victim = next((held for held in self._readers if held.present), next(iter(self._readers)))
            self.close(victim)
        self._readers[part] = reader

    def close(self, part: Part) -> None:
        reader = self._readers.pop(part, None)
        if reader is not None:
            reader.close()

    def close_all(self) -> None:
        for part in list(self._readers):
            self.close(part)
