"""Augmentation: what it does to a batch, and to which batches."""

import os

import lightning as L
import pytest
import torch
import torch.nn.functional as F

from classifier import MLP, Digits
from classifier.augmentation import cut_out, flip_images, pad_reflected, shift_images

IMAGES = torch.arange(3 * 2 * 5 * 6, dtype=torch.uint8).reshape(3, 2, 5, 6)


def test_exactly_the_chosen_images_are_mirrored_left_to_right():
    flipped = flip_images(IMAGES, torch.tensor([True, False, True]))
    assert flipped.dtype == torch.uint8
    assert torch.equal(flipped, torch.stack([IMAGES[0].flip(-1), IMAGES[1], IMAGES[2].flip(-1)]))


@pytest.mark.parametrize("width", [0, 1, 4])
def test_the_border_is_pytorchs_reflection(width):
    expected = F.pad(IMAGES.float(), (width,) * 4, mode="reflect")
    assert torch.equal(pad_reflected(IMAGES, width), expected.byte())


def test_every_image_is_moved_by_a_draw_of_its_own_and_all_moves_are_equally_likely():
    images = IMAGES[:1].expand(5000, -1, -1, -1)
    padded = F.pad(IMAGES[:1].float(), (2, 2, 2, 2), mode="reflect").byte()[0]
    moves = torch.stack([padded[:, y : y + 5, x : x + 6] for y in range(5) for x in range(5)])
    same = (shift_images(images, 2).unsqueeze(1) == moves).flatten(2).all(2)  # (image, move)
    assert (same.sum(1) == 1).all()
    assert same.sum(0).min() > 140  # of 200 on average, standard deviation 14
    assert same.sum(0).max() < 260


def test_a_square_is_cut_out_of_every_image_around_any_of_its_pixels():
    images = torch.full((3000, 2, 7, 9), 200, dtype=torch.uint8)
    cut = cut_out(images, 3, torch.tensor([10, 20], dtype=torch.uint8).view(-1, 1, 1))
    covered = cut != 200
    assert torch.equal(covered[:, 0], covered[:, 1])
    assert torch.equal(cut[:, 0][covered[:, 0]].unique(), torch.tensor([10], dtype=torch.uint8))
    assert torch.equal(cut[:, 1][covered[:, 1]].unique(), torch.tensor([20], dtype=torch.uint8))
    rows, columns = covered[:, 0].any(2), covered[:, 0].any(1)
    assert torch.equal(rows.unsqueeze(2) & columns.unsqueeze(1), covered[:, 0])  # a rectangle
    assert sorted(set(map(tuple, torch.stack((rows.sum(1), columns.sum(1)), 1).tolist()))) == [
        (2, 2), (2, 3), (3, 2), (3, 3)
    ]  # fmt: skip
    assert (~rows[:, 0] | (rows[:, 0] & ~rows[:, 3])).all()
    assert covered[:, 0].any(0).all()


class Batches(L.Callback):
    """Keeps what is trained on and what is scored."""

    def __init__(self):
        self.trained, self.scored = [], []

    def on_train_batch_start(self, trainer, module, batch, index):
        self.trained.append((trainer.current_epoch, *batch))

    def on_validation_batch_start(self, trainer, module, batch, index, dataloader_idx=0):
        self.scored.append(batch[0])


class Markers(Digits):
    """Images that tell which one they are, and whether they are mirrored."""

    def read(self, train):
        images = torch.zeros(100, 1, 8, 8, dtype=torch.uint8)
        images[:, 0, 0, 0] = torch.arange(100, dtype=torch.uint8) + 1
        return images, torch.arange(100) % 10


def train(make_trainer, data, epochs=1) -> Batches:
    L.seed_everything(0)
    batches = Batches()
    make_trainer(max_epochs=epochs, callbacks=[batches]).fit(MLP(image_shape=(1, 8, 8), hidden_sizes=(4,)), data)
    return batches


def find_mirrored(batches: Batches, epoch: int) -> torch.Tensor:
    """Return which of the 100 images of an epoch were mirrored, in the order of the data set."""
    images = torch.cat([images for number, images, _ in batches.trained if number == epoch])
    left, right = images[:, 0, 0, 0].int(), images[:, 0, 0, 7].int()
    order = (left + right).argsort()
    assert torch.equal((left + right)[order], torch.arange(1, 101))
    return (right > 0)[order]


def test_an_alternating_flip_mirrors_half_in_the_first_epoch_and_then_every_image_every_other_epoch(make_trainer):
    batches = train(make_trainer, Markers(flip="alternating"), epochs=3)
    first, second, third = (find_mirrored(batches, epoch) for epoch in range(3))
    assert 30 < first.sum() < 70
    assert torch.equal(second, ~first)
    assert torch.equal(third, first)


def test_a_random_flip_mirrors_another_half_in_every_epoch(make_trainer):
    batches = train(make_trainer, Markers(flip="random"), epochs=2)
    first, second = (find_mirrored(batches, epoch) for epoch in range(2))
    assert 30 < first.sum() < 70
    assert 30 < (first != second).sum() < 70


def test_only_what_is_trained_on_is_augmented_and_the_data_stay_as_they_are(make_trainer):
    data = Markers(flip="random", shift=2, cutout=3)
    batches = train(make_trainer, data)
    images, labels = data.read(train=True)
    assert torch.equal(data.datasets["train"].images, images)
    assert all(torch.equal(scored, images) for scored in batches.scored)
    assert not torch.equal(torch.cat([images for _, images, _ in batches.trained]).sum(), images.sum())
    trained = torch.cat([labels for *_, labels in batches.trained])
    assert torch.equal(trained.sort().values, labels.sort().values)


def test_the_last_batch_is_left_out_if_asked_for(make_trainer):
    for drop_last, counts in ((False, [64, 36]), (True, [64])):
        batches = train(make_trainer, Markers(drop_last=drop_last))
        assert [len(labels) for *_, labels in batches.trained] == counts


def test_which_images_are_mirrored_first_follows_from_the_seed(monkeypatch):
    mirrored = []
    for seed in (1, 1, 2):
        monkeypatch.setitem(os.environ, "PL_GLOBAL_SEED", str(seed))
        data = Markers(flip="alternating")
        data.setup("fit")
        mirrored.append(data.datasets["train"].mirrored)
    assert torch.equal(mirrored[0], mirrored[1])
    assert not torch.equal(mirrored[0], mirrored[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": "up"}, "flip must be none, random or alternating, not up"),
        ({"shift": -1}, "shift must be at least 0, not -1"),
        ({"shift": 8}, "shift must be below 8, not 8"),
        ({"cutout": -1}, "cutout must be at least 0, not -1"),
    ],
)
def test_augmentation_that_cannot_work_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Digits(**options).setup("fit")
