"""Settings in which runs differ."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from classifier.errors import make_printable

MISSING = "–"  # noqa: RUF001 an en dash stands for an empty cell of a table
MAX_LENGTH = 60  # characters of a value
# Settings that change a result by no more than rounding errors. A root is not among them: another folder can have other
# training images. A prefix ends with a dot.
NEUTRAL = {
    "seed_everything",
    "allow_import",
    "ckpt_path",
    "name",
    "pictures",
    "save_dir",
    "seeds",
    "sweep",
    "threads",
    "data.download",
    "data.test_batch_size",
    "trainer.accelerator",
    "trainer.barebones",
    "trainer.benchmark",
    "trainer.default_root_dir",
    "trainer.detect_anomaly",
    "trainer.deterministic",
    "trainer.enable_autolog_hparams",
    "trainer.enable_checkpointing",
    "trainer.enable_model_summary",
    "trainer.enable_progress_bar",
    "trainer.inference_mode",
    "trainer.log_every_n_steps",
    "trainer.logger",
    "trainer.model_registry",
    "trainer.profiler",
}
NEUTRAL_PREFIXES = ("trainer.logger.", "trainer.profiler.")


def is_neutral(name: str) -> bool:
    """Return whether the setting with a name, such as "threads", has no effect on the result of a run."""
    return name in NEUTRAL or name.startswith(NEUTRAL_PREFIXES)


def find_differing_settings(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the settings in which runs differ, each with one text per run.

    Args:
        settings: Settings of every run by their full names, such as "model.lr", in the order in which they are to be
            shown. None is like a missing setting.

    Returns:
        Values as in a YAML file by the name of the setting; a dash where a run does not have it. A long value is cut to
        its first difference from the others.
    """
    differing = {}
    for name in dict.fromkeys(name for run in settings for name in run):
        texts = [describe_value(run.get(name)) for run in settings]
        if len(set(texts)) > 1:
            start = max(count_common(texts) - MAX_LENGTH // 3, 0)
            cut = [shorten(text, start) for text in texts]
            differing[name] = [text if name in run else MISSING for text, run in zip(cut, settings, strict=True)]
    return differing


def describe_value(value: Any) -> str:
    """Return a value as it is written in a YAML file, in one line."""
    try:
        text = yaml.safe_dump(make_plain(value), default_flow_style=True, allow_unicode=True, width=float("inf"))
    except yaml.YAMLError:
        text = str(value)
    return make_printable(" ".join(text.removesuffix("...\n").split()))


def make_plain(value: Any) -> Any:
    """Return a value with lists in place of tuples, which plain YAML does not have."""
    if isinstance(value, Mapping):
        return {key: make_plain(item) for key, item in value.items()}
    return [make_plain(item) for item in value] if isinstance(value, list | tuple) else value


def count_common(texts: Sequence[str]) -> int:
    """Return the number of characters that all texts have in common at their start."""
    lowest, highest = min(texts), max(texts)
    pairs = enumerate(zip(lowest, highest, strict=False))
    return next((index for index, (one, other) in pairs if one != other), len(lowest))


def shorten(text: str, start: int) -> str:
    """Return a text of at most `MAX_LENGTH` characters, from position `start` on if it is longer."""
    if len(text) <= MAX_LENGTH:
        return text
    start = min(start, len(text) - MAX_LENGTH)
    end = start + MAX_LENGTH
    return (
        ("…" if start else "") + text[start + bool(start) : end - (end < len(text))] + ("…" if end < len(text) else "")
    )
