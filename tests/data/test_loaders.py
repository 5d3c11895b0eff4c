"""The DataLoaders of the splits."""

import pytest
import torch
from helpers.figures import get_captions

from classifier import MLP, Digits
from classifier.errors import SettingError


def test_trainer_predicts_the_classes_of_the_test_images(make_trainer):
    model, data = MLP(image_shape=(1, 8, 8), hidden_sizes=(8,)), Digits(test_batch_size=100)
    batches = make_trainer().predict(model, data)
    assert [len(batch) for batch in batches] == [100, 100, 100, 60]
    model.eval()
    with torch.inference_mode():
        expected = model(data.datasets["test"][:][0]).softmax(dim=1)
    assert torch.allclose(torch.cat(batches), expected, atol=1e-6)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data.datasets["test"][:][0]), batch_size=360)
    assert torch.allclose(make_trainer().predict(model, loader)[0], expected, atol=1e-6)


def test_validation_images_are_predicted_if_there_are_no_test_images(make_trainer):
    class ValidationDigits(Digits):
        splits = ("train", "val")

        def read(self, split):
            images, labels = super().read("test" if split == "val" else split)
            return (images[:7], labels[:7]) if split == "val" else (images, labels)

    [probabilities] = make_trainer().predict(MLP(image_shape=(1, 8, 8)), ValidationDigits())
    assert probabilities.shape == (7, 10)


def test_show_draws_a_batch_of_a_split_with_its_classes_and_changes_no_random_numbers():
    data = Digits(val_split=100, shift=2)
    state = torch.get_rng_state()
    for split, count in (("train", 16), ("val", 4), ("test", 9)):
        captions = get_captions(data.show(split, count=count))
        assert len(captions) == count
        assert set(captions) <= set(data.class_names)
    assert get_captions(data.show("test", count=9)) == [str(label) for label in data.datasets["test"][:9][1].tolist()]
    assert torch.equal(state, torch.get_rng_state())
    with pytest.raises(SettingError, match="Digits has no val images"):
        Digits().show("val")


def test_loader_of_a_dataset_that_is_not_set_up_says_so():
    with pytest.raises(SettingError, match=r'Digits has no images: call setup\("test"\) first'):
        Digits().test_dataloader()
