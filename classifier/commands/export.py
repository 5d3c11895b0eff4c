"""Export a network to a file for use without this package: .pth, .pt2 or .onnx."""

import copy
import json
import os
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from classifier.data.image_files.decoding import Decoding
from classifier.errors import UserError, first_line, make_printable, require
from classifier.files import atomic_write, read_zip
from classifier.models.base import ImageClassifier
from classifier.models.evaluation_mode import evaluation_mode
from classifier.runs.checkpoints import get_settings, load_checkpoint, load_data, load_model
from classifier.runs.folders import find_checkpoint
from classifier.runs.stored_paths import describe_outside_path, list_outside_paths

NUM_IMAGES = 1000  # that an exported file is checked on
REQUIRED_PACKAGES = {".pth": (), ".pt2": (), ".onnx": ("onnx", "onnxscript", "onnxruntime")}


def export(
    output: str,
    ckpt_path: str = "last",
    allow_import: list[str] = [],  # noqa: B006 never changed; jsonargparse shows it in the help
) -> None:
    """Write the network of a checkpoint to a file for use without this package, and check that file on test images.

    .pt2 and .onnx files also contain the class names, and what has to be done to an image file before it is passed to
    the network: as JSON under "class_names" and "preprocessing", in the extra files of .pt2 and the metadata of .onnx.

    Args:
        output: File to write; its extension selects the format. .pth is the state_dict of the layers, which take
            normalised images. .pt2 is a program of torch.export, which takes images (N, C, H, W), uint8 or float32 in
            [0, 1]. .onnx is a model with the input `images` (N, C, H, W), uint8, and the output `logits`.
        ckpt_path: Checkpoint: last or best of the run started last, a run's name or folder, or a .ckpt file.
        allow_import: Packages of your own that the checkpoint's classes may be imported from.

    Raises:
        UserError: The checkpoint does not exist, the file cannot be written, or its results differ from the network's.
    """
    check_output(output)
    path = find_checkpoint(ckpt_path)
    print(f"checkpoint: {make_printable(path)}", flush=True)
    checkpoint = load_checkpoint(path)
    for outside in list_outside_paths(get_settings(checkpoint)):
        print(describe_outside_path(*outside), flush=True)
    images, kind = read_test_images(checkpoint, allow_import)
    model = load_model(checkpoint, allow_import)
    difference = export_classifier(model, output, images)
    result = f"same classes on {len(images):,} {kind} images, logits differ by at most {difference:.1e}"
    print(f"{make_printable(output)}: {result}")


def export_classifier(module: ImageClassifier, output: str, images: Tensor) -> float:
    """Write a network to a file for use without this package, and compare the file with the network.

    The batch size N of the exported network is variable. Two texts in JSON are stored in the extra files of .pt2 and in
    the metadata of .onnx. "class_names" is the list of class names. "preprocessing" is a table with `image_shape`
    (channels, height, width), `resize` and `max_value` (see `read_image`), and `steps`: what a caller has to do to an
    image file, in words.

    Args:
        module: The network; it is not changed.
        output: File to write; its extension selects the format, see `export`.
        images: uint8 images (N, C, H, W) for the comparison. `output` is only created if it succeeds.

    Returns:
        The largest absolute difference between the logits of the file and those of the network.

    Raises:
        UserError: The file cannot be written. Or a predicted class differs, or a logit differs by more than 1e-4 and
            more than 1e-5 times the largest absolute logit.
    """
    path = check_output(output)
    try:
        with (
            evaluation_mode(module),
            atomic_write(path) as unfinished,
            torch.no_grad(),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            try:
                run = write_network(module, unfinished)
            except UserError as error:
                raise UserError(f"--output {output} cannot be read back: {error}") from error
            pairs = [(module(batch.to(module.device)).cpu(), run(batch)) for batch in images.split(250)]
            expected, logits = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
            difference = (logits - expected).abs().max().item()
            different = int((logits.argmax(1) != expected.argmax(1)).sum())
            # For logits beyond 10, float32 itself is not exact to 1e-4 after many layers.
            if different or not difference <= max(1e-4, 1e-5 * expected.abs().max().item()):
                counts = f"in the class of {different} of {len(images):,} images, in the logits by {difference:.1e}"
                raise UserError(f"--output {output} is not written, because it differs from the network {counts}")
    except (OSError, RuntimeError) as error:
        raise UserError(f"--output {output} cannot be written: {first_line(error)}") from error
    return difference


def check_output(output: str) -> Path:
    """Check that a file can be exported to a path, and return the path.

    Raises:
        SettingError: The extension is not .pth, .pt2 or .onnx.
        UserError: A package that the format requires is missing, or the file cannot be written.
    """
    path = Path(output)
    known = ", ".join(REQUIRED_PACKAGES)
    require(path.suffix in REQUIRED_PACKAGES, f"--output {output}: the file name must end in {known}")
    if missing := [name for name in REQUIRED_PACKAGES[path.suffix] if find_spec(name) is None]:
        raise UserError(f'--output {output} needs {", ".join(missing)}: pip install -e ".[onnx]"')
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"--output {output}: no file can be written there")
    return path


