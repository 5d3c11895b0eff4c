"""The notebook runs as it stands, and reads well without being run."""

import re

import nbformat
import pytest
from conftest import REPOSITORY
from nbclient import NotebookClient

FILE = REPOSITORY / "notebooks" / "first_steps.ipynb"


def read_notebook() -> nbformat.NotebookNode:
    return nbformat.read(FILE, as_version=4)


def gather_outputs(notebook: nbformat.NotebookNode) -> tuple[str, int]:
    """Return all printed text, and the number of pictures."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert {output.output_type for output in outputs} <= {"stream", "execute_result"}
    assert all(output.name == "stdout" for output in outputs if output.output_type == "stream")
    text = "".join(output.get("text", "") for output in outputs)
    return text, sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.fixture
def executed(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    notebook = read_notebook()
    for cell in notebook.cells:
        cell.pop("outputs", None)
    options = {"kernel_name": "python3", "timeout": 60, "resources": {"metadata": {"path": tmp_path}}}
    return NotebookClient(notebook, **options).execute()


def test_the_notebook_runs_in_any_folder_and_comes_to_what_its_file_shows(executed):
    text, pictures = gather_outputs(executed)
    shown, pictures_shown = gather_outputs(read_notebook())
    assert pictures == pictures_shown == 6
    for outcome in (text, shown):
        assert float(re.search(r"after 20 epochs: ([\d.]+)% of the test images are right", outcome)[1]) > 95
        assert "same answers: True" in outcome
        assert re.search(r"^7 +9\d\.\d%$", outcome, re.MULTILINE)
    assert len(text.splitlines()) == len(shown.splitlines())


def test_the_file_is_small_and_holds_nothing_of_the_machine_that_ran_it():
    assert FILE.stat().st_size < 300_000
    text = FILE.read_text()
    assert not re.search(r"/(home|root|tmp|usr|work|Users)/|Warning|Traceback", text)
    notebook = read_notebook()
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == list(range(1, 13))
    assert all(not cell.metadata for cell in notebook.cells)
