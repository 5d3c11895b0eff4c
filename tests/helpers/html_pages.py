"""Read what an HTML page contains, and check that it is well-formed."""

import contextlib
from collections import Counter
from html.parser import HTMLParser
from unittest import mock

import pytest
from markupsafe import Markup

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Element:
    """An element of a page.

    Args:
        tag: Name of the element.
        attributes: Its attributes.
        parent: The element that contains it.
    """

    def __init__(self, tag: str, attributes: dict[str, str], parent: "Element | None") -> None:
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.children: list[Element] = []
        self.texts: list[str] = []

    @property
    def text(self) -> str:
        """The text of the element and everything within it, with single spaces."""
        return " ".join("".join(self.texts).split())

    def find(self, tag: str, **attributes: str) -> "list[Element]":
        """Return all elements within this one that have a tag and attributes; `class_` stands for class."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        found = []
        for child in self.children:
            if child.tag == tag and wanted.items() <= child.attributes.items():
                found.append(child)
            found += child.find(tag, **attributes)
        return found


class PageParser(HTMLParser):
    """Builds the tree of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {}, None)
        self.current = self.root
        self.structure: list[tuple[str, tuple[str, ...]]] = []
        self.ids: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element."""
        attributes = {name: value or "" for name, value in attrs}
        assert len(attributes) == len(attrs), f"an attribute occurs twice: {tag} {attrs}"
        element = Element(tag, attributes, self.current)
        self.current.children.append(element)
        self.structure.append((tag, tuple(name for name, _ in attrs)))
        self.ids.update([attributes["id"]] if "id" in attributes else [])
        if tag not in VOID:
            self.current = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element of an SVG without content."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the current element."""
        assert self.current.tag == tag, f"</{tag}> closes <{self.current.tag}>"
        assert self.current.parent is not None
        self.current = self.current.parent

    def handle_data(self, data: str) -> None:
        """Add a text to all elements that are open."""
        element: Element | None = self.current
        while element is not None:
            element.texts.append(data)
            element = element.parent


def parse_page(html: str) -> Element:
    """Return the root of a page.

    Raises:
        AssertionError: Elements are not nested, an id occurs twice, or a reference has no target.
    """
    return parse(html).root


def read_structure(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the elements of a page in their order, each with the names of its attributes."""
    return parse(html).structure


def parse(html: str) -> PageParser:
    """Return a parser that has read a page, after a check of the page."""
    parser = PageParser()
    parser.feed(html)
    parser.close()
    assert parser.current is parser.root, f"<{parser.current.tag}> is not closed"
    assert [name for name, count in parser.ids.items() if count > 1] == []
    targets = {
        element.attributes["href"][1:]
        for tag in ("a", "use")
        for element in parser.root.find(tag)
        if element.attributes["href"].startswith("#")
    }
    assert targets <= parser.ids.keys()
    return parser


def read_table(table: Element) -> list[list[str]]:
    """Return the texts of the cells of the rows of a table."""
    return [[cell.text for cell in row.children] for row in table.find("tr")]


def leave_plots_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the plots of pages empty: matplotlib takes most of the time of a page."""

    def render_svg(_: object, name: str, description: str) -> Markup:
        return Markup('<svg class="plot" role="img" id="{}" aria-label="{}"></svg>').format(name, description)

    monkeypatch.setattr("classifier.pages.figures.render_svg", render_svg)
    monkeypatch.setattr("classifier.pages.figures.open_axes", lambda: contextlib.nullcontext(mock.MagicMock()))
