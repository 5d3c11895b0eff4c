"""Train the recipe cifar10_fast by its command and in a plain loop, and print what both take and reach.

    python tests/benchmarks/airbench.py --root data
    python tests/benchmarks/airbench.py --root data --widths 16 32 32 --steps 20 --precision 32 --accelerator cpu

The loop is written from "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (Jordan, 2024). It starts from the weights,
and on a CPU draws the numbers, that the command has with the same seed: with 32 bits both reach the same. The sides
take turns within each round, so that a machine whose speed drifts treats them alike; a ratio is the median over the
rounds. Both keep the images on the device, and score 500 at a time. Needs the files of CIFAR10 under the root.
"""

import argparse
import contextlib
import io
import os
import statistics
import tempfile
import time
from pathlib import Path

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classifier import CIFAR10, Airbench
from classifier.__main__ import main
from classifier.cli import silence_lightning

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def read_clock() -> float:
    """Return the seconds at which the device has done all it was given."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


class Clock(L.Callback):
    """Takes the seconds of the training steps behind the first and of a pass over the test images, and the accuracy."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step == 1:
            self.training = -read_clock()
        elif trainer.global_step == trainer.max_steps:
            self.training += read_clock()

    def on_test_start(self, trainer, module):
        self.test = -read_clock()

    def on_test_end(self, trainer, module):
        self.test += read_clock()
        self.accuracy = trainer.callback_metrics["accuracy/test"].item()


def shared_clock() -> L.Callback:
    """Return the clock of the run, for `--trainer.callbacks`."""
    return Clock.instance


def run_command(options: argparse.Namespace, seed: int) -> tuple[float, float, float]:
    """Return the seconds of training and of scoring, and the accuracy, of `fit --config cifar10_fast` and `test`."""
    clock = Clock.instance = Clock()
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "seed_everything": seed,
            "model.widths": options.widths,
            "data.root": Path(options.root).resolve(),
            "data.batch_size": options.batch_size,
            "threads": options.threads,
            "trainer.default_root_dir": folder,
            "trainer.max_epochs": -1,
            "trainer.max_steps": options.steps,
            "trainer.limit_val_batches": 0,
            "trainer.accelerator": options.accelerator,
            "trainer.devices": 1,
            "trainer.precision": "bf16-mixed" if options.precision == "bf16" else "32-true",
            "trainer.callbacks": "__main__.shared_clock",
            "allow_import": "__main__",
        }
        common = [f"--{name}={value}" for name, value in settings.items()]
        main(["fit", "--config", "cifar10_fast", *common])
        main(["test", "--ckpt_path=last", *common])
    return clock.training, clock.test, clock.accuracy


