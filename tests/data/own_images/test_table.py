"""Images that are listed in a CSV file."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classifier import MLP, ImageFolder, ImageTable
from classifier.analysis.inspection import inspect_data
from classifier.data.image_files.decoding import read_image
from classifier.errors import UserError


@pytest.fixture
def photos(tmp_path):
    """Write 24 noisy images, and return their paths relative to the folder of the table."""
    (tmp_path / "photos").mkdir()
    generator = np.random.default_rng(0)
    for i in range(24):
        Image.fromarray(generator.integers(0, 256, (9, 9, 3), np.uint8)).save(tmp_path / f"photos/{i:02}.png")
    return [f"photos/{i:02}.png" for i in range(24)]


def write_table(*rows, header="path,label", encoding="utf-8") -> str:
    Path("labels.csv").write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return "labels.csv"


def open_table(file, **options) -> ImageTable:
    data = ImageTable(file, image_size=8, **options)
    data.setup("fit")
    return data


def list_names(data, split) -> list[str]:
    dataset = data.datasets[split]
    return [dataset.name(i) for i in range(len(dataset))]


def test_images_labels_and_splits_are_read_from_the_table(photos):
    splits = ["Train", "validation", "test"]
    rows = [f"{path},{'dog' if i % 2 else 'cat'},{splits[i % 3]}" for i, path in enumerate(photos)]
    data = open_table(write_table(*rows, header="path,label,split"), channels=1)
    assert data.class_names == ("cat", "dog")
    for offset, split in enumerate(("train", "val", "test")):
        expected = [str(path) for path in photos[offset::3]]
        assert list_names(data, split) == expected
        assert data.datasets[split].labels.tolist() == [int(path[7:9]) % 2 for path in expected]
        assert torch.equal(data.datasets[split][2][0], read_image(expected[2], (1, 8, 8)))


def test_paths_are_relative_to_the_file_or_to_the_root(photos, tmp_path, monkeypatch):
    file = write_table(*(f"{path[7:]},{'ab'[i % 2]}" for i, path in enumerate(photos)))
    assert list_names(open_table(file, root="photos"), "train")[0].startswith("photos/")
    file = write_table(*(f"{path},{'ab'[i % 2]}" for i, path in enumerate(photos)))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(open_table("../labels.csv").datasets["train"]) > 10


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheets_can_write_the_table(photos, delimiter):
    rows = [delimiter.join([f'"{path}"', "größe, =1+1" if i % 2 else "b", "x"]) for i, path in enumerate(photos)]
    rows = [row.replace("größe, =1+1", '"größe, =1+1"') for row in rows]
    header = delimiter.join(["Datei", "Klasse", "Notiz"])
    file = write_table(*rows, "", header=header, encoding="utf-8-sig")
    data = ImageTable(file, path_column="Datei", label_column="Klasse")
    assert data.class_names == ("b", "größe, =1+1")


def test_file_that_cannot_be_read_is_reported_with_its_line(photos, tmp_path, capsys):
    (tmp_path / "photos/05.png").unlink()
    (tmp_path / "photos/08.png").write_text("no image")
    file = write_table("", *(f"{path},{'ab'[i % 2]}" for i, path in enumerate(photos)))
    missing, broken = "labels.csv, line 8: photos/05.png cannot be read", "labels.csv, line 11: photos/08.png is not"
    for options in ({}, {"test_split": "all"}):
        with pytest.raises(UserError, match=rf"^repair or remove 2 of 24 files(?s:.*){missing}|{broken}") as error:
            ImageTable(file, image_size=8, **options).prepare_data()
        assert all(text in str(error.value) for text in (missing, broken))
    data = open_table(file, skip_broken=True)
    assert missing in capsys.readouterr().out
    assert sum(map(len, data.datasets.values())) == 22
    assert {text.partition(" cannot")[0].partition(" is")[0] for text in inspect_data(data).unreadable} == {
        "labels.csv, line 8: photos/05.png",
        "labels.csv, line 11: photos/08.png",
    }


def test_number_that_groups_do_not_allow_is_missed_as_little_as_possible_and_reported(photos, capsys):
    rows = [f"{path},{'ab'[i // 4 % 2]},patient {i // 4}" for i, path in enumerate(photos)]
    data = open_table(write_table(*rows, header="path,label,group"), test_split=9)
    assert len(data.datasets["test"]) == 8
    assert "(16 training, 8 test); test_split 9 is not met exactly, because the images of" in capsys.readouterr().out
    data = open_table("labels.csv", test_split=8)
    assert len(data.datasets["test"]) == 8
    assert "not met" not in capsys.readouterr().out


def test_images_of_a_group_are_on_one_side_of_the_split(photos):
    rows = [f"{path},{'ab'[i % 2]},patient {i // 4}" for i, path in enumerate(photos)]
    data = open_table(write_table(*rows, header="path,label,group"), val_split=0.3)
    sides = {split: {int(name[7:9]) // 4 for name in list_names(data, split)} for split in data.datasets}
    assert sorted(group for groups in sides.values() for group in groups) == list(range(6))
    assert set(sides) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("path,label", ["a.png,cat", ",cat"], "line 3: the path is empty"),
        ("path,label", ["a.png,cat", "b.png,"], "line 3: the class is empty"),
        ("path,label", ["a.png,cat", "b.png,dog,x"], "line 3: the number of values is 3, but there are 2 columns"),
        ("path,label", ["a.png,cat", "b.png"], "line 3: the number of values is 1, but there are 2 columns"),
        ("path,label", ["a.png,cat", "", '"b.png', 'c",dog', "./a.png,dog"], "line 6: ./a.png is already on line 2"),
        ("path,label", ["a.png,cat", '"b.png"x,dog'], "line 3: "),
        ("path,label,split", ["a.png,cat,train", "b.png,dog,tran"], "line 3: the split is 'tran', and must be"),
        ("path,label,split", ["a.png,cat,train", "b.png,dog,"], "line 3: the split is '', and must be"),
        ("path,label,split", ["a.png,cat,train", "b.png,dog,test"], "line 3: the class 'dog' has no training image"),
        (
            "path,label,split,group",
            ["a.png,cat,train,1", "b.png,dog,train,2", "c.png,dog,test,1"],
            "line 4: the group '1' is in test, and on line 2 in train",
        ),
        ("path,class", ["a.png,cat"], "line 1: there is no column 'label' among path, class: set --data.label_column"),
        ("path,label,split,split", ["a.png,cat,train,test"], "line 1: there are several columns 'split'"),
        ("path,label", ["a.png,cat", '"b', '.png",dog', '"c', '.png",'], "line 5: the class is empty"),
        ("path,label", ["a.png,cat", '"b.png,dog', "c.png,dog"], "line 3: unexpected end of data"),
        ("path,label", ["a.png,cat", "b.png,a\0"], "line 3: rename the class 'a\\x00'"),
        ("path,label", ["a.png,cat", "b\0.png,a"], "line 3: the path contains a null character"),
        ("path,label", ["a.png,cat", "x/../a.png,dog"], "line 3: x/../a.png is already on line 2"),
        ("path,label,label", ["a.png,cat,dog"], "line 1: there are several columns 'label'"),
        ("path,label", ["a.png,cat", "b.png,cat"], "must contain 2 or more classes, and has 1"),
        ("path,label", [], "must contain 2 or more classes, and has 0"),
        ("path,label", ["a.png,a\x1b[31m", "b.png,b"], "rename the class 'a\\x1b[31m': a class name must be printable"),
    ],
)
def test_wrong_row_is_reported_with_its_line(header, rows, message):
    with pytest.raises(UserError, match=f"^labels.csv.*{re.escape(message)}"):
        ImageTable(write_table(*rows, header=header))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"path,label\r\na.png,cat\r\nb.png,gr\xfc\xdfe\r\n", ", line 3: the byte 0xfc is not UTF-8: save the file"),
        (b"\xef\xbb\xbfpath,label\n\xfc,a\n", ", line 2: the byte 0xfc is not UTF-8: save the file"),
        ("path,label\n".encode("utf-16"), ", line 1: the byte 0xff is not UTF-8: save the file"),
        (None, " cannot be read: No such file or directory"),
    ],
)
def test_file_that_is_no_table_is_refused_in_one_line(tmp_path, fail, content, problem):
    if content is not None:
        (tmp_path / "labels.csv").write_bytes(content)
    status, line = fail("fit", "--data", "ImageTable", "--data.file", "labels.csv")
    assert (status, f"labels.csv{problem}" in line) == (1, True), line


def test_column_that_the_user_names_must_exist():
    with pytest.raises(UserError, match=r"there is no column 'fold' among path, label: set --data.split_column"):
        ImageTable(write_table("a.png,cat"), split_column="fold")


@pytest.mark.parametrize("header", ['"a;b;c",path,label', "\n \npath,label", "x;y;z;w,path,label"])
def test_header_is_found_whatever_the_names_of_other_columns_contain(photos, header):
    extra = header.count(",", header.rindex("\n") + 1 if "\n" in header else 0) - 1
    rows = [f"{'x,' * extra}{path},{'ab'[i % 2]}" for i, path in enumerate(photos)]
    assert ImageTable(write_table(*rows, header=header)).class_names == ("a", "b")


def test_split_does_not_depend_on_how_a_path_is_written(photos, tmp_path):
    names = []
    for form in ("{}", "./{}", f"{tmp_path}/{{}}", "x/..//{}"):
        rows = [f"{form.format(path)},{'ab'[i % 2]}" for i, path in enumerate(photos)]
        data = ImageTable(write_table(*rows), test_split=7)
        data.prepare_data()
        names.append([Path(data.source.name(i)).name for i in range(*data.bounds["test"])])
    assert len(names[0]) == 7
    assert names[1:] == names[:1] * 3


def test_folder_and_table_of_the_same_images_give_the_same_split_and_weights(plain_root, make_trainer):
    files = [path for folder in sorted(plain_root.iterdir()) for path in sorted(folder.iterdir())]
    rows = [f"{path.relative_to(plain_root)},{path.parent.name}" for path in files]
    weights, names = [], []
    options = {"image_size": 8, "val_split": 0.2, "batch_size": 7}
    for data in (ImageFolder(str(plain_root), **options), ImageTable(write_table(*rows), root="pets", **options)):
        torch.manual_seed(0)
        model = MLP(image_shape=(3, 8, 8), num_classes=3)
        make_trainer(max_epochs=2).fit(model, data)
        weights.append(model.state_dict())
        names.append({split: [name[-10:] for name in list_names(data, split)] for split in data.datasets})
    assert names[0] == names[1]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_another_table_for_the_checkpoint_of_a_folder_is_relative_to_itself(plain_root, run, tmp_path):
    options = ("--data.root", plain_root, "--data.image_size", "8", "--pictures=false", "--trainer.max_epochs=1")
    run("fit", "--data", "ImageFolder", *options)
    (tmp_path / "new").mkdir()
    for name in ("ant", "bee"):
        (tmp_path / "new" / name).mkdir()
        Image.new("RGB", (8, 8), "red").save(tmp_path / "new" / name / "00.png")
    Path("new/l.csv").write_text("path,label\nant/00.png,ant\nbee/00.png,bee\n")
    evaluation = ("--data", "ImageTable", "--data.file", "new/l.csv", "--data.test_split", "all", "--output", "s.csv")
    assert "(2 images)" in run("test", *evaluation)
    rows = Path("s.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows[1:]] == [["ant/00.png", "ant"], ["bee/00.png", "bee"]]
    assert [row.split(",")[3] for row in rows[1:]] == ["false", "false"]


def test_a_run_can_be_tested_from_its_checkpoint(photos, run):
    file = write_table(*(f"{path},{'ab'[i % 2]}" for i, path in enumerate(photos)))
    options = ("--data.image_size", "8", "--pictures=false", "--trainer.max_epochs=1", "--data.test_split", "6")
    printed = run("fit", "--data", "ImageTable", "--data.file", file, *options)
    assert printed.startswith("labels.csv: 24 images in 2 classes (18 training, 6 test)\n")
    assert "(6 images)" in run("test", "--ckpt_path", "last")