def read_test_images(checkpoint: dict[str, Any], allow_import: Sequence[str] = ()) -> tuple[Tensor, str]:
    """Return up to 1,000 test images of a checkpoint's data or, if they cannot be read, 1,000 random images.

    Args:
        checkpoint: Contents of the checkpoint.
        allow_import: Packages that the class of the data may be imported from.

    Returns:
        uint8 images (N, C, H, W), and their kind: "test" or "random".
    """
    try:
        data = load_data(checkpoint, allow_import)
        if tuple(data.image_shape) != tuple(checkpoint["hyper_parameters"]["image_shape"]):
            raise UserError("the images have another shape")
        data.hparams.download = False
        data.prepare_data()
        data.setup("test")
        return data.datasets["test"][:NUM_IMAGES][0], "test"
    except Exception:  # they only serve to check the file, and may be on another machine
        shape = checkpoint["hyper_parameters"]["image_shape"]
        return torch.randint(256, (NUM_IMAGES, *shape), dtype=torch.uint8), "random"


class NormalisedNetwork(nn.Module):
    """A copy of a network on the CPU that includes the normalisation.

    Args:
        module: The network.
        scale: Divisor of the pixels; None divides uint8 images by 255 and float images by 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, module: ImageClassifier, scale: float | None) -> None:
        super().__init__()
        self.network, self.scale = copy.deepcopy(module.network), scale
        self.register_buffer("mean", module.mean)
        self.register_buffer("std", module.std)
        self.cpu().eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, C, H, W), uint8 or float in [0, 1]."""
        # A traced program has no branches on the type: 0 - 1 is 255 in uint8, and -1 in floating point.
        scale = self.scale or (images[:1, :1, :1, :1] * 0 - 1).abs()
        return self.network((images / scale - self.mean) / self.std)


def describe_preprocessing(decoding: Decoding, scale: str) -> dict[str, Any]:
    """Return the shape of a network's images, and what has to be done to an image file to get one.

    Args:
        decoding: How image files were decoded for training.
        scale: Type and range of the pixels that the network takes, in words.
    """
    channels, height, width = decoding.image_shape
    white = decoding.max_value or "the largest value of the file's type"
    resizing = {
        "letterbox": "to fit, keeping its aspect ratio, and pad it equally with the median colour of its border",
        "crop": "to fill the shape, keeping its aspect ratio, and crop the centre",
        "stretch": "to the shape, ignoring its aspect ratio",
    }
    return {
        "image_shape": decoding.image_shape,
        "resize": decoding.resize,
        "max_value": decoding.max_value,
        "steps": [
            "Rotate the image according to its EXIF orientation.",
            f"If it has more than 8 bits per channel, scale it so that {white} becomes 255.",
            f"Put transparent pixels on white, and convert the image to {'grey' if channels == 1 else 'RGB'}.",
            f"Resize it to {height} x {width} (height x width): {resizing[decoding.resize]}. The filter is bicubic.",
            f"Pass it as {scale}, in the order N, C, H, W. The network normalises it.",
        ],
    }


def write_network(module: ImageClassifier, path: Path) -> Callable[[Tensor], Tensor]:
    """Write a network to a file in the format of its extension, and load that file again.

    Args:
        module: The network.
        path: File to write, with the extension .pth, .pt2 or .onnx.

    Returns:
        A function that maps uint8 images (N, C, H, W) to logits (N, num_classes), computed with the file.
    """
    standalone = NormalisedNetwork(module, scale=255 if path.suffix == ".onnx" else None)
    if path.suffix == ".pth":
        torch.save(standalone.network.state_dict(), path)
        standalone.network.load_state_dict(torch.load(read_zip(path), weights_only=True))
        return standalone
    example = (torch.zeros(2, *module.hparams.image_shape, dtype=torch.uint8),)
    scale = "uint8 from 0 to 255" if path.suffix == ".onnx" else "uint8 from 0 to 255, or float32 from 0 to 1"
    preprocessing = describe_preprocessing(module.decoding, scale)
    texts = {"class_names": json.dumps(module.hparams.class_names), "preprocessing": json.dumps(preprocessing)}
    if path.suffix == ".pt2":
        program = torch.export.export(standalone, example, dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}})
        torch.export.save(program, path, extra_files=texts)
        return torch.export.load(read_zip(path)).module()
    from onnxruntime import InferenceSession

    onnx_program: Any = torch.onnx.export(
        standalone,
        example,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes={"images": {0: "batch"}},
        verbose=False,
    )
    onnx_program.model.metadata_props.update(texts)
    onnx_program.save(path)
    session = InferenceSession(path)
    return lambda images: torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])
