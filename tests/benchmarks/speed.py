"""Measure what training costs beside a bare loop, a tutorial's script and an ordinary Lightning project.

    python tests/benchmarks/speed.py --root data

prints tables of ratios. The sides take turns within each round, so that a machine whose speed drifts treats them
alike; each ratio is the median over the rounds. Needs the files of FashionMNIST and CIFAR10 under the root. The images
of the bare loop, as those of this project, lie on the device that computes; `--accelerator gpu` makes that a GPU.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
import torchmetrics
import torchvision
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Normalize, ToTensor

from classifier import CIFAR10, CNN, MLP, Digits, FashionMNIST
from classifier.__main__ import main
from classifier.cli import silence_lightning
from classifier.loading import ImageDataset

RECIPES = {"fashion_mnist": (FashionMNIST, MLP), "cifar10": (CIFAR10, CNN)}


def read_clock() -> float:
    """Return the seconds at which the device has done all it was given."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


class Clock(L.Callback):
    """Takes the seconds of the training steps behind the first, and of a pass over the test images."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == 0:
            self.training = -read_clock()
        elif batch_idx == trainer.num_training_batches - 1:
            self.training += read_clock()

    def on_test_start(self, trainer, module):
        self.test = -read_clock()

    def on_test_end(self, trainer, module):
        self.test += read_clock()


class OrdinaryModule(L.LightningModule):
    """What a first Lightning project looks like: loss and a metric logged in every step."""

    def __init__(self, network: nn.Module, lr: float, momentum: float):
        super().__init__()
        self.network, self.lr, self.momentum = network, lr, momentum
        self.metrics = nn.ModuleDict({name: torchmetrics.Accuracy("multiclass", num_classes=10) for name in "abc"})

    def step(self, batch, stage: str, metric: str):
        images, labels = batch
        logits = self.network(images)
        loss = F.cross_entropy(logits, labels)
        self.metrics[metric](logits, labels)
        self.log(f"{stage}_loss", loss, prog_bar=True)
        self.log(f"{stage}_accuracy", self.metrics[metric], prog_bar=True)
        return loss

    def training_step(self, batch, batch_idx):
        return self.step(batch, "train", "a")

    def test_step(self, batch, batch_idx):
        self.step(batch, "test", "b")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=self.momentum)


class Sides:
    """The ways to train `steps` steps of a recipe and to score its test set; each returns seconds of both."""

    def __init__(self, recipe: str, root: str, steps: int, accelerator: str, batch_size: int | None = None):
        self.recipe, self.root, self.steps, self.accelerator = recipe, root, steps, accelerator
        self.device = torch.device("cuda" if accelerator == "gpu" else "cpu")
        self.data_class, self.model_class = RECIPES[recipe]
        self.data = self.make_data(batch_size)
        self.data.setup("fit")
        self.batch_size = self.data.hparams.batch_size
        transform = [ToTensor()] + ([Normalize(self.data.mean, self.data.std)] if recipe == "cifar10" else [])
        self.torchvision_sets = [
            self.data_class.torchvision_class(root, train=train, transform=Compose(transform))
            for train in (True, False)
        ]

    def make_data(self, batch_size: int | None = None):
        return self.data_class(root=self.root, **({"batch_size": batch_size} if batch_size else {}))

    def bare_loop(self) -> tuple[float, float]:
        model = self.model_class()
        network, settings = model.network.to(self.device), model.hparams
        optimizer = torch.optim.SGD(network.parameters(), lr=settings.lr, momentum=settings.momentum)
        for dataset in self.data.datasets.values():
            dataset.move_to(self.device)
        images, labels = self.data.datasets["train"].images, self.data.datasets["train"].labels
        mean, std = (
            torch.tensor(values, device=self.device).view(-1, 1, 1) for values in (self.data.mean, self.data.std)
        )

        def scale(selected):
            selected = selected.float().div_(255)
            return selected.sub_(mean).div_(std) if self.recipe == "cifar10" else selected

        order = torch.randperm(len(labels)).to(self.device)
        for step in range(self.steps):
            indices = order[step * self.batch_size : (step + 1) * self.batch_size]
            selected = scale(images.index_select(0, indices))
            loss = F.cross_entropy(network(selected), labels.index_select(0, indices))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step == 0:
                training = -read_clock()
        training += read_clock()

        test, size = self.data.datasets["test"], self.data.hparams.test_batch_size
        started = read_clock()
        loss, correct = torch.zeros((), device=self.device), torch.zeros((), dtype=torch.long, device=self.device)
        with torch.inference_mode():
            for start in range(0, len(test), size):
                selected = test.labels[start : start + size]
                logits = network(scale(test.images[start : start + size]))
                loss += F.cross_entropy(logits, selected, reduction="sum")
                correct += (logits.argmax(1) == selected).sum()
            loss.item(), correct.item()
        return training, read_clock() - started

    def bare_loop_without_onednn(self) -> tuple[float, float]:
        with torch.backends.mkldnn.flags(enabled=False):
            return self.bare_loop()

    def get_loaders(self) -> list[DataLoader]:
        workers = 2 if self.recipe == "cifar10" else 0
        return [
            DataLoader(dataset, self.batch_size, shuffle=train, num_workers=workers)
            for dataset, train in zip(self.torchvision_sets, (True, False), strict=True)
        ]

    def tutorial_script(self) -> tuple[float, float]:
        model = self.model_class()
        network, settings = model.network.to(self.device), model.hparams
        optimizer = torch.optim.SGD(network.parameters(), lr=settings.lr, momentum=settings.momentum)
        train_loader, test_loader = self.get_loaders()
        for step, (images, labels) in enumerate(train_loader):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(images.to(self.device)), labels.to(self.device))
            loss.backward()
            optimizer.step()
            loss.item()
            if step == 0:
                training = -read_clock()
            if step == self.steps - 1:
                break
        training += read_clock()
        started = read_clock()
        with torch.no_grad():
            for images, labels in test_loader:
                (network(images.to(self.device)).argmax(1) == labels.to(self.device)).sum().item()
        return training, read_clock() - started

    def ordinary_lightning(self) -> tuple[float, float]:
        model = self.model_class()
        module = OrdinaryModule(model.network, model.hparams.lr, model.hparams.momentum)
        train_loader, test_loader = self.get_loaders()
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            trainer = L.Trainer(
                max_epochs=1,
                limit_train_batches=self.steps,
                callbacks=[clock],
                default_root_dir=folder,
                accelerator=self.accelerator,
                devices=1,
            )
            trainer.fit(module, train_loader)
            trainer.test(module, test_loader)
        return clock.training, clock.test

    def project_modules(self) -> tuple[float, float]:
        model, clock = self.model_class(), Clock()
        trainer = L.Trainer(
            max_epochs=1,
            limit_train_batches=self.steps,
            limit_val_batches=0,
            callbacks=[clock],
            accelerator=self.accelerator,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
        trainer.fit(model, self.data)
        trainer.test(model, self.data)
        return clock.training, clock.test

    def project_command(self) -> tuple[float, float]:
        """Run the command line in this process; its clock is a callback of the user's."""
        clock = Clock.instance = Clock()
        with tempfile.TemporaryDirectory() as folder:
            options = {
                "data.root": Path(self.root).resolve(),
                "data.batch_size": self.batch_size,
                "threads": torch.get_num_threads(),
                "trainer.default_root_dir": folder,
                "trainer.max_epochs": 1,
                "trainer.limit_train_batches": self.steps,
                "trainer.limit_val_batches": 0,
                "trainer.accelerator": self.accelerator,
                "trainer.callbacks": "__main__.shared_clock",
                "allow_import": "__main__",
            }
            common = [f"--{name}={value}" for name, value in options.items()]
            main(["fit", "--config", self.recipe, *common])
            main(["test", "--ckpt_path=last", *common])
        return clock.training, clock.test


