"""Small numbers for the texts of a model: its versions, its classes, the values of a slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray

OTHER = "other"


def word_number(text: str | bytes | None) -> float:
    """A text's hash as a whole number that a float holds; 0 of none."""
    if text is None:
        return 0.0
    return float(xxhash.xxh3_64_intdigest(text.encode() if isinstance(text, str) else text) >> 11)


class Vocabulary:
    """Texts in order of first sight, each with a code below `limit`; the texts beyond fold into one code named "other".

    A code means one text for as long as anything is kept under it; then it can be freed for another. In `texts`, which
    are in order of code, a free one is "".
    """

    def __init__(self, limit: int, texts: Sequence[str] = ()) -> None:
        self.limit = limit
        self.texts: list[str] = list(texts)
        self.folded = 0  # texts seen beyond the limit, for a metric; repeated ones count again
        self._codes: dict[str, int] = {text: code for code, text in enumerate(texts) if text}
        self._free = [code for code, text in enumerate(texts) if not text]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def full(self) -> bool:
        """Whether the next new text folds into "other"."""
        return not self._free and len(self.texts) - (OTHER in self._codes) >= self.limit - 1

    def code(self, text: str) -> int:
        """The code of a text, a new one where there is room."""
        known = self._codes.get(text)
        if known is not None:
            return known
        if text != OTHER and self.full:
            self.folded += 1
            return self.code(OTHER)
        if self._free and text != OTHER:
            code = self._free.pop()
            self.texts[code] = text
        else:
            code = len(self.texts)
            self.texts.append(text)
        self._codes[text] = code
        return code

    def free(self, code: int) -> None:
        """Gives a code back; nothing may be kept under it any more."""
        del self._codes[self.texts[code]]
        self.texts[code] = ""
        self._free.append(code)

    def known(self, text: str) -> int | None:
        """The code of a text that has one already."""
        return self._codes.get(text)

    def encode(self, codes: NDArray[np.int32], values: Sequence[str], absent: int) -> NDArray[np.uint8]:
        """Codes of a column that is dictionary-encoded by its own `values`; -1 becomes `absent`."""
        table = np.empty(len(values) + 1, dtype=np.uint8)
        for position, text in enumerate(values):
            table[position] = self.code(text)
        table[-1] = absent
        return table[codes]
