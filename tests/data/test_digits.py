"""The digits of scikit-learn."""

from classifier import Digits


def test_digits_are_split_with_equal_proportions_and_have_17_grey_levels():
    data = Digits()
    data.setup("fit")
    train, test = data.datasets["train"], data.datasets["test"]
    assert (len(train), len(test)) == (1437, 360)
    assert test.labels.bincount().tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    images = train[:][0]
    assert images.shape == (1437, 1, 8, 8)
    assert images.unique().tolist() == [round(level * 255 / 16) for level in range(17)]
