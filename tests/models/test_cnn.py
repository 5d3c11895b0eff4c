"""The small convolutional network, and its steps without oneDNN."""

import pytest
import torch
import torch.nn.functional as F
from helpers.tutorials import TutorialCNN

from classifier import CIFAR10, CNN


@pytest.fixture(autouse=True)
def _onednn():
    """Start with oneDNN enabled, and restore it even if a test fails."""
    torch.backends.mkldnn.enabled = True
    yield
    torch.backends.mkldnn.enabled = True


def test_the_network_has_the_tutorials_number_of_parameters():
    assert sum(parameter.numel() for parameter in CNN().parameters()) == 62_006


def test_initial_weights_are_those_that_pytorch_gives_the_tutorials_network():
    torch.manual_seed(3)
    ours = list(CNN().network.parameters())
    torch.manual_seed(3)
    theirs = list(TutorialCNN().parameters())
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_the_smallest_images_have_16_pixels():
    assert CNN(image_shape=(1, 16, 16), num_classes=3)(torch.zeros(2, 1, 16, 16)).shape == (2, 3)
    with pytest.raises(ValueError, match="at least 16x16 pixels, these have 8x8: use the MLP"):
        CNN(image_shape=(1, 8, 8))


class Watched(CNN):
    """A CNN that records whether oneDNN is enabled in forward and backward passes, and can raise in one of them."""

    def __init__(self, fails_in="", fails_at=0, **kwargs):
        super().__init__(**kwargs)
        self.seen, self.fails_in, self.fails_at = {"forward": [], "backward": [], "batch end": []}, fails_in, fails_at

    def observe(self, phase):
        self.seen[phase].append(torch.backends.mkldnn.enabled)
        if phase == self.fails_in and len(self.seen[phase]) == self.fails_at:
            raise RuntimeError(f"{phase} failed")

    def forward(self, images):
        self.observe("forward")
        logits = super().forward(images)
        if logits.requires_grad:
            logits.register_hook(lambda _: self.observe("backward"))
        return logits

    def on_train_batch_end(self, *_):
        self.observe("batch end")


@pytest.mark.parametrize(("batch_size", "enabled"), [(4, False), (8, False), (9, True)])
def test_only_the_passes_of_small_training_batches_run_without_onednn(cifar_root, make_trainer, batch_size, enabled):
    model = Watched()
    data = CIFAR10(root=str(cifar_root), batch_size=batch_size, drop_last=True)
    make_trainer(limit_train_batches=3, limit_val_batches=0).fit(model, data)
    assert model.seen == {"forward": [enabled] * 3, "backward": [enabled] * 3, "batch end": [True] * 3}


def test_onednn_is_enabled_after_training_and_for_evaluation(cifar_root, make_trainer):
    model = Watched()
    trainer = make_trainer()
    data = CIFAR10(root=str(cifar_root))
    trainer.fit(model, data)
    assert torch.backends.mkldnn.enabled
    model.seen["forward"].clear()
    trainer.test(model, data, verbose=False)
    assert model.seen["forward"] == [True]


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("phase", ["forward", "backward"])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_onednn_is_enabled_again_after_a_step_that_raises(cifar_root, make_trainer, phase, step, accumulate):
    model = Watched(fails_in=phase, fails_at=step)
    trainer = make_trainer(accumulate_grad_batches=accumulate, limit_val_batches=0, num_sanity_val_steps=0)
    with pytest.raises(RuntimeError, match=f"{phase} failed"):
        trainer.fit(model, CIFAR10(root=str(cifar_root)))
    assert torch.backends.mkldnn.enabled
    assert model.seen == {
        "forward": [False] * step,
        "backward": [False] * (step if phase == "backward" else step - 1),
        "batch end": [True] * (step - 1),
    }


def test_onednn_stays_disabled_for_a_program_that_disabled_it(cifar_root, make_trainer):
    torch.backends.mkldnn.enabled = False
    model = Watched()
    make_trainer(limit_train_batches=2, limit_val_batches=0).fit(model, CIFAR10(root=str(cifar_root)))
    assert model.seen["batch end"] == [False] * 2
    assert not torch.backends.mkldnn.enabled


def test_subclass_with_its_own_training_step_computes_gradients():
    class Own(CNN):
        def training_step(self, batch, batch_idx):
            return F.cross_entropy(self(batch[0]), batch[1])

    model = Own(image_shape=(1, 16, 16))
    model.backward(model.training_step((torch.zeros(4, 1, 16, 16), torch.zeros(4, dtype=torch.long)), 0))
    assert model.network.fc3.bias.grad.abs().sum() > 0
