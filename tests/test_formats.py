"""Every format keeps every record whole, and is harmless wherever it is read."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from torch import nn

from paramtool.errors import ParamtoolError
from paramtool.network.listing import parameters
from paramtool.operations.gradients.backpropagation import gradients
from paramtool.operations.initialization.rule_application import initialize
from paramtool.quantities import byte_size
from paramtool.records.parameter import (
    COLUMNS,
    KIND_COLUMNS,
    STATISTICS_COLUMNS,
    ParameterRow,
    ParameterTotals,
    Printed,
)
from paramtool.records.report import Report
from paramtool.records.rule import Rule
from paramtool.records.totals import totals
from paramtool.render.cells import for_people
from paramtool.render.formats import FOR_CI, Format, as_text, render
from paramtool.render.names import shown
from paramtool.render.screen import Screen
from paramtool.render.section import sections
from tests.conftest import Run
from tests.strategies import trees

FOR_REPORTS = tuple(format for format in Format if format not in FOR_CI)
Parameters = Report[ParameterRow, ParameterTotals]

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
STRANGE = (
    *("weight", "h", "0", "{0}", ".", "a|b", '"', "'", ",", "\t", "\n", "\r\n", "\\", "\\|", " ", "  ", "`"),
    *("=1+1", "+1", "-1", "@a", "##[x]", "##[", "##", "[", "::error::x", "::", ":", "[red]", "[/]", "<b>"),
    *("日本", "é", "e\u0301", "🙂", "👩\u200d🚀", "\x00", "\x1b[31m", "\x07", "\x7f", "\x85", "\x9b", "*"),
    *("\u2028", "\ud800", "\udcff", "\xa0", "\u3000", "\u200b", "\ufeff", "\U000e0001", "_", "&lt;", *BIDI),
)

texts = st.lists(st.sampled_from(STRANGE) | st.characters(), min_size=1, max_size=6).map("".join)
names = texts.map(lambda text: ".".join(filter(None, text.split("."))) or "weight")


def row(name: str, **fields: Any) -> ParameterRow:
    """Return a row of a small matrix, but for the `fields` that are given."""
    known = {"type": "Linear", "shape": (3, 4), "dtype": "float32", "numel": 12, "nbytes": 48}
    return ParameterRow(name=name, **{**known, "requires_grad": True, **fields})


FORMS = (
    row("plain"),
    row("lazy", shape=None, numel=None, nbytes=None, requires_grad=False),
    row("folded", shape=None, dtype=None, requires_grad=None, count=7, numel=10**15, nbytes=4 * 10**15),
    row("buffer", kind="buffer", persistent=True, shape=(), numel=1, requires_grad=False),
    row("tensor", kind="tensor", shape=(0, 2**62), numel=0, nbytes=0),
    row("full", mean=-1.5e-7, std=0.1, norm=math.nan, zeros=0, nan=1, inf=2, histogram=(1, 0, 0, 5, 9)),
    row("ends", mean=1e300, min=-math.inf, max=math.inf, norm=5e-324, zeros=10**18, histogram=(0,) * 10),
    row("few", values=Printed(((1.5, math.nan), (True, 2**70)), "tensor([1.])")),
    row("many", values=Printed(None, "tensor([..., 1.])")),
)


@st.composite
def rows(draw: st.DrawFn) -> ParameterRow:
    """Draw a row of any form, with a name, a class and a tie that a stranger chose."""
    given: dict[str, Any] = {"type": draw(st.just("Linear") | texts), "tied_to": draw(st.none() | names)}
    return replace(draw(st.sampled_from(FORMS)), name=draw(names), **given)


COLUMN_SETS = (
    COLUMNS,
    (*COLUMNS[:2], *KIND_COLUMNS, *COLUMNS[2:]),
    ("name", "count", *COLUMNS[1:]),
    (*COLUMNS, *STATISTICS_COLUMNS, "values"),
)


@st.composite
def reports(draw: st.DrawFn) -> Parameters:
    """Draw a report of up to four rows with names of their own, whatever these hold."""
    found = draw(st.lists(rows(), max_size=4, unique_by=lambda row: row.name))
    columns = draw(st.sampled_from(COLUMN_SETS))
    return Report("inspect", draw(names), tuple(found), totals(found), columns)


def as_json(value: Any) -> Any:
    """Return what JSON makes of a value: NaN and infinities are strings, half a surrogate pair is escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Printed):
        return as_json(value.values)
    if isinstance(value, tuple):
        return [as_json(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value


def not_json(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def loads(text: str) -> Any:
    """Parse JSON as strictly as the standard has it."""
    return json.loads(text, parse_constant=not_json)


# machines


@given(reports())
@settings(max_examples=80, deadline=None)
def test_json_parses_back_to_the_records(report: Parameters) -> None:
    """Names come back exactly, numbers too, NaN and infinities as strings; so do the totals.

    JSON has no character for half of a surrogate pair, which is written as in a table.
    """
    text = as_text(report, "json")
    found = loads(text)
    expected = [{key: as_json(getattr(row, key)) for key in report.columns} for row in report.rows]
    more = set(KIND_COLUMNS) | ({"count"} if any(row.count > 1 for row in report.rows) else set())
    assert [{key: row[key] for key in report.columns} for row in found["rows"]] == expected
    assert all(row.keys() == {*report.columns, *more} for row in found["rows"])
    assert found["totals"] == asdict(report.totals)
    assert (found["schema"], found["command"], found["model"]) == (1, "inspect", as_json(report.model))
    assert list(found) == [
        "schema", "command", "model", "rows", "totals", "modules", "bases", "format", "contents", "metadata",
    ]  # fmt: skip
    assert text.isascii() and text.endswith("}\n")
    assert loads(f"[{','.join(as_text(report, 'jsonl').splitlines())}]") == expected


@given(reports())
@settings(max_examples=80, deadline=None)
def test_csv_parses_back_to_rows_and_columns(report: Parameters) -> None:
    """Every record is one row under the columns, with exact numbers and names as they are shown."""
    table = list(csv.reader(io.StringIO(as_text(report, "csv"), newline=""), strict=True))
    check_delimited(report, table)


@given(reports())
@settings(max_examples=80, deadline=None)
def test_tsv_parses_back_to_rows_and_columns(report: Parameters) -> None:
    """The same holds for TSV, where a row is a line and nothing is quoted."""
    lines = as_text(report, "tsv").split("\n")
    assert lines.pop() == ""
    check_delimited(report, [line.split("\t") for line in lines])


def check_delimited(report: Parameters, table: list[list[str]]) -> None:
    assert table[0] == list(report.columns)
    assert len(table) == len(report.rows) + 1
    for row, cells in zip(report.rows, table[1:], strict=True):
        assert len(cells) == len(report.columns)
        for column, cell in zip(report.columns, cells, strict=True):
            check_cell(getattr(row, column), cell)


def check_cell(value: Any, cell: str) -> None:
    if value is None or (isinstance(value, Printed) and value.values is None):
        assert cell == ""
    elif isinstance(value, str):
        assert cell.removeprefix("'") == shown(value).removeprefix("'")
        assert cell[0] not in "=+-@"
    else:
        assert (cell if cell in ("NaN", "Infinity", "-Infinity") else loads(cell)) == as_json(value)


@given(trees())
@settings(max_examples=50, deadline=None)
def test_columns_add_up_to_the_totals(module: nn.Module) -> None:
    """`numel` and `nbytes` of the rows that are tied to none add up to the totals, in JSON and CSV."""
    report = parameters(module)
    found = loads(as_text(report, "json"))
    own = [row for row in found["rows"] if row["tied_to"] is None]
    listed = {"parameters": "numel", "nbytes": "nbytes"}
    names = {row.name for row in report.rows if row.kind == "parameter"}
    lines = [line for line in csv.DictReader(io.StringIO(as_text(report, "csv"))) if line["name"] in names]
    for total, column in listed.items():
        assert sum(row[column] for row in own if row["name"] in names) == found["totals"][total]
        assert sum(int(line[column]) for line in lines if not line["tied_to"]) == found["totals"][total]


@given(st.floats(), st.integers(0), st.lists(st.integers(0), max_size=3).map(tuple))
@settings(max_examples=80, deadline=None)
def test_numbers_are_exact(number: float, count: int, shape: tuple[int, ...]) -> None:
    """Any number is read back as the very same, from JSON as from CSV and TSV."""
    one = row("w", mean=number, numel=count, shape=shape)
    columns = ("mean", "numel", "shape")
    report = Report("inspect", "m", (one,), totals([one]), columns)
    (line,) = loads(as_text(report, "json"))["rows"]
    assert [repr(line[key]) for key in columns] == [repr(as_json(getattr(one, key))) for key in columns]
    check_delimited(report, list(csv.reader(io.StringIO(as_text(report, "csv")))))
    check_delimited(report, [text.split("\t") for text in as_text(report, "tsv").splitlines()])


def test_formulas_are_text() -> None:
    """A cell that a spreadsheet would run begins with an apostrophe; a number does not."""
    formula = row("=HYPERLINK()", type="@cmd", tied_to="-x", mean=-1.5)
    report = Report("inspect", "m", (formula,), totals([formula]), ("name", "type", "tied_to", "mean"))
    assert as_text(report, "csv").splitlines()[1] == "'=HYPERLINK(),'@cmd,'-x,-1.5"


# people


@given(reports())
@settings(max_examples=80, deadline=None)
def test_markdown_has_a_row_for_each_record(report: Parameters) -> None:
    """Each record is one line of the table, and each line has the same number of bars."""
    lines = as_text(report, "markdown").split("\n\n")[0].splitlines()
    if not report.rows:
        assert "|" not in lines[0]
        return
    assert len(lines) == len(report.rows) + 2
    bars = {len(re.findall(r"\|", re.sub(r"\\.", "", line))) for line in lines}
    assert bars == {len(next(sections(report)).columns) + 1}
    for row, line in zip(report.rows, lines[2:], strict=True):
        name = re.split(r"(?<!\\)(?:\\\\)*\|", line)[1]
        assert re.sub(r"\\(.)", r"\1", name).strip() == shown(row.name).strip()


@given(reports(), st.sampled_from(("table", "tree", "markdown")), st.booleans())
@settings(max_examples=80, deadline=None)
def test_nothing_steers_a_terminal(report: Parameters, format: str, unicode: bool) -> None:
    """Every character is one that shows: none controls, turns the direction, or is in private use."""
    for line in "".join(render(report, format, Screen(unicode=unicode))).split("\n"):
        assert line.isprintable()
        assert not set(line) & set(BIDI)


@given(reports())
@settings(max_examples=80, deadline=None)
def test_no_name_is_cut(report: Parameters) -> None:
    """Names stand whole in a table and in a tree, wherever these go."""
    table = as_text(report, "table")
    tree = as_text(report, "tree")
    for row in report.rows:
        assert shown(row.name) in table
        assert all(shown(part) in tree for part in row.name.split("."))
        assert shown(row.tied_to or "").rstrip() in table  # spaces at the end of a line are not written


@given(reports(), st.sampled_from(FOR_REPORTS))
@settings(max_examples=80, deadline=None)
def test_no_line_is_a_command_to_a_runner(report: Parameters, format: Format) -> None:
    """A CI runner finds no command of its own in any line of any format."""
    for line in as_text(report, format).splitlines():
        assert "##[" not in line
        assert not line.lstrip().startswith("::")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("encoder.0.weight", "encoder.0.weight"),
        ("日本.é.🙂", "日本.é.🙂"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\u202eb", r"a\u202eb"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\U000e0001", r"\U000e0001"),
        ("\ud800", r"\ud800"),
        ("::warning::x", r"\x3a:warning::x"),
        (" ::x", r" \x3a:x"),
        ("a::b", "a::b"),
        ("a##[error]", r"a\x23#[error]"),
        ("##[##[", r"\x23#[\x23#["),
    ],
)
def test_names_are_shown_harmless(name: str, expected: str) -> None:
    """What is harmless is shown as it is, and the rest as the escape that Python has for it."""
    assert shown(name) == expected


# terminals


@given(reports())
@settings(max_examples=30, deadline=None)
def test_a_terminal_has_the_text_of_a_file(report: Parameters) -> None:
    """A table on a very wide terminal without colour is that in a file, with percents and bars added."""
    wide = iter("".join(render(report, "table", Screen(width=100_000))))
    assert all(character in wide for character in re.sub(r"[\s─]", "", as_text(report, "table")))


@given(reports(), st.integers(20, 200), st.booleans())
@settings(max_examples=50, deadline=None)
def test_nothing_is_lost_on_a_narrow_terminal(report: Parameters, width: int, unicode: bool) -> None:
    """At any width each name is there whole, and each cell, but of columns that are named below."""
    text = "".join(render(report, "table", Screen(width=width, unicode=unicode)))
    dense = re.sub(r"\s", "", text)
    not_shown = re.search(r"notshown:([\w,]+);widen,or--columns", dense)
    missing = not_shown[1].split(",") if not_shown else []
    for row in report.rows:
        for column in next(sections(report)).columns:
            cell = re.sub(r"\s", "", for_people(row, column, unicode))
            is_stacked = not text.startswith(" name") and (column, cell) == ("requires_grad", "True")
            has_many_lines = column in ("name", "tied_to")  # beside the cells of other columns
            pieces = cell.split(".") if has_many_lines else [cell]
            assert column in missing or is_stacked or all(piece in dense for piece in pieces)
    assert "name" not in missing


def _initialization() -> Report[Any, Any]:
    module = nn.ModuleDict({"embedding": nn.Embedding(9, 4), "norm": nn.LayerNorm(4)})
    rules = [Rule("normal", {"std": 0.02}, pattern="weight"), Rule("zeros", pattern="bias")]
    return initialize(module, rules)


def _gradients() -> Report[Any, Any]:
    layer = nn.Linear(4, 4)
    return gradients(nn.Sequential(layer, nn.ReLU(), layer), [torch.ones(1, 4)])


@pytest.mark.parametrize("width", range(30, 180, 7))
@pytest.mark.parametrize("make", [_initialization, _gradients])
def test_a_column_is_shown_or_said_to_be_left_out(make: Callable[[], Report[Any, Any]], width: int) -> None:
    """At any width a column is in the table with every cell, said once below, or named as left out."""
    torch.manual_seed(0)
    report = make()
    [section] = sections(report)
    text = "".join(render(report, "table", Screen(width=width)))
    everything = as_text(report, "table").splitlines()
    assert not any("not shown" in line for line in everything)
    head = text.splitlines()[0].split()
    if head[0] != "name" or len(head) == 1:  # stacked
        assert "not shown" not in text
        left_out = []
    else:
        said = re.search(r"not shown: ([\w,\s]+);", text)
        left_out = re.split(r",\s+", said[1]) if said else []
        alike = re.search(r"each line: (.*)", text)
        below = {each.split()[0] for each in alike[1].split(", ")} if alike else set()
        given = {each for each in section.columns if f"\n {each} of " in text}
        below |= given - {*head, *left_out}
        assert len(head) + len(left_out) + len(below) == len(section.columns)
        assert {*head, *left_out, *below} == set(section.columns)
        assert set(left_out) <= {each.name for each in section.facts if each.drop}
        table = text.partition("\n\n")[0].partition(" each line")[0]
        assert all(cell_len(line) <= width for line in table.splitlines())
    dense = re.sub(r"\s", "", text)
    for row in report.rows:
        for column in section.columns[1:]:
            cell = for_people(row, column)
            assert column in left_out or re.sub(r"\s", "", cell) in dense


@pytest.mark.parametrize("width", range(20, 201, 4))
@pytest.mark.parametrize("name", ["encoder.layer.3.attention.query.weight", "日本.日本.日本.日本.日本.重み"])
def test_a_name_folds_within_its_column(name: str, width: int) -> None:
    """The lines of a name, put together again, are the name; each but the last ends with a dot."""
    one = row(name)
    report = Report("inspect", "m", (one,), totals([one]), COLUMNS)
    text = "".join(render(report, "table", Screen(width=width))).split("\n\n")[0]
    lines = text.partition("\n not shown")[0].splitlines()
    if lines[0].startswith(" name"):
        assert max(map(cell_len, lines)) <= width
        first, *rest = lines[2:]
        found = [first[1:].split("  ")[0], *(line.strip() for line in rest)]
    else:
        found = [line.strip() for line in lines if not line.startswith("     ")]
        assert all(cell_len(line) <= max(width, 5 + cell_len("[3, 4]  float32")) for line in lines[1:])
    assert "".join(found) == name
    assert all(each.endswith(".") for each in found[:-1])


def test_colours_are_only_on_a_terminal_that_has_them() -> None:
    """Colour adds escapes around cells, and no other character."""
    report = parameters(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    plain = "".join(render(report, "table", Screen(width=120)))
    coloured = "".join(render(report, "table", Screen(width=120, color=True)))
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).split() == plain.split()


def test_many_rows_are_laid_out_as_few_are() -> None:
    """However many rows there are, a terminal gets the table that fits it."""
    report = parameters(nn.ParameterList([nn.Parameter()] * 5000))
    lines = list(render(report, "table", Screen(width=60, color=True)))
    assert len(lines) > 5000
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= 61 for line in lines[:5003])


