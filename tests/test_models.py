"""The networks: layers, arithmetic, settings and checkpoints."""

import math
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from conftest import make_images
from lightning.pytorch.callbacks import ModelCheckpoint
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torchvision.transforms import Compose, Normalize, ToTensor

from classifier import CIFAR10, CNN, MLP, Digits, FashionMNIST, TorchVision
from classifier.base import ImageClassifier
from classifier.callbacks import EpochLines, RunRecord
from classifier.models import fit_kernels


class TutorialCNN(nn.Module):
    """The network as PyTorch's tutorial "Training a Classifier" writes it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class TutorialMLP(nn.Module):
    """784-256-128-10 as a plain module."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(784, 256), nn.Linear(256, 128), nn.Linear(128, 10)])

    def forward(self, x):
        first, second, third = self.layers
        return third(F.relu(second(F.relu(first(x.flatten(1))))))


def load_tutorial(model: ImageClassifier) -> nn.Module:
    """Return the tutorial's network with the weights of a model, which must fit shape by shape."""
    if isinstance(model, CNN):
        network = TutorialCNN()
        network.load_state_dict(model.network.state_dict())
    else:
        network = TutorialMLP()
        weights = model.network.state_dict().values()
        network.load_state_dict(dict(zip(network.state_dict(), weights, strict=True)))
    return network


CASES = {"MLP": (MLP, FashionMNIST, "fashion_root"), "CNN": (CNN, CIFAR10, "cifar_root")}


@pytest.fixture(params=CASES)
def pair(request):
    """Return a model and its data, on small files."""
    model_class, data_class, root = CASES[request.param]
    torch.manual_seed(1)
    return model_class(), data_class(root=str(request.getfixturevalue(root)))


@pytest.mark.parametrize(("model_class", "parameters"), [(MLP, 235_146), (CNN, 62_006)])
def test_networks_have_the_tutorials_number_of_parameters(model_class, parameters):
    assert sum(parameter.numel() for parameter in model_class().parameters()) == parameters


@pytest.mark.parametrize(("model_class", "tutorial"), [(MLP, TutorialMLP), (CNN, TutorialCNN)])
def test_networks_start_from_the_weights_that_pytorch_gives_the_tutorials(model_class, tutorial):
    torch.manual_seed(3)
    ours = list(model_class().network.parameters())
    torch.manual_seed(3)
    theirs = list(tutorial().parameters())
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("model", [MLP(), CNN(mean=(0.5, 0.4, 0.3), std=(0.5, 0.6, 0.7))], ids=["MLP", "CNN"])
def test_logits_are_those_of_the_tutorials_network_on_its_own_transform_of_the_images(model):
    channels, size, _ = model.hparams.image_shape
    images = torch.from_numpy(make_images(6, channels, size, 0)[0])
    transform = ToTensor()
    if model.hparams.mean:
        transform = Compose([ToTensor(), Normalize(model.hparams.mean, model.hparams.std)])
    expected = load_tutorial(model)(torch.stack([transform(image.permute(1, 2, 0).numpy()) for image in images]))
    assert torch.equal(model(images), expected)
    assert torch.equal(model(images / 255), expected)


def test_training_equals_a_plain_loop_step_by_step(pair, make_trainer):
    model, data = pair
    network = load_tutorial(model)
    make_trainer(max_epochs=2).fit(model, data)

    dataset, loader = data.datasets["train"], data.train_dataloader()
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    optimizer = torch.optim.SGD(network.parameters(), lr=model.hparams.lr, momentum=model.hparams.momentum)
    torch.backends.mkldnn.enabled = isinstance(model, MLP)  # as CNN has it for its batches of 4
    try:
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)
            for indices in batch_up(loader):
                images = (dataset.images[indices] / 255 - mean) / std
                loss = F.cross_entropy(network(images), dataset.labels[indices])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    finally:
        torch.backends.mkldnn.enabled = True
    trained = zip(model.network.parameters(), network.parameters(), strict=True)
    assert all(torch.equal(ours, plain) for ours, plain in trained)


def batch_up(loader) -> list[list[int]]:
    indices = list(loader.sampler)
    return [indices[i : i + loader.batch_size] for i in range(0, len(indices), loader.batch_size)]


