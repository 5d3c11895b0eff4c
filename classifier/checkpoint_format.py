"""What a checkpoint contains, and the function that reads one and checks all of it."""

import math
import os
import pickle
import re
import warnings
from collections.abc import Callable
from typing import IO, Any

import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor, nn

from classifier.errors import UserError, first_line
from classifier.files import read_zip

FORMAT_VERSION = 3  # of checkpoints; those of classifier 0.1 carry no number
SPLITS_BY_NAME = 3  # from this version on, images are held out as `data/splits.py` does it
MAX_VALUES, MAX_DEPTH = (
    20_000_000,
    50,
)  # of the tables and lists in a checkpoint; a table that occurs twice counts twice
INT64 = range(-(2**63), 2**63)
COMPLEX = (torch.complex64, torch.complex128)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# What a value must be, in words, and the test for it.
Check = tuple[str, Callable[[Any], Any]]


def is_plain(value: Any) -> bool:
    """Return whether a value consists of numbers, texts, None, lists, tuples, and dicts with simple keys."""
    if isinstance(value, dict):
        return all(isinstance(key, (str, int)) and is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    if isinstance(value, str):
        return "\0" not in value
    return value is None or isinstance(value, float) or (isinstance(value, int) and value in INT64)


def is_finite(value: Any) -> bool:
    """Return whether a plain value contains neither NaN nor infinity."""
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def is_stored_tensor(value: Any) -> bool:
    """Return whether a value is a dense tensor of numbers on the CPU, whose elements are all in the file."""
    return (
        type(value) in (Tensor, nn.Parameter)
        and value.device.type == "cpu"
        and value.layout is torch.strided
        and not value.is_quantized
        # A stride of 0 would let a few bytes describe a tensor of any size.
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def is_weight(value: Any) -> bool:
    """Return whether a value is a tensor that a network can have: of floats, integers or bools."""
    dtypes = (*FLOATS, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, *COMPLEX)
    return is_stored_tensor(value) and value.dtype in dtypes


TEXT: Check = ("a string", lambda value: isinstance(value, str))
PATH: Check = ("an import path", lambda value: isinstance(value, str) and value != "")
FLAG: Check = ("true or false", lambda value: isinstance(value, bool))
COUNT: Check = ("a count", lambda value: type(value) is int and 0 <= value < 2**53)
NUMBER: Check = ("a finite number", lambda value: type(value) in (int, float) and math.isfinite(value))
FLOAT: Check = ("a number", lambda value: type(value) is float)
NAME: Check = ("a string or None", lambda value: value is None or isinstance(value, str))
JSON: Check = ("a plain value without NaN and infinity", lambda value: is_plain(value) and is_finite(value))
SCORE: Check = ("a number or None", lambda value: value is None or (is_weight(value) and value.shape == ()))
PLAIN: Check = ("a plain value", is_plain)
RESIZE: Check = ("letterbox, crop or stretch", lambda value: value in ("letterbox", "crop", "stretch"))
MAX_VALUE: Check = (
    "None or a finite number above 0",
    lambda value: value is None or (NUMBER[1](value) and value > 1e-30),
)
WEIGHT: Check = ("a dense tensor of numbers", is_weight)
PAIR: Check = (
    "a pair of tensors",
    lambda value: isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_weight, value)),
)
HASHES: Check = (
    "a list of hashes in increasing order",
    lambda value: (
        is_stored_tensor(value)
        and value.dtype == torch.int64
        and value.ndim == 1
        and bool((value[1:] >= value[:-1]).all())
    ),
)
VERSION_PATTERN = re.compile(r"[2-9](\.\d{1,9}){1,3}((a|b|rc|\.dev|\.post)\d{1,9})*")
VERSION: Check = (
    "a version of Lightning from 2.0 on",
    lambda value: isinstance(value, str) and VERSION_PATTERN.fullmatch(value),
)
TABLE: Check = ("a table", lambda value: isinstance(value, dict))
ANY = "any key"
MODEL_CHECKPOINT: dict[str, Any] = {
    "monitor": NAME,
    "best_model_path!": TEXT,
    "best_model_score!": SCORE,
    "current_score": SCORE,
    "kth_value": SCORE,
    "best_k_models": {ANY: SCORE},
    ANY: NAME,  # paths
}
COUNTS: dict[str, Any] = {"ready!": COUNT, "started!": COUNT, "processed!": COUNT, "completed!": COUNT}
PROGRESS: dict[str, Any] = {"current!": COUNTS, "total!": COUNTS}
FIT_LOOP: dict[str, Any] = {
    "state_dict!": TABLE,
    "epoch_progress!": PROGRESS,
    "epoch_loop.state_dict!": TABLE,
    "epoch_loop.batch_progress!": {**PROGRESS, "is_last_batch!": FLAG},
    "epoch_loop.val_loop.batch_progress!": PROGRESS,
    ANY: TABLE,
}
TRAIN_METRICS = {"loss_sum!": WEIGHT, "confusion_matrix!": WEIGHT, "pending!": [PAIR], "recent": [FLOAT]}
RUNNING_LOSS = {"steps!": [COUNT], "losses!": [FLOAT], "loss_sum!": FLOAT, "num_images!": FLOAT}
SCORES = {ANY: [FLOAT]}
BEST = {"epoch!": COUNT, "step!": COUNT, "values!": {"accuracy/val!": NUMBER, ANY: NUMBER}, "class_accuracies!": SCORES}
# A dict describes a table with strings as keys. A key with "!" must be there, and `ANY` describes all keys that are not
# named. A list of one description describes a list. Other keys may hold anything: Lightning and users add their own.
DESCRIPTION: dict[str, Any] = {
    "classes!": {"model!": PATH, ANY: PATH},
    "hyper_parameters!": {ANY: PLAIN},
    "datamodule_hyper_parameters": {ANY: PLAIN},
    "state_dict!": {ANY: WEIGHT},
    "current_model_state": {ANY: WEIGHT},
    "averaging_state": {"n_averaged!": SCORE, ANY: WEIGHT},
    "epoch!": COUNT,
    "global_step": COUNT,
    "format_version": COUNT,
    "dark_background": FLAG,
    "decoding": {"resize!": RESIZE, "max_value!": MAX_VALUE, "max_pixels!": COUNT},  # of datasets of image files
    "training_images": HASHES,
    "image_digests": {ANY: TEXT},
    "pytorch-lightning_version!": VERSION,
    "optimizer_states": [{"state!": TABLE, "param_groups!": [{"params!": [COUNT]}]}],
    "lr_schedulers": [TABLE],
    "loops": {"fit_loop!": FIT_LOOP, ANY: {ANY: TABLE}},
    "unfinished_epoch": [
        {
            "train_metrics!": TRAIN_METRICS,
            "random!": [WEIGHT],
            "gradients!": {ANY: WEIGHT},
        }
    ],
    "callbacks": {
        "ResultsRecorder": {"epochs": [{"epoch!": COUNT, ANY: JSON}], "top_losses": [{ANY: JSON}]},
        "EpochMetrics": {
            "values!": {ANY: NUMBER},
            "own": {ANY: NUMBER},
            "evaluations!": [{"step!": COUNT, ANY: NUMBER}],
            "images_scored!": {ANY: COUNT},
            "class_accuracies!": {ANY: PLAIN},
            "seconds!": NUMBER,
            "running_loss": RUNNING_LOSS,
            "best": BEST,
        },
        Timer().state_key: {"time_elapsed!": {ANY: NUMBER}},
        "best": MODEL_CHECKPOINT,
        "last": MODEL_CHECKPOINT,
        ANY: TABLE,
    },
}


