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
"""Bytes of freed memory that may be kept; also the largest block for which that holds (glibc's own maximum)."""


def keep_freed_memory() -> bool:
    """Tells the allocator to keep some freed memory; False where there is no glibc to tell (mallopt(3))."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, KEPT)) and bool(mallopt(M_MMAP_THRESHOLD, KEPT))
