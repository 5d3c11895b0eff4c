"""The order of training images, and the distribution of test images to processes."""

import pytest
import torch

from classifier import Digits
from classifier.data.dataset import ImageDataset
from classifier.data.sampling import EvaluationSampler, make_sampler
from classifier.data.sources import ImagesInMemory


def get_order(data: Digits, epoch: int) -> list[int]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader.sampler)


def test_training_order_depends_on_seed_and_epoch_only(monkeypatch):
    data = Digits()
    data.setup("fit")
    orders = {epoch: get_order(data, epoch) for epoch in (0, 1)}
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == list(range(1437))
    torch.manual_seed(123)
    assert get_order(data, 0) == orders[0]
    monkeypatch.setenv("PL_GLOBAL_SEED", "7")
    assert get_order(data, 0) != orders[0]


@pytest.mark.parametrize("num_images", [1, 9, 10, 11, 12])
@pytest.mark.parametrize("num_processes", [1, 2, 3])
def test_every_image_is_scored_exactly_once_in_equally_many_batches_per_process(num_images, num_processes):
    source = ImagesInMemory(torch.zeros(num_images, 1, 2, 2, dtype=torch.uint8))
    dataset = ImageDataset(source, torch.arange(num_images), "test")
    scored, num_batches = [], set()
    for rank in range(num_processes):
        sampler = EvaluationSampler(dataset, num_processes, rank, shuffle=False)
        loader = torch.utils.data.DataLoader(dataset, 2, sampler=sampler, collate_fn=lambda batch: batch)
        scored += [label for _, labels in loader for label in labels.tolist()]
        num_batches.add(len(loader))
    assert sorted(scored) == list(range(num_images))
    assert len(num_batches) == 1


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_single_process_scores_images_in_order_without_a_sampler(split):
    assert make_sampler(range(5), split, rank=0, num_processes=1) is None
    assert isinstance(make_sampler(range(5), split, rank=0, num_processes=2), EvaluationSampler)
