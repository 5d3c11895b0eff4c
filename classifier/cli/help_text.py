"""The help of commands in plain text; that of `fit`, `validate` and `test` begins with examples and own options."""

import re
import shutil
import textwrap

from classifier.cli import PROG

INDENT = 24  # columns before the text of an option
OPTION_TEXT = re.compile(rf"(?m)^(  -.{{{INDENT - 5}}}  | {{{INDENT}}})(\S.*(?:\n {{{INDENT}}}\S.*)*)")
EXAMPLES = {
    "fit": ("fit --config digits", "fit --model CNN --data FashionMNIST --model.lr 0.05 --trainer.max_epochs 5"),
    "validate": ("validate --ckpt_path best",),
    "test": ("test --ckpt_path best --output scores.csv", "test --data.root other_images"),
}
PRINT_CONFIG = "Print all settings as YAML and exit; with =skip_default, those that differ from the defaults."
TITLES = {
    "--model": "network (--model.help NAME shows all options of one):",
    "--data": "data (--data.help NAME shows all options of one dataset):",
    "--trainer": "Lightning's Trainer (its other arguments work, too; --print_config shows them):",
}


def arrange_help(text: str, shared: str, command: str) -> str:
    """Return the help of a command with examples, and with the options of network and data before the Trainer's.

    Args:
        text: The help as the parser formats it.
        shared: The same for the options that all networks and all datasets have.
        command: "fit", "validate" or "test".
    """
    first, *sections = text.rstrip("\n").split("\n\n")
    of_group: dict[str, list[str]] = {group: [] for group in TITLES}
    others: list[str] = []
    for section in [*sections, *shared.split("\n\n")]:
        group = next((group for group in TITLES if re.search(rf"^  {group}[ .]", section, re.MULTILINE)), None)
        if group is not None:
            of_group[group] += section.splitlines()[1:]
        elif section in sections and not section.startswith("Linked arguments"):
            others.append(section)
    description, *others = others
    examples = "\n".join(["examples:", *(f"  {PROG} {example}" for example in EXAMPLES[command])])
    groups = ["\n".join([TITLES[group], *lines]) for group, lines in of_group.items() if lines]
    return "\n\n".join([first, description, examples, *others, *groups]) + "\n"


def tidy_texts(text: str) -> str:
    """Return a help with the texts of all options cleaned of markup and terms of the parser, and wrapped again."""
    width = max(shutil.get_terminal_size().columns - 2, 2 * INDENT)

    def wrap(match: re.Match[str]) -> str:
        lines = textwrap.wrap(clean(match[2]), width - INDENT, break_on_hyphens=False, break_long_words=False)
        return match[1] + f"\n{' ' * INDENT}".join(lines)

    text = re.sub(r"(?m)^(  --(?:model|data)(?:\.help)?) .*CLASS_PATH_OR_NAME.*$", r"\1 NAME", text)
    text = text.replace("[--data CONFIG | CLASS_PATH_OR_NAME | .INIT_ARG_NAME VALUE]", "--data NAME")
    text = re.sub(r"(?m)^Base class of all datasets\..*:$", TITLES["--data"], text)
    return OPTION_TEXT.sub(wrap, text)


def clean(text: str) -> str:
    """Return the text of an option as one line, without reStructuredText, and without the paths of classes."""
    text = " ".join(re.sub(r"-\n\s*", "-", text).split())  # words were broken at hyphens only
    if text.startswith("Print the configuration after"):
        return PRINT_CONFIG
    text = re.sub(r"help for the given subclass of \w+ and", "options of a class and", text)
    text = re.sub(r",? known subclasses: [^()]*\)", ")", text)
    text = re.sub(r":\w+:`~?(?:[\w .]*\.)?([\w ]+)`", r"\1", text)
    text = re.sub(r" \(type: Optional\[Image\w+\], default: null[^()]*\)", "", text)  # of network and data
    text = text.replace("``", "")
    return re.sub(r" Defaults?(?: to|:) \S+?\.? (?=\(type: )", " ", text)  # which follows after the type
