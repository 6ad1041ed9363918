"""Pages in a real browser: what is clicked, typed, printed, seen in the dark, or read by a screen reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import paramtool
from paramtool import Rule
from paramtool.records.report import Report
from tests.browser import INSTALL, VARIABLE, Browser, find
from tests.conftest import CONFIGS, ROOT
from tests.test_html import HOSTILE
from tools import page_pictures

PATH = find()

pytestmark = pytest.mark.skipif(PATH is None, reason=f"no chromium or chrome; {VARIABLE}={INSTALL} gets one")

CONTRAST = """
(() => {
  const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const found = numbers(getComputedStyle(element).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("script, style, title")) continue;
    const style = getComputedStyle(element);
    const text = light(numbers(element.closest("svg") ? style.fill : style.color));
    const back = light(behind(element));
    const ratio = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    if (ratio < 4.5) bad.push([ratio.toFixed(2), walker.currentNode.data.slice(0, 40)]);
  }
  return bad;
})()
"""
"""Every text whose contrast with what is behind it is below 4.5, as WCAG 2 has it."""

LABELS = """
[...document.querySelectorAll("input, select, button, [role=region], [role=img]")].filter((each) =>
  !(each.labels?.length || each.textContent.trim() || each.getAttribute("aria-label"))
).map((each) => each.outerHTML.slice(0, 80))
"""
"""Everything that one can act on, and every picture, without a name."""

LEADS = """[...document.querySelectorAll("table.pt-rows tbody tr")].filter((row) => row.checkVisibility())
  .map((row) => row.querySelector("th").textContent)"""

CUT = """[...document.querySelectorAll("th, td")].filter((each) =>
  !each.querySelector(".pt-hidden") && each.scrollWidth > each.clientWidth + 1
).map((each) => each.textContent.slice(0, 80))"""
"""Every cell whose text is wider than it, and so lies over the next one."""

WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
"""Pixels by which the page is wider than the window."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the browser once."""
    assert PATH is not None
    with Browser(PATH) as found:
        yield found


def reports() -> dict[str, Report[Any, Any]]:
    """Return one report of each kind, with names that attack and values that are odd."""
    torch.manual_seed(0)
    blocks = nn.Sequential(
        *(nn.Sequential(nn.Linear(8, 8), nn.Sigmoid()) for _ in range(20)), nn.Linear(8, 1)
    )
    tied = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8, bias=False))
    tied[2].weight = tied[0].weight
    base = torch.arange(40.0)
    overlapping = nn.ParameterList([nn.Parameter(base[:20]), nn.Parameter(base[10:30])])
    old = {f"h.{at}.{kind}": torch.randn(4) for at in range(12) for kind in ("w", "b")}
    new = {name: value * (1 + 0.1 ** (at % 5)) for at, (name, value) in enumerate(old.items())}
    new["h.11.w"] = torch.ones(3)
    new["head"] = torch.ones(1)
    hostile = [name for name in HOSTILE if "\ud800" not in name]
    return {
        "inspect": paramtool.inspect(str(CONFIGS / "gpt2.yaml")),
        "statistics": paramtool.inspect(blocks, stats=True),
        "init": paramtool.initialize(blocks, [Rule("normal", {"std": 0.1}, pattern="weight")]),
        "shared": paramtool.shared(overlapping),
        "grad": paramtool.gradients(blocks, [torch.ones(2, 8)], layers=True),
        "uses": paramtool.gradients(tied, [torch.ones(2, 8)]),
        "diff": paramtool.diff(old, new, values=True),
        "check": paramtool.check(str(CONFIGS / "gpt2.yaml")),
        "hostile": paramtool.inspect({name: torch.ones(2) for name in hostile}),
        "hostile diff": paramtool.diff(
            {f"{at}.{name}": torch.ones(2, 2) for at in range(3) for name in hostile},
            {f"{at}.{name}": torch.full((2, 2), 1.5) for at in range(3) for name in hostile},
            values=True,
            spectrum=True,
        ),
        "values": paramtool.inspect(tied, values=True),
        "cost": paramtool.cost(blocks, [torch.ones(2, 8)]),
    }


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, report in reports().items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(paramtool.as_text(report, "html"), "ascii")
    return found