def run_loop(options: argparse.Namespace, seed: int) -> tuple[float, float, float]:
    """Return the same of a plain loop."""
    device = torch.device("cuda" if options.accelerator == "gpu" else "cpu")
    size, steps = options.batch_size, options.steps
    L.seed_everything(seed, verbose=False)
    model = Airbench(image_shape=(3, 32, 32), widths=tuple(options.widths), mean=MEAN, std=STD)
    data = CIFAR10(options.root)
    images, labels = data.read(train=True)
    mirrored = torch.rand(len(labels), generator=torch.Generator().manual_seed(seed)) < 0.5
    images[mirrored] = images[mirrored].flip(-1)
    model.whiten(images[:5000])
    network = model.network.to(device, memory_format=torch.channels_last)
    mean, std = (torch.tensor(values, device=device) for values in (MEAN, STD))
    # Channels last, so that picking and shifting a batch lays it out as the convolutions want it.
    padded = np.pad(images.permute(0, 2, 3, 1).numpy(), ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    padded, labels = torch.from_numpy(padded).to(device), labels.to(device)
    positions = torch.arange(32, device=device)

    def normalise(pixels: Tensor) -> Tensor:
        return pixels.float().div_(255).sub_(mean).div_(std).permute(0, 3, 1, 2)

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16")

    # Learning rate per example, as the loss is summed.
    scale = size * (1 + 1 / (1 - 0.85))
    lr, lr_biases, decay = 11.5 / scale, 64 * 11.5 / scale, 0.0153 * size / scale
    biases = [layer.bias for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    others = [value for name, value in network.named_parameters() if "norm" not in name]
    optimizer = torch.optim.SGD(
        [
            {"params": biases, "lr": lr_biases, "weight_decay": decay / lr_biases},
            {"params": others, "lr": lr, "weight_decay": decay / lr},
        ],
        momentum=0.85,
        nesterov=True,
    )
    factors = np.interp(range(steps + 1), [0, int(0.23 * steps), steps], [0.2, 1, 0.07])
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factors[step])
    values = [value for value in network.state_dict().values() if value.is_floating_point()]
    averages = [value.clone() for value in values]

    network.train()
    for step in range(steps):
        epoch, batch = divmod(step, len(labels) // size)
        if batch == 0:
            order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed + epoch)).to(device)
            torch.manual_seed(seed + 1_000_003 * epoch)
            network.whiten.bias.requires_grad = epoch < 3
        chosen = order[batch * size : (batch + 1) * size]
        down, across = torch.randint(5, (2, size, 1), device=device)
        columns = positions.flip(0) if epoch % 2 else positions
        columns = (4 - across if epoch % 2 else across) + columns  # mirrored first, shifted then
        pixels = padded[chosen.view(-1, 1, 1), (down + positions).unsqueeze(2), columns.unsqueeze(1)]
        with autocast():
            logits = network(normalise(pixels))
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=0.2, reduction="sum")
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        if (step + 1) % 5 == 0:
            torch._foreach_lerp_(averages, values, 1 - 0.95**5 * ((step + 1) / steps) ** 3)
            torch._foreach_copy_(values, averages)
        if step == 0:
            training = -read_clock()
    training += read_clock()
    torch._foreach_copy_(values, averages)

    tests, test_labels = (values.to(device) for values in data.read(train=False))
    tests, correct = tests.permute(0, 2, 3, 1).contiguous(), 0
    network.eval()
    started = read_clock()
    with torch.inference_mode(), autocast():
        for pixels, wanted in zip(tests.split(500), test_labels.split(500), strict=True):
            whole = normalise(pixels)
            moved = F.pad(whole, (1, 1, 1, 1), mode="reflect")
            logits = 0
            for view, weight in ((whole, 2), (moved[..., :-2, :-2], 1), (moved[..., 2:, 2:], 1)):
                logits = logits + weight * (network(view) + network(view.flip(-1)))
            correct += (logits.argmax(1) == wanted).sum()
        accuracy = correct.item() / len(test_labels)
    return training, read_clock() - started, accuracy


def run() -> None:
    """Print a row a side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="round by round, from the start again")
    parser.add_argument("--steps", type=int, default=476, help="over which the schedule is stretched; at least 2")
    parser.add_argument("--widths", type=int, nargs=3, default=[64, 256, 256])
    parser.add_argument("--batch_size", type=int, default=1024)
    parser.add_argument("--precision", choices=["bf16", "32"], default="bf16")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="gpu" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    silence_lightning()
    torch.set_num_threads(options.threads)
    sides = {"plain loop": run_loop, "fit and test": run_command}
    results = {name: [] for name in sides}
    for number in range(options.rounds):
        for name, side in sides.items():
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                results[name].append(side(options, options.seeds[number % len(options.seeds)]))
    print("| side | s training | s scoring | training / loop | scoring / loop | test accuracy by round |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, rows in results.items():
        cells = [f"{statistics.median(row[part] for row in rows):.2f}" for part in (0, 1)]
        pairs = list(zip(rows, results["plain loop"], strict=True))
        cells += [f"{statistics.median(row[part] / plain[part] for row, plain in pairs):.3f}" for part in (0, 1)]
        print(f"| {name} | {' | '.join(cells)} | {', '.join(f'{row[2]:.2%}' for row in rows)} |")
    cores = f"{options.threads} of {os.cpu_count()} cores"
    device = torch.cuda.get_device_name() if options.accelerator == "gpu" else cores
    print(f"\n{options.steps - 1} steps of {options.batch_size} images, {options.precision}, {device}, ", end="")
    print(f"torch {torch.__version__}, lightning {L.__version__}, {options.rounds} rounds")


if __name__ == "__main__":
    run()
