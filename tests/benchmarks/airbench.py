"""Train the recipe cifar10_fast with the command line and in a plain loop, and compare duration and accuracy.

    python tests/benchmarks/airbench.py --root data
    python tests/benchmarks/airbench.py --root data --widths 16 32 32 --steps 20 --precision 32 --accelerator cpu

The plain loop follows "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (Jordan, 2024). With the same seed, it starts
from the same weights as the command and, on a CPU, draws the same random numbers: with 32 bits, both reach the same
accuracy. The two alternate within each round, so that a machine whose speed drifts slows both of them down alike; a
ratio is the median over the rounds. Both keep the images on the device, and score 500 at a time. Needs the files of
CIFAR10 under the root.
"""

import argparse
import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from comparison import get_median, get_median_ratio, run_alternately
from torch import Tensor, nn
from training_timer import read_clock, time_command

from classifier import CIFAR10, Airbench, silence_lightning

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Result(NamedTuple):
    """Seconds of all training steps after the first one, seconds of scoring the test images, and their accuracy."""

    training: float
    test: float
    accuracy: float


def run_command(options: argparse.Namespace, number: int) -> Result:
    """Run `fit --config cifar10_fast` and `test`.

    Args:
        options: Those of this script.
        number: Index of the round, which selects the seed.
    """
    settings = {
        "seed_everything": options.seeds[number % len(options.seeds)],
        "model.widths": options.widths,
        "data.root": Path(options.root).resolve(),
        "data.batch_size": options.batch_size,
        "threads": options.threads,
        "trainer.max_epochs": -1,
        "trainer.max_steps": options.steps,
        "trainer.accelerator": options.accelerator,
        "trainer.devices": 1,
        "trainer.precision": "bf16-mixed" if options.precision == "bf16" else "32-true",
    }
    timer = time_command("cifar10_fast", settings)
    return Result(timer.training_seconds, timer.test_seconds, timer.test_metrics["accuracy/test"].item())


def run_loop(options: argparse.Namespace, number: int) -> Result:
    """Do the same in a plain loop."""
    seed = options.seeds[number % len(options.seeds)]
    device = torch.device("cuda" if options.accelerator == "gpu" else "cpu")
    size, steps = options.batch_size, options.steps
    L.seed_everything(seed, verbose=False)
    model = Airbench(image_shape=(3, 32, 32), widths=tuple(options.widths), mean=MEAN, std=STD)
    data = CIFAR10(options.root)
    images, labels = data.read("train")
    flipped = torch.rand(len(labels), generator=torch.Generator().manual_seed(seed)) < 0.5
    images[flipped] = images[flipped].flip(-1)
    model.whiten(images[:5000])
    network = model.network.to(device, memory_format=torch.channels_last)
    mean, std = (torch.tensor(values, device=device) for values in (MEAN, STD))
    # Channels last, so that a gathered and shifted batch has the memory format that the convolutions are fastest with.
    padded = np.pad(images.permute(0, 2, 3, 1).numpy(), ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    padded, labels = torch.from_numpy(padded).to(device), labels.to(device)
    positions = torch.arange(32, device=device)

    def normalise(pixels: Tensor) -> Tensor:
        return pixels.float().div_(255).sub_(mean).div_(std).permute(0, 3, 1, 2)

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16")

    # The learning rate applies to one example, because the loss is a sum over the batch.
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
        selected = order[batch * size : (batch + 1) * size]
        down, across = torch.randint(5, (2, size, 1), device=device)
        columns = positions.flip(0) if epoch % 2 else positions
        columns = (4 - across if epoch % 2 else across) + columns  # flipped first, then shifted
        pixels = padded[selected.view(-1, 1, 1), (down + positions).unsqueeze(2), columns.unsqueeze(1)]
        with autocast():
            logits = network(normalise(pixels))
            loss = F.cross_entropy(logits, labels[selected], label_smoothing=0.2, reduction="sum")
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

    images, labels = (values.to(device) for values in data.read("test"))
    images, correct = images.permute(0, 2, 3, 1).contiguous(), 0
    network.eval()
    test = -read_clock()
    with torch.inference_mode(), autocast():
        for pixels, batch_labels in zip(images.split(500), labels.split(500), strict=True):
            original = normalise(pixels)
            shifted = F.pad(original, (1, 1, 1, 1), mode="reflect")
            logits = 0
            for view, weight in ((original, 2), (shifted[..., :-2, :-2], 1), (shifted[..., 2:, 2:], 1)):
                logits = logits + weight * (network(view) + network(view.flip(-1)))
            correct += (logits.argmax(1) == batch_labels).sum()
        accuracy = correct.item() / len(labels)
    return Result(training, test + read_clock(), accuracy)


def run() -> None:
    """Print one row per variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one per round, then again from the first")
    parser.add_argument("--steps", type=int, default=476, help="length of the learning rate schedule; at least 2")
    parser.add_argument("--widths", type=int, nargs=3, default=[64, 256, 256])
    parser.add_argument("--batch_size", type=int, default=1024)
    parser.add_argument("--precision", choices=["bf16", "32"], default="bf16")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="gpu" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    silence_lightning()
    torch.set_num_threads(options.threads)
    variants = {"plain loop": partial(run_loop, options), "fit and test": partial(run_command, options)}
    results = run_alternately(variants, options.rounds, warm_up=False)
    print("| variant | s training | s test | training / loop | test / loop | test accuracy in each round |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in variants:
        cells = [f"{get_median(results, name, field):.2f}" for field in ("training", "test")]
        cells += [f"{get_median_ratio(results, name, 'plain loop', field):.3f}" for field in ("training", "test")]
        accuracies = ", ".join(f"{result.accuracy:.2%}" for result in results[name])
        print(f"| {name} | {' | '.join(cells)} | {accuracies} |")
    cores = f"{options.threads} of {os.cpu_count()} cores"
    device = torch.cuda.get_device_name() if options.accelerator == "gpu" else cores
    print(f"\n{options.steps - 1} steps of {options.batch_size} images, {options.precision}, {device}, ", end="")
    print(f"torch {torch.__version__}, lightning {L.__version__}, {options.rounds} rounds")


if __name__ == "__main__":
    run()
