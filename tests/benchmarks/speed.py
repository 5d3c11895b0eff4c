"""Measure the cost of training relative to a bare loop, a tutorial's script and an ordinary Lightning project.

    python tests/benchmarks/speed.py --root data

prints tables of ratios. The variants alternate within each round, so that a machine whose speed drifts slows all of
them down alike; a ratio is the median over the rounds. Needs the files of FashionMNIST and CIFAR10 under the root. The
bare loop, like this package, keeps the images in the memory of the device that computes; `--accelerator gpu` selects a
GPU.
"""

import argparse
import os

import lightning as L
import torch
import torchvision
from speed_tables import (
    compare_batch_sizes,
    compare_commands,
    compare_numbers_of_images,
    compare_threads,
    compare_variants,
)

from classifier import silence_lightning


def run() -> None:
    """Print the tables that the options name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600, help="training steps of each variant in each round")
    parser.add_argument("--tables", default="variants,threads,batches,images,commands")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    options = parser.parse_args()
    silence_lightning()
    default_threads = torch.get_num_threads()
    if "variants" in options.tables:
        compare_variants(options, default_threads)
    if "threads" in options.tables:
        compare_threads(options, default_threads)
    torch.set_num_threads(1)
    if "batches" in options.tables:
        compare_batch_sizes(options)
    if "images" in options.tables:
        compare_numbers_of_images(options.rounds)
    if "commands" in options.tables:
        compare_commands(options)
    print(f"\ntorch {torch.__version__}, torchvision {torchvision.__version__}, lightning {L.__version__}, ", end="")
    device = torch.cuda.get_device_name() if options.accelerator == "gpu" else f"{os.cpu_count()} CPU cores"
    print(f"{device}, {options.rounds} rounds")


if __name__ == "__main__":
    run()