def test_test_figures_equal_a_plain_loop_whose_loss_is_a_mean_over_images(pair, make_trainer):
    model, data = pair
    data.hparams.test_batch_size = 7  # leaves an uneven last batch
    trainer = make_trainer()
    [figures] = trainer.test(model, data, verbose=False)
    dataset = data.datasets["test"]
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    with torch.inference_mode():
        logits = load_tutorial(model)((dataset.images / 255 - mean) / std)
    assert figures["loss/test"] == pytest.approx(F.cross_entropy(logits, dataset.labels).item(), abs=1e-6)
    assert figures["accuracy/test"] == pytest.approx((logits.argmax(1) == dataset.labels).double().mean().item())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(lr=0.0), "lr must be above 0, not 0.0"),
        (lambda: MLP(momentum=1.0), "momentum must be from 0 to below 1, not 1.0"),
        (lambda: MLP(weight_decay=-1.0), "weight_decay must be at least 0, not -1.0"),
        (lambda: MLP(num_classes=1), "num_classes must be at least 2, not 1"),
        (lambda: MLP(hidden_sizes=(256, 0)), r"hidden_sizes must be above 0, not \(256, 0\)"),
        (
            lambda: MLP(image_shape=(28, 28)),
            r"image_shape is \(channels, height, width\), each above 0, not \(28, 28\)",
        ),
        (lambda: CNN(image_shape=(1, 8, 8)), "at least 16x16 pixels, these have 8x8: use the MLP"),
        (lambda: CNN(mean=(0.5, 0.5)), "mean needs 1 or 3 numbers, not 2"),
        (lambda: TorchVision(name="resnt18"), "has no network resnt18; did you mean resnet18"),
        (lambda: TorchVision(name="vit_b_32"), r"vit_b_32 cannot work on images of 28x28 pixels \(.*patch size"),
        (lambda: TorchVision(weights="FOO"), "there is no such file, and torchvision has IMAGENET1K_V1, DEFAULT"),
        (lambda: CNN(std=(0.0,)), r"std must be above 0, not \(0.0,\)"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_cnn_takes_images_from_16_pixels_on():
    assert CNN(image_shape=(1, 16, 16), num_classes=3)(torch.zeros(2, 1, 16, 16)).shape == (2, 3)


def test_base_class_cannot_be_built():
    with pytest.raises(TypeError, match="abstract"):
        ImageClassifier((1, 28, 28), 10, 0.1)


def test_a_network_for_other_images_is_refused_with_the_call_that_fits(make_trainer):
    with pytest.raises(ValueError, match=r"make it MLP\(image_shape=\(1, 8, 8\), num_classes=10\)"):
        make_trainer().fit(MLP(), Digits())


def test_a_network_for_other_classes_is_refused(make_trainer):
    model = MLP(image_shape=(1, 8, 8), class_names=tuple("abcdefghij"))
    with pytest.raises(ValueError, match=r"was trained to tell a, b, c.*Digits has 0, 1, 2"):
        make_trainer().test(model, Digits(), verbose=False)


def save_checkpoint(tmp_path, make_trainer, **options):
    """Train two epochs on digits and return the model and its checkpoint."""
    L.seed_everything(0)
    model = MLP(image_shape=(1, 8, 8), lr=0.1, momentum=0.9, hidden_sizes=(16,), **options)
    keeper = ModelCheckpoint(tmp_path, save_last=True, save_on_train_epoch_end=True)
    make_trainer(max_epochs=2, enable_checkpointing=True, callbacks=[keeper]).fit(model, Digits())
    return model, tmp_path / "last.ckpt"


def test_a_checkpoint_needs_no_argument_and_runs_no_code_to_give_the_same_logits(tmp_path, make_trainer):
    model, path = save_checkpoint(tmp_path, make_trainer)
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["classes"] == {"model": "classifier.MLP", "data": "classifier.Digits"}
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


def test_a_normalisation_given_by_hand_wins_over_that_of_the_data(tmp_path, make_trainer):
    model, path = save_checkpoint(tmp_path, make_trainer, mean=(0.25,))
    images = torch.rand(5, 1, 8, 8)
    assert torch.equal(model(images), model.network(images - 0.25))
    assert torch.equal(MLP.load_from_checkpoint(path)(images), model(images))


class DropoutMLP(MLP):
    """An MLP that draws random numbers while it trains."""

    def build_network(self):
        first, *rest = super().build_network()
        return nn.Sequential(first, nn.Dropout(0.5), *rest)


@pytest.mark.parametrize("model_class", [MLP, DropoutMLP])
def test_a_resumed_run_ends_with_the_same_weights_as_an_uninterrupted_one(tmp_path, make_trainer, model_class):
    options = {"image_shape": (1, 8, 8), "lr": 0.1, "momentum": 0.9, "hidden_sizes": (16,)}
    weights = []
    for stops in ((2, 4), (4,)):
        path = None
        for stop in stops:
            L.seed_everything(0)
            model = model_class(**options)
            trainer = make_trainer(max_epochs=stop)
            trainer.fit(model, Digits(), ckpt_path=path, weights_only=True)
            path = tmp_path / f"{stop}.ckpt"
            trainer.save_checkpoint(path)
        weights.append(list(model.parameters()))
    assert all(torch.equal(resumed, whole) for resumed, whole in zip(*weights, strict=True))


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_good_checkpoint(tmp_path, make_trainer):
    class Diverging(MLP):
        """An MLP whose weights are lost in the second epoch."""

        def on_train_batch_end(self, *_):
            if self.current_epoch == 1:
                nn.init.constant_(self.network[1].weight, math.nan)

    keeper = ModelCheckpoint(tmp_path, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = make_trainer(max_epochs=5, enable_checkpointing=True, callbacks=[keeper])
    with pytest.raises(ValueError, match="test loss is not finite after 2 epochs: train with a learning rate below"):
        trainer.fit(Diverging(image_shape=(1, 8, 8)), Digits())
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 0
    assert all(weights.isfinite().all() for weights in checkpoint["state_dict"].values())


def test_settings_given_now_win_over_those_of_a_stored_optimizer(tmp_path, make_trainer):
    _, path = save_checkpoint(tmp_path, make_trainer)
    trainer = make_trainer(max_epochs=3)
    model = MLP(image_shape=(1, 8, 8), lr=0.5, momentum=0.0, hidden_sizes=(16,))
    trainer.fit(model, Digits(), ckpt_path=path, weights_only=True)
    group = trainer.optimizers[0].param_groups[0]
    assert (group["lr"], group["momentum"]) == (0.5, 0.0)


def train_digits(make_trainer, batch_size=64, limit=8, **options) -> MLP:
    L.seed_everything(0)
    model = MLP(image_shape=(1, 8, 8), hidden_sizes=(16,), lr=0.1)
    make_trainer(limit_train_batches=limit, **options).fit(model, Digits(batch_size=batch_size))
    return model


def test_accumulating_gradients_over_two_batches_equals_batches_of_twice_the_size(make_trainer):
    twice = train_digits(make_trainer, 32, 16, accumulate_grad_batches=2)
    once = train_digits(make_trainer, 64, 8)
    assert torch.allclose(twice.network[1].weight, once.network[1].weight, atol=1e-7)


def test_clipping_bounds_how_far_a_step_goes(make_trainer):
    L.seed_everything(0)
    start = MLP(image_shape=(1, 8, 8), hidden_sizes=(16,), lr=0.1)
    clipped = train_digits(make_trainer, limit=1, gradient_clip_val=1e-3)
    moved = [a - b for a, b in zip(clipped.parameters(), start.parameters(), strict=True)]
    length = math.sqrt(sum(step.square().sum().item() for step in moved))
    assert length == pytest.approx(0.1 * 1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("precision", "weights", "logits"),
    [
        ("bf16-mixed", torch.float32, torch.bfloat16),
        ("bf16-true", torch.bfloat16, torch.bfloat16),
        ("64-true", torch.float64, torch.float64),
    ],
)
def test_precision_is_that_of_the_trainer(make_trainer, precision, weights, logits):
    seen = set()

    class Watch(L.Callback):
        def on_test_batch_end(self, trainer, module, *_):
            seen.update(kept.dtype for kept, _ in module.test_scores.kept)

    trainer = make_trainer(precision=precision, callbacks=[Watch()])
    model = MLP(image_shape=(1, 8, 8), lr=0.1)
    trainer.fit(model, Digits())
    trainer.test(model, Digits(), verbose=False)
    assert seen == {logits}
    assert model.network[1].weight.dtype == weights
    assert math.isfinite(model.figures["loss/test"])


@pytest.mark.parametrize(
    ("options", "trained", "tested"),
    [
        ({"limit_train_batches": 3}, 3 * 64, 360),
        ({"limit_val_batches": 1}, 1437, 250),
        ({"val_check_interval": 4}, 1437, 360),
        ({"num_sanity_val_steps": 2}, 1437, 360),
        ({"fast_dev_run": True}, 64, 250),
        ({"max_steps": 30, "max_epochs": 5}, 7 * 64, 360),
        ({"profiler": "simple", "detect_anomaly": True}, 1437, 360),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*logging interval.*")
def test_trainer_flags_decide_which_images_are_trained_on_and_scored(make_trainer, options, trained, tested):
    model = MLP(image_shape=(1, 8, 8))
    recorded = [EpochLines(bar=False), RunRecord()]
    trainer = make_trainer(callbacks=recorded, **{"enable_progress_bar": True, **options})
    trainer.fit(model, Digits(test_batch_size=250))
    counts = [model.get_scores(split).compute()["counts"].sum() for split in ("train", "test")]
    assert counts == [trained, tested]


def test_overfitting_one_batch_brings_its_loss_down(make_trainer):
    L.seed_everything(0)
    model = MLP(image_shape=(1, 8, 8), lr=0.1, momentum=0.9)
    with pytest.warns(UserWarning, match="You requested to overfit"):
        make_trainer(max_epochs=80, overfit_batches=1).fit(model, Digits())
    assert model.get_scores("train").compute()["counts"].sum() == 64
    assert model.get_scores("train").compute()["loss"] < 0.1


def test_a_network_trains_on_foreign_loaders_without_a_data_module(make_trainer):
    images, labels = (torch.from_numpy(array) for array in make_images(64, 1, 8, 0))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels.long()), 16)
    model = MLP(image_shape=(1, 8, 8))
    trainer = make_trainer()
    trainer.fit(model, loader, loader)
    assert {"loss/train", "loss/val", "accuracy/val"} <= trainer.callback_metrics.keys()
    assert "loss/test" not in trainer.callback_metrics
    assert trainer.test(model, loader, verbose=False)[0].keys() >= {"loss/test", "accuracy/test"}


def test_numbers_and_paths_of_other_libraries_become_plain_hyperparameters():
    model = MLP(lr=np.float32(0.5), hidden_sizes=[8], class_names=list("0123456789"))
    assert dict(model.hparams) | {"lr": 0.5, "hidden_sizes": (8,), "class_names": tuple("0123456789")} == model.hparams
    assert type(model.hparams.lr) is float
    assert Digits(root=Path("data")).hparams.root == "data"


def test_scoring_after_training_adds_to_the_curves_at_the_last_epoch(make_trainer):
    trainer = make_trainer(max_epochs=2)
    model = MLP(image_shape=(1, 8, 8))
    trainer.fit(model, Digits())
    trainer.test(model, Digits(), verbose=False)
    steps = [point.step for point in EventAccumulator(trainer.log_dir).Reload().Scalars("loss/test")]
    assert steps == [1, 2, 2]


def test_small_batches_leave_onednn_switched_on_for_the_rest_of_the_program(cifar_root, make_trainer):
    make_trainer().fit(CNN(), CIFAR10(root=str(cifar_root)))
    assert torch.backends.mkldnn.enabled


SHUFFLENET = "shufflenet_v2_x0_5"  # torchvision's smallest


def test_a_network_of_torchvision_is_torchvisions_own_on_images_of_64_pixels():
    model = TorchVision(name=SHUFFLENET, image_shape=(3, 64, 64), num_classes=7).eval()
    network = torchvision.models.get_model(SHUFFLENET, num_classes=7).eval()
    network.load_state_dict(model.network.state_dict())
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(model(images), network(images))


def test_a_resnet_for_small_images_has_a_3x3_stem_and_shrinks_them_to_an_eighth():
    network = TorchVision(name="resnet18", image_shape=(3, 32, 32)).network
    shapes = {}
    for name in ("conv1", "maxpool", "layer4"):
        layer = network.get_submodule(name)
        layer.register_forward_hook(lambda *args, name=name: shapes.update({name: tuple(args[-1].shape)}))
    network(torch.zeros(2, 3, 32, 32))
    assert shapes == {"conv1": (2, 64, 32, 32), "maxpool": (2, 64, 32, 32), "layer4": (2, 512, 4, 4)}
    assert network.conv1.weight.shape == (64, 3, 3, 3)


@pytest.mark.parametrize("name", ["squeezenet1_1", "regnet_y_400mf", "googlenet"])
def test_networks_of_torchvision_train_on_small_grey_images(name):
    model = TorchVision(name=name, image_shape=(1, 28, 28), num_classes=3)
    images, labels = torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 2])
    assert model(images).shape == (2, 3)
    model.training_step((images, labels), 0).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_lone_image_is_trained_on_with_the_running_statistics():
    model = TorchVision(name=SHUFFLENET, image_shape=(1, 8, 8))
    image = torch.rand(1, 1, 8, 8)
    before = {name: value.clone() for name, value in model.network.named_buffers()}
    model.training_step((image, torch.tensor([3])), 0).backward()
    assert all(layer.training for layer in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.network.named_buffers())
    assert torch.equal(model(image), model.eval()(image))


