"""Train the tutorials' recipes on the real data, with the command line and in a plain loop, and compare the results.

    python tests/benchmarks/recipes.py --root data --seeds 3

With the same seed, both start from the same weights and shuffle with the same random numbers. The results of
fashion_mnist are equal. Those of cifar10 differ by rounding, which grows over 25,000 steps, because the package trains
batches of 4 images without oneDNN; they are equal if the plain loop runs without it, too. Needs the files of
FashionMNIST and CIFAR10 under the root.
"""

import argparse
import contextlib
import io
import json
import statistics
import tempfile
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F

from classifier import CIFAR10, CNN, MLP, FashionMNIST, silence_lightning
from classifier.cli.main import main

# Data, network and number of epochs.
RECIPES = {"fashion_mnist": (FashionMNIST, MLP, 30), "cifar10": (CIFAR10, CNN, 2)}


def run_recipe(recipe: str, root: str, seed: int) -> tuple[float, float]:
    """Return test accuracy and loss after `fit --config <recipe>`."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        options = [f"--data.root={root}", f"--seed_everything={seed}", f"--trainer.default_root_dir={folder}"]
        main(["fit", "--config", recipe, *options, "--trainer.accelerator=cpu"])
        results = json.loads(Path(folder, "lightning_logs/version_0/results.json").read_text())
    return results["epochs"][-1]["accuracy/test"], results["epochs"][-1]["loss/test"]


def run_plain_loop(recipe: str, root: str, seed: int) -> tuple[float, float]:
    """Return test accuracy and loss of the same training in a plain loop."""
    data_class, model_class, epochs = RECIPES[recipe]
    L.seed_everything(seed, verbose=False)
    data, model = data_class(root=root), model_class()
    data.setup("fit")
    network, hparams, loader = model.network, model.hparams, data.train_dataloader()
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    optimizer = torch.optim.SGD(network.parameters(), lr=hparams.lr, momentum=hparams.momentum)
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for images, labels in loader:
            loss = F.cross_entropy(network((images / 255 - mean) / std), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        test = data.datasets["test"]
        logits = torch.cat([network((images / 255 - mean) / std) for images in test.source.images.split(250)])
        accuracy = (logits.argmax(1) == test.labels).double().mean().item()
        return accuracy, F.cross_entropy(logits, test.labels).item()


def run() -> None:
    """Print one row per seed, and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, from 0")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    options = parser.parse_args()
    silence_lightning()
    torch.set_num_threads(1)
    print("| recipe | seed | command: test accuracy, loss | plain loop: test accuracy, loss |")
    print("| --- | --- | --- | --- |")
    for recipe in options.recipes:
        rows = []
        for seed in range(options.seeds):
            rows.append((*run_recipe(recipe, options.root, seed), *run_plain_loop(recipe, options.root, seed)))
            accuracy, loss, plain_accuracy, plain_loss = rows[-1]
            cells = f"{accuracy:.2%}, {loss:.4f} | {plain_accuracy:.2%}, {plain_loss:.4f}"
            print(f"| {recipe} | {seed} | {cells} |", flush=True)
        accuracy, loss, plain_accuracy, plain_loss = (statistics.mean(column) for column in zip(*rows, strict=True))
        cells = f"{accuracy:.2%}, {loss:.4f} | {plain_accuracy:.2%}, {plain_loss:.4f}"
        print(f"| {recipe} | mean | {cells} |", flush=True)


if __name__ == "__main__":
    run()
