"""The public names of the package, and what importing it costs."""

import ast
import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from helpers.processes import REPOSITORY

import classifier
from classifier.class_paths import list_subclasses

# What a new interpreter knows, and the state of its garbage collector, before and after some statements.
PROGRAM = """
import gc, json, sys
before = gc.get_freeze_count(), gc.isenabled(), gc.get_threshold()
import classifier
{statements}
after = gc.get_freeze_count(), gc.isenabled(), gc.get_threshold()
packages = "torch", "lightning", "jsonargparse", "torchvision", "timm"
print(json.dumps([before, after, [name for name in packages if name in sys.modules], dir(classifier)]))
"""


def run_after_import(statements: str = "") -> list:
    """Return what the program above prints in a new interpreter."""
    command = [sys.executable, "-c", PROGRAM.format(statements=statements)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


def test_import_of_the_package_imports_no_large_package_and_lists_all_public_names():
    before, after, imported, names = run_after_import()
    assert after == before
    assert before[:2] == [0, True]
    assert imported == []
    assert set(classifier.__all__) <= set(names)
    assert names == sorted(names)


@pytest.mark.slow
def test_name_that_is_used_imports_what_it_needs_and_leaves_the_garbage_collector_unchanged():
    before, after, imported, _ = run_after_import("classifier.MLP, classifier.Timm")
    assert after == before
    assert {"torch", "lightning"} <= set(imported)
    assert "timm" not in imported


def test_every_public_name_resolves_to_an_object_of_that_name():
    for name in classifier.__all__:
        value = getattr(classifier, name)
        assert value.__name__ == name
        assert value.__module__ == f"classifier.{classifier.MODULES[name]}"
        assert getattr(import_module(value.__module__), name) is value


def test_all_lists_every_public_name_once():
    assert len(set(classifier.__all__)) == len(classifier.__all__)
    assert set(classifier.__all__) == set(classifier.MODULES)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'classifier' has no attribute 'MPL'"):
        _ = classifier.MPL


def test_names_for_type_checkers_are_the_lazily_imported_ones():
    tree = ast.parse(Path(classifier.__file__).read_text())
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )
    assert all(isinstance(node, ast.ImportFrom) for node in block.body)
    declared = {alias.name: node.module for node in block.body for alias in node.names if alias.asname is None}
    assert declared == {name: f"classifier.{module}" for name, module in classifier.MODULES.items()}


def test_package_is_marked_as_typed():
    assert Path(classifier.__file__).with_name("py.typed").is_file()


def test_every_network_and_dataset_of_the_package_is_public():
    for base in (classifier.ImageClassifier, classifier.ImageDataModule):
        for name in classifier.__all__:
            getattr(classifier, name)
        concrete = [cls for cls in list_subclasses(base) if not inspect.isabstract(cls)]
        ours = {cls.__name__ for cls in concrete if cls.__module__.startswith("classifier.")}
        assert ours <= set(classifier.__all__)