@pytest.fixture
def pretrained(tmp_path, monkeypatch):
    """Return a network of torchvision whose weights lie in PyTorch's cache, and their file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = torchvision.models.get_model(SHUFFLENET)
    file = tmp_path / "hub" / "checkpoints" / Path(torchvision.models.get_model_weights(SHUFFLENET).DEFAULT.url).name
    file.parent.mkdir(parents=True)
    torch.save(network.state_dict(), file)
    return network, file


def test_weights_of_torchvision_bring_their_normalisation_and_are_kept_but_for_the_last_layer(pretrained):
    network, file = pretrained
    given = network.state_dict()
    model = TorchVision(name=SHUFFLENET, weights="DEFAULT", image_shape=(3, 32, 32))
    changed = [name for name, value in model.network.state_dict().items() if not torch.equal(value, given[name])]
    assert changed == ["fc.weight", "fc.bias"]
    assert (model.hparams.mean, model.hparams.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert TorchVision(name=SHUFFLENET, weights="DEFAULT", mean=(0.1,), image_shape=(3, 32, 32)).hparams.mean == (0.1,)
    own = TorchVision(name=SHUFFLENET, weights=file, image_shape=(3, 64, 64), num_classes=1000).eval()
    assert own.hparams.mean is None
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(own(images), network.eval()(images))


def test_weights_for_grey_images_give_what_the_same_image_gives_in_three_channels(pretrained):
    network, _ = pretrained
    model = TorchVision(name=SHUFFLENET, weights="DEFAULT", image_shape=(1, 64, 64), num_classes=1000).eval()
    assert model.hparams.mean == (pytest.approx(0.449),)
    images = torch.rand(2, 1, 64, 64)
    normalised = ((images - model.mean) / model.std).expand(2, 3, 64, 64)
    assert torch.allclose(model(images), network.eval()(normalised), atol=1e-5)


def test_a_larger_kernel_gives_its_middle():
    kernels = torch.arange(2 * 3 * 7 * 7.0).view(2, 3, 7, 7)
    assert torch.equal(fit_kernels(kernels, torch.Size((2, 3, 3, 3))), kernels[:, :, 2:5, 2:5])


def test_weights_that_are_missing_damaged_or_of_another_network_are_refused(pretrained):
    _, file = pretrained
    with pytest.raises(ValueError, match=r"do not fit resnet18: .* is in only one of the two"):
        TorchVision(name="resnet18", weights=str(file))
    with pytest.raises(ValueError, match=r"stage2.* has the shape \(24, 24, 1, 1\), not \(58, 24, 1, 1\)"):
        TorchVision(name="shufflenet_v2_x1_0", weights=str(file))
    file.write_text("no weights")
    with pytest.raises(ValueError, match=rf"{file} is damaged .*put there what is at https://download.pytorch.org"):
        TorchVision(name=SHUFFLENET, weights="DEFAULT")
    with pytest.raises(ValueError, match="no state_dict can be read from this file"):
        TorchVision(name=SHUFFLENET, weights=str(file))


def test_a_network_of_torchvision_is_trained_and_tested_without_fetching_its_weights_again(pretrained, run):
    options = ("--model", "TorchVision", "--model.name", SHUFFLENET, "--model.weights", "DEFAULT")
    run(
        "fit",
        "--config=digits",
        "--pictures=false",
        *options,
        "--trainer.limit_train_batches",
        "2",
        "--trainer.max_epochs",
        "1",
    )
    pretrained[1].unlink()
    assert "(360 images)" in run("test", "--ckpt_path", "last")
    path = "lightning_logs/version_0/checkpoints/last.ckpt"
    loaded = TorchVision.load_from_checkpoint(path)
    stored = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(value, stored[name]) for name, value in loaded.state_dict().items())
    assert loaded.hparams.mean == (pytest.approx(0.449),)