def read_checkpoint(source: str | os.PathLike | IO[bytes], name: object = None) -> dict[str, Any]:
    """Return the content of a checkpoint file. Only tensors and plain values are read, and no code is run.

    Args:
        source: Path of the file, or the file opened for reading.
        name: Name of the file for the error message; None for its path.

    Raises:
        UserError: The file is damaged, or its content does not match `DESCRIPTION`.
    """
    try:
        checkpoint = load_tensors(read_zip(source))
        check_size(checkpoint)
        check_value(checkpoint, DESCRIPTION, "checkpoint")
        if (version := checkpoint.get("format_version", 1)) > FORMAT_VERSION:
            raise UserError(f"a newer version wrote it, in format {version}")
    except OSError:
        raise
    except Exception as error:
        reason = first_line(error)
        if isinstance(error, pickle.UnpicklingError):  # PyTorch's message suggests to load the file without this check
            reason = "it contains objects other than tensors and plain values"
        raise UserError(f"{name or source} is not a checkpoint of classifier, or is damaged: {reason}") from error
    checkpoint.setdefault("datamodule_hyper_parameters", {})
    return checkpoint


def load_tensors(file: IO[bytes] | str) -> Any:
    """Return the content of a file of `torch.save`, with all tensors on the CPU. No code is run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about kinds of tensors that are refused afterwards
        return torch.load(file, map_location="cpu", weights_only=True)


def check_size(value: Any) -> None:
    """Check the number and the depth of all values in tables and lists, so that they can be processed in little time.

    Raises:
        UserError: There are more than `MAX_VALUES`, or they are nested deeper than `MAX_DEPTH`.
    """
    level, count = [value], 0
    for _ in range(MAX_DEPTH):
        containers = [item for item in level if isinstance(item, (dict, list, tuple, set, frozenset))]
        count += sum(map(len, containers))
        if count > MAX_VALUES:
            break
        level = [item for table in containers for item in (table.values() if isinstance(table, dict) else table)]
        if not level:
            return
    raise UserError(f"it has more than {MAX_VALUES:,} values, or tables nested more than {MAX_DEPTH} deep")


def check_value(value: Any, description: Any, name: str) -> None:
    """Check a value against a description, which is a part of `DESCRIPTION`.

    Raises:
        UserError: The value, or one in it, does not match. The message names it.
    """
    if isinstance(description, dict):
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise UserError(f"{name} is not a table with names as keys")
        for key in description:
            if key.endswith("!") and key[:-1] not in value:
                raise UserError(f"{name} has no {key[:-1]}")
        for key, item in value.items():
            part = description.get(f"{key}!") or description.get(key, description.get(ANY))
            if part is not None:
                check_value(item, part, f"{name}.{key}")
    elif isinstance(description, list):
        if not isinstance(value, list):
            raise UserError(f"{name} is not a list")
        for index, item in enumerate(value):
            check_value(item, description[0], f"{name}[{index}]")
    elif not description[1](value):
        raise UserError(f"{name} is not {description[0]}")
