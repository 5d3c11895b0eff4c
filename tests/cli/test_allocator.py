"""Memory that a training step has freed is used again without the operating system."""

import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest
from helpers.processes import REPOSITORY

from classifier.cli import allocator

NUM_BLOCKS, BLOCK_BYTES, ROUNDS, PAGE_BYTES = 7, 8 * 2**20, 5, 4096

COUNT_PAGE_FAULTS = f"""
import ctypes, resource
from classifier.cli.allocator import keep_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
def use():
    blocks = [ctypes.c_void_p(libc.malloc(ctypes.c_size_t({BLOCK_BYTES}))) for _ in range({NUM_BLOCKS})]
    for block in blocks:
        libc.memset(block, 1, ctypes.c_size_t({BLOCK_BYTES}))
    for block in blocks:
        libc.free(block)
keep_freed_memory()
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such thresholds")
def test_freed_memory_is_reused_without_page_faults():
    command = [sys.executable, "-c", COUNT_PAGE_FAULTS]
    output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True).stdout
    assert int(output) < NUM_BLOCKS * BLOCK_BYTES // PAGE_BYTES  # those of one round


def test_training_keeps_freed_memory(monkeypatch, run):
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *arguments: calls.append(arguments))
    # Not the module's ctypes itself, which is also everyone else's.
    monkeypatch.setattr(allocator, "ctypes", SimpleNamespace(CDLL=lambda _: library))
    run("fit", "--config=digits", "--trainer.fast_dev_run=true")
    assert calls == [(-3, 32 * 2**20), (-1, 64 * 2**20)]


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_c_library_without_thresholds_is_no_error(monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr(allocator, "ctypes", SimpleNamespace(CDLL=fail))
    allocator.keep_freed_memory()
