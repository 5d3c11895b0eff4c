"""Predictions for images of any kind."""

import csv
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.photographs import make_photographs
from helpers.runs import FIT_DIGITS
from PIL import Image

import classifier
from classifier import CNN, MLP, Digits, ImageClassifier, Prediction
from classifier.data.image_files.decoding import ImageError
from classifier.errors import SettingError, UserError


def test_every_kind_of_image_gets_the_probabilities_that_the_command_writes(run):
    for label, pixels in enumerate(make_photographs(8, height=30, width=44)):
        path = Path("photographs", "ab"[label % 2], f"{label}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    options = ("--data=ImageFolder", "--data.root=photographs", "--data.image_size=[16, 20]", "--data.resize=crop")
    run("fit", *options, "--model=MLP", "--trainer.max_epochs=1", "--pictures=false")
    run("predict", "photographs", "--output=predictions.csv")
    with Path("predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    model = classifier.load("version_0")
    for row in rows:
        pixels = np.array(Image.open(row["file"]))
        tensor = torch.from_numpy(pixels).permute(2, 0, 1)
        images = [row["file"], Path(row["file"]), Image.open(row["file"]), pixels, pixels / 255, tensor]
        for prediction in (*model.predict(images), *(model.predict(image) for image in images)):
            assert prediction.label == row["class"]
            assert prediction.probabilities == pytest.approx({name: float(row[name]) for name in "ab"}, abs=1e-6)
            assert prediction.probability == max(prediction.probabilities.values())


def test_digits_on_white_are_inverted_as_by_the_command(run):
    run(*FIT_DIGITS, "--trainer.max_epochs=2")
    data = Digits()
    data.setup("test")
    images, labels = data.datasets["test"][:40]
    for name in ("last", "best", "version_0", Path("lightning_logs/version_0")):
        model = classifier.load(name)
        assert not model.training
        predictions = model.predict(images)
        assert model.predict(255 - images) == predictions
        assert model.predict(images, invert="no") == predictions
        for part, prediction in zip(model.predict(images, batch_size=7), predictions, strict=True):
            assert part.probabilities == pytest.approx(prediction.probabilities, abs=1e-6)
        assert model.predict(255 - images, invert="no") != predictions
    assert sum(int(prediction.label) == label for prediction, label in zip(predictions, labels, strict=True)) > 30


def test_trained_network_predicts_as_it_does_once_it_is_saved_and_loaded(make_trainer):
    model, data = MLP(image_shape=(1, 8, 8), hidden_sizes=(16,)), Digits()
    trainer = make_trainer()
    trainer.fit(model, data)
    trainer.save_checkpoint("a.ckpt")
    image = 255 - data.datasets["test"][0][0]
    model.train()
    assert model.predict(image) == classifier.load("a.ckpt").predict(image)
    assert model.training  # predict restores the mode
    assert model.predict(image) != model.predict(image, invert="no")


def test_prediction_shows_its_class_and_probability():
    model = MLP(image_shape=(1, 4, 4), num_classes=3, class_names=("ant", "bee", "fly"))
    [prediction] = model.predict([np.zeros((4, 4), np.uint8)])
    assert isinstance(prediction, Prediction)
    assert list(prediction.probabilities) == ["ant", "bee", "fly"]
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert repr(prediction) == f"{prediction.label} ({prediction.probability:.1%})"
    assert model.predict([]) == []
    unnamed = MLP(image_shape=(1, 4, 4), num_classes=2).predict(np.zeros((4, 4)))
    assert set(unnamed.probabilities) == {"0", "1"}


def test_wrong_images_and_options_are_refused_in_one_line():
    model = MLP(image_shape=(1, 4, 4))
    Path("text.png").write_text("text")
    for image, error, message in (
        ("text.png", ImageError, "text.png is not an image"),
        ("missing.png", ImageError, "missing.png cannot be read as an image: No such file or directory"),
        (np.zeros((4, 4, 7), np.uint8), SettingError, "must have the shape"),
    ):
        with pytest.raises(error, match=message):
            model.predict([image])
    with pytest.raises(SettingError, match="invert must be auto, yes or no, not 'maybe'"):
        model.predict("text.png", invert="maybe")
    with pytest.raises(SettingError, match="batch_size must be above 0, not 0"):
        model.predict("text.png", batch_size=0)


def test_base_class_loads_a_network_of_the_class_in_the_checkpoint(make_trainer):
    trainer = make_trainer()
    trainer.fit(MLP(image_shape=(1, 8, 8), hidden_sizes=(16,)), Digits())
    trainer.save_checkpoint("a.ckpt")
    for source in ("a.ckpt", Path("a.ckpt"), BytesIO(Path("a.ckpt").read_bytes())):
        loaded = ImageClassifier.load_from_checkpoint(source)
        assert type(loaded) is MLP
        assert loaded.hparams.hidden_sizes == (16,)
    with pytest.raises(UserError, match=r"contains a MLP: use MLP\.load_from_checkpoint"):
        CNN.load_from_checkpoint("a.ckpt")
    content = torch.load("a.ckpt", weights_only=True)
    torch.save({**content, "classes": {"model": "my_module.Net"}}, "b.ckpt")
    with pytest.raises(UserError, match=r"contains a my_module\.Net: import this class"):
        ImageClassifier.load_from_checkpoint("b.ckpt")
