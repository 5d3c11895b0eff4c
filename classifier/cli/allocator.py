"""Settings of the C library's memory allocator."""

import ctypes

# Parameters of mallopt in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# The largest values that glibc chooses by itself, after a program has freed blocks of this size.
LARGEST_MMAP_THRESHOLD = 32 * 2**20
LARGEST_TRIM_THRESHOLD = 2 * LARGEST_MMAP_THRESHOLD


def keep_freed_memory() -> None:
    """Let the process reuse up to 64 MB of memory that it has freed, instead of returning it to the operating system.

    By default, glibc adapts both thresholds to the largest block that was freed. A training step, which frees several
    blocks of a few megabytes, is then often above the second one: the operating system takes the memory back and fills
    it with zeros for the next step. Child processes that are forked use the same thresholds. Other C libraries, which
    have no such thresholds, are left unchanged.
    """
    try:
        set_parameter = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc; Windows has no library without a name
        return
    set_parameter(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
    set_parameter(M_TRIM_THRESHOLD, LARGEST_TRIM_THRESHOLD)
