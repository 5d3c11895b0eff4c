"""Train the tutorials' recipes on the real data, beside a plain loop with the same seed, and print both results.

    python tests/benchmarks/recipes.py --root data --seeds 3

The loop starts from the weights, and shuffles with the numbers, that the project's run of that seed has.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F

from classifier import CIFAR10, CNN, MLP, FashionMNIST
from classifier.__main__ import main

RECIPES = {"fashion_mnist": (FashionMNIST, MLP, 30), "cifar10": (CIFAR10, CNN, 2)}


def run_recipe(recipe: str, root: str, seed: int) -> tuple[float, float]:
    """Return test accuracy and loss after `fit --config <recipe>`."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        options = [f"--data.root={root}", f"--seed_everything={seed}", f"--trainer.default_root_dir={folder}"]
        main(["fit", "--config", recipe, *options, "--trainer.accelerator=cpu"])
        results = json.loads(Path(folder, "lightning_logs/version_0/results.json").read_text())
    return results["epochs"][-1]["accuracy/test"], results["epochs"][-1]["loss/test"]


def run_plain_loop(recipe: str, root: str, seed: int) -> tuple[float, float]:
    """Return test accuracy and loss after the same training in a plain loop."""
    data_class, model_class, epochs = RECIPES[recipe]
    os.environ["PL_GLOBAL_SEED"] = str(seed)
    L.seed_everything(seed, verbose=False)
    data, model = data_class(root=root), model_class()
    data.setup("fit")
    network, settings, loader = model.network, model.hparams, data.train_dataloader()
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    optimizer = torch.optim.SGD(network.parameters(), lr=settings.lr, momentum=settings.momentum)
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for images, labels in loader:
            loss = F.cross_entropy(network((images / 255 - mean) / std), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        test = data.datasets["test"]
        logits = torch.cat([network((images / 255 - mean) / std) for images in test.images.split(250)])
        accuracy = (logits.argmax(1) == test.labels).double().mean().item()
        return accuracy, F.cross_entropy(logits, test.labels).item()


def run() -> None:
    """Print a row a seed and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| recipe | seed | test accuracy, loss | plain loop: test accuracy, loss |\n| --- | --- | --- | --- |")
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
