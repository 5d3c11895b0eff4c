"""Fuzzer of the files that datasets and `predict` read: images, the image cache, IDX files and CIFAR batches.

    python tests/fuzz/data_files.py --count 6000 --seed 0

Small valid files are changed at random and read in this process. The allowed results are an image of the requested
shape and a UserError of one line; a changed cache file must give the original images, and an image file of which only
the metadata are changed the original pixels. Any other result, a case above the limits on time and memory, and file
descriptors that stay open are faults.
"""

import argparse
import hashlib
import pickle
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `python tests/fuzz/data_files.py`
from fuzz.image_cases import Case, make_image_reader, make_metadata_case
from helpers.changed_files import change, make_images
from helpers.deep_images import make_deep_images
from helpers.metadata_files import make_files

from classifier import CIFAR10, FashionMNIST
from classifier.data.image_files.decoding import Decoding
from classifier.data.own_images.cache import DiskCache
from classifier.data.own_images.contents import load_contents
from classifier.data.own_images.image_rows import ImageRows
from classifier.data.sources import ImagesInFiles
from classifier.errors import UserError

MAX_SECONDS = 20  # of processor time per case
MAX_BYTES = 2 * 10**9  # of memory per case; an image with 89 million RGBA pixels takes 1.4 GB
OWNED: list[str] = []  # filled by a pickle that runs code
SLOWEST: list[tuple[float, str]] = []  # processor time and kind of every case
LARGEST: list[tuple[int, str]] = []  # memory and kind of every case


def own() -> None:
    """Record that a file has run code."""
    OWNED.append("code was run")


class Malicious:
    """An object whose unpickling calls `own`."""

    def __reduce__(self) -> tuple:
        """Return the call."""
        return own, ()


def make_cache(folder: Path) -> Case:
    """Return a cache file of three images; a changed one must give the same images."""
    folder.mkdir()
    paths = []
    for i in range(3):
        Image.new("RGB", (9, 8), (50 * i, 7, 200)).save(folder / f"{i}.png")
        paths.append(str(folder / f"{i}.png"))
    files = ImagesInFiles(paths, Decoding((3, 8, 8)))
    cache = DiskCache(folder / "cache")
    expected = load_contents(files, True, cache, 2)
    (cached,) = cache.folder.iterdir()
    content = cached.read_bytes()

    def read(changed: bytes) -> str | None:
        cached.write_bytes(changed)
        found = load_contents(files, True, cache, 2)
        cached.write_bytes(changed)
        in_cache = load_contents(files, False, cache, 2).images
        if not (isinstance(in_cache, ImageRows) and torch.equal(in_cache.read([0, 1, 2]), expected.images)):
            return "wrong images in the cache"
        tensors = (found.kept, found.hashes, found.images)
        if not all(map(torch.equal, tensors, (expected.kept, expected.hashes, expected.images))):
            return "wrong images, hashes or indices"
        if (found.max_value, found.darkest, found.brightest) != (None, expected.darkest, expected.brightest):
            return "wrong values"
        return None if cached.read_bytes() in (content, changed) else "the cache is not repaired"

    return Case("cache", content, read)


def make_idx(root: Path) -> Iterator[Case]:
    """Yield the two IDX files of a small test set of FashionMNIST."""
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    contents = {
        "t10k-images-idx3-ubyte": struct.pack(">4B3I", 0, 0, 8, 3, 6, 28, 28) + bytes(range(196)) * 24,
        "t10k-labels-idx1-ubyte": struct.pack(">4BI", 0, 0, 8, 1, 6) + bytes(range(6)),
    }
    for name in FashionMNIST.files:
        (folder / name).write_bytes(contents.get(name, b""))

    def make_reader(name: str) -> Callable[[bytes], str | None]:
        def read(changed: bytes) -> str | None:
            (folder / name).write_bytes(changed)
            data = FashionMNIST(root=str(root), download=False)
            try:
                data.setup("test")
            finally:
                (folder / name).write_bytes(contents[name])
            images = data.datasets["test"][:][0]
            return None if images.shape[1:] == (1, 28, 28) else f"images of shape {tuple(images.shape)}"

        return read

    for name, content in contents.items():
        yield Case("idx", content, make_reader(name))


