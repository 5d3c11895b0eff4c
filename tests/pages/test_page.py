import math
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers.hostile_names import NAMES
from helpers.html_pages import leave_plots_empty, parse_page, read_structure, read_table
from helpers.reports import (
    make_images,
    make_record,
    make_run,
    rename,
    report_one,
    report_run,
    report_several,
)
from helpers.results import make_predicted, make_random, make_results

from classifier.analysis.results.contents import Report
from classifier.errors import UserError
from classifier.pages.page import render_page
from classifier.pages.wording import format_percent

DASH = "\N{EN DASH}"


@pytest.fixture
def _empty_plots(monkeypatch):
    leave_plots_empty(monkeypatch)


def render(report):
    """Return the parsed page of a report."""
    return parse_page(render_page(report))


def find_table(page, beginning):
    """Return the texts of the cells of the table whose caption begins with a text."""
    (table,) = (table for table in page.find("table") if table.find("caption")[0].text.startswith(beginning))
    return read_table(table)


def read_tiles(page):
    """Return the values of the tiles by name."""
    return {tile.children[0].text: tile.children[1].text for tile in page.find("dl")[0].children}


@pytest.mark.usefixtures("_empty_plots")
def test_answer_comes_first_and_in_words():
    report = report_one(make_predicted([0, 1, 1, 1], [0, 1, 1, 0], 2))
    page = render(report)
    header = page.find("header")[0]
    assert header.find("h1")[0].text == "CNN on CIFAR10"
    assert header.find("p", class_="answer")[0].text == (
        "75.0% of 4 test images are classified correctly (95% interval: 30.1% to 95.4%)."
    )
    assert header.find("li")[0].text == (
        "The class with the lowest accuracy is class 0, with 50.0%. The most frequent error is class 0 predicted as "
        "class 1 (1 image)."
    )


@pytest.mark.usefixtures("_empty_plots")
def test_numbers_of_the_page_are_those_of_the_report():
    report = report_one(make_random(500, 12))
    (run,) = report.runs
    page = render(report)
    assert read_tiles(page) == {
        "Accuracy": format_percent(run.summary.accuracy.value),
        "Loss": f"{run.summary.loss.value:.3f}",
        "Balanced accuracy": format_percent(run.summary.balanced_accuracy),
        "Macro F1": format_percent(run.summary.macro_f1),
        "Top-5 accuracy": format_percent(run.summary.top5),
        "Images": "500",
    }
    rows = find_table(page, "Metrics of every class")[1:]
    assert [[row[0], row[1], row[2], row[3], row[4], row[6]] for row in rows] == [
        [row.name, str(row.num_images), str(row.num_correct)]
        + [format_percent(value) for value in (row.precision, row.recall.value, row.f1)]
        for row in run.classes
    ]
    confusion = find_table(page, "Confusion matrix")
    assert [[int(cell or 0) for cell in row[1:]] for row in confusion[1:]] == run.confusion.tolist()


@pytest.mark.usefixtures("_empty_plots")
def test_images_are_shown_with_name_classes_and_probabilities():
    results = make_results([[0.2, 0.8], [0.9, 0.1], [0.55, 0.45]], [0, 0, 0])
    page = render(report_one(rename(results, ["cat", "dog"], ["a.png", "b.png", "c.png"])))
    cards = {card.text for card in page.find("figure", class_="card")}
    assert cards == {
        "dog 80.0% true: cat 20.0% a.png",
        "cat 90.0% second: dog 10.0% b.png",
        "cat 55.0% second: dog 45.0% c.png",
    }
    labels = [picture.attributes["aria-label"] for picture in page.find("svg", class_="picture exact")]
    assert set(labels) == {"Image a.png, cat", "Image b.png, cat", "Image c.png, cat"}
    assert len(page.find("image")) == 3  # every picture once


