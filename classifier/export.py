"""Files that hold a network for use without this package: .pth, .pt2 and .onnx."""

import copy
import json
import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from classifier.base import ImageClassifier
from classifier.checkpoints import find_class
from classifier.errors import UserError, require
from classifier.files import write_whole

NUM_IMAGES = 1000  # that an exported file is tried on
PACKAGES = {".pth": (), ".pt2": (), ".onnx": ("onnx", "onnxscript", "onnxruntime")}


class Standalone(nn.Module):
    """A copy of a network with the normalisation before it, on the CPU; `scale` None tells uint8 from float itself."""

    def __init__(self, module: ImageClassifier, scale: float | None) -> None:
        super().__init__()
        self.network, self.scale = copy.deepcopy(module.network), scale
        self.register_buffer("mean", module.mean)
        self.register_buffer("std", module.std)
        self.cpu().eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, C, H, W)."""
        # What is traced with one type works with both: minus one is 255 in uint8, but -1 in floating point.
        scale = self.scale or (images[:1, :1, :1, :1] * 0 - 1).abs()
        return self.network((images / scale - self.mean) / self.std)


class ExportTrainer(L.Trainer):
    """Lightning's Trainer, whose methods are the commands, with one more."""

    def export(self) -> None:
        """Write a network to a file for use without this package, and try that file on test images."""


def read_test_images(checkpoint: dict[str, Any]) -> tuple[Tensor, str]:
    """Return images (N, C, H, W), uint8, that suit the network of a checkpoint, and "test" or "random"."""
    try:
        data = find_class(checkpoint, "data")(**checkpoint["datamodule_hyper_parameters"])
        data.hparams.download = False
        data.prepare_data()
        data.setup("test")
        return data.datasets["test"][:NUM_IMAGES][0], "test"
    except Exception:  # they are only for trying the file, and may lie on another machine
        shape = checkpoint["hyper_parameters"]["image_shape"]
        return torch.randint(256, (NUM_IMAGES, *shape), dtype=torch.uint8), "random"


def check_output(output: str) -> Path:
    """Return the path of a file to export to.

    Raises:
        ValueError: When its name has another ending, when packages are missing, or it cannot be written.
    """
    path = Path(output)
    require(path.suffix in PACKAGES, f"--output {output}: the name of the file must end in {', '.join(PACKAGES)}")
    if missing := [name for name in PACKAGES[path.suffix] if find_spec(name) is None]:
        raise UserError(f'--output {output} needs {", ".join(missing)}: pip install -e ".[onnx]"')
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"--output {output}: no file can be written there")
    return path


def write(module: ImageClassifier, path: Path) -> Callable[[Tensor], Tensor]:
    """Write a file by its ending, and return what computes logits of uint8 images with this file."""
    standalone = Standalone(module, scale=255 if path.suffix == ".onnx" else None)
    if path.suffix == ".pth":
        torch.save(standalone.network.state_dict(), path)
        standalone.network.load_state_dict(torch.load(path, weights_only=True))
        return standalone
    example = (torch.zeros(2, *module.hparams.image_shape, dtype=torch.uint8),)
    class_names = json.dumps(module.hparams.class_names)
    if path.suffix == ".pt2":
        program = torch.export.export(standalone, example, dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}})
        torch.export.save(program, path, extra_files={"class_names": class_names})
        return torch.export.load(path).module()
    from onnxruntime import InferenceSession

    names = {"input_names": ["images"], "output_names": ["logits"], "dynamic_shapes": {"images": {0: "batch"}}}
    program = torch.onnx.export(standalone, example, verbose=False, **names)
    program.model.metadata_props["class_names"] = class_names
    program.save(path)
    session = InferenceSession(path)
    return lambda images: torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


def export_classifier(module: ImageClassifier, output: str, images: Tensor) -> float:
    """Write a network to a file by its ending, and return the largest difference of its logits from the module's.

    Args:
        module: The network; it stays as it is, in training or not.
        output: File to write. NAME.pth: the plain network's state_dict, for images normalised as in training.
            NAME.pt2: torch.export, takes images (N, C, H, W), uint8 or float32 in [0, 1]. NAME.onnx: takes
            `images` (N, C, H, W), uint8, gives `logits`. N is any number. Class names are there as JSON: in the extra
            file "class_names" of .pt2 and the metadata of .onnx.
        images: Images (N, C, H, W), uint8, that the file is tried on before it gets its name.

    Raises:
        ValueError: When the file cannot be written, or differs in a class or by more than 1e-4 in the logits;
            of logits above 10 by more than 1e-5 of the largest.
    """
    path = check_output(output)
    training = [layer for layer in module.modules() if layer.training]
    module.eval()
    try:
        with write_whole(path) as unfinished, torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = write(module, unfinished)
            pairs = [(module(batch.to(module.device)).cpu(), run(batch)) for batch in images.split(250)]
            expected, logits = (torch.cat(parts) for parts in zip(*pairs, strict=True))
            difference = (logits - expected).abs().max().item()
            different = int((logits.argmax(1) != expected.argmax(1)).sum())
            # Beyond logits of 10, float32 itself no longer holds 1e-4 through many layers.
            if different or not difference <= max(1e-4, 1e-5 * expected.abs().max().item()):
                counts = f"in the class of {different} of {len(images):,} images, in the logits by {difference:.1e}"
                raise UserError(f"--output {output} is not written, as it differs from the network {counts}")
    except (OSError, RuntimeError) as error:
        raise UserError(f"--output {output} cannot be written: {str(error).strip().splitlines()[0]}") from error
    finally:
        for layer in training:
            layer.training = True
    return difference
