"""Training of Airbench equals a second implementation, written from the paper."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DistributedSampler

from classifier import Airbench, ImageDataModule

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
WIDTHS, BATCH, STEPS, SEED = (4, 6, 6), 8, 16, 3


class SmallPhotographs(ImageDataModule):
    """50 training images, of which the last batch of two is left out in every epoch, and 30 test images."""

    image_shape, class_names, mean, std = (3, 26, 26), tuple("abcdefghij"), MEAN, STD

    def read(self, split):
        generator = torch.Generator().manual_seed(int(split == "train"))
        labels = torch.arange(50 if split == "train" else 30) % 10
        # Height, width and channels differ, so that rounding errors do not rotate the eigenvectors of the patches.
        clouds = F.interpolate(torch.rand(len(labels), 3, 12, 20, generator=generator), 26, mode="bilinear")
        clouds = clouds * torch.tensor([1.0, 0.8, 0.6]).view(3, 1, 1) + labels.view(-1, 1, 1, 1) / 10
        return (clouds * 127).to(torch.uint8), labels


class PaperLoop:
    """The training of "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (Jordan, 2024), written from the paper."""

    def __init__(self, images, labels, given):
        self.images, self.labels = images, labels
        layers = [nn.Conv2d(3, 24, 2), nn.GELU()]
        for inputs, outputs in ((24, WIDTHS[0]), WIDTHS[:2], WIDTHS[1:]):
            first, second = (nn.Conv2d(n, outputs, 3, padding=1, bias=False) for n in (inputs, outputs))
            for conv in (first, second):
                torch.nn.init.dirac_(conv.weight.data[: conv.in_channels])
            norms = [nn.BatchNorm2d(outputs, eps=1e-12, momentum=1 - 0.6) for _ in range(2)]
            layers += [first, nn.MaxPool2d(2), norms[0], nn.GELU(), second, norms[1], nn.GELU()]
        layers += [nn.MaxPool2d(3), nn.Flatten(), nn.Linear(WIDTHS[2], 10, bias=False)]
        self.network = nn.Sequential(*layers)
        # A random half is mirrored in the first epoch.
        mirrored = torch.rand(len(images), generator=torch.Generator().manual_seed(SEED)) < 0.5
        self.first = [np.flip(i, -1) if m else i for i, m in zip(images.numpy(), mirrored.tolist(), strict=True)]
        self.whiten(self.normalise(self.first), given)

    def normalise(self, images):
        pixels = np.stack(images).astype(np.float64) / 255
        return torch.from_numpy((pixels - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))).float()

    def whiten(self, images, given):
        corners = [images[..., y : y + 25, x : x + 25] for y in (0, 1) for x in (0, 1)]
        patches = torch.stack(corners, 2).permute(0, 3, 4, 1, 2).reshape(-1, 12).double()  # channel, row, column
        variances, vectors = np.linalg.eigh((patches.T @ patches / len(patches)).numpy())
        filters = (vectors / np.sqrt(variances + 5e-4)).T[::-1]
        signs = np.sign(
            (filters * given[:12].reshape(12, 12).numpy()).sum(1, keepdims=True)
        )  # an eigenvector's sign is arbitrary
        filters = np.concatenate([signs * filters, -signs * filters]).reshape(24, 3, 2, 2)
        np.testing.assert_allclose(
            given.numpy(), filters, atol=1e-3
        )  # small eigenvalues lose the precision of a float32
        self.network[0].weight = nn.Parameter(given, requires_grad=False)

    def make_batch(self, indices, epoch):
        """Return images mirrored, and shifted by up to 2 pixels with the gap filled by reflection."""
        rows, columns = torch.randint(5, (2, len(indices))).tolist()
        shifted = []
        for index, y, x in zip(indices, rows, columns, strict=True):
            image = self.first[index] if epoch % 2 == 0 else np.flip(self.first[index], -1)
            padded = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="reflect")
            shifted.append(padded[:, y : y + 26, x : x + 26])
        return self.normalise(shifted)

    def train(self):
        network = self.network
        k = 1024 * (1 + 1 / (1 - 0.85))
        rates, decay = (64 * 11.5 / k, 11.5 / k), 0.0153 * 1024 / k
        norms = [layer for layer in network if isinstance(layer, nn.BatchNorm2d)]
        others = [p for layer in network if layer not in norms for p in layer.parameters()]
        groups = [
            {"params": parameters, "lr": rate, "weight_decay": decay / rate}
            for parameters, rate in zip(([layer.bias for layer in norms], others), rates, strict=True)
        ]
        optimizer = torch.optim.SGD(groups, lr=1, momentum=0.85, nesterov=True)
        factors = np.interp(np.arange(STEPS + 1), [0, int(0.23 * STEPS), STEPS], [0.2, 1, 0.07])
        average = {name: value.clone() for name, value in network.state_dict().items()}
        sampler = DistributedSampler(self.images, 1, 0, seed=SEED)
        step = 0
        while step < STEPS:
            epoch = step // (len(self.images) // BATCH)
            torch.manual_seed(SEED + 1_000_003 * epoch)
            sampler.set_epoch(epoch)
            order = list(sampler)
            for start in range(0, len(order) - BATCH + 1, BATCH)[: STEPS - step]:
                indices = order[start : start + BATCH]
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * factors[step]
                network[0].bias.requires_grad = epoch < 1
                logits = network(self.make_batch(indices, epoch)) / 9
                F.cross_entropy(logits, self.labels[indices], label_smoothing=0.2, reduction="sum").backward()
                optimizer.step()
                optimizer.zero_grad()
                step += 1
                if step % 5 == 0:
                    self.look_ahead(average, 0.95**5 * (step / STEPS) ** 3)
        self.look_ahead(average, 1.0)

    def look_ahead(self, average, decay):
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - decay)
                value.copy_(average[name])

    @torch.no_grad()
    def infer(self, images):
        self.network.eval()
        logits = 0
        for down, weight in ((1, 0.5), (0, 0.25), (2, 0.25)):  # unshifted, shifted down and right, shifted up and left
            padded = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
            shifted = padded[:, :, down : down + 26, down : down + 26]
            for view in (shifted, np.flip(shifted, -1)):
                logits = logits + weight / 2 * self.network(self.normalise(view)) / 9
        return logits


