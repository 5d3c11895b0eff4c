"""Images on the page: a picture with its name, its classes and their probabilities."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from classifier.analysis.results.contents import RunReport
from classifier.analysis.results.metrics import ConfusedPair
from classifier.pages.pictures import Album, Picture

MAX_PAIRS = 5
MAX_DOUBTFUL_LABELS = 100  # that are listed by name


@dataclass(frozen=True)
class Card:
    """One image as the page shows it.

    Args:
        picture: Its picture, or None if that is missing.
        name: File name or index.
        true: Name of the true class.
        true_probability: Probability of the true class, from 0 to 1.
        predicted: Name of the predicted class.
        predicted_probability: Probability of the predicted class, from 0 to 1.
        second: Name of the second most probable class, or None if there is only one class.
        second_probability: Probability of that class, from 0 to 1; NaN if there is none.
        is_correct: Whether both classes are the same.
    """

    picture: Picture | None
    name: str
    true: str
    true_probability: float
    predicted: str
    predicted_probability: float
    second: str | None
    second_probability: float
    is_correct: bool


@dataclass(frozen=True)
class Gallery:
    """The images of a run on the page.

    Args:
        pairs: Most confused pairs of classes, each with its example images.
        highest_losses: Misclassified images with the highest loss.
        smallest_margins: Correctly classified images with the smallest margin.
        doubtful_labels: Images whose label may be wrong, with pictures.
        listed_labels: More of them, in a table without pictures; the first are those with pictures.
        num_doubtful_labels: Number of all of them.
    """

    pairs: list[tuple[ConfusedPair, list[Card]]]
    highest_losses: list[Card]
    smallest_margins: list[Card]
    doubtful_labels: list[Card]
    listed_labels: list[Card]
    num_doubtful_labels: int


def make_gallery(report: RunReport, album: Album, count: int) -> Gallery:
    """Return the images of a run, and add their pictures to an album.

    Args:
        report: What is shown of the run.
        album: The pictures of the page. If its space runs out, doubtful labels are the last to lose their pictures.
        count: Maximum number of images of every kind.
    """
    doubtful, highest, margins = (
        rows[:count].tolist() for rows in (report.doubtful_labels, report.highest_losses, report.smallest_margins)
    )
    pairs = report.pairs[:MAX_PAIRS]
    examples = [row for pair in pairs for row in pair.rows]
    pictures = album.add(report.run, [*doubtful, *highest, *examples, *margins])
    return Gallery(
        pairs=[(pair, make_cards(report, pair.rows, pictures)) for pair in pairs],
        highest_losses=make_cards(report, highest, pictures),
        smallest_margins=make_cards(report, margins, pictures),
        doubtful_labels=make_cards(report, doubtful, pictures),
        listed_labels=make_cards(report, report.doubtful_labels[:MAX_DOUBTFUL_LABELS].tolist(), {}),
        num_doubtful_labels=len(report.doubtful_labels),
    )


def make_cards(report: RunReport, rows: Iterable[int], pictures: dict[int, Picture]) -> list[Card]:
    """Return the cards of images, given by their row numbers."""
    results = report.run.results
    cards = []
    for row in rows:
        true, predicted = int(results.labels[row]), int(results.predictions[row])
        others = results.probabilities[row].copy()
        others[predicted] = -1
        second = int(others.argmax()) if len(others) > 1 else None
        cards.append(
            Card(
                picture=pictures.get(row),
                name=results.names[row],
                true=results.class_names[true],
                true_probability=float(results.probabilities[row, true]),
                predicted=results.class_names[predicted],
                predicted_probability=float(results.probabilities[row, predicted]),
                second=None if second is None else results.class_names[second],
                second_probability=math.nan if second is None else float(others[second]),
                is_correct=true == predicted,
            )
        )
    return cards
