"""Open a page in a real browser, and look at what it shows."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

# Returns what is wrong with the legibility of the page: text that is small, or too similar to its background.
FIND_ILLEGIBLE = """() => {
  const parse = (color) => {
    const [red, green, blue, alpha = 1] = color.match(/[\\d.]+/g).map(Number);
    return {values: [red, green, blue], alpha};
  };
  const luminance = (values) => {
    const [red, green, blue] = values.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const findBackground = (element) => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      layers.unshift(color);
      if (color.alpha === 1) break;
    }
    return layers.reduce((below, {values, alpha}) => below.map((v, i) => v * (1 - alpha) + values[i] * alpha),
                         [255, 255, 255]);
  };
  const problems = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
    if (element.closest("script, style")) continue;
    const style = getComputedStyle(element);
    const svg = element.closest("svg.plot");
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const size = parseFloat(style.fontSize) * scale;
    const text = parse(svg ? style.fill : style.color).values;
    const [dark, light] = [luminance(text), luminance(findBackground(element))].sort((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    const name = `${element.tagName}.${element.className.baseVal ?? element.className}`;
    if (size < 11) problems.add(`${name}: ${size} pixels`);
    if (contrast < 4.5) problems.add(`${name}: contrast ${contrast.toFixed(2)}`);
  }
  return [...problems];
}"""

# Returns what is not shown: pictures that cannot be decoded, and plots and references to pictures without a size.
FIND_MISSING = """async () => {
  const missing = [];
  for (const picture of document.querySelectorAll("img, image")) {
    const copy = new Image();
    copy.src = picture.getAttribute("src") ?? picture.getAttribute("href");
    await copy.decode().catch(() => {});
    if (!copy.naturalWidth) missing.push(picture.outerHTML.slice(0, 100));
  }
  for (const svg of document.querySelectorAll("svg.plot, svg.picture")) {
    const {width, height} = svg.getBoundingClientRect();
    const content = svg.getBBox();
    if (!(width && height && content.width && content.height)) missing.push(svg.outerHTML.slice(0, 100));
  }
  return missing;
}"""

# Returns elements that are wider than the window, and are not in a container that scrolls.
FIND_OVERFLOW = """() => [...document.body.querySelectorAll("*")]
  .filter((element) => !element.parentElement.closest(".scroll, svg") && getComputedStyle(element).display !== "none")
  .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map((element) => element.outerHTML.slice(0, 100))"""


def find_browser(playwright: Any) -> str:
    """Return the path of an installed browser, or skip the test."""
    paths = [*filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path]
    for path in paths:
        if Path(path).exists():
            return path
    pytest.skip(f"no browser is installed: {', '.join(NAMES)}, or `playwright install chromium`")


@contextlib.contextmanager
def open_browser() -> Iterator[Any]:
    """Yield a browser without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(playwright), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def open_page(browser: Any, path: Path) -> Iterator[tuple[Any, list[str]]]:
    """Yield the page of a file, and a list to which its errors and requests of anything but the file are added."""
    address = path.resolve().as_uri()
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light")
    problems: list[str] = []
    page.on("console", lambda message: problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on(
        "request",
        lambda request: problems.append(request.url) if not request.url.startswith((address, "data:")) else None,
    )
    page.goto(address)
    try:
        yield page, problems
    finally:
        page.close()
