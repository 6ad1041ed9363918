"""Which columns fit a terminal, and where names and texts go on in the next line: for any table."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from paramtool.records.column import Column
from paramtool.render.breaks import INDENT, broken, least_width, two_line_width, wrapped
from paramtool.render.fit import GAP, fit
from paramtool.render.layout import laid_out
from paramtool.render.screen import Screen, width_of

PARTS = st.text("ab_1日", min_size=1, max_size=12)
NAMES = st.lists(PARTS, min_size=1, max_size=5).map(".".join)
FOLDED = NAMES.map(lambda name: f"h.{{0..11}}.{name}")
TEXTS = st.lists(st.sampled_from(["[1, 1024, 1024]", "float32", "not", "a.b.c_d", "0.02", "x" * 15])).map(
    " ".join
)
NUMBERS = st.floats(-1e9, 1e9).map(lambda number: f"{number:.4g}")
NAME = Column("name", name="name")
TEXT = Column(wraps=True, name="found")


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Column], list[list[str]]]:
    """Draw a table with a name, and texts and numbers that leave it in any order."""
    kinds = draw(st.lists(st.sampled_from(["text", "number", "link"]), max_size=6))
    columns = [NAME]
    for index, kind in enumerate(kinds):
        drop = draw(st.integers(0, 12))
        facts = {"text": Column(wraps=True), "number": Column("number"), "link": Column(pooled="path")}[kind]
        columns.append(facts._replace(name=f"c{index}", drop=drop))
    cells = {"text": TEXTS, "number": NUMBERS, "link": NAMES}
    row = st.tuples(NAMES | FOLDED, *(cells[kind] for kind in kinds)).map(list)
    return columns, draw(st.lists(row, max_size=5))


@settings(max_examples=200, deadline=None)
@given(tables(), st.integers(15, 150))
def test_a_table_that_fits_is_no_wider(table: tuple[list[Column], list[list[str]]], width: int) -> None:
    """No line is wider than the terminal, each column is somewhere, and only what may go is left out."""
    columns, cells = table
    fitted = fit(columns, cells, width)
    if fitted is None:
        return
    assert sum(fitted.widths) + GAP * (len(fitted.shown) - 1) <= width
    assert sorted([*fitted.shown, *fitted.alike, *fitted.left_out]) == list(range(len(columns)))
    assert all(columns[index].drop for index in fitted.left_out)
    assert 0 in fitted.shown
    assert len(fitted.shown) >= min(2, len(columns))
    lines = "".join(laid_out(columns, cells, Screen(width + 1))).partition("\n each line")[0]
    table_lines = re.split(r"\n (?:not shown|c\d+ of\b)", lines)[0].splitlines()  # texts are given below
    assert all(width_of(line) <= width + 1 for line in table_lines)


@given(NAMES | FOLDED, st.integers(1, 60))
def test_a_name_goes_on_after_a_dot(name: str, width: int) -> None:
    """The lines of a name are the name; each but the last ends with a dot, and none is of a folded span."""
    first, *rest = broken(NAME, name, width)
    assert all(line.startswith(INDENT) for line in rest)
    pieces = [first, *(line.removeprefix(INDENT) for line in rest)]
    assert "".join(pieces) == name
    assert all(piece.endswith(".") and not piece.endswith("..") for piece in pieces[:-1])
    if width >= least_width(NAME, name):
        assert all(width_of(line) <= width for line in (first, *rest))
    if width >= two_line_width(NAME, name):
        assert len(rest) <= 1


@given(TEXTS, st.integers(1, 60))
def test_a_text_goes_on_after_a_space(text: str, width: int) -> None:
    """The words of a text are all there, and a shape and a number stay whole."""
    lines = broken(TEXT, text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    if width >= least_width(TEXT, text):
        assert all(width_of(line) <= width for line in lines)
    assert sum(line.count("[1, 1024, 1024]") for line in lines) == text.count("[1, 1024, 1024]")
    assert sum(line.count("0.02") for line in lines) == text.count("0.02")


@given(TEXTS, st.integers(1, 60))
def test_a_sentence_goes_on_after_a_space(text: str, width: int) -> None:
    """The sentences below a table lose nothing."""
    assert " ".join(wrapped(text, width)).split() == text.split()