@pytest.mark.usefixtures("_empty_plots")
def test_labels_that_may_be_wrong_are_listed():
    report = report_one(make_random(300, 5))
    rows = find_table(render(report), "Images whose label may be wrong")
    assert [row[0] for row in rows[1:]] == [f"#{row}" for row in report.runs[0].doubtful_labels]


@pytest.mark.usefixtures("_empty_plots")
@pytest.mark.parametrize(("num_errors", "is_doubted"), [(4, False), (6, True)])
def test_list_of_a_network_with_many_errors_is_called_into_question(num_errors, is_doubted):
    predictions = np.arange(20) < num_errors
    page = render(report_one(make_predicted([0] * 20, predictions.astype(int).tolist(), 2)))
    text = page.find("section", id="run-1-labels")[0].text
    assert ("of all images incorrectly, many of these can be its own errors" in text) == is_doubted
    summary = page.find("header")[0].text
    assert ("labels may be wrong, but the network classifies 30% of all images incorrectly." in summary) == is_doubted


@pytest.mark.usefixtures("_empty_plots")
def test_many_doubtful_labels_are_counted():
    report = report_one(make_random(2000, 5))
    run = replace(report.runs[0], doubtful_labels=np.arange(1500))
    page = render(replace(report, runs=[run]))
    assert len(find_table(page, "The 100 most doubtful labels")) == 101
    assert "1,500 labels may be wrong, but the network classifies " in page.find("header")[0].text
    assert "the label of these 1,500 images" in page.find("section", id="run-1-labels")[0].text


@pytest.mark.usefixtures("_empty_plots")
def test_images_of_the_training_set_are_reported():
    results = replace(make_random(100, 3), trained=np.arange(100) < 20)
    page = render(report_one(results))
    assert "The network was trained on 20 of these test images." in page.find("header")[0].text
    assert [row[:2] for row in find_table(page, "With and without")[1:]] == [
        ["all", "100"],
        ["not in the training set", "80"],
    ]


@pytest.mark.usefixtures("_empty_plots")
def test_temperature_is_reported_with_the_error_after_it():
    report = report_one(make_random(500, 4, scale=3), validation=make_random(500, 4, seed=1, scale=3))
    (run,) = report.runs
    text = render(report).find("section", id="run-1-calibration")[0].text
    assert f"a temperature of {run.temperature:.2f}" in text
    assert f"the error is {format_percent(run.calibration_after.error)}" in text


@pytest.mark.usefixtures("_empty_plots")
def test_training_is_described_by_the_record():
    page = render(report_one(record=make_record("version_0", 3)))
    training = page.find("section", id="run-1-training")[0]
    captions = [caption.text for caption in training.find("figcaption")]
    assert captions == ["Loss training test", "Accuracy training test", "Learning rate", "Seconds per epoch"]
    assert training.find("code")[0].text == "python -m classifier fit --config lightning_logs/version_0/config.yaml"
    assert ["Versions", "python 3.11.7, torch 2.15.0"] in find_table(training, "Run")
    assert ["trainer.deterministic", "null"] in find_table(training, "Settings")


@pytest.mark.usefixtures("_empty_plots")
def test_checkpoint_without_a_run_has_no_curves_and_says_so():
    training = render(report_one()).find("section", id="run-1-training")[0]
    assert "there is no record of its training" in training.text
    assert training.find("figure") == []


@pytest.fixture(scope="module")
def html():
    """Return a page with its plots."""
    return render_page(report_one(record=make_record("version_0", 3)))


def test_page_requests_nothing_and_runs_only_its_own_script(html):
    page = parse_page(html)
    (policy,) = (meta.attributes["content"] for meta in page.find("meta") if "http-equiv" in meta.attributes)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
    addresses = [
        element.attributes[name]
        for tag in ("img", "image", "use", "a", "link", "script")
        for element in page.find(tag)
        for name in ("src", "href")
        if name in element.attributes
    ]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "http" not in re.sub(r"http-equiv", "", html)
    assert "@import" not in html
    assert "url(" not in page.find("style")[0].text


