"""The structure of the package: which layer imports which, and the sizes of files, classes and functions."""

import ast
from pathlib import Path

import pytest

import classifier

ROOT = Path(classifier.__file__).parent
# A layer imports from those after it and from itself; "" is the modules next to the subpackages.
LAYERS = ("cli", "commands", "pages", "analysis", "runs", "models", "callbacks", "data", "")
ROOT_MODULES = {
    "checkpoint_format",
    "class_paths",
    "columns",
    "errors",
    "files",
    "hparams",
    "plots",
    "seeding",
    "tables",
}
MAX_FILE, MAX_CLASS, MAX_FUNCTION = 250, 200, 40  # lines
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
MODULES = {".".join(("classifier", *path.with_suffix("").parts)).removesuffix(".__init__"): path for path in FILES}


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file of the package, without the block for type checkers."""
    tree = ast.parse((ROOT / path).read_text())
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    return tree


def list_imports(tree: ast.AST, package: str) -> set[str]:
    """Return the modules of the package that a module imports anywhere, or names in a string of its code.

    Args:
        tree: The module's syntax tree.
        package: Name of the subpackage that it is in, such as "classifier.cli".
    """
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            origin = ".".join([*parents, *([node.module] if node.module else [])])
            # `from classifier.cli import PROG` imports a module, `from classifier.cli import sweep` another one.
            names |= {
                f"{origin}.{alias.name}" if f"{origin}.{alias.name}" in MODULES else origin for alias in node.names
            }
        elif isinstance(node, ast.Constant) and node.value in MODULES and node.value != "classifier":
            names.add(node.value)
    return {name for name in names if name.partition(".")[0] == "classifier"}


def get_layer(name: str) -> str:
    """Return the subpackage of a module, or "" for a module next to the subpackages."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else ""


IMPORTS = [
    (name, imported)
    for name, path in MODULES.items()
    for imported in sorted(list_imports(parse(path), ".".join(("classifier", *path.parent.parts))))
]


def test_every_module_is_in_a_known_layer():
    assert {name.split(".")[1] for name in MODULES if name.count(".") == 2} == set(LAYERS) - {""}
    root = {name.split(".")[1] for name in MODULES if name.count(".") == 1} - set(LAYERS)
    assert root == ROOT_MODULES | {"__main__"}


def test_imports_are_found_in_every_form():
    source = (
        "import classifier\n"
        "import classifier.errors as e\n"
        "from classifier.cli import PROG, sweep\n"
        "def f():\n"
        "  from ..data.base import x\n"
        "  from . import parsing\n"
        "  return 'classifier.files', 'no classifier.plots'\n"
    )
    assert list_imports(ast.parse(source), "classifier.cli") == {
        "classifier",
        "classifier.errors",
        "classifier.cli",
        "classifier.cli.sweep",
        "classifier.data.base",
        "classifier.cli.parsing",
        "classifier.files",
    }


def test_imported_modules_exist():
    assert {imported for _, imported in IMPORTS} <= set(MODULES)


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_imports_only_layers_below_it_and_itself(layer):
    wrong = [
        (name, imported)
        for name, imported in IMPORTS
        if get_layer(name) == layer
        and imported != "classifier"
        and name != "classifier.__main__"
        and LAYERS.index(get_layer(imported)) < LAYERS.index(layer)
    ]
    assert wrong == []


def test_entry_point_imports_only_the_table_of_commands():
    assert [imported for name, imported in IMPORTS if name == "classifier.__main__"] == ["classifier.cli.main"]


def test_package_itself_is_imported_only_by_the_command_line():
    """Its public names come from every layer, so an import of it would be an import of all of them."""
    assert {get_layer(name) for name, imported in IMPORTS if imported == "classifier"} <= {"cli"}
    assert [imported for name, imported in IMPORTS if name == "classifier"] == []


def test_modules_next_to_the_subpackages_import_only_each_other():
    root = {f"classifier.{name}" for name in ROOT_MODULES}
    assert {imported for name, imported in IMPORTS if name in root} <= root


def count_body_lines(function: ast.FunctionDef) -> int:
    """Return the number of lines of a function's body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_lines_of_a_body_are_counted_without_signature_and_docstring():
    source = 'def f(\n  a,\n):\n  """Text.\n\n  Text.\n  """\n  b = a\n\n  return (\n    b\n  )\n'
    assert count_body_lines(ast.parse(source).body[0]) == 5
    assert count_body_lines(ast.parse('def f():\n  """Text."""\n').body[0]) == 0


@pytest.mark.parametrize("path", FILES, ids=str)
def test_file_and_its_classes_and_functions_are_short(path):
    text = (ROOT / path).read_text()
    assert len(text.splitlines()) <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            assert node.end_lineno - node.lineno + 1 <= MAX_CLASS, node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert count_body_lines(node) <= MAX_FUNCTION, node.name
