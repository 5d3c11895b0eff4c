"""Pages of reports in a real browser: of runs that are trained here, of many classes, and of hostile names."""

import os
from pathlib import Path

import pytest
from helpers.browser import FIND_ILLEGIBLE, FIND_MISSING, FIND_OVERFLOW, open_browser, open_page
from helpers.data_files import write_fashion_mnist
from helpers.hostile_names import NAMES
from helpers.reports import make_images, make_record, make_run, rename, report_one, report_several
from helpers.results import make_random
from helpers.runs import FIT_DIGITS

from classifier.cli.main import main
from classifier.pages.page import render_page

# Starting a browser takes a second.
pytestmark = pytest.mark.slow
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return pages of a run on FashionMNIST, of groups of seeds, of many classes, and of hostile names."""
    folder = tmp_path_factory.mktemp("pages")
    previous = Path.cwd()
    os.chdir(folder)
    write_fashion_mnist(Path("data"))
    main(["fit", "--name=fashion", "--pictures=false", "--data.val_split=50", "--trainer.max_epochs=2"])
    main(["report", "fashion", "--output=fashion.html"])
    for name, lr in (("high", 0.1), ("low", 0.001)):
        main([*FIT_DIGITS, "--seeds=3", f"--name={name}", f"--model.lr={lr}", "--trainer.max_epochs=1"])
    main(["report", *(f"{name}_seed{seed}" for name in ("high", "low") for seed in range(3)), "--output=seeds.html"])
    os.chdir(previous)
    named = rename(make_random(3 * len(NAMES), len(NAMES)), NAMES, NAMES * 3)
    reports = {
        "many_classes": report_one(make_random(500, 150), get_images=make_images(224)),
        "hostile": report_several([make_run(named, name, record=make_record(name, 2)) for name in NAMES[:2]]),
    }
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(render_page(report), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["fashion", "seeds", "many_classes", "hostile"])
def test_page_is_complete_legible_and_within_the_window(browser, pages, name):
    with open_page(browser, pages / f"{name}.html") as (page, problems):
        assert page.evaluate(FIND_MISSING) == []
        for width in (400, 1400):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate(FIND_OVERFLOW) == []
            for scheme, background in BACKGROUNDS.items():
                page.emulate_media(color_scheme=scheme)
                assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
                assert page.evaluate(FIND_ILLEGIBLE) == []
        assert problems == []


def test_headings_and_links_lead_through_the_page(browser, pages):
    with open_page(browser, pages / "fashion.html") as (page, _):
        assert page.locator("h1").all_inner_texts() == ["MLP on FashionMNIST"]
        assert page.locator("h2").all_inner_texts() == [
            "Summary",
            "Classes",
            "Confusions",
            "Most frequent errors",
            "Calibration",
            "Labels that may be wrong",
            "Errors with the highest loss",
            "Correct predictions with the smallest margin",
            "Training",
        ]
        assert page.locator("svg.plot").count() == 6
        page.get_by_role("link", name="Calibration").click()
        assert abs(page.locator("#run-1-calibration").bounding_box()["y"]) < 100


def test_page_of_two_groups_of_seeds_shows_their_comparison(browser, pages):
    with open_page(browser, pages / "seeds.html") as (page, _):
        assert page.locator("h1").all_inner_texts() == ["Comparison of 6 runs"]
        verdict = page.locator("header .answer").inner_text()
        assert verdict.startswith("high (3 seeds) is better than low (3 seeds) by ")
        assert page.locator("h2").all_inner_texts() == [
            "Runs",
            "Curves",
            "low (3 seeds) compared with high (3 seeds)",
            "high_seed0",
            "low_seed0",
        ]
        assert page.locator("#runs table").first.locator("tbody tr").count() == 6
        assert page.locator("#curves svg.plot").count() == 2
        page.get_by_role("link", name="Comparison").click()
        assert abs(page.locator("#comparison-1").bounding_box()["y"]) < 100


def read_column(page, number):
    """Return the texts of a column of the table of classes."""
    return page.locator(f"#run-1-classes tbody tr > :nth-child({number})").all_inner_texts()


def test_click_sorts_a_table_and_another_click_reverses_it(browser, pages):
    with open_page(browser, pages / "fashion.html") as (page, _):
        header = page.locator("#run-1-classes th", has_text="Correct")
        numbers = [int(text) for text in read_column(page, 3)]
        assert numbers != sorted(numbers)
        header.get_by_role("button").click()
        assert [int(text) for text in read_column(page, 3)] == sorted(numbers)
        assert header.get_attribute("aria-sort") == "ascending"
        header.get_by_role("button").click()
        assert [int(text) for text in read_column(page, 3)] == sorted(numbers, reverse=True)
        assert header.get_attribute("aria-sort") == "descending"


def test_keyboard_sorts_a_table(browser, pages):
    with open_page(browser, pages / "fashion.html") as (page, _):
        page.locator("#run-1-classes th", has_text="Images").get_by_role("button").click()
        page.keyboard.press("Tab")  # the next column
        page.keyboard.press("Enter")
        header = page.locator("#run-1-classes th[aria-sort]")
        assert header.all_inner_texts() == ["Correct"]
        numbers = [int(text) for text in read_column(page, 3)]
        assert numbers == sorted(numbers)


def test_undefined_values_are_sorted_last_in_both_directions(browser, pages):
    with open_page(browser, pages / "many_classes.html") as (page, _):
        header = page.locator("#run-1-classes th", has_text="Precision")
        for _ in range(2):
            header.get_by_role("button").click()
            cells = read_column(page, 4)
            undefined = [cell == "\N{EN DASH}" for cell in cells]
            assert any(undefined)
            assert undefined == sorted(undefined)
        assert cells[0] > cells[1] or cells[0] == "100.0%"


def test_page_can_be_printed(browser, pages):
    with open_page(browser, pages / "fashion.html") as (page, _):
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible()
        assert page.pdf(format="A4").startswith(b"%PDF")


def test_tables_are_shown_without_scripts(browser, pages):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((pages / "fashion.html").as_uri())
    assert page.locator("#run-1-classes tbody tr").count() == 10
    assert page.locator("button").count() == 0
    context.close()
