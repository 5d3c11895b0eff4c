"""Metrics of a pass over a dataset: equality to scikit-learn, queued batches, and processes."""

import csv
import json
from pathlib import Path

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from helpers.processes import SERVER
from sklearn.metrics import confusion_matrix, log_loss

from classifier import MLP, Digits
from classifier.callbacks.image_scores import ImageScores
from classifier.data.sources import ImagesInMemory
from classifier.data.training_record import TrainingRecord
from classifier.models.metrics import ClassificationMetrics, ConfusionMatrix


@pytest.fixture
def batches():
    """Return three batches of logits and labels of 7, 7 and 3 images of 4 classes."""
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(n, 4, generator=generator), torch.randint(4, (n,), generator=generator)) for n in (7, 7, 3)]


def join(batches):
    """Return the logits (N, 4) and labels (N,) of all batches."""
    return (torch.cat(tensors) for tensors in zip(*batches, strict=True))


def test_metrics_equal_those_of_scikit_learn_over_all_images_of_uneven_batches(batches):
    metrics = ClassificationMetrics(4)
    for batch in batches:
        metrics.add(*batch)
    result = metrics.compute()
    logits, labels = join(batches)
    counts = confusion_matrix(labels, logits.argmax(1), labels=range(4))
    assert result["confusion_matrix"].tolist() == counts.tolist()
    assert result["num_images"] == 17
    assert result["accuracy"].item() == pytest.approx(counts.trace() / 17, abs=1e-7)
    assert result["accuracy_per_class"].tolist() == pytest.approx((counts.diagonal() / counts.sum(1)).tolist())
    loss = log_loss(labels, logits.double().softmax(1), labels=range(4))
    assert result["loss"].item() == pytest.approx(loss, abs=1e-6)


def test_metrics_do_not_depend_on_when_queued_batches_are_scored(batches):
    immediate, delayed = ClassificationMetrics(4), ClassificationMetrics(4)
    immediate.max_pending_images = 1
    for metrics in (immediate, delayed):
        for batch in batches:
            metrics.add(*batch)
        metrics.flush()
    assert immediate.loss_sum.update_count == immediate.confusion_matrix.update_count == 3
    assert delayed.loss_sum.update_count == delayed.confusion_matrix.update_count == 1
    assert torch.equal(immediate.compute()["confusion_matrix"], delayed.compute()["confusion_matrix"])
    assert immediate.compute()["loss"].item() == pytest.approx(delayed.compute()["loss"].item(), abs=1e-6)


@pytest.mark.parametrize("size", [1, 4, 100, 5000])
def test_the_queue_is_bounded_and_holds_no_autograd_graph(size):
    metrics = ClassificationMetrics(10)
    for _ in range(100):
        metrics.add(torch.zeros(size, 10, requires_grad=True) * 1, torch.zeros(size, dtype=torch.long))
        assert len(metrics.pending) < 64
        assert sum(len(labels) for _, labels in metrics.pending) < 4096
        assert not any(logits.requires_grad for logits, _ in metrics.pending)
    assert metrics.compute()["confusion_matrix"].sum() == 100 * size


def test_compute_includes_queued_batches_and_those_added_after_an_earlier_compute(batches):
    metrics = ClassificationMetrics(4, keep_images=True)
    for count in (1, 2, 3):
        metrics.add(*batches[count - 1])
        assert len(metrics.pending) == 1
        result = metrics.compute()
        assert not metrics.pending
        logits, labels = join(batches[:count])
        counts = torch.from_numpy(confusion_matrix(labels, logits.argmax(1), labels=range(4)))
        assert torch.equal(result["confusion_matrix"], counts)
        assert result["num_images"] == len(labels)
        assert result["loss"].item() == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-6)
        assert sorted(metrics.top_losses(99)["index"]) == (logits.argmax(1) != labels).nonzero().flatten().tolist()
    again = metrics.compute()
    assert all(torch.equal(again[name], result[name]) for name in result)


def test_reset_forgets_scored_and_queued_images(batches):
    metrics = ClassificationMetrics(4, keep_images=True)
    metrics.add(*batches[0])
    metrics.flush()
    metrics.add(*batches[1])
    metrics.reset()
    metrics.add(*batches[2])
    result = metrics.compute()
    logits, labels = batches[2]
    assert result["confusion_matrix"].sum() == 3
    assert result["loss"].item() == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-6)
    assert sorted(metrics.top_losses(99)["index"]) == (logits.argmax(1) != labels).nonzero().flatten().tolist()


