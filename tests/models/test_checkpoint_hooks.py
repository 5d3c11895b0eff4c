"""Checkpoints that rebuild their network without further arguments."""

import lightning as L
import pytest
import torch
from helpers.file_data import FileDigits, list_hashes, make_data
from lightning.pytorch.callbacks import ModelCheckpoint

from classifier import MLP, Digits
from classifier.callbacks.checkpointing import AtomicCheckpointIO
from classifier.checkpoint_format import read_checkpoint
from classifier.data.image_files.decoding import Decoding
from classifier.errors import UserError
from classifier.models.checkpoint_hooks import FORMAT_VERSION


@pytest.fixture
def save_checkpoint(tmp_path, make_trainer):
    """Return a function that trains for two epochs on digits, and returns the network and its checkpoint."""

    def save(**options):
        L.seed_everything(0)
        model = MLP(image_shape=(1, 8, 8), lr=0.1, momentum=0.9, hidden_sizes=(16,), **options)
        saver = ModelCheckpoint(tmp_path, save_last=True, save_on_train_epoch_end=True)
        make_trainer(max_epochs=2, enable_checkpointing=True, callbacks=[saver]).fit(model, Digits())
        return model, tmp_path / "last.ckpt"

    return save


def test_a_checkpoint_gives_the_same_logits_without_further_arguments_and_without_running_code(save_checkpoint):
    model, path = save_checkpoint()
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["classes"] == {"model": "classifier.MLP", "data": "classifier.Digits"}
    assert (checkpoint["format_version"], checkpoint["dark_background"]) == (FORMAT_VERSION, True)
    off = ("nesterov", "label_smoothing", "lr_schedule", "lr_warmup", "lr_start", "lr_end", "ema_decay", "lookahead")
    defaults = {name: MLP().hparams[name] for name in (*off, "tta", "channels_last")}
    assert checkpoint["hyper_parameters"] == {
        **defaults,
        "image_shape": (1, 8, 8),
        "num_classes": 10,
        "hidden_sizes": (16,),
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "mean": (0.0,),
        "std": (1.0,),
        "class_names": tuple("0123456789"),
    }
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(MLP.load_from_checkpoint(path)(images), model(images))


def test_a_checkpoint_contains_how_image_files_are_decoded_if_the_data_has_any(tmp_path, make_trainer):
    for decoding, stored in (
        (Decoding((1, 8, 8), 4095.0, "crop", 10**6), {"resize": "crop", "max_value": 4095.0, "max_pixels": 10**6}),
        (None, None),
        ("not a Decoding", None),
    ):
        data, trainer = Digits(), make_trainer(max_steps=1)
        data.decoding = decoding
        trainer.fit(MLP(image_shape=(1, 8, 8), hidden_sizes=(4,)), data)
        trainer.save_checkpoint(tmp_path / "a.ckpt")
        checkpoint = read_checkpoint(tmp_path / "a.ckpt")
        assert checkpoint.get("decoding") == stored
        expected = Decoding((1, 8, 8)) if stored is None else decoding
        assert MLP.load_from_checkpoint(tmp_path / "a.ckpt").decoding == expected


@pytest.mark.parametrize(
    ("name", "value"), [("resize", "zoom"), ("max_value", 0.0), ("max_value", float("inf")), ("max_pixels", -1)]
)
def test_a_checkpoint_with_an_invalid_decoding_is_refused(tmp_path, name, value):
    decoding = {"resize": "crop", "max_value": None, "max_pixels": 10} | {name: value}
    save_content(tmp_path / "a.ckpt", decoding=decoding)
    with pytest.raises(UserError, match=rf"checkpoint\.decoding\.{name} is not"):
        read_checkpoint(tmp_path / "a.ckpt")


