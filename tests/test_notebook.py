"""The notebook: it runs, its stored outputs are those of a run, and they contain nothing of the machine."""

import re

import nbformat
import pytest
from helpers.processes import REPOSITORY
from nbclient import NotebookClient

FILE = REPOSITORY / "notebooks" / "first_steps.ipynb"


def read_notebook() -> nbformat.NotebookNode:
    """Return the notebook with its stored outputs."""
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
    """Return the notebook with the outputs of a run in an empty folder."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    notebook = read_notebook()
    for cell in notebook.cells:
        cell.pop("outputs", None)
    options = {"kernel_name": "python3", "timeout": 60, "resources": {"metadata": {"path": tmp_path}}}
    return NotebookClient(notebook, **options).execute()


@pytest.mark.slow
def test_notebook_runs_in_any_folder_with_the_results_that_its_file_shows(executed):
    text, pictures = gather_outputs(executed)
    shown, pictures_shown = gather_outputs(read_notebook())
    assert pictures == pictures_shown == 6
    for outcome in (text, shown):
        assert (
            float(re.search(r"after 20 epochs: ([\d.]+)% of the test images are classified correctly", outcome)[1]) > 95
        )
        assert "same logits: True" in outcome
        assert re.search(r"^7 +9\d\.\d%$", outcome, re.MULTILINE)
    assert len(text.splitlines()) == len(shown.splitlines())


def test_notebook_file_is_small_and_contains_nothing_of_the_machine_that_ran_it():
    assert FILE.stat().st_size < 300_000
    text = FILE.read_text()
    assert not re.search(r"/(home|root|tmp|usr|work|Users)/|Warning|Traceback", text)
    notebook = read_notebook()
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == list(range(1, 13))
    assert all(not cell.metadata for cell in notebook.cells)