def make_cifar(root: Path) -> Iterator[Case]:
    """Yield a small CIFAR10 batch and malicious pickles; what is not the batch must be refused before it runs code."""
    folder = root / CIFAR10.folder
    folder.mkdir(parents=True)
    content = pickle.dumps({"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1, 2, 3]})
    known = hashlib.md5(content, usedforsecurity=False).hexdigest()
    dataset = torchvision.datasets.CIFAR10
    dataset.train_list = [[name, known] for name, _ in dataset.train_list]
    dataset.test_list = [[name, known] for name, _ in dataset.test_list]
    dataset.meta = {**dataset.meta, "md5": known}
    for name in CIFAR10.files:
        (folder / name).write_bytes(content)

    def read(changed: bytes) -> str | None:
        (folder / "test_batch").write_bytes(changed)
        CIFAR10(root=str(root), download=False).setup("test")
        return None if changed == content else "a changed batch is accepted"

    for payload in (content, pickle.dumps(Malicious())):
        yield Case("cifar", payload, read)


def find_fault(case: Case, content: bytes) -> str | None:
    """Read a changed file, and return a description of what is wrong with the result, or None."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak of this process's memory
    before, start = read_memory("VmRSS"), time.process_time()
    try:
        fault = case.read(content)
    except UserError as error:
        fault = None if len(str(error).splitlines()) == 1 else f"message of several lines: {str(error)!r}"
    except Exception:
        fault = traceback.format_exc(limit=-2)
    seconds, peak = time.process_time() - start, read_memory("VmHWM") - before
    if OWNED:
        fault = OWNED.pop()
    if seconds > MAX_SECONDS or peak > MAX_BYTES:
        fault = f"it took {seconds:.1f} s and {peak:,} bytes"
    SLOWEST.append((seconds, case.kind))
    LARGEST.append((peak, case.kind))
    return fault


def read_memory(field: str) -> int:
    """Return a memory size of this process in bytes, from a field of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(field)


def fuzz(count: int, seed: int, kinds: tuple[str, ...] = (), keep: str | None = None) -> tuple[Counter, list[str]]:
    """Read `count` changed files.

    Args:
        count: Number of cases.
        seed: Seed of the changes.
        kinds: Beginnings of the kinds of files to change; empty for all.
        keep: Folder to write the files to that caused faults, or None.

    Returns:
        The number of cases per kind, and one description per fault.
    """
    chosen, tried, faults = random.Random(seed), Counter(), []  # noqa: S311 no secret
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        images = make_images() | make_deep_images()
        cases = [Case(kind, content, make_image_reader(folder, kind)) for kind, content in images.items()]
        cases += [make_metadata_case(folder, image, seed) for image in make_files()]
        cases += [make_cache(folder / "cache")] * 3 + [*make_idx(folder / "idx")] * 2 + [*make_cifar(folder / "cifar")]
        cases = [case for case in cases if not kinds or case.kind.startswith(kinds)]
        for case in cases:  # every file is valid before it is changed
            if case.kind != "cifar" and (fault := find_fault(case, case.content)):
                faults.append(f"{case.kind}, unchanged: {fault}")
        opened = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(count):
            case = cases[number % len(cases)]
            content = change(case.content, [other.content for other in cases], chosen)
            tried[case.kind] += 1
            if fault := find_fault(case, content):
                faults.append(f"case {number} ({case.kind}): {fault}")
                if keep:
                    Path(keep, f"{number}-{case.kind}").write_bytes(content)
        if (now := len(list(Path("/proc/self/fd").iterdir()))) > opened:
            faults.append(f"{now - opened} file descriptors stay open")
    return tried, faults


def main() -> None:
    """Run the fuzzer, and print what was tried and what broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=[], help="beginnings of the kinds of files to change")
    parser.add_argument("--keep", help="existing folder to write the files to that cause faults")
    arguments = parser.parse_args()
    limit = read_memory("VmSize") + 3 * 10**9
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    tried, faults = fuzz(arguments.count, arguments.seed, tuple(arguments.kinds), arguments.keep)
    print(f"{tried.total():,} cases: {', '.join(f'{kind} {number}' for kind, number in sorted(tried.items()))}")
    print("slowest: {:.2f} s of processor time ({})".format(*max(SLOWEST)))
    print("most memory: {:,} bytes ({})".format(*max(LARGEST)))
    print(f"{len(faults)} faults", *faults, sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