def save_content(path, **changes):
    """Save a checkpoint of an MLP in which some values of the content or of the hyperparameters are changed."""
    model = MLP(image_shape=(1, 2, 2), hidden_sizes=(3,))
    hparams = {name: changes.pop(name) for name in model.hparams if name in changes}
    content = {"classes": {"model": "classifier.MLP"}, "epoch": 0, "state_dict": model.state_dict()}
    content["pytorch-lightning_version"] = L.__version__
    torch.save({**content, "hyper_parameters": {**model.hparams, **hparams}, **changes}, path)
    return model


def test_a_changed_bit_is_refused_when_a_network_is_loaded_in_a_notebook(tmp_path):
    path = tmp_path / "a.ckpt"
    model = save_content(path)
    with path.open("rb") as file:
        assert torch.equal(MLP.load_from_checkpoint(file).network[1].weight, model.network[1].weight)
    weights = model.network[1].weight.detach().numpy().tobytes()
    content = bytearray(path.read_bytes())
    content[content.index(weights) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is not a checkpoint of classifier, or is damaged: Bad CRC-32"):
        MLP.load_from_checkpoint(path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden_sizes": (10**6,) * 3}, r"network\.1\.bias has the shape \(3,\) in the checkpoint and \(10{6},\)"),
        ({"image_shape": (3, 10**6, 10**6)}, "do not fit MLP: image_shape must be"),
        ({"num_classes": 10**9}, "do not fit MLP: num_classes must be at most 100,000"),
        ({"class_names": ("a", "b")}, "do not fit MLP: class_names has another length"),
        ({"mean": {}}, "do not fit MLP: mean must be finite numbers"),
        ({"std": (0.0,)}, "do not fit MLP: std must be above 0"),
        ({"lr": None}, "do not fit MLP: lr must be above 0"),
        ({"unknown": 5}, "do not fit MLP: .*unknown"),
    ],
    ids=str,
)
def test_settings_that_do_not_describe_the_stored_weights_are_refused_before_memory_is_allocated(wrong, message):
    if "unknown" in wrong:
        wrong = {"hyper_parameters": wrong}
    save_content("a.ckpt", **wrong)
    with pytest.raises(ValueError, match=message):
        MLP.load_from_checkpoint("a.ckpt")


def test_a_resumed_run_refuses_states_of_the_trainer_that_do_not_fit(save_checkpoint, make_trainer):
    _, path = save_checkpoint()
    content = torch.load(path, weights_only=True)
    progress = {**content["loops"]["fit_loop"]["epoch_progress"], "total": 5}
    group = content["optimizer_states"][0]["param_groups"][0]
    momentum = {"momentum_buffer": torch.zeros(3)}
    wrong = {
        r"loops\.fit_loop\.epoch_progress\.total is not a table": {
            "loops": {"fit_loop": {**content["loops"]["fit_loop"], "epoch_progress": progress}}
        },
        "has no loops: its training cannot be resumed": {"loops": {}},
        "has momentum_buffer of another shape": {
            "optimizer_states": [{"state": {0: momentum}, "param_groups": [group]}]
        },
        "has a momentum of another type": {
            "optimizer_states": [{"state": {}, "param_groups": [{**group, "momentum": "fast"}]}]
        },
        "is that of other parameters": {"optimizer_states": [{"state": {}, "param_groups": []}]},
    }
    for message, changes in wrong.items():
        torch.save({**content, **changes}, path)
        model = MLP(image_shape=(1, 8, 8), hidden_sizes=(16,), momentum=0.9, lr=0.1)
        with pytest.raises(ValueError, match=message):
            make_trainer(max_epochs=3).fit(model, Digits(), ckpt_path=path, weights_only=True)


def test_a_normalisation_given_as_an_argument_takes_precedence_over_that_of_the_data(save_checkpoint):
    model, path = save_checkpoint(mean=(0.25,))
    images = torch.rand(5, 1, 8, 8)
    assert torch.equal(model(images), model.network(images - 0.25))
    assert torch.equal(MLP.load_from_checkpoint(path)(images), model(images))


