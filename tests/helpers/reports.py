"""Reports of random results, as an evaluation of runs would produce them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from classifier.analysis.results.comparison import ClassDifference, Comparison, ExampleRows
from classifier.analysis.results.contents import Report, RunReport, describe_run
from classifier.analysis.results.evaluate import EvaluatedRun
from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.intervals import Interval
from classifier.analysis.results.seed_groups import SeedGroup
from classifier.runs.records import RunRecord
from helpers.results import make_random

NUM_DOUBTFUL_LABELS = 5


def make_images(side: int, channels: int = 3) -> Callable[[Sequence[int]], Tensor]:
    """Return a function that returns the image of an index: stripes, which differ from index to index."""

    def get_images(indices: Sequence[int]) -> Tensor:
        waves = torch.arange(side) * torch.linspace(0.05, 0.5, channels)[:, None]
        phases = torch.tensor([*indices], dtype=torch.float)[:, None, None]
        rows = (127 + 127 * torch.sin(waves + phases)).to(torch.uint8)
        return rows[:, :, None].expand(-1, -1, side, -1)

    return get_images


def make_record(name: str, num_epochs: int) -> RunRecord:
    """Return the record of a run whose metrics improve."""
    epochs = [
        {
            "epoch": epoch,
            "loss/train": 1 / epoch,
            "loss/test": 1.2 / epoch,
            "accuracy/train": 1 - 0.5 / epoch,
            "accuracy/test": 1 - 0.6 / epoch,
            "lr": 0.1 / epoch,
            "seconds": 2.0 + epoch % 3,
        }
        for epoch in range(1, num_epochs + 1)
    ]
    return RunRecord(
        name=name,
        folder=Path("lightning_logs", name),
        epochs=epochs,
        seed=0,
        device="cpu",
        processes=1,
        threads=2,
        machine="Linux-6.1.0-x86_64",
        versions={"python": "3.11.7", "torch": "2.15.0"},
        settings={},
        reproduce=f"python -m classifier fit --config lightning_logs/{name}/config.yaml",
    )


def make_run(
    results: ImageResults,
    name: str = "version_0",
    validation: ImageResults | None = None,
    record: RunRecord | None = None,
    get_images: Callable[[Sequence[int]], Tensor] | None = None,
) -> EvaluatedRun:
    """Return an evaluated run with given results."""
    return EvaluatedRun(
        name=name,
        checkpoint=Path("lightning_logs", name, "checkpoints", "last.ckpt"),
        record=record,
        model="CNN",
        data="CIFAR10",
        split="test",
        counts={"train": 50000, "test": len(results)},
        settings={"model.lr": 0.1, "data.root": "data", "trainer.max_epochs": 3, "trainer.deterministic": None},
        results=results,
        validation=validation,
        get_images=get_images or make_images(32),
    )


def report_run(run: EvaluatedRun) -> RunReport:
    """Return what is shown of a run. The errors with the highest loss count as doubtful labels."""
    report = describe_run(run)
    return replace(report, doubtful_labels=report.highest_losses[:NUM_DOUBTFUL_LABELS])


def report_one(results: ImageResults | None = None, **options: object) -> Report:
    """Return the report of one run; the options are those of `make_run`."""
    run = make_run(make_random(300, 10) if results is None else results, **options)
    return Report([report_run(run)], {}, [], [], None)


def compare(first: RunReport, second: RunReport, pair: tuple[int, int], over_seeds: bool = False) -> Comparison:
    """Return a comparison of two runs; its interval and p value are made up."""
    a, b = first.run.results, second.run.results
    only_first, only_second = np.flatnonzero(a.correct & ~b.correct), np.flatnonzero(~a.correct & b.correct)
    difference = (len(only_second) - len(only_first)) / max(1, len(a))
    classes = []
    for label, name in enumerate(a.class_names):
        rows = a.labels == label
        lost, won = (int(np.count_nonzero(rows[only])) for only in (only_first, only_second))
        value = (won - lost) / rows.sum() if rows.any() else float("nan")
        classes.append(ClassDifference(name, int(rows.sum()), lost, won, Interval(value, value - 0.1, value + 0.1)))
    return Comparison(
        first=first.run.name,
        second=second.run.name,
        pair=pair,
        only_first=len(only_first),
        only_second=len(only_second),
        both=int(np.count_nonzero(a.correct & b.correct)),
        neither=int(np.count_nonzero(~a.correct & ~b.correct)),
        difference=Interval(difference, difference - 0.01, difference + 0.01),
        p_value=0.0123,
        corrected_p_value=0.0369,
        over_seeds=over_seeds,
        classes=classes,
        examples_first=tuple(ExampleRows(row, row) for row in only_first[:8].tolist()),
        examples_second=tuple(ExampleRows(row, row) for row in only_second[:8].tolist()),
        verdict=f"{second.run.name} is better than {first.run.name} by 1.3 points (95%: 0.7 to 1.9).",
    )


def report_several(runs: Sequence[EvaluatedRun], group_size: int = 1) -> Report:
    """Return a report in which every run, or group of runs over seeds, is compared with the first.

    Args:
        runs: Runs of the same images; those of a group follow each other.
        group_size: Number of runs of every group; 1 for no groups.
    """
    reports = [report_run(run) for run in runs]
    starts = range(0, len(runs), group_size)
    groups = [
        SeedGroup(
            name=f"{runs[start].name} and seeds",
            runs=tuple(range(start, start + group_size)),
            seeds=tuple(range(group_size)),
            accuracy=0.8,
            accuracy_deviation=0.01,
            loss=0.5,
            loss_deviation=0.02,
            num_correct=(80,) * group_size,
            num_images=100,
        )
        for start in starts
    ]
    comparisons = [
        compare(reports[0], reports[start], (0, start), over_seeds=group_size > 1) for start in starts if start
    ]
    settings = {"model.lr": [str(0.1 * (index + 1)) for index in range(len(runs))]}
    return Report(reports, settings, groups if group_size > 1 else [], comparisons, None)


def rename(results: ImageResults, class_names: Sequence[str], names: Sequence[str]) -> ImageResults:
    """Return results with other names of the classes and the images."""
    return replace(results, class_names=tuple(class_names), names=tuple(names))