def test_equal_reports_have_equal_pages(html):
    assert render_page(report_one(record=make_record("version_0", 3))) == html


@pytest.mark.usefixtures("_empty_plots")
def test_hostile_names_change_neither_structure_nor_layout_of_the_text():
    results = make_random(4 * len(NAMES), len(NAMES))
    plain = [f"name {number}" for number in range(len(NAMES))]

    def render_named(names):
        named = rename(results, names, names * 4)
        record = make_record(names[0], 2)
        record = replace(record, reproduce=names[5], versions={names[1]: names[2]}, machine=names[3])
        runs = [make_run(named, name, record=record) for name in names[:4]]
        runs = [replace(run, model=names[6], data=names[7], settings={names[8]: names[9]}) for run in runs]
        return render_page(replace(report_several(runs), problem=names[0], differing_settings={names[2]: names[:4]}))

    hostile = render_named(list(NAMES))
    assert read_structure(hostile) == read_structure(render_named(plain))
    hostile.encode()  # no lone surrogates
    visible = parse_page(hostile).text
    assert [character for character in hostile if not character.isprintable() and character != "\n"] == []
    assert "<script>alert(1)</script>" in visible
    assert "{{ 7 * 7 }}" in visible
    assert "?gnp.exe?" in visible
    assert "猫の写真と犬" in visible


@pytest.mark.parametrize(
    "results",
    [
        make_predicted([], [], 3),
        make_predicted([0], [0], 2),
        make_predicted([0, 1], [0, 1], 2),
        make_predicted([0, 1], [1, 0], 2),
        make_predicted([0, 0, 0], [1, 1, 1], 3),
        make_results(np.ones((3, 1)), [0, 0, 0]),
        make_results(np.full((3, 2), math.nan), [0, 1, 1]),
        make_results([[0.0, 1.0], [1.0, 0.0]], [0, 0], [math.inf, 0.0]),
    ],
    ids=["none", "one image", "all right", "all wrong", "empty classes", "one class", "nan", "infinite loss"],
)
@pytest.mark.usefixtures("_empty_plots")
def test_degenerate_results_have_a_page(results):
    page = render(report_one(results, record=make_record("version_0", 0)))
    assert "nan" not in page.find("main")[0].text.lower()
    assert page.find("h2")[0].text == "Summary"


@pytest.mark.usefixtures("_empty_plots")
def test_undefined_metrics_are_dashes():
    tiles = read_tiles(render(report_one(make_predicted([], [], 3))))
    assert tiles == {"Accuracy": DASH, "Loss": DASH, "Balanced accuracy": DASH, "Macro F1": DASH, "Images": "0"}


@pytest.mark.usefixtures("_empty_plots")
def test_images_without_pictures_are_described():
    def get_images(_):
        raise UserError("the folder is missing")

    page = render(report_one(make_random(50, 3), get_images=get_images))
    problem = page.find("p", class_="problem")[0].text
    assert problem == "Some pictures are missing, because the images cannot be read: the folder is missing"
    assert page.find("image") == []
    assert len(page.find("span", class_="picture missing")) == len(page.find("figure", class_="card")) > 0


@pytest.mark.slow
def test_page_of_ten_thousand_photographs_and_a_thousand_classes_is_small():
    noise = np.random.default_rng(0)
    results = make_random(10_000, 1000, scale=3)

    def get_images(indices):
        return make_images(224)(indices) ^ make_images(224)(noise.integers(0, 10**6, len(indices)))

    html = render_page(report_one(results, get_images=get_images, record=make_record("version_0", 500)))
    assert len(html.encode()) < 3_000_000
    page = parse_page(html)
    assert len(find_table(page, "The 100 classes with the lowest recall")) == 101
    assert "900 classes with a higher recall are not shown." in page.find("section", id="run-1-classes")[0].text
    assert page.find("img")[0].attributes["alt"] == "Confusion matrix of 1000 classes"