def test_hyperparameters_given_to_a_resumed_run_take_precedence_over_the_stored_optimizer(
    save_checkpoint, make_trainer
):
    _, path = save_checkpoint()
    trainer = make_trainer(max_epochs=3)
    model = MLP(image_shape=(1, 8, 8), lr=0.5, momentum=0.0, hidden_sizes=(16,))
    trainer.fit(model, Digits(), ckpt_path=path, weights_only=True)
    group = trainer.optimizers[0].param_groups[0]
    assert (group["lr"], group["momentum"]) == (0.5, 0.0)


def test_resuming_with_other_layers_is_refused_with_the_shapes_that_differ(save_checkpoint, make_trainer):
    _, path = save_checkpoint()
    model = MLP(image_shape=(1, 8, 8), hidden_sizes=(5,))
    message = (
        r"does not fit this MLP: network\.1\.bias has the shape \(16,\) in the checkpoint and \(5,\) in the network"
    )
    with pytest.raises(ValueError, match=message):
        make_trainer(max_epochs=3).fit(model, Digits(), ckpt_path=path, weights_only=True)


def test_second_positional_argument_is_the_device_and_does_not_allow_code(monkeypatch, tmp_path):
    seen = {}

    def spy(_path, map_location=None, *, weights_only=None, **_):
        seen.update(map_location=map_location, weights_only=weights_only)
        return MLP()

    monkeypatch.setattr(L.LightningModule, "load_from_checkpoint", spy)
    save_content(tmp_path / "a.ckpt")
    MLP.load_from_checkpoint(tmp_path / "a.ckpt", "cpu")
    assert seen == {"map_location": "cpu", "weights_only": True}


class OwnOptimizer(MLP):
    """A network with a frozen layer, and with an optimizer, a schedule and hyperparameters of its own."""

    def __init__(self, rates=None, limit=float("inf"), **kwargs):
        super().__init__(**kwargs)
        self.drop = [rate.item() for rate in torch.linspace(0, 0.1, 3)]  # impossible on the meta device
        self.network[1].requires_grad_(False)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW([weights for weights in self.parameters() if weights.requires_grad])
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "loss/train"}}


def test_network_with_an_optimizer_of_its_own_is_loaded_and_resumed(make_trainer, tmp_path):
    options = {"limit_train_batches": 2, "limit_val_batches": 0, "plugins": [AtomicCheckpointIO()]}
    trainer = make_trainer(1, **options)
    trainer.fit(OwnOptimizer(image_shape=(1, 8, 8), rates={0: 0.1}), Digits())
    trainer.save_checkpoint(tmp_path / "own.ckpt")
    loaded = OwnOptimizer.load_from_checkpoint(tmp_path / "own.ckpt")
    assert (loaded.hparams.rates, loaded.hparams.limit) == ({0: 0.1}, float("inf"))
    resumed = make_trainer(2, **options)
    resumed.fit(OwnOptimizer(image_shape=(1, 8, 8), rates={0: 0.1}), Digits(), ckpt_path=tmp_path / "own.ckpt")
    assert resumed.global_step == 4


def fit_files(make_trainer, max_epochs=1, ckpt_path=None, cls=FileDigits, **attributes):
    """Train on digits with file names, save a checkpoint after every epoch, and return the Trainer."""
    L.seed_everything(0)
    saver = ModelCheckpoint(".", filename="last", enable_version_counter=False, save_on_train_epoch_end=True)
    trainer = make_trainer(max_epochs, enable_checkpointing=True, callbacks=[saver])
    model = MLP(image_shape=(1, 8, 8), hidden_sizes=(16,))
    trainer.fit(model, make_data(cls, **attributes), ckpt_path=ckpt_path, weights_only=True)
    return trainer


def test_a_checkpoint_has_the_hashes_of_its_training_images_if_the_data_know_them(make_trainer):
    trainer = fit_files(make_trainer)
    assert torch.equal(read_checkpoint("last.ckpt")["training_images"], list_hashes(list(range(200))))
    trainer.lightning_module.training_record = None  # as that of Digits
    trainer.save_checkpoint("other.ckpt")
    assert "training_images" not in read_checkpoint("other.ckpt")


