"""Read YAML within limits: a hostile file must not exhaust memory or time before it is refused."""

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, get_loader, set_loader

from classifier.errors import SettingError, one_line, require

# A `config.yaml` of a run has about 150 nodes in 3 levels and 4 kB.
MAX_BYTES = 1_000_000
# After expansion of aliases. jsonargparse copies a list for each of its items, so that its time grows with the square
# of their number. For a text, which can be a class path, or a table in a list, it takes longer than for a number.
MAX_NODES = 5_000
NODES_PER_ENTRY = 3
MAX_DEPTH = 30
MAX_CHARACTERS = 4096  # of a value or a key, the longest path on Linux
MAX_INTEGER = 2**63
PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")}

NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?")
parse_yaml = get_loader("yaml")


class _Collection:
    """A list or table that is being read: its anchor, the number of its nodes, and the keys of a table."""

    def __init__(self, event: yaml.CollectionStartEvent) -> None:
        self.anchor = event.anchor
        self.keys: set[str] | None = set() if isinstance(event, yaml.MappingStartEvent) else None
        self.nodes, self.items = 1, 0

    def add(self, nodes: int, is_number: bool = False) -> None:
        """Count the nodes of one more item; a key is an item, too."""
        self.nodes += nodes if is_number or self.keys is not None else nodes + NODES_PER_ENTRY
        self.items += 1
        require(self.nodes <= MAX_NODES, f"more than {MAX_NODES:,} values, counting aliases")

    def add_scalar(self, event: yaml.ScalarEvent) -> None:
        """Check and count a text, a number or another single value."""
        line = get_line(event)
        require(len(event.value) <= MAX_CHARACTERS, f"line {line} has a value of over {MAX_CHARACTERS:,} characters")
        require("\0" not in event.value, f"line {line} contains a null character")
        if self.keys is not None and self.items % 2 == 0:
            require(event.value not in self.keys, f"line {line} repeats the key {event.value}")
            self.keys.add(event.value)
        self.add(1, is_number=NUMBER.fullmatch(event.value) is not None)


def get_line(event: yaml.Event) -> int:
    """Return the line, from 1, in which an element of YAML text starts."""
    return event.start_mark.line + 1 if event.start_mark else 1


def check_text(text: str) -> None:
    """Check the size, depth and tags of YAML text without building its values, in time linear in its length.

    Args:
        text: YAML, which includes JSON.

    Raises:
        SettingError: A limit is exceeded, a key is repeated, or a list or table contains itself.
        yaml.YAMLError: The text is not YAML, or has a tag other than those of plain values.
    """
    require(len(text) <= MAX_BYTES, f"more than {MAX_BYTES:,} characters")
    anchors: dict[str, int] = {}
    stack = [_Collection(yaml.SequenceStartEvent(None, None, True))]
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.NodeEvent):
            _add_node(event, stack, anchors)
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = stack.pop()
            if closed.anchor:
                anchors[closed.anchor] = closed.nodes
            stack[-1].add(closed.nodes)


def _add_node(event: yaml.NodeEvent, stack: list[_Collection], anchors: dict[str, int]) -> None:
    """Check and count one node of YAML text.

    Args:
        event: The scalar, the alias, or the start of a list or table.
        stack: The lists and tables that it is in.
        anchors: Number of nodes that an alias of each anchor stands for.
    """
    line = get_line(event)
    tag = getattr(event, "tag", None)
    if tag not in (None, "!") and tag not in PLAIN_TAGS:
        raise yaml.YAMLError(f"line {line} has the tag {tag}, which is not that of a plain value")
    if isinstance(event, yaml.CollectionStartEvent):
        require(len(stack) <= MAX_DEPTH, f"more than {MAX_DEPTH} levels")
        stack.append(_Collection(event))
    elif isinstance(event, yaml.ScalarEvent):
        if event.anchor:
            anchors[event.anchor] = 1
        stack[-1].add_scalar(event)
    else:
        require(all(event.anchor != parent.anchor for parent in stack), f"line {line} contains itself by an alias")
        if event.anchor not in anchors:
            raise yaml.YAMLError(f"line {line} has an alias without an anchor, {event.anchor}")
        stack[-1].add(anchors[event.anchor])


def load_text(text: str, folder: Path = Path()) -> Any:
    """Return the value of YAML text as jsonargparse would read it, within the limits.

    The strings in that value are checked like the text itself, because jsonargparse reads them as YAML again where it
    expects a number or a list.

    Args:
        text: YAML, which includes JSON.
        folder: Folder that paths in the text are relative to.

    Raises:
        SettingError: A limit is exceeded.
        yaml.YAMLError: The text is not YAML.
    """
    check_text(text)
    try:
        value = parse_yaml(text)
    except (ValueError, TypeError, RecursionError) as error:  # such as an integer of 5,000 digits
        raise SettingError(f"a value that cannot be read: {one_line(error)}") from error
    _check_values(value, folder)
    return value


def _check_values(value: Any, folder: Path) -> None:
    """Check the integers and strings in a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_values(key, folder)
            _check_values(item, folder)
    elif isinstance(value, list):
        for item in value:
            _check_values(item, folder)
    elif isinstance(value, int):
        require(abs(value) < MAX_INTEGER, "an integer of more than 64 bits")
    elif isinstance(value, str):
        # jsonargparse would wait for somebody to write to it.
        require(not is_pipe(folder / value), f"{value} is a pipe, not a file")
        with contextlib.suppress(yaml.YAMLError):  # an ordinary text
            check_text(value)


def is_pipe(path: Path) -> bool:
    """Return whether a path is that of a named pipe."""
    try:
        return path.is_fifo()
    except (OSError, ValueError):  # no path at all
        return False


def read_settings(path: Path) -> Any:
    """Return the content of a configuration file.

    Raises:
        SettingError: It is not a regular file, is not YAML, or exceeds a limit.
    """
    status = path.stat()
    require(stat.S_ISREG(status.st_mode), f"--config {path} is not a regular file")
    require(status.st_size <= MAX_BYTES, f"--config {path} has more than {MAX_BYTES:,} bytes")
    try:
        return load_text(path.read_text(encoding="utf-8"), path.parent)
    except SettingError as error:
        raise SettingError(f"--config {path} is refused: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"--config {path} is not YAML: {one_line(error)}") from error


class ConfigFile(ActionConfigFile):
    """The option `--config`, which checks a file before jsonargparse reads it."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        """Read the file and add its settings to those of the options before it."""
        if os.path.lexists(values):
            settings = read_settings(Path(values))
            require(isinstance(settings, dict), f"--config {values} is not a table of settings")
        super().__call__(parser, cfg, values, option_string)


set_loader("yaml", load_text, (yaml.YAMLError,))
