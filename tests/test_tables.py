"""Files with one row per image."""

import csv
import io
import json
import os
from pathlib import Path

import pytest

from classifier.errors import SettingError, UserError
from classifier.tables import JsonRows, check_output, format_row, is_device, name_columns, open_output, open_rows


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_text_that_a_spreadsheet_would_run_as_a_formula_gets_an_apostrophe(start):
    assert format_row([f"{start}1+1.png", f"a{start}", ""]) == [f"'{start}1+1.png", f"a{start}", ""]


def test_numbers_are_written_as_numbers():
    assert format_row([-3, -0.123456789, 1e-12, "0.5"]) == ["-3", "-0.1234568", "1e-12", "0.5"]


@pytest.mark.parametrize("name", ["preds.jsonl", "preds.xlsx", "preds", "preds.csv.gz", ".csv"])
def test_file_in_another_format_is_refused(name):
    with pytest.raises(SettingError, match=r"CSV or JSON, so give the file a name that ends in \.csv or \.json"):
        check_output(name)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("nowhere/a.csv", "--output nowhere/a.csv cannot be written: No such file or directory"),
        ("folder.csv", "--output folder.csv cannot be written: Is a directory"),
        ("", "--output . cannot be written: Is a directory"),
        ("file/a.csv", "--output file/a.csv cannot be written: Not a directory"),
        (f"{'a' * 300}.csv", "cannot be written: File name too long"),
        ("/proc/a.csv", "--output /proc/a.csv cannot be written: "),
        ("no\nwhere/a.csv", r"--output no\?where/a.csv cannot be written"),
    ],
)
def test_file_that_cannot_be_written_is_refused_before_the_work_and_nothing_is_left(output, message):
    Path("folder.csv").mkdir()
    Path("file").touch()
    with pytest.raises(UserError, match=message):
        check_output(output)
    assert sorted(path.name for path in Path().iterdir()) == ["file", "folder.csv"]


def test_check_leaves_a_file_that_is_there_unchanged():
    Path("a.CSV").write_text("before")
    check_output("a.CSV")
    assert {path.name: path.read_text() for path in Path().iterdir()} == {"a.CSV": "before"}


def test_file_is_replaced_only_when_it_is_complete():
    Path("a.csv").write_text("before")
    with pytest.raises(UnicodeEncodeError), open_output("a.csv") as file:
        file.write("half\ud800")
    assert Path("a.csv").read_text() == "before"
    with open_output("a.csv") as file:
        csv.writer(file).writerow(["a\nb", "\udcff"])
    assert Path("a.csv").read_bytes() == b'"a\nb",\xff\r\n'


def test_pipe_and_standard_output_are_written_to_directly():
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    check_output("pipe")
    with open_output("pipe") as file:
        file.write("a")
    with io.FileIO(reader) as pipe:
        assert pipe.read() == b"a"
    assert Path("pipe").is_fifo()
    assert is_device(Path("/dev/null"))
    assert not is_device(Path("pipe.csv"))


def test_standard_output_that_is_redirected_to_a_file_is_appended_to():
    before = os.dup(1)
    with Path("out.txt").open("w") as out:
        out.write("printed before\n")
        out.flush()
        os.dup2(out.fileno(), 1)
        try:
            check_output("/dev/stdout")
            with open_output("/dev/stdout") as file:
                file.write("row\n")
        finally:
            os.dup2(before, 1)
            os.close(before)
    assert Path("out.txt").read_text() == "printed before\nrow\n"
    assert Path("/dev/stdout").is_symlink()


def test_columns_of_classes_differ_from_the_other_columns():
    assert name_columns(["cat", "file", "true"], ["file", "class"]) == ["cat", "probability of file", "true"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_file_is_a_list_with_one_object_per_row(count):
    with open_rows("a.JSON", ["file", "trained_on"], ["cat", "file"]) as rows:
        for i in range(count):
            rows.add([f"=\xe9{i}.png", i > 0], [1 / 3, float("nan")])
    assert json.loads(Path("a.JSON").read_text()) == [
        {"file": f"=\xe9{i}.png", "trained_on": i > 0, "probabilities": {"cat": 0.3333333, "file": None}}
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_lines_are_one_object_each(count):
    output = io.StringIO()
    rows = JsonRows(output, ["file"], ["cat"], lines=True)
    for i in range(count):
        rows.add([i], [0.5])
    rows.finish()
    assert output.getvalue().count("\n") == count
    expected = [{"file": i, "probabilities": {"cat": 0.5}} for i in range(count)]
    assert [json.loads(line) for line in output.getvalue().splitlines()] == expected


def test_csv_file_has_a_column_for_every_class():
    with open_rows("a.csv", ["file", "trained_on"], ["cat", "file"]) as rows:
        rows.add(["=a.png", True], [0.25, 0.75])
    assert Path("a.csv").read_bytes() == b"file,trained_on,cat,probability of file\n'=a.png,true,0.25,0.75\n"


def test_file_is_not_replaced_if_its_rows_are_incomplete():
    Path("a.json").write_text("before")
    with pytest.raises(ZeroDivisionError), open_rows("a.json", ["file"], []):
        raise ZeroDivisionError
    assert Path("a.json").read_text() == "before"