def test_a_resumed_run_is_refused_if_its_training_images_have_changed(make_trainer):
    fit_files(make_trainer)
    changed = {"train": [*range(1, 200), 300, 301]}
    message = r"^2 images were added to and 1 removed from the training set since .*new run: leave out ckpt_path$"
    with pytest.raises(UserError, match=message):
        fit_files(make_trainer, 2, "last.ckpt", indices=changed)
    with pytest.raises(UserError, match="another order or with other labels"):
        fit_files(make_trainer, 2, "last.ckpt", relabelled=1)
    fit_files(make_trainer, 2, "last.ckpt", folder="moved")
    resumed = read_checkpoint("last.ckpt")
    fit_files(make_trainer, 2)
    uninterrupted = read_checkpoint("last.ckpt")
    assert torch.equal(resumed["training_images"], uninterrupted["training_images"])
    for name, weights in uninterrupted["state_dict"].items():
        assert torch.equal(resumed["state_dict"][name], weights)


def test_a_resumed_run_that_evaluates_other_images_than_before_is_reported(make_trainer):
    fit_files(make_trainer)
    message = "the test images have changed since the checkpoint: results of earlier epochs are those of the previous"
    with pytest.warns(UserWarning, match=message):
        fit_files(make_trainer, 2, "last.ckpt", indices={"test": [5, 6, 7]})


def test_a_network_that_is_evaluated_on_other_images_keeps_the_record_of_those_it_was_trained_on(make_trainer):
    trainer = fit_files(make_trainer)
    trainer.test(trainer.lightning_module, make_data(indices={"train": [700], "test": [5]}), verbose=False)
    trainer.save_checkpoint("tested.ckpt")
    assert torch.equal(read_checkpoint("tested.ckpt")["training_images"], list_hashes(list(range(200))))
    loaded = MLP.load_from_checkpoint("tested.ckpt")
    assert torch.equal(loaded.training_record.images, list_hashes(list(range(200))))


def test_a_second_training_replaces_the_record(make_trainer):
    trainer = fit_files(make_trainer)
    other = make_data(indices={"train": list(range(300, 400))})
    make_trainer().fit(trainer.lightning_module, other)
    assert torch.equal(trainer.lightning_module.training_record.images, list_hashes(list(range(300, 400))))
    make_trainer().fit(trainer.lightning_module, Digits())
    assert trainer.lightning_module.training_record is None


class OwnSplit(FileDigits):
    """Data that split files without a split of their own."""

    given_splits = frozenset({"val"})

    def __init__(self, test_split=0.2, **kwargs):
        super().__init__(**kwargs)


def test_a_checkpoint_of_an_older_version_is_reported_if_it_was_split_differently(make_trainer, recwarn):
    trainer = fit_files(make_trainer, cls=OwnSplit)
    content = torch.load("last.ckpt", weights_only=True)
    del content["training_images"], content["format_version"]
    torch.save(content, "old.ckpt")

    def list_warnings(path):
        recwarn.clear()
        trainer.test(trainer.lightning_module, make_data(OwnSplit), ckpt_path=path, weights_only=True, verbose=False)
        return [str(warning.message) for warning in recwarn if "older version" in str(warning.message)]

    assert list_warnings("last.ckpt") == []
    assert list_warnings("old.ckpt") == [
        "an older version of classifier, which split the images differently, wrote the checkpoint: some of the test "
        "images may have been trained on"
    ]


@pytest.mark.parametrize("wrong", [torch.tensor([2, 1]), torch.zeros(2), torch.zeros(2, 2, dtype=torch.int64), [1, 2]])
def test_a_record_that_is_no_sorted_list_of_hashes_is_refused(wrong):
    save_content("a.ckpt", training_images=wrong)
    with pytest.raises(UserError, match="training_images is not a list of hashes in increasing order"):
        read_checkpoint("a.ckpt")
