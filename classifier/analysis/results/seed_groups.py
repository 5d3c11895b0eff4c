"""Groups of runs that differ only in their seed, and the test of two groups over their seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# scipy.stats takes another 0.5 s to import.
from scipy.special import stdtr, stdtrit

from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.intervals import UPPER_QUANTILE, Interval
from classifier.analysis.results.settings import describe_value, is_neutral

SEED = "seed_everything"


@dataclass(frozen=True)
class SeedGroup:
    """Runs with the same settings and images, and different seeds; or a single run.

    Args:
        name: Name of the only run, or that of the first run with the number of seeds: "version_3 (5 seeds)". For runs
            of `--seeds` with a name, it is this name: "high (5 seeds)" for "high_seed0" to "high_seed4".
        runs: Positions of the runs in the report.
        seeds: Their seeds; None for a single run whose seed is not known.
        accuracy: Mean accuracy, from 0 to 1.
        accuracy_deviation: Sample standard deviation of the accuracies; NaN for a single run.
        loss: Mean loss.
        loss_deviation: Sample standard deviation of the losses; NaN for a single run.
        num_correct: Number of images that each run classifies correctly.
        num_images: Number of images of each run.
    """

    name: str
    runs: tuple[int, ...]
    seeds: tuple[int | None, ...]
    accuracy: float
    accuracy_deviation: float
    loss: float
    loss_deviation: float
    num_correct: tuple[int, ...]
    num_images: int


def find_seed_groups(
    names: Sequence[str],
    settings: Sequence[Mapping[str, Any]],
    results: Sequence[ImageResults],
    images: Sequence[object],
) -> list[SeedGroup]:
    """Return the runs in groups, in the order of the first run of each.

    A run joins the first group with its settings and images in which its seed does not occur yet, so a repeated run is
    not counted as another seed. A run whose seed or settings are not known stays single.

    Args:
        names: Names of the runs.
        settings: Their settings, including "model", "data" and "seed_everything"; None is like a missing setting.
        results: Their results.
        images: Their images, see `paired.identify_images`; the runs of a group have the same in the same order.
    """
    groups: list[tuple[object, object, list[int]]] = []
    for run, values in enumerate(settings):
        seed, key = get_seed(values), describe_settings(values)
        for group_key, group_images, members in groups:
            is_new = seed is not None and all(get_seed(settings[member]) not in (seed, None) for member in members)
            if is_new and group_key == key and group_images == images[run]:
                members.append(run)
                break
        else:
            groups.append((key, images[run], [run]))
    return [describe_group(members, names, settings, results) for _, _, members in groups]


def get_seed(settings: Mapping[str, Any]) -> int | None:
    """Return the seed of a run, or None if it has none or is not known."""
    seed = settings.get(SEED)
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else None


def describe_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that affect a result, as text."""
    return {
        name: describe_value(value) for name, value in settings.items() if value is not None and not is_neutral(name)
    }


def describe_group(
    members: list[int], names: Sequence[str], settings: Sequence[Mapping[str, Any]], results: Sequence[ImageResults]
) -> SeedGroup:
    """Return the statistics of the runs of a group."""
    num_images = len(results[members[0]])
    num_correct = tuple(int(results[run].correct.sum()) for run in members)
    losses = [float(results[run].losses.mean()) if num_images else math.nan for run in members]
    mean, deviation = describe_sample(num_correct)
    scale = 1 / num_images if num_images else math.nan
    return SeedGroup(
        name_group(members, names, settings),
        tuple(members),
        tuple(get_seed(settings[run]) for run in members),
        mean * scale,
        deviation * scale,
        *describe_sample(losses),
        num_correct,
        num_images,
    )


def name_group(members: list[int], names: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> str:
    """Return the name of a group: "high (3 seeds)" for "high_seed0", "high_seed1" and "high_seed2".

    The name of the first run is used if the runs have other names, or if a run outside the group has such a name.
    """
    first = members[0]
    if len(members) == 1:
        return names[first]
    stem = names[first].removesuffix(f"_seed{get_seed(settings[first])}")
    own = [run for run, name in enumerate(names) if name.startswith(f"{stem}_seed")]
    is_common = own == members and all(names[run] == f"{stem}_seed{get_seed(settings[run])}" for run in members)
    return f"{stem if is_common else names[first]} ({len(members)} seeds)"


def describe_sample(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation; the deviation of a single value is NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        return float(np.mean(values)), deviation


def can_test_seeds(first: SeedGroup, second: SeedGroup) -> bool:
    """Return whether Welch's test applies: at least two seeds on each side, and accuracies that vary on one of them."""
    counts = (first.num_correct, second.num_correct)
    return min(map(len, counts)) > 1 and max(len(set(numbers)) for numbers in counts) > 1


def compute_welch(first: SeedGroup, second: SeedGroup) -> tuple[Interval, float]:
    """Return the difference of the mean accuracies, second minus first, and the p value of Welch's t-test.

    The groups have to fulfil `can_test_seeds`.
    """
    errors = [group.accuracy_deviation**2 / len(group.runs) for group in (first, second)]
    freedom = sum(errors) ** 2 / sum(
        error**2 / (len(group.runs) - 1) for error, group in zip(errors, (first, second), strict=True)
    )
    error, value = math.sqrt(sum(errors)), second.accuracy - first.accuracy
    half_width = float(stdtrit(freedom, UPPER_QUANTILE)) * error
    return Interval(value, value - half_width, value + half_width), 2 * float(stdtr(freedom, -abs(value) / error))
