"""CPU seconds and memory of `report` and `test`, next to each other, on generated photographs.

python tests/benchmarks/report.py --images 10000 --size 224 --runs 3
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

PROGRAM = [sys.executable, "-m", "classifier"]
CLASSES = ("coast", "forest", "street", "mountain", "harbour")
NUM_TRAIN = 100
COMMANDS = {"test": ["test", "--ckpt_path", "version_0"], "report": ["report", "version_0", "--output", "report.html"]}


def write_images(folder: Path, count: int, size: int) -> None:
    """Write JPEG files of smooth random images, in a folder per class; the class sets the hue."""
    rng = np.random.default_rng(0)
    for number in range(count):
        label = number % len(CLASSES)
        small = rng.integers(0, 200, (size // 8, size // 8, 3), dtype=np.uint8)
        small[..., label % 3] += np.uint8(10 * label)
        path = folder / CLASSES[label] / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC).save(path, quality=85)


def measure(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Return CPU seconds and the peak memory in MB of a command; the seconds include its child processes."""
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen([*PROGRAM, *arguments], cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit((folder / "output.txt").read_text())
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Train a network for one epoch, and measure both commands in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000, help="number of test images")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--runs", type=int, default=3, help="number of measurements of each command")
    parser.add_argument("--folder", type=Path, help="folder to use, which is kept; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        if not (folder / "images").is_dir():
            write_images(folder / "images" / "train", NUM_TRAIN, options.size)
            write_images(folder / "images" / "test", options.images, options.size)
        if not (folder / "lightning_logs").is_dir():
            data = ["--data", "ImageFolder", "--data.root", "images", "--data.image_size", str(options.size)]
            measure(["fit", "--model", "CNN", *data, "--trainer.max_epochs", "1", "--pictures", "false"], folder)
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
        for _ in range(options.runs):
            for name, arguments in COMMANDS.items():
                results[name].append(measure(arguments, folder))
                print(f"{name:<8} {results[name][-1][0]:7.1f} s of CPU {results[name][-1][1]:8,.0f} MB", flush=True)
        size = (folder / "report.html").stat().st_size
    test, report = (
        [statistics.median(values) for values in zip(*results[name], strict=True)] for name in ("test", "report")
    )
    print(f"report / test: {report[0] / test[0]:.2f} x CPU time, {report[1] - test[1]:+,.0f} MB of memory")
    print(f"page: {size / 10**6:.2f} MB")


if __name__ == "__main__":
    main()