def test_training_equals_a_plain_loop_written_from_the_paper(make_trainer, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))
    data = SmallPhotographs(batch_size=BATCH, drop_last=True, flip="alternating", shift=2)
    torch.manual_seed(SEED)
    model = Airbench(
        image_shape=data.image_shape,
        widths=WIDTHS,
        bias_epochs=1,
        lr=11.5 / (1024 * (1 + 1 / (1 - 0.85))) * BATCH,  # the loss is a mean here, and a sum in the paper
        momentum=0.85,
        nesterov=True,
        weight_decay=0.0153 / 11.5 * 1024 / BATCH,
        label_smoothing=0.2,
        lr_schedule="linear",
        lr_warmup=0.23,
        lr_start=0.2,
        lr_end=0.07,
        lookahead=5,
        tta="mirror_and_shift",
        channels_last=True,
    )
    trainer = make_trainer(max_epochs=3, max_steps=STEPS, logger=False)
    trainer.fit(model, data)
    torch.manual_seed(SEED)
    loop = PaperLoop(*data.read("train"), model.network.whiten.weight)
    loop.train()
    states = (network.state_dict().values() for network in (model.network, loop.network))
    for value, expected in zip(*states, strict=True):
        if value.is_floating_point():  # not a counter of batches
            torch.testing.assert_close(value, expected, atol=3e-5, rtol=0)
    images, labels = data.read("test")
    logits = loop.infer(images)
    [metrics] = trainer.test(model, data, verbose=False)
    assert metrics["loss/test"] == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-5)
    assert metrics["accuracy/test"] == pytest.approx((logits.argmax(1) == labels).float().mean().item())
