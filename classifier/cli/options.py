"""Options of `fit`, `validate` and `test` in addition to those of the network, the data and the Trainer."""

from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt, PositiveInt

from classifier.cli.function_commands import ALLOW_IMPORT_HELP, THREADS_HELP


def add_options(parser: ArgumentParser, command: str) -> None:
    """Add the package's own options to the parser of a command: "fit", "validate" or "test"."""
    parser.add_argument("--threads", type=NonNegativeInt, default=1, help=THREADS_HELP)
    parser.add_argument(
        "--ckpt_path",
        type=str | None,
        help=f"{'Checkpoint to continue' if command == 'fit' else 'Checkpoint'}: last or best of the run started last, "
        "a run's name or folder, or a .ckpt file.",
    )
    parser.add_argument(
        "--allow_import",
        action="append",
        default=[],
        metavar="PACKAGE",
        help=ALLOW_IMPORT_HELP,
    )
    if command != "fit":
        parser.add_argument(
            "--output",
            type=str | None,
            help="CSV or JSON file to write, with one row per image: file or index, true and predicted class, and the "
            "probability (0 to 1) of every class.",
        )
    if command == "fit":
        add_fit_options(parser)


def add_fit_options(parser: ArgumentParser) -> None:
    """Add the package's own options of `fit` to a parser."""
    parser.add_argument(
        "--name",
        type=str,
        help="Name of the run and its folder, such as shop.",
    )
    parser.add_argument(
        "--pictures",
        type=bool,
        default=True,
        help="Whether to draw images, predictions, errors and curves, for TensorBoard and as PNG files.",
    )
    parser.add_argument(
        "--seeds",
        type=PositiveInt,
        default=1,
        help="Number of runs with consecutive seeds, from seed_everything on; a table with the mean and the "
        "standard deviation is printed at the end.",
    )
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="NAME=VALUE,VALUE",
        help="Option and values to train a run with each of, such as model.lr=0.03,0.1; with several of them, and "
        "with --seeds, all combinations are trained.",
    )
