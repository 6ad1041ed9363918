"""Pages: how many bytes they have, and when a browser shows something of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.files import Files
from benchmarks.rows import CONFIGS, ours
from tests.browser import Browser, find

MOST_BYTES = 1_000_000
"""The goal for every page."""

MOST_PAINT = 400
"""The goal for the first paint, in milliseconds beyond that of a page with one word."""

WORD = "<!DOCTYPE html><title>word</title><p>word"

PAINT = """
new Promise((done) => {
  const seen = () => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    paint ? done(paint.startTime) : setTimeout(seen, 10);
  };
  seen();
})
"""
"""Milliseconds from the request for a page to the first text or picture that is drawn."""


@dataclass(frozen=True)
class PageFigures:
    """What one page takes.

    Attributes:
        page: what it shows.
        size: its bytes.
        paint, word: medians of milliseconds to the first paint of it and of a page with one word; None
            without a browser.
    """

    page: str
    size: int
    paint: float | None
    word: float | None

    @property
    def met(self) -> bool:
        """Whether it is as small, and as soon there, as it should be."""
        is_soon = self.paint is None or self.word is None or self.paint - self.word <= MOST_PAINT
        return self.size <= MOST_BYTES and is_soon

    def line(self) -> str:
        """Return the figures as they are printed."""
        paint = "" if self.paint is None else f"{self.paint:,.0f} ms"
        word = "" if self.word is None else f"{self.word:,.0f} ms"
        met = "yes" if self.met else "NO"
        return f"{self.page:42} {self.size / 1000:10,.1f} kB {paint:>12} {word:>12}  {met}"


HEADER = f"{'page':42} {'size':>13} {'first paint':>12} {'of one word':>12}  met"


def page_figures(files: Files, folder: Path, pairs: int, *, is_quick: bool) -> Iterator[PageFigures]:
    """Write each page and yield its figures; without a browser, its size alone.

    Args:
        files: what the pages are of.
        folder: where they are written.
        pairs: how often each is shown, in turn with a page of one word.
        is_quick: only the pages that are soon written.
    """
    word, browser = folder / "word.html", find()
    word.write_text(WORD)
    made = [(name, _written(make(files), folder)) for name, make in _pages(is_quick=is_quick)]
    if browser is None:
        yield from (PageFigures(name, path.stat().st_size, None, None) for name, path in made)
        return
    with Browser(browser) as window:
        for name, path in made:
            times = [(_paint(window, path), _paint(window, word)) for _ in range(pairs + 1)][1:]
            paint, plain = map(statistics.median, zip(*times, strict=True))
            yield PageFigures(name, path.stat().st_size, paint, plain)


def _paint(window: Browser, path: Path) -> float:
    window.open(path)
    return float(window.evaluate(PAINT))


def _pages(*, is_quick: bool) -> Iterator[tuple[str, Callable[[Files], Sequence[str | Path]]]]:
    """Yield the name of each page, and what its command is made from."""
    gpt2 = CONFIGS / "gpt2.yaml"
    yield "inspect gpt2.yaml --stats", lambda _: ("inspect", gpt2, "--stats")
    yield "inspect of 100,000 unlike tensors", lambda files: ("inspect", files.flat(100_000))
    if not is_quick:
        yield "inspect resnet18.yaml --stats", lambda _: ("inspect", CONFIGS / "resnet18.yaml", "--stats")
        yield "diff gpt2.yaml resnet18.yaml", lambda _: ("diff", gpt2, CONFIGS / "resnet18.yaml")
        yield "inspect --cost of 124 M", lambda files: ("inspect", files.runnable(), "--cost")


def _written(arguments: Sequence[str | Path], folder: Path) -> Path:
    path = folder / f"page{len(list(folder.glob('page*.html')))}.html"
    ours(*arguments, "--report", path)[0].run()
    return path