@pytest.mark.parametrize("format", FOR_REPORTS)
def test_a_report_without_rows_has_every_format(format: Format) -> None:
    """Nothing is written in every format without an error, and JSON of it is JSON."""
    report = parameters(nn.ReLU())
    for screen in (Screen(), Screen(width=40), Screen(width=200, color=True, unicode=False)):
        text = "".join(render(report, format, screen))
        assert text.endswith("\n") or format is Format.jsonl
        if format is Format.json:
            assert loads(text)["rows"] == []


@pytest.mark.parametrize("format", ["table", "tree", "markdown"])
def test_ascii_is_all_that_an_ascii_terminal_gets(format: str) -> None:
    """Where characters beyond ASCII do not come through, the tool itself uses none."""
    report = parameters(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), stats=format == "table")
    for width in (None, 60, 300):
        text = "".join(render(report, format, Screen(width=width, unicode=False)))
        assert format == "markdown" or text.isascii()


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1049, "1.0 kB"),
        (1051, "1.1 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_000_000, "1.0 MB"),
        (999_950_000, "1.0 GB"),
        (141_107_412_992, "141.1 GB"),
        (10**12, "1.0 TB"),
        (10**15, "1.0 PB"),
        (999_949 * 10**12, "999.9 PB"),
        (10**18, "1.0 EB"),
        (10**22, "10,000.0 EB"),
    ],
)
def test_bytes_are_in_decimal_units(count: int, expected: str) -> None:
    """Units go by thousands, and no number is rounded to a thousand of the unit below."""
    assert byte_size(count) == expected


