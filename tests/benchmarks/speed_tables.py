"""The tables that speed.py prints."""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from comparison import get_median, get_median_ratio, list_ratios, run_alternately
from process_cost import CLASSIFIER, IMPORT, measure_process
from speed_variants import RECIPES, Seconds, Variants

from classifier import CIFAR10, Digits
from classifier.data.dataset import ImageDataset
from classifier.data.sources import ImagesInMemory


def print_head(*columns: str) -> None:
    """Print the head of a table."""
    print(f"\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")


def print_row(*cells: object) -> None:
    """Print a row of a table without delay."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def compare_variants(options: argparse.Namespace, default_threads: int) -> None:
    """Print microseconds per training step of every variant, and ratios of its training steps and its test pass."""
    references = ("bare_loop", "tutorial_script", "ordinary_lightning")
    ratio_columns = ("step / bare", "test / bare", "step / tutorial", "step / ordinary")
    print_head("recipe", "threads", "variant", "us per step", *ratio_columns)
    for threads in dict.fromkeys((1, default_threads)):
        torch.set_num_threads(threads)
        for recipe in RECIPES:
            # The metrics of the training images are computed every 64 batches of cifar10; this includes some of them.
            steps = options.steps * (2 if recipe == "cifar10" else 1)
            variants = Variants(recipe, options.root, steps, options.accelerator)
            names = [*references, "classifier_modules", "classifier_command"]
            if RECIPES[recipe].disables_onednn and options.accelerator == "cpu":
                names.append("bare_loop_without_onednn")
            seconds = run_alternately({name: partial(variants.run, name) for name in names}, options.rounds)
            for name in names:
                step = get_median(seconds, name, "training") / (steps - 1) * 1e6
                ratios = {reference: get_median_ratio(seconds, name, reference, "training") for reference in references}
                test = get_median_ratio(seconds, name, "bare_loop", "test")
                cells = [ratios["bare_loop"], test, ratios["tutorial_script"], ratios["ordinary_lightning"]]
                label = name.replace("_", " ")
                print_row(recipe, threads, label, f"{step:7.0f}", *(f"{cell:6.2f}" for cell in cells))


@contextlib.contextmanager
def run_busy_programs(count: int) -> Iterator[None]:
    """Run programs that occupy one core each while the context is open."""
    program = [sys.executable, "-c", "while True: sum(range(10**6))"]
    processes = [subprocess.Popen(program) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def compare_threads(options: argparse.Namespace, default_threads: int) -> None:
    """Print the time per step with PyTorch's default number of threads, relative to one thread.

    It is measured on an otherwise idle machine, and while one and two other programs compute.
    """
    print_head("recipe", "busy programs", "us per step, 1 thread", f"{default_threads} threads / 1")
    for recipe in RECIPES:
        variants = Variants(recipe, options.root, max(2, options.steps // 3), options.accelerator)

        def train(threads: int, seed: int, variants: Variants = variants) -> Seconds:
            torch.set_num_threads(threads)
            return variants.run("classifier_command", seed)

        for count in (0, 1, 2):
            with run_busy_programs(count):
                seconds = run_alternately({n: partial(train, n) for n in (1, default_threads)}, options.rounds)
            step = get_median(seconds, 1, "training") / (variants.steps - 1) * 1e6
            ratios = list_ratios(seconds, default_threads, 1, "training")
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print_row(recipe, count, f"{step:.0f}", spread)


def compare_batch_sizes(options: argparse.Namespace) -> None:
    """Print images per second at several batch sizes, and the ratio of a training step to that of the bare loop."""
    print_head("recipe", "batch size", "images per second", "step / bare")
    for recipe in RECIPES:
        for batch_size in (4, 64, 512, 4096):
            steps = max(10, min(600, 40_000 // batch_size))
            variants = Variants(recipe, options.root, steps, options.accelerator, batch_size)
            names = ("bare_loop", "classifier_command")
            seconds = run_alternately({name: partial(variants.run, name) for name in names}, options.rounds)
            speed = batch_size * (steps - 1) / get_median(seconds, "classifier_command", "training")
            ratio = get_median_ratio(seconds, "classifier_command", "bare_loop", "training")
            print_row(recipe, batch_size, f"{speed:,.0f}", f"{ratio:.2f}")


def compare_numbers_of_images(rounds: int) -> None:
    """Print the time to load a batch on the CPU from more and more images, up to 16 GB of them."""
    print_head("images of", "number", "ms to the first batch", "us per batch of 64")
    for data, size in ((Digits(batch_size=64), 1437), (CIFAR10(batch_size=64), 50_000)):
        for count in (size, 10 * size, 100 * size):
            # Ones, because zeros would all share one page of memory.
            images = torch.full((count, *data.image_shape), 1, dtype=torch.uint8)
            labels = torch.zeros(count, dtype=torch.long)
            data.datasets["train"] = ImageDataset(ImagesInMemory(images), labels, "train")
            first_batch, later_batches = [], []
            for _ in range(rounds):
                loader = data.train_dataloader()
                started = time.perf_counter()
                iterator = iter(loader)
                next(iterator)
                first_batch.append(time.perf_counter() - started)
                started = time.perf_counter()
                loaded = sum(1 for _ in zip(range(20), iterator, strict=False))
                later_batches.append((time.perf_counter() - started) / loaded)
            milliseconds, microseconds = statistics.median(first_batch) * 1e3, statistics.median(later_batches) * 1e6
            print_row(type(data).__name__, f"{count:,}", f"{milliseconds:.1f}", f"{microseconds:.0f}")


def compare_commands(options: argparse.Namespace) -> None:
    """Print time and memory of commands, from start to exit, relative to the import that no Lightning CLI can avoid."""
    fit = [*CLASSIFIER, "fit", f"--data.root={Path(options.root).resolve()}"]
    fit.append(f"--trainer.accelerator={options.accelerator}")
    one_step = ["--trainer.max_steps=1", "--trainer.limit_val_batches=0"]
    commands = {
        "import lightning.pytorch.cli": IMPORT,
        "fit --config fashion_mnist, 1 step": [*fit, "--config=fashion_mnist", *one_step],
        "fit --config cifar10, 1 step": [*fit, "--config=cifar10", *one_step],
        "fit --config digits, all epochs": [*fit, "--config=digits"],
    }

    def measure(name: str, _: int):
        with tempfile.TemporaryDirectory() as folder:
            return measure_process(commands[name], folder)

    costs = run_alternately({name: partial(measure, name) for name in commands}, options.rounds, warm_up=False)
    print_head("command", "seconds", "seconds / import", "peak MB")
    for name in commands:
        ratio = get_median_ratio(costs, name, "import lightning.pytorch.cli", "seconds")
        peak = get_median(costs, name, "peak_mb")
        print_row(name, f"{get_median(costs, name, 'seconds'):.1f}", f"{ratio:.2f}", f"{peak:,.0f}")