@pytest.mark.parametrize("max_pending_images", [1, 4096], ids=["scored immediately", "scored at the end"])
@pytest.mark.parametrize("indices", [None, [40, 3, 99, *range(70, 84)]], ids=["in order", "given to reset"])
def test_top_losses_are_the_misclassified_images_with_the_highest_loss(batches, indices, max_pending_images):
    metrics = ClassificationMetrics(4, keep_images=True)
    metrics.max_pending_images = max_pending_images
    metrics.reset(indices)
    for batch in batches:
        metrics.add(*batch)
    metrics.compute()
    logits, labels = join(batches)
    losses = F.cross_entropy(logits, labels, reduction="none")
    wrong = sorted((i for i in range(17) if logits[i].argmax() != labels[i]), key=lambda i: -losses[i])
    assert len(wrong) > 3
    for count in (3, 99):
        top = metrics.top_losses(count)
        chosen = wrong[:count]
        assert top["index"].tolist() == [indices[i] if indices else i for i in chosen]
        assert top["label"].tolist() == labels[chosen].tolist()
        assert top["prediction"].tolist() == logits[chosen].argmax(1).tolist()
        assert top["loss"].tolist() == pytest.approx(losses[chosen].tolist())


def test_a_loss_that_is_not_finite_is_reported():
    metrics = ClassificationMetrics(4)
    metrics.add(torch.full((1, 4), torch.nan), torch.tensor([2]))
    metrics.add(torch.zeros(1, 4), torch.tensor([2]))
    assert metrics.compute()["loss"].isnan()


class FewDigits(Digits):
    """The first test digits; the untrained network misclassifies most of them."""

    count = 0

    def read(self, split):
        images, labels = super().read(split)
        return images[: self.count], labels[: self.count]


class WriteMetrics(L.Callback):
    """Writes the metrics of the first process to a file."""

    def __init__(self, file: Path):
        self.file = file

    def on_test_end(self, trainer, module):
        if trainer.global_rank == 0:
            result = {name: value.tolist() for name, value in module.test_metrics.compute().items()}
            top = {name: value.tolist() for name, value in module.test_metrics.top_losses(1000).items()}
            self.file.write_text(json.dumps([result, top]))


def score(devices: int, count: int, file: Path) -> None:
    """Test an untrained network on a number of images with a number of processes, and write the metrics."""
    torch.manual_seed(0)
    model, data = MLP(image_shape=(1, 8, 8)), FewDigits(test_batch_size=1)
    data.count = count
    images, _ = data.read("test")
    model.training_record = TrainingRecord(ImagesInMemory(images[::3]).get_hashes().sort().values, {}, {})
    trainer = L.Trainer(
        accelerator="cpu", devices=devices, strategy="ddp_fork" if devices > 1 else "auto", logger=False,
        enable_progress_bar=False, callbacks=[WriteMetrics(file), ImageScores(str(file.with_suffix(".csv")))],
    )  # fmt: skip
    trainer.test(model, data, verbose=False)


@pytest.mark.parametrize("count", [1, 30, 129], ids=["one image", "even", "only padding scored last"])
def test_two_processes_report_the_metrics_and_top_losses_and_write_the_table_of_one(tmp_path, count):
    reports, tables = [], []
    for devices in (1, 2):
        file = tmp_path / f"{devices}.json"
        process = SERVER.Process(target=score, args=(devices, count, file))
        process.start()
        process.join()
        reports.append(json.loads(file.read_text()))
        with file.with_suffix(".csv").open() as table:
            tables.append(list(csv.DictReader(table)))
    (result, top), (result_of_two, top_of_two) = reports
    assert result["num_images"] == count
    for name in ("num_images", "confusion_matrix", "accuracy"):
        assert result_of_two[name] == result[name]
    assert result_of_two["loss"] == pytest.approx(result["loss"], abs=1e-6)
    assert len(top["index"]) == round((1 - result["accuracy"]) * count) > 0
    for name in ("index", "label", "prediction"):
        assert top_of_two[name] == top[name]
    assert top_of_two["loss"] == pytest.approx(top["loss"], abs=1e-6)
    for index, (row, row_of_two) in enumerate(zip(*tables, strict=True)):
        assert (row["index"], row["trained_on"]) == (str(index), str(index % 3 == 0).lower())
        assert [row[name] for name in ("true", "predicted")] == [row_of_two[name] for name in ("true", "predicted")]
        values, values_of_two = ([float(cells[str(i)]) for i in range(10)] for cells in (row, row_of_two))
        assert values_of_two == pytest.approx(values, rel=1e-5)
    assert len(tables[0]) == count


def test_deterministic_mode_counts_the_same_without_a_comparison_with_every_cell():
    labels, predictions = torch.arange(1000) % 300, torch.arange(1000) % 7
    logits = F.one_hot(predictions, 300).float()
    confusion_matrices = []
    for deterministic in (False, True):
        torch.use_deterministic_algorithms(deterministic)
        try:
            metrics = ClassificationMetrics(300)
            metrics.add(logits, labels)
            confusion_matrices.append(metrics.compute()["confusion_matrix"])
        finally:
            torch.use_deterministic_algorithms(False)
    assert torch.equal(*confusion_matrices)
    assert confusion_matrices[0][:, 0].sum() == 143
    assert "bincount" not in ConfusionMatrix.update.__code__.co_names
