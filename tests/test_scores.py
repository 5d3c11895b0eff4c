"""Scores against scikit-learn."""

import pytest
import torch
from sklearn.metrics import confusion_matrix, log_loss

from classifier.scores import Scores, pick_costliest


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(n, 4, generator=generator), torch.randint(4, (n,), generator=generator)) for n in (7, 7, 3)]


def test_scores_equal_those_of_scikit_learn_over_all_images_of_uneven_batches(batches):
    scores = Scores(4)
    for batch in batches:
        scores.add(*batch)
    scores.score_kept()
    result = scores.compute()
    logits, labels = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
    counts = confusion_matrix(labels, logits.argmax(1), labels=range(4))
    assert result["counts"].tolist() == counts.tolist()
    assert result["accuracy"].item() == pytest.approx(counts.trace() / 17, abs=1e-7)
    assert result["per_class"].tolist() == pytest.approx((counts.diagonal() / counts.sum(1)).tolist())
    assert result["loss"].item() == pytest.approx(
        log_loss(labels, logits.double().softmax(1), labels=range(4)), abs=1e-6
    )


def test_scores_are_the_same_whenever_what_is_kept_is_scored(batches):
    at_once, at_end = Scores(4), Scores(4)
    at_once.images_kept = 1
    for scores in (at_once, at_end):
        for batch in batches:
            scores.add(*batch)
        scores.score_kept()
    assert at_once.update_count == 3
    assert at_end.update_count == 1
    assert torch.equal(at_once.compute()["counts"], at_end.compute()["counts"])
    assert at_once.compute()["loss"].item() == pytest.approx(at_end.compute()["loss"].item(), abs=1e-6)


@pytest.mark.parametrize("size", [1, 4, 100, 5000])
def test_what_is_kept_is_bounded_and_holds_no_graph(size):
    scores = Scores(10)
    for _ in range(100):
        scores.add(torch.zeros(size, 10, requires_grad=True) * 1, torch.zeros(size, dtype=torch.long))
        assert len(scores.kept) < 64
        assert sum(len(labels) for _, labels in scores.kept) < 4096
        assert not any(logits.requires_grad for logits, _ in scores.kept)
    scores.score_kept()
    assert scores.compute()["counts"].sum() == 100 * size


def test_reset_forgets_scored_and_kept_images(batches):
    scores = Scores(4)
    scores.add(*batches[0])
    scores.score_kept()
    scores.add(*batches[1])
    scores.reset()
    scores.add(*batches[2])
    scores.score_kept()
    assert scores.compute()["counts"].sum() == 3


def test_mistakes_are_the_costliest_of_all_processes(batches):
    together, first, second = (Scores(4, num_mistakes=3) for _ in range(3))
    for logits, labels in batches:
        together.add(logits, labels)
    together.score_kept()
    logits, labels = (torch.cat(tensors) for tensors in zip(*batches, strict=True))
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    wrong = sorted((i for i in range(17) if logits[i].argmax() != labels[i]), key=lambda i: -losses[i])
    mistakes = together.compute()["mistakes"]
    assert mistakes[:, 1].tolist() == wrong[:3]
    assert mistakes[:, 0].tolist() == pytest.approx(losses[wrong[:3]].tolist())
    assert mistakes[:, 2:].tolist() == [[labels[i], logits[i].argmax()] for i in wrong[:3]]
    first.update(logits[:8], labels[:8])
    second.update(logits[8:], labels[8:])
    second.mistakes[:, 1] += 8
    assert torch.equal(pick_costliest(torch.stack((first.mistakes, second.mistakes))), together.mistakes)
    everything = Scores(4, num_mistakes=99)
    everything.update(logits, labels)
    assert everything.compute()["mistakes"][:, 1].tolist() == wrong
    together.reset()
    together.update(logits[:8], labels[:8])
    assert torch.equal(together.mistakes, first.mistakes)