def shared_clock() -> L.Callback:
    """Return the clock of the side that runs, for `--trainer.callbacks`."""
    return Clock.instance


def take_turns(sides: dict[str, Callable], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Run each side once to warm up, and then all of them in turn for a number of rounds."""
    seconds = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            torch.manual_seed(number)
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                result = side()
            if number:
                seconds[name].append(result)
    return seconds


def get_ratio(seconds: dict, side: str, other: str, part: int) -> float:
    """Return the median over the rounds of the ratio of two sides' seconds."""
    return statistics.median(a[part] / b[part] for a, b in zip(seconds[side], seconds[other], strict=True))


def compare_sides(recipe: str, options: argparse.Namespace) -> None:
    """Print a row a side: microseconds a step, and ratios of training step and test pass to the bare loop."""
    # Enough images for the scores, taken every 4,096 images or 64 batches, to have their part in it.
    steps = options.steps * (2 if recipe == "cifar10" else 1)
    sides = Sides(recipe, options.root, steps, options.accelerator)
    names = ["bare_loop", "tutorial_script", "ordinary_lightning", "project_modules", "project_command"]
    if recipe == "cifar10" and options.accelerator == "cpu":  # where the project does without it, too
        names.append("bare_loop_without_onednn")
    seconds = take_turns({name: getattr(sides, name) for name in names}, options.rounds)
    for name in names:
        step = statistics.median(result[0] for result in seconds[name]) / (steps - 1) * 1e6
        ratios = [get_ratio(seconds, name, "bare_loop", part) for part in (0, 1)]
        others = [get_ratio(seconds, name, other, 0) for other in names[1:3]]
        cells = [f"{step:7.0f}", *(f"{ratio:6.2f}" for ratio in (*ratios, *others))]
        print(f"| {recipe} | {torch.get_num_threads()} | {name.replace('_', ' ')} | {' | '.join(cells)} |", flush=True)


def compare_batch_sizes(recipe: str, options: argparse.Namespace) -> None:
    """Print the ratio of the project's training step to the bare loop's at several batch sizes."""
    for batch_size in (4, 64, 512, 4096):
        steps = max(10, min(600, 40_000 // batch_size))
        sides = Sides(recipe, options.root, steps, options.accelerator, batch_size)
        seconds = take_turns({"bare_loop": sides.bare_loop, "project_command": sides.project_command}, options.rounds)
        speed = batch_size * (steps - 1) / statistics.median(result[0] for result in seconds["project_command"])
        ratio = get_ratio(seconds, "project_command", "bare_loop", 0)
        print(f"| {recipe} | {batch_size} | {speed:,.0f} | {ratio:.2f} |", flush=True)


def compare_numbers_of_images(rounds: int) -> None:
    """Print what a batch and the start of an epoch cost on the CPU with more and more images, at most 16 GB of them."""
    for name, data, size in (("Digits", Digits(), 1437), ("CIFAR10", CIFAR10(), 50_000)):
        for factor in (1, 10, 100):
            count = size * factor
            channels, height, width = data.image_shape
            images = torch.full((count, channels, height, width), 1, dtype=torch.uint8)  # zeros would share a page
            data.datasets["train"] = ImageDataset(images, torch.zeros(count, dtype=torch.long), "train")
            starts, batches = [], []
            for _ in range(rounds):
                loader = data.make_loader("train", 64)
                started = time.perf_counter()
                iterator = iter(loader)
                next(iterator)
                starts.append(time.perf_counter() - started)
                started = time.perf_counter()
                taken = sum(1 for _, _ in zip(range(20), iterator, strict=False))
                batches.append((time.perf_counter() - started) / taken)
            cells = f"{statistics.median(starts) * 1e3:.1f} | {statistics.median(batches) * 1e6:.0f}"
            print(f"| {name} | {count:,} | {cells} |", flush=True)


def compare_commands(options: argparse.Namespace) -> None:
    """Print whole commands, from start to exit, beside the import that no Lightning CLI can do without."""
    fit = [sys.executable, "-m", "classifier", "fit", f"--data.root={Path(options.root).resolve()}"]
    fit.append(f"--trainer.accelerator={options.accelerator}")
    one_step = ["--trainer.max_steps=1", "--trainer.limit_val_batches=0"]
    commands = {
        "import lightning.pytorch.cli": [sys.executable, "-c", "import lightning.pytorch.cli"],
        "fit --config fashion_mnist, 1 step": [*fit, "--config=fashion_mnist", *one_step],
        "fit --config cifar10, 1 step": [*fit, "--config=cifar10", *one_step],
        "fit --config digits, whole": [*fit, "--config=digits"],
    }
    # A small process between, as Linux counts the memory of a process that starts another as the other's, too.
    measure = (
        "import resource, subprocess, sys, time; started = time.perf_counter();"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True);"
        "print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    seconds = {name: [] for name in commands}
    memory = {}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    for _ in range(options.rounds):
        for name, command in commands.items():
            with tempfile.TemporaryDirectory() as folder:
                measured = subprocess.check_output(
                    [sys.executable, "-S", "-c", measure, *command], cwd=folder, env=environment, text=True
                )
            took, memory[name] = map(float, measured.split())
            seconds[name].append((took,))
    for name in commands:
        ratio = get_ratio(seconds, name, "import lightning.pytorch.cli", 0)
        median = statistics.median(result[0] for result in seconds[name])
        print(f"| {name} | {median:.1f} | {ratio:.2f} | {memory[name]:,.0f} |", flush=True)


@contextlib.contextmanager
def busy_programs(count: int) -> Iterator[None]:
    """Run programs that compute on one core each."""
    program = [sys.executable, "-c", "while True: sum(range(10**6))"]
    processes = [subprocess.Popen(program) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def compare_threads(options: argparse.Namespace, default_threads: int) -> None:
    """Print what a step with PyTorch's default of threads takes, relative to one thread, alone and beside others."""
    for recipe in RECIPES:
        sides = Sides(recipe, options.root, max(2, options.steps // 3), options.accelerator)

        def train(threads: int, sides: Sides = sides) -> tuple[float, float]:
            torch.set_num_threads(threads)
            return sides.project_command()

        for programs in (0, 1, 2):
            with busy_programs(programs):
                seconds = take_turns({n: partial(train, n) for n in (1, default_threads)}, options.rounds)
            step = statistics.median(result[0] for result in seconds[1]) / (sides.steps - 1) * 1e6
            ratios = [a[0] / b[0] for a, b in zip(seconds[default_threads], seconds[1], strict=True)]
            cells = f"{step:.0f} | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"| {recipe} | {programs} | {cells} |", flush=True)


def run() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600, help="training steps of each side in each round")
    parser.add_argument("--tables", default="sides,threads,batches,images,commands")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    options = parser.parse_args()
    silence_lightning()
    default_threads = torch.get_num_threads()
    if "sides" in options.tables:
        print("| recipe | threads | side | us a step | step / bare | test / bare | step / tutorial | step / ordinary |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for threads in dict.fromkeys((1, default_threads)):
            torch.set_num_threads(threads)
            for recipe in RECIPES:
                compare_sides(recipe, options)
    if "threads" in options.tables:
        print(f"\n| recipe | busy programs | us a step, 1 thread | {default_threads} threads / 1 |")
        print("| --- | --- | --- | --- |")
        compare_threads(options, default_threads)
    torch.set_num_threads(1)
    if "batches" in options.tables:
        print("\n| recipe | batch size | images a second | step / bare |\n| --- | --- | --- | --- |")
        for recipe in RECIPES:
            compare_batch_sizes(recipe, options)
    if "images" in options.tables:
        print("\n| images as in | number | ms to the first batch | us a batch of 64 |\n| --- | --- | --- | --- |")
        compare_numbers_of_images(options.rounds)
    if "commands" in options.tables:
        print("\n| command | seconds | / import | peak MB |\n| --- | --- | --- | --- |")
        compare_commands(options)
    print(f"\ntorch {torch.__version__}, torchvision {torchvision.__version__}, lightning {L.__version__}, ", end="")
    device = torch.cuda.get_device_name() if options.accelerator == "gpu" else f"{os.cpu_count()} CPU cores"
    print(f"{device}, {options.rounds} rounds")


if __name__ == "__main__":
    run()
