"""How the C library's allocator should treat a process that reads megabytes at a time.

By default glibc gives the pages of every freed block back to the kernel, which zeroes them again for the next block:
about a tenth of the time of reading a log.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
KEPT = 32 << 20
"""Bytes of freed memory that may be kept, and the largest block for which that holds. Blocks of a log are smaller."""


def keep_freed_memory() -> bool:
    """Tells the allocator to keep some freed memory; False where there is no glibc to tell (mallopt(3))."""
    library = _c_library()
    if library is None:
        return False
    return bool(library.mallopt(M_TRIM_THRESHOLD, KEPT)) and bool(library.mallopt(M_MMAP_THRESHOLD, KEPT))


def give_memory_back() -> None:
    """Returns what the allocator holds free to the system (malloc_trim(3)): tens of megabytes after a refresh."""
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


def _c_library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