KINDS = (
    "inspect",
    "statistics",
    "init",
    "shared",
    "grad",
    "uses",
    "diff",
    "check",
    "hostile",
    "hostile diff",
    "cost",
    "values",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_shows_without_a_complaint(browser: Browser, pages: dict[str, Path], kind: str) -> None:
    """It asks for nothing, no style or script is refused, all is named, and the text stands out."""
    for dark in (False, True):
        browser.open(pages[kind], dark=dark)
        browser.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert browser.evaluate(CONTRAST) == []
    assert browser.requests == [pages[kind].as_uri()]
    assert browser.complaints == []
    assert browser.evaluate(LABELS) == []
    for width in (400, 1000, 1600):
        browser.open(pages[kind], width)
        assert browser.evaluate(WIDE) == 0, width
        assert browser.evaluate(CUT) == [], width


def test_a_table_is_filtered(browser: Browser, pages: dict[str, Path]) -> None:
    """By a regular expression for the name, and by class; what is wrong as an expression is a text."""
    browser.open(pages["inspect"])
    every = browser.evaluate(LEADS)
    assert len(every) == 161

    def typed(pattern: str) -> list[str]:
        browser.evaluate(
            "document.querySelector('input').focus(); document.querySelector('input').value = ''"
        )
        browser.call("Input.insertText", text=pattern)
        found: list[str] = browser.evaluate(LEADS)
        return found

    assert typed("^h\\.3\\..*bias$") == [
        name for name in every if name.startswith("h.3.") and name[-4:] == "bias"
    ]
    assert browser.evaluate("document.querySelector('output').textContent") == "7 of 161 rows"
    assert typed("h.3.(") == []
    typed("")
    browser.evaluate(
        "(() => { const each = document.querySelector('select'); each.value = '=Embedding';"
        " each.dispatchEvent(new Event('input')); })()"
    )
    assert browser.evaluate(LEADS) == ["wte.weight", "wpe.weight"]


def test_a_table_is_sorted_by_the_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    """Numbers by their value, largest first; then smallest first; then as they were."""
    browser.open(pages["inspect"])
    every = browser.evaluate(LEADS)
    head = "[...document.querySelectorAll('thead th')].find((each) => each.textContent === 'nbytes')"
    browser.evaluate(f"{head}.querySelector('button').focus()")
    orders = []
    for _ in range(3):
        browser.press("Enter", "\r")
        orders.append((browser.evaluate(f"{head}.getAttribute('aria-sort')"), browser.evaluate(LEADS)))
    assert [order for order, _ in orders] == ["descending", "ascending", None]
    assert orders[0][1][:2] == ["wte.weight", "lm_head.weight"]
    assert orders[1][1][0] != orders[0][1][0]
    assert orders[2][1] == every


def test_uses_stay_below_their_parameter(browser: Browser, pages: dict[str, Path]) -> None:
    """Sorting and filtering move a parameter with its uses."""
    browser.open(pages["uses"])
    assert browser.evaluate(LEADS) == ["0.weight", "0", "2", "0.bias"]
    browser.evaluate("document.querySelector('thead button').click()")
    assert browser.evaluate(LEADS) == ["0.bias", "0.weight", "0", "2"]


def test_a_tree_folds(browser: Browser, pages: dict[str, Path]) -> None:
    """A click on a module folds it, and so does the keyboard."""
    browser.open(pages["inspect"])
    module = "[...document.querySelectorAll('details')].find((each) => each.textContent.startsWith('h '))"
    seen = f"{module}.querySelector('li').checkVisibility()"
    assert browser.evaluate(seen) is True
    browser.evaluate(f"{module}.querySelector('summary').click()")
    assert browser.evaluate(seen) is False
    browser.evaluate(f"{module}.querySelector('summary').focus()")
    browser.press(" ", " ")
    assert browser.evaluate(seen) is True
    browser.evaluate(
        "[...document.querySelectorAll('button')].find((each) => each.textContent === 'Fold all').click()"
    )
    assert browser.evaluate("document.querySelectorAll('details[open]').length") == 0


def test_a_page_reads_without_a_script(browser: Browser, pages: dict[str, Path]) -> None:
    """Every row is there, a module folds, and nothing pretends that it could be clicked."""
    browser.open(pages["inspect"], script=False)
    assert len(browser.evaluate(LEADS)) == 161
    assert browser.evaluate("document.querySelectorAll('button, input, select').length") == 0
    browser.evaluate("document.querySelector('summary').click()")
    assert browser.evaluate("document.querySelector('details').open") is False


def test_the_keyboard_reaches_everything(browser: Browser, pages: dict[str, Path]) -> None:
    """Tab goes through every control in the order of the page, and each shows that it has the focus."""
    browser.open(pages["uses"])
    controls = "[...document.querySelectorAll('button, input, select, summary, [tabindex]')]"
    seen = f"{controls}.filter((each) => each.checkVisibility())"
    reached = []
    for _ in range(browser.evaluate(f"{seen}.length")):
        browser.press("Tab")
        reached.append(browser.evaluate(f"{seen}.indexOf(document.activeElement)"))
        assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == [*range(len(reached))]
    assert len({browser.evaluate(f"{seen}[{at}].ariaLabel ?? ''") for at in range(2)}) == 2


def test_names_that_attack_stay_text(browser: Browser, pages: dict[str, Path]) -> None:
    """No element of a name is there, before and after the script has moved the rows."""
    browser.open(pages["hostile"])
    assert browser.evaluate("document.querySelectorAll('script').length") == 1
    assert browser.evaluate("document.querySelectorAll('i, img').length") == 0
    assert "<script>alert(1)</script>" in browser.evaluate(LEADS)
    browser.evaluate("document.querySelector('thead button').click()")
    assert browser.evaluate("document.querySelectorAll('script').length") == 1


def test_the_policy_holds_where_all_else_fails(browser: Browser, pages: dict[str, Path]) -> None:
    """Were markup to get into a page, no script of it would run, and nothing would be loaded."""
    browser.open(pages["inspect"])
    browser.evaluate(
        "const added = document.createElement('script'); added.textContent = 'window.evil = 1';"
        " const image = new Image(); image.src = 'data:image/gif;base64,R0lGODlhAQABAAAAACw=';"
        " document.body.append(added, image)"
    )
    browser.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert browser.evaluate("window.evil") is None
    assert len([each for each in browser.complaints if "Content Security Policy" in each]) == 2


def test_a_page_prints(browser: Browser, pages: dict[str, Path]) -> None:
    """On paper every module is unfolded, and what is only for a screen is not there."""
    browser.open(pages["inspect"])
    assert browser.printed().startswith(b"%PDF-")
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate("document.querySelector('.pt-tools').checkVisibility()") is False
    folded = "[...document.querySelectorAll('details:not([open]) li')]"
    assert browser.evaluate(f"{folded}.length") > 0
    assert browser.evaluate(f"{folded}.every((each) => each.getBoundingClientRect().height)")
    browser.call("Emulation.setEmulatedMedia", media="")


def test_the_picture_of_the_readme_is_drawn(browser: Browser, tmp_path: Path) -> None:
    """A browser shows HTML inside of SVG inside of an <img>, as GitHub does, and it has room for all."""
    picture = ROOT / "docs" / "pictures" / "pages.svg"
    browser.open(picture, 1200)
    cut = "const e = document.querySelector('.pt-page'); [e.scrollHeight - e.clientHeight, e.clientHeight]"
    assert browser.evaluate(cut) == [0, page_pictures.HEIGHT]
    file = tmp_path / "r.html"
    file.write_text(f"<!DOCTYPE html><img src='{picture.as_uri()}'>")
    browser.open(file, 1200)
    size = "[document.images[0].naturalWidth, document.images[0].naturalHeight]"
    assert browser.evaluate(size) == [page_pictures.WIDTH, page_pictures.HEIGHT]
    assert len(browser.picture()) > 30_000  # bytes of PNG: an empty one has a tenth


def test_a_notebook_keeps_its_styles_to_itself(browser: Browser, tmp_path: Path) -> None:
    """What is around a view looks as before, whatever the rules of the notebook for tables are."""
    view = paramtool.inspect(nn.Linear(4, 3))._repr_html_()
    jupyter = ".jp-R:not(.jp-M) td { text-align: right; padding: 30px; } .jp-R table { table-layout: fixed; }"
    file = tmp_path / "n.html"
    file.write_text(
        f"<!DOCTYPE html><style>{jupyter}</style><body class=jp-R><table class=t><td>1</table><p>a</p>{view}"
    )
    browser.open(file)
    style = "getComputedStyle(document.querySelector('%s')).%s"
    assert browser.evaluate(style % (".t td", "paddingLeft")) == "30px"
    assert browser.evaluate(style % ("p", "color")) == "rgb(0, 0, 0)"
    assert browser.evaluate(style % (".paramtool td", "paddingLeft")) == "0px"
    assert browser.evaluate(style % (".paramtool table", "tableLayout")) == "auto"
    assert browser.evaluate(CONTRAST) == []