@given(st.integers(0, 10**21))
@settings(deadline=None)
def test_a_size_is_right_to_its_last_digit(count: int) -> None:
    """The size that is shown is that of the bytes, rounded to what is shown."""
    number, unit = byte_size(count).split()
    scale = {"B": 0, "kB": 3, "MB": 6, "GB": 9, "TB": 12, "PB": 15, "EB": 18}[unit]
    shown_size = float(number.replace(",", "")) * 10.0**scale
    assert abs(shown_size - count) <= (0 if unit == "B" else 0.0501 * 10.0**scale)
    assert unit == "EB" or float(number) < 1000


def test_an_unknown_format_is_refused() -> None:
    """A format that there is none of is an error before anything is written."""
    for format in FOR_CI:
        with pytest.raises(ParamtoolError, match=f"inspect has no format {format.value}"):
            as_text(parameters(nn.ReLU()), format)
    with pytest.raises(ValueError, match="there is no format 'xml'"):
        as_text(parameters(nn.ReLU()), "xml")


@pytest.mark.parametrize("command", ["inspect", "init", "initializers"])
def test_json_for_short_and_another_format_contradict_each_other(
    command: str, run: Run, tmp_path: Path
) -> None:
    """--json beside --format is an error in either order, unless the format is json."""
    model = tmp_path / "model.yaml"
    model.write_text("model: {Linear: [1, 1]}\ninit: [zeros: ]\n")
    words = [command] if command == "initializers" else [command, str(model)]
    for options in (["--json", "-f", "csv"], ["--format=csv", "--json"]):
        result = run(*words, *options)
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr == "error: --json cannot be used with --format csv\n"
    plain = run(*words, "--json")
    assert run(*words, "-f", "json", "--json").stdout == plain.stdout
