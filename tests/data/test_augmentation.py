"""Augmentation: its effect on a batch, and the batches that it applies to."""

import lightning as L
import pytest
import torch
import torch.nn.functional as F

from classifier import MLP, Digits
from classifier.data.augmentation import crop_images, cut_out, flip_images, pad_reflected, shift_images

IMAGES = torch.arange(3 * 2 * 5 * 6, dtype=torch.uint8).reshape(3, 2, 5, 6)


def test_only_the_chosen_images_are_mirrored_left_to_right():
    flipped = flip_images(IMAGES, torch.tensor([True, False, True]))
    assert flipped.dtype == torch.uint8
    assert torch.equal(flipped, torch.stack([IMAGES[0].flip(-1), IMAGES[1], IMAGES[2].flip(-1)]))


@pytest.mark.parametrize("width", [0, 1, 4])
def test_padding_equals_reflection_padding_of_pytorch(width):
    expected = F.pad(IMAGES.float(), (width,) * 4, mode="reflect")
    assert torch.equal(pad_reflected(IMAGES, width), expected.byte())


def test_every_image_is_shifted_independently_and_all_shifts_are_equally_likely():
    images = IMAGES[:1].expand(5000, -1, -1, -1)
    padded = F.pad(IMAGES[:1].float(), (2, 2, 2, 2), mode="reflect").byte()[0]
    shifts = torch.stack([padded[:, y : y + 5, x : x + 6] for y in range(5) for x in range(5)])
    same = (shift_images(images, 2).unsqueeze(1) == shifts).flatten(2).all(2)  # (image, shift)
    assert (same.sum(1) == 1).all()
    assert same.sum(0).min() > 140  # of 200 on average, standard deviation 14
    assert same.sum(0).max() < 260


def test_a_square_around_a_random_pixel_is_filled_in_every_image():
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


def test_a_random_part_of_every_image_is_enlarged_to_its_size():
    across, down = torch.arange(0, 240, 6).expand(30, 40), torch.arange(0, 240, 8).view(-1, 1).expand(30, 40)
    images = torch.stack([across, down]).byte().expand(2000, -1, -1, -1)  # values grow to the right, and downwards
    cropped = crop_images(images, 0.25)
    assert (cropped.shape, cropped.dtype) == (images.shape, torch.uint8)
    # The width and the height of every part, as fractions.
    width = cropped[:, 0].float().diff(dim=2).mean((1, 2)) / 6
    height = cropped[:, 1].float().diff(dim=1).mean((1, 2)) / 8
    area, aspect = width * height, width / height
    assert area.min() > 0.22
    assert area.max() < 1.01
    assert abs(area.mean() - 0.62) < 0.02
    assert 0.72 < aspect.min() < 0.8
    assert 1.25 < aspect.max() < 1.4
    left, right = cropped[:, 0, 0, 0], cropped[:, 0, 0, -1]
    assert (left.min(), right.max()) == (0, 234)
    assert left.max() > 60
    assert ((cropped[:, 0].int() - cropped[:, 0, :1].int()).abs() <= 1).all()  # no rotation, but rounding


class Batches(L.Callback):
    """Records the batches of training and of validation."""

    def __init__(self):
        self.trained, self.evaluated = [], []

    def on_train_batch_start(self, trainer, module, batch, index):
        self.trained.append((trainer.current_epoch, *batch))

    def on_validation_batch_start(self, trainer, module, batch, index, dataloader_idx=0):
        self.evaluated.append(batch[0])


class Markers(Digits):
    """Images whose first pixel is their number plus 1, on the left or, if they are mirrored, on the right."""

    def read(self, split):
        images = torch.zeros(100, 1, 8, 8, dtype=torch.uint8)
        images[:, 0, 0, 0] = torch.arange(100, dtype=torch.uint8) + 1
        return images, torch.arange(100) % 10


def train(make_trainer, data, epochs=1) -> Batches:
    L.seed_everything(0)
    batches = Batches()
    make_trainer(max_epochs=epochs, callbacks=[batches]).fit(MLP(image_shape=(1, 8, 8), hidden_sizes=(4,)), data)
    return batches


def find_mirrored(batches: Batches, epoch: int) -> torch.Tensor:
    """Return which of the 100 images of an epoch were mirrored, in the order of the dataset."""
    images = torch.cat([images for number, images, _ in batches.trained if number == epoch])
    left, right = images[:, 0, 0, 0].int(), images[:, 0, 0, 7].int()
    order = (left + right).argsort()
    assert torch.equal((left + right)[order], torch.arange(1, 101))
    return (right > 0)[order]


def test_an_alternating_flip_mirrors_a_random_half_first_and_then_each_image_in_every_other_epoch(make_trainer):
    batches = train(make_trainer, Markers(flip="alternating"), epochs=3)
    first, second, third = (find_mirrored(batches, epoch) for epoch in range(3))
    assert 30 < first.sum() < 70
    assert torch.equal(second, ~first)
    assert torch.equal(third, first)


def test_a_random_flip_mirrors_a_new_half_in_every_epoch(make_trainer):
    batches = train(make_trainer, Markers(flip="random"), epochs=2)
    first, second = (find_mirrored(batches, epoch) for epoch in range(2))
    assert 30 < first.sum() < 70
    assert 30 < (first != second).sum() < 70


def test_only_training_batches_are_augmented_and_the_data_set_is_not_changed(make_trainer):
    data = Markers(flip="random", crop=0.5, shift=2, cutout=3)
    batches = train(make_trainer, data)
    images, labels = data.read("train")
    assert torch.equal(data.datasets["train"].source.images, images)
    assert all(torch.equal(evaluated, images) for evaluated in batches.evaluated)
    assert not torch.equal(torch.cat([images for _, images, _ in batches.trained]).sum(), images.sum())
    trained = torch.cat([labels for *_, labels in batches.trained])
    assert torch.equal(trained.sort().values, labels.sort().values)


def test_drop_last_leaves_out_the_smaller_last_batch(make_trainer):
    for drop_last, counts in ((False, [64, 36]), (True, [64])):
        batches = train(make_trainer, Markers(drop_last=drop_last))
        assert [len(labels) for *_, labels in batches.trained] == counts


def test_the_seed_determines_which_images_are_mirrored_in_the_first_epoch(monkeypatch):
    mirrored = []
    for seed in (1, 1, 2):
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        data = Markers(flip="alternating")
        data.setup("fit")
        mirrored.append(data.datasets["train"].flipped)
    assert torch.equal(mirrored[0], mirrored[1])
    assert not torch.equal(mirrored[0], mirrored[2])
