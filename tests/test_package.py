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

# What a new interpreter knows and does after `import classifier`, and after two names were used for the first time.
PROGRAM = """
import gc, json, sys
before = gc.get_freeze_count(), gc.isenabled(), gc.get_threshold()
import classifier
after = gc.get_freeze_count(), gc.isenabled(), gc.get_threshold()
imported = [name for name in ("torch", "lightning", "jsonargparse", "torchvision") if name in sys.modules]
names = dir(classifier)
classifier.MLP
classifier.Timm
print(json.dumps([before, after, imported, names, "torch" in sys.modules, gc.get_freeze_count(), gc.isenabled(),
                  "timm" in sys.modules]))
"""


@pytest.fixture(scope="module")
def fresh_import():
    """Return what the program above prints."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout)


def test_import_of_the_package_imports_neither_torch_nor_lightning_until_a_name_is_used(fresh_import):
    _, _, imported, _, has_torch, *_, has_timm = fresh_import
    assert imported == []
    assert (has_torch, has_timm) == (True, False)


def test_import_of_the_package_and_of_a_name_leaves_the_garbage_collector_unchanged(fresh_import):
    before, after, *_, freeze_count, enabled, _ = fresh_import
    assert after == before
    assert (before[:2], freeze_count, enabled) == ([0, True], 0, True)


def test_dir_lists_all_public_names_before_any_of_them_is_used(fresh_import):
    assert set(classifier.__all__) <= set(fresh_import[3])
    assert fresh_import[3] == sorted(fresh_import[3])


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
