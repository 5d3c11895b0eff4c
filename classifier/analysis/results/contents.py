"""Everything that a report shows, computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifier.analysis.results.calibration import (
    Calibration,
    accuracy_by_coverage,
    apply_temperature,
    fit_temperature,
    measure_calibration,
)
from classifier.analysis.results.comparison import Comparison, compare_runs
from classifier.analysis.results.evaluate import EvaluatedRun
from classifier.analysis.results.metrics import (
    ClassRow,
    ConfusedPair,
    Summary,
    count_confusions,
    describe_classes,
    find_confused_pairs,
    summarize,
)
from classifier.analysis.results.notable_images import find_doubtful_labels, find_highest_losses, find_smallest_margins
from classifier.analysis.results.seed_groups import SeedGroup
from classifier.analysis.results.settings import find_differing_settings


@dataclass(frozen=True)
class RunReport:
    """What a report contains about one run; rows are row numbers of `run.results`.

    Args:
        run: The run.
        summary: Metrics of all images.
        summary_without_trained: Metrics without the images that are also in the training set, or None if there are no
            such images, or if it is not known.
        classes: Metrics of every class.
        confusion: Number of images of every true class (rows) and predicted class (columns), int64 (C, C).
        pairs: Classes that are most often confused.
        calibration: Calibration of the probabilities.
        temperature: Temperature that the validation images suggest, or None.
        calibration_after: Calibration after the logits are divided by the temperature, or None without one.
        coverage: Fractions of the images, and the accuracy of these most confident ones, float64.
        highest_losses: Rows of the errors with the highest loss.
        smallest_margins: Rows of the correct predictions with the smallest margin.
        doubtful_labels: Rows of the images whose label may be wrong.
    """

    run: EvaluatedRun
    summary: Summary
    summary_without_trained: Summary | None
    classes: list[ClassRow]
    confusion: np.ndarray
    pairs: list[ConfusedPair]
    calibration: Calibration
    temperature: float | None
    calibration_after: Calibration | None
    coverage: tuple[np.ndarray, np.ndarray]
    highest_losses: np.ndarray
    smallest_margins: np.ndarray
    doubtful_labels: np.ndarray


@dataclass(frozen=True)
class Report:
    """The contents of a report.

    Args:
        runs: The runs, in the order in which they were named.
        differing_settings: Values of the settings that differ, as text, one per run.
        groups: Runs that differ in their seed only.
        comparisons: Comparisons of runs or groups.
        problem: Why runs cannot be compared image by image, or None.
        correction: How many comparisons there are, and how they are corrected; None for at most one.
    """

    runs: list[RunReport]
    differing_settings: dict[str, list[str]]
    groups: list[SeedGroup]
    comparisons: list[Comparison]
    problem: str | None
    correction: str | None = None


def make_report(runs: Sequence[EvaluatedRun]) -> Report:
    """Compute the contents of a report on one or more runs."""
    settings = [{"model": run.model, "data": run.data, **run.settings} for run in runs]
    compared = compare_runs([run.name for run in runs], settings, [run.results for run in runs])
    return Report(
        runs=[describe_run(run) for run in runs],
        differing_settings=find_differing_settings(settings),
        groups=compared.groups,
        comparisons=compared.comparisons,
        problem=compared.problem,
        correction=compared.correction,
    )


def describe_run(run: EvaluatedRun) -> RunReport:
    """Compute what a report contains about one run."""
    results, validation = run.results, run.validation
    temperature = fit_temperature(validation.probabilities, validation.labels) if validation is not None else None
    after = None
    if temperature is not None:
        after = measure_calibration(apply_temperature(results.probabilities, temperature), results.labels)
    trained = results.trained
    return RunReport(
        run=run,
        summary=summarize(results),
        summary_without_trained=summarize(results.select(~trained)) if trained is not None and trained.any() else None,
        classes=describe_classes(results),
        confusion=count_confusions(results),
        pairs=find_confused_pairs(results),
        calibration=measure_calibration(results.probabilities, results.labels),
        temperature=temperature,
        calibration_after=after,
        coverage=accuracy_by_coverage(results),
        highest_losses=find_highest_losses(results),
        smallest_margins=find_smallest_margins(results),
        doubtful_labels=find_doubtful_labels(results),
    )
