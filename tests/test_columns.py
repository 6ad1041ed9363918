"""What the fields of the records say about their columns holds for the records and for the renderers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest
import torch
from torch import nn

from paramtool import gradients
from paramtool.quantities import and_more, byte_size, counted
from paramtool.records import (
    difference,
    expectation,
    gradient,
    initialization,
    initializer,
    parameter,
    sharing,
)
from paramtool.records.column import Column, column_of, columns_of, sort_keys
from paramtool.records.parameter import ParameterRow, ParameterTotals
from paramtool.render.fit import fit
from paramtool.render.formats import folded
from paramtool.render.tones import CODES

REPORTS = {
    parameter: parameter.Listing,
    initialization: initialization.Initialization,
    sharing: sharing.Sharing,
    gradient: gradient.Gradients,
    difference: difference.Differences,
    expectation: expectation.Expectations,
    initializer: initializer.Initializers,
}

each_report = pytest.mark.parametrize(
    "module", REPORTS, ids=lambda module: module.__name__.rpartition(".")[2]
)


@each_report
def test_the_totals_know_the_type_of_their_rows(module: Any) -> None:
    """What a renderer asks for the columns of a report without rows is what the report is of."""
    row, totals = get_args(REPORTS[module])
    assert totals.row is row


@each_report
def test_a_table_has_columns_that_its_rows_have(module: Any) -> None:
    """Every name in a table of columns is a field of the row, or a property of it."""
    row, _ = get_args(REPORTS[module])
    tables = [value for name, value in vars(module).items() if name.endswith("COLUMNS")]
    assert tables
    for name in (name for table in tables for name in table):
        assert name in columns_of(row) or isinstance(getattr(row, name), property)
        assert column_of(row, name).kind != "internal"


@each_report
def test_facts_about_one_field_fit_together(module: Any) -> None:
    """Numbers are numeric, a std has its mean, a tone has a style, and what is internal is not shown."""
    row, _ = get_args(REPORTS[module])
    columns = columns_of(row)
    assert list(columns) == [each.name for each in fields(row)]
    assert [name for name, each in columns.items() if each.kind == "name"] == ["name"]
    assert columns["count"].kind == "times"
    for field in fields(row):
        column = columns[field.name]
        assert column.name == field.name
        assert (column.pooled == "std") == (column.mean in columns)
        assert {column.tone, *column.tones.values()} <= set(CODES)
        assert column.kind != "bytes" or str(field.type).startswith("int")
        if "float" in str(field.type):
            assert column.is_numeric or column.kind == "bar"
        if not field.repr:
            assert column.kind == "internal"


def test_rows_sort_by_what_has_an_order() -> None:
    """Elements, histograms and what is no column are no sort keys; everything else of a row is."""
    keys = sort_keys(ParameterRow)
    assert set(columns_of(ParameterRow)) - set(keys) == {"histogram", "values", "counted", "bases"}


def test_facts_are_found_once() -> None:
    """The columns of a record are worked out when they are first asked for, and then kept."""
    assert columns_of(ParameterRow) is columns_of(ParameterRow)
    assert column_of(expectation.ExpectationRow, "place") == Column(shown="filled", drop=10, name="place")


def test_columns_that_drop_together_go_together() -> None:
    """Two columns of one number leave a narrow table at once, the lower number first; one stays."""
    columns = [Column("name", name="name"), *(Column("number", drop=2, name=each) for each in ("min", "max"))]
    columns.append(Column("number", drop=1, name="mean"))
    cells = [["a", "1", "2", "3"], ["b", "4", "5", "6"]]
    widths = {width: fit(columns, cells, width) for width in (20, 19, 14, 13, 10, 9)}
    left = {
        width: fitted and [columns[index].name for index in fitted.shown] for width, fitted in widths.items()
    }
    assert left == {
        20: ["name", "min", "max", "mean"],
        19: ["name", "min", "max"],
        14: ["name", "min", "max"],
        13: ["name", "mean"],
        10: ["name", "mean"],
        9: None,
    }


def test_what_does_not_fold_comes_back_as_it_is() -> None:
    """Where gradients are printed, each parameter has a row, however alike its blocks are."""
    module = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2)) for _ in range(4)))
    for each in module.parameters():
        nn.init.zeros_(each)
    report = gradients(module, (torch.zeros(1, 2),))
    assert folded(report) is report
    assert ParameterTotals.fold == "block"


@pytest.mark.parametrize(
    ("number", "text"), [(-1, ""), (0, ""), (1, " and 1 more"), (1234, " and 1,234 more")]
)
def test_what_is_not_named_is_counted(number: int, text: str) -> None:
    """Nothing follows where nothing is left out."""
    assert and_more(number) == text
    assert and_more(number, ", ") == text.replace(" ", ", ", 1)


def test_one_is_singular() -> None:
    """Counts have a noun that agrees, and sizes a unit that leaves three digits or more."""
    assert [counted(number, "name") for number in (0, 1, 1000)] == ["0 names", "1 name", "1,000 names"]
    sizes = [byte_size(each) for each in (999, 10**15 - 1, 999_949 * 10**12, 10**18, 1234 * 10**18)]
    assert sizes == ["999 B", "1.0 PB", "999.9 PB", "1.0 EB", "1,234.0 EB"]