@pytest.mark.usefixtures("_empty_plots")
def test_runs_are_compared_in_words_numbers_and_pictures():
    runs = [
        make_run(replace(make_random(200, 4, seed=seed), labels=make_random(200, 4).labels), f"version_{seed}")
        for seed in range(3)
    ]
    report = replace(report_several(runs), correction="2 comparisons, each with version_0")
    page = render(report)
    header = page.find("header")[0]
    assert header.find("p", class_="note")[0].text == "2 comparisons, each with version_0."
    assert header.find("h1")[0].text == "Comparison of 3 runs"
    assert [item.text for item in header.find("li")] == [comparison.verdict for comparison in report.comparisons]
    assert [row[0] for row in find_table(page, "Metrics of every run")[1:]] == [run.name for run in runs]
    assert find_table(page, "Settings that differ") == [
        ["Setting", "version_0", "version_1", "version_2"],
        ["model.lr", "0.1", "0.2", "0.30000000000000004"],
    ]
    section = page.find("section", id="comparison-2")[0]
    comparison = report.comparisons[1]
    assert read_tiles(section)["Only version_0 is right"] == str(comparison.only_first)
    assert read_tiles(section)["p value"] == "0.037"
    assert "0.012 before Holm's correction for 2 comparisons" in section.text
    assert [row[:4] for row in read_table(section.find("table")[0])[1:]] == [
        [row.name, str(row.num_images), str(row.only_first), str(row.only_second)] for row in comparison.classes
    ]
    names = [card.find("span", class_="file")[0].text for card in section.find("figure", class_="card")]
    examples = [*comparison.examples_first, *comparison.examples_second]
    assert names == [f"#{example.first}" for example in examples]
    assert [heading.text for heading in section.find("h3")] == [
        "Images that only version_0 classifies correctly",
        "Images that only version_2 classifies correctly",
    ]
    assert [len(cards.find("figure")) for cards in section.find("div", class_="cards")] == [8, 8]


@pytest.mark.usefixtures("_empty_plots")
def test_groups_over_seeds_are_shown_in_one_colour():
    runs = [make_run(make_random(50, 3, seed=n), f"seed_{n}", record=make_record("a", 3)) for n in range(4)]
    page = render(report_several(runs, group_size=2))
    assert [row[:2] for row in find_table(page, "Runs that differ only in their seed")[1:]] == [
        ["seed_0 and seeds", "2"],
        ["seed_2 and seeds", "2"],
    ]
    legend = page.find("section", id="curves")[0].find("span", class_="legend")[0]
    assert legend.text == "seed_0 and seeds seed_2 and seeds"
    assert "Welch's t-test over seeds" in page.find("section", id="comparison-1")[0].text
    sections = page.find("section", class_="run")
    assert [section.find("h2")[0].text for section in sections] == ["seed_0", "seed_2"]  # those that are compared
    assert "2 of 4 runs have a section of their own, one of every group of seeds." in page.find("main")[0].text


@pytest.mark.usefixtures("_empty_plots")
def test_different_test_images_are_a_problem_that_the_page_states():
    runs = [report_run(make_run(make_random(30, 3, seed=n), f"version_{n}")) for n in range(2)]
    page = render(Report(runs, {}, [], [], "The runs were evaluated on other images."))
    assert page.find("p", class_="problem")[0].text == "The runs were evaluated on other images."
    assert "The settings of all runs are the same." in page.find("section", id="runs")[0].text


@pytest.mark.usefixtures("_empty_plots")
def test_many_runs_have_a_row_each_but_not_a_section_each():
    runs = [make_run(make_random(30, 3, seed=n), f"version_{n}") for n in range(8)]
    page = render(report_several(runs))
    assert len(find_table(page, "Metrics of every run")) == 9
    assert len(page.find("section", class_="run")) == 6
    assert "6 of 8 runs have a section of their own." in page.find("main")[0].text
    assert "1 other comparison below." in page.find("header")[0].text
