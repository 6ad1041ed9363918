"""Each expectation is kept and broken by true models, and says what was found."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch import nn

from paramtool.errors import CannotAnswer, NothingMatched, Problems
from paramtool.language.document import Inputs
from paramtool.language.expectations import KINDS
from paramtool.network.listing import parameters
from paramtool.operations.expectations.findings import EXPECTATIONS, MOST_NAMED, Examined, check
from paramtool.place import Place, Text
from paramtool.quantities import COUNTS, SIZES, about, between
from paramtool.records.expectation import Expectation, ExpectationRow, Expected
from paramtool.records.gradient import Gradients
from paramtool.records.parameter import Listing
from tests.conftest import Run

PLACE = Place(Text("model.yaml", "expect: {}"), 7, 3)


@dataclass
class Told:
    """What a module tells, and what stands in for a spec's rules, a backward pass and a snapshot."""

    module: nn.Module
    name: str = "model.yaml"
    inputs: Inputs | None = Inputs()  # noqa: RUF009 - a frozen record
    is_buildable: ClassVar[bool] = True
    rules: Collection[str] | Exception = ()
    verdicts: Mapping[str, str] = field(default_factory=dict)
    different: Sequence[str] = ()
    aliased: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        self.asked.append("values")

    def listing(self, *, stats: bool = False) -> Listing:
        self.asked.append("statistics" if stats else "listing")
        return parameters(self.module, stats=stats)

    def representatives(self) -> Mapping[str, str]:
        return {**{row.name: row.tensor for row in self.listing().rows}, **self.aliased}

    def unfilled(self) -> list[str]:
        if isinstance(self.rules, Exception):
            raise self.rules
        return list(self.rules)

    def hint_of_input(self, argument: str = "") -> str:
        return argument

    def initialized(self) -> Examined:
        return self

    def gradients(self, *, by_use: bool, values: bool) -> Gradients:
        assert (by_use, values) == (False, False)
        rows = [
            SimpleNamespace(name=name, verdict=verdict, kind="parameter")
            for name, verdict in self.verdicts.items()
        ]
        return SimpleNamespace(rows=rows)  # type: ignore[return-value]

    def differences(self, snapshot: str, place: Place, listing: Listing) -> Sequence[str]:
        assert (snapshot, place) == ("main.json", PLACE)
        assert listing.rows
        return self.different


def held(name: str, value: Expected, evidence: Told) -> ExpectationRow:
    """Return the row of one expectation."""
    report = check([Expectation(name, value, PLACE)], evidence, evidence.differences)
    (row,) = report.rows
    assert (row.model, row.name, row.expected) == ("model.yaml", name, str(Expectation(name, value, PLACE)))
    assert (row.file, row.line, row.column, row.place) == ("model.yaml", 7, 3, "model.yaml:7:3")
    assert (report.totals.kept, report.totals.broken) == (row.holds, not row.holds)
    assert not row.names or not row.holds
    return row


def found(name: str, value: Expected, evidence: Told) -> tuple[bool, str]:
    """Return whether one expectation holds, and what was found."""
    row = held(name, value, evidence)
    assert row.holds is not None
    assert row.found is not None
    return row.holds, row.found


def mlp() -> nn.Sequential:
    """Return 19 parameters in four tensors."""
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))


def tied() -> nn.Sequential:
    """Return one weight under two names, and two biases."""
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    return nn.Sequential(first, second)


def test_every_expectation_of_the_language_has_its_function() -> None:
    """What a spec may expect is what check knows, in the same order."""
    assert [*EXPECTATIONS, "same_as"] == [
        "parameters", "trainable", "bytes", "names", "frozen", "dtype", "shared", "distinct", "finite",
        "init", "gradients", "same_as",
    ]  # fmt: skip
    assert list(KINDS) == [*EXPECTATIONS, "same_as"]


@pytest.mark.parametrize(
    ("written", "holds"),
    [("19", True), ("18", False), ("20", False), ("0.02k", True), ("0.03k", False)],
)
def test_parameters_are_counted(written: str, holds: bool) -> None:
    """The count is that of the totals: digits are exact, a suffix rounds."""
    assert found("parameters", about(written, COUNTS), Told(mlp())) == (holds, "19")


def test_a_tied_parameter_counts_once() -> None:
    """One tensor under two names is counted, and weighs, once."""
    assert found("parameters", about("8", COUNTS), Told(tied())) == (True, "8")
    assert found("bytes", about("32 B", SIZES), Told(tied())) == (True, "32 B")


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [
        ((None, "19"), True),
        ((None, "18"), False),
        (("19", None), True),
        (("20", None), False),
        (("19", "19"), True),
        ((None, "0.018k"), False),
    ],
)
def test_a_bound_is_inclusive(bounds: tuple[str | None, str | None], holds: bool) -> None:
    """The least and the most that are allowed are themselves allowed, and not rounded."""
    assert found("parameters", between(*bounds, COUNTS), Told(mlp())) == (holds, "19")


def test_trainable_counts_what_requires_a_gradient() -> None:
    """Frozen parameters are none of the trainable ones."""
    module = mlp()
    module[0].requires_grad_(False)
    assert found("trainable", about("4", COUNTS), Told(module)) == (True, "4")
    assert found("trainable", about("19", COUNTS), Told(module)) == (False, "4")


def test_bytes_are_those_of_the_parameters() -> None:
    """Bytes follow the dtype, buffers are not among them, and large ones are shown exactly as well."""
    assert found("bytes", about("76 B", SIZES), Told(mlp())) == (True, "76 B")
    assert found("bytes", about("76 B", SIZES), Told(mlp().bfloat16())) == (False, "38 B")
    assert found("bytes", about("4 kB", SIZES), Told(nn.Linear(1000, 1))) == (True, "4.0 kB (4,004 B)")
    assert found("bytes", between(None, "4KiB", SIZES), Told(nn.Linear(1000, 1)))[0]
    assert not found("bytes", between(None, "4kB", SIZES), Told(nn.Linear(1000, 1)))[0]
    assert found("bytes", about("32", SIZES), Told(nn.BatchNorm1d(4))) == (True, "32 B")


def test_names_all_match_a_pattern() -> None:
    """The pattern is searched in every name, those of ties too; all that do not match are told."""
    assert found("names", r"^\d+\.(weight|bias)$", Told(mlp())) == (True, "4 of 4 match")
    row = held("names", "weight", Told(mlp()))
    assert (row.holds, row.found, row.names) == (
        False, "2 of 4 match; not 0.bias, 2.bias", ("0.bias", "2.bias"),
    )  # fmt: skip
    assert held("names", "^0", Told(tied())).names == ("1.weight", "1.bias")
    assert found("names", "weight", Told(nn.ReLU())) == (True, "0 of 0 match")


def test_of_many_names_the_first_are_said_and_all_are_kept() -> None:
    """The text stays short; the row has every name."""
    module = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(1_005)])
    row = held("names", "^weight$", Told(module))
    assert row.found == "0 of 1,005 match"
    assert row.names == tuple(map(str, range(1_005)))
    row = held("names", "^100[0-4]$", Told(module))
    assert row.found == "5 of 1,005 match; not 0, 1, 2, and 997 more"
    assert (len(row.names), MOST_NAMED) == (1_000, 3)


def test_frozen_parameters_require_no_gradient() -> None:
    """Everything that the pattern matches is frozen, and it matches something."""
    module = mlp()
    module[0].requires_grad_(False)
    assert found("frozen", "^0", Told(module)) == (True, "2 of 2 frozen")
    assert found("frozen", "weight", Told(module)) == (False, "1 of 2 frozen; not 2.weight")
    assert found("frozen", "embed", Told(module)) == (False, "no parameter matches")


def test_all_parameters_have_the_dtype() -> None:
    """A buffer of another dtype is none of them; the others are counted by their own."""
    assert found("dtype", "float32", Told(nn.BatchNorm1d(4))) == (True, "2 float32")
    module = mlp()
    module[2].bfloat16()
    row = held("dtype", "float32", Told(module))
    assert row.found == "2 float32, 2 bfloat16; not 2.weight, 2.bias"
    assert row.names == ("2.weight", "2.bias")
    assert found("dtype", "float32", Told(nn.ReLU())) == (True, "no parameters")


def test_a_file_without_tensors_is_not_finite(run: Run, tmp_path: Path) -> None:
    """A gate does not pass on a file that holds no tensors at all: a list, or the wrong download."""
    torch.save([1, 2, 3], tmp_path / "list.pt")
    result = run("check", str(tmp_path / "list.pt"), "--finite", "--json")
    row = json.loads(result.stdout)["rows"][0]
    assert (result.status, row["holds"], row["found"], row["value"]) == (1, False, "no parameters", 0)


def test_shared_names_are_one_tensor_or_overlap() -> None:
    """Names are shared where they are tied, or where their memory overlaps."""
    names = ("0.weight", "1.weight")
    assert found("shared", names, Told(tied())) == (True, "one tensor")
    overlapping = Told(mlp(), aliased={"0.weight": "2.weight"})
    assert found("shared", ("0.weight", "2.weight"), overlapping) == (True, "overlapping tensors")
    row = held("shared", ("0.weight", "1.weight", "1.bias"), Told(tied()))
    assert (row.holds, row.found) == (False, "0.weight = 1.weight and 1.bias are separate")


def test_distinct_names_share_nothing() -> None:
    """No two of the names are one tensor or overlap."""
    assert found("distinct", ("0.weight", "2.weight"), Told(mlp())) == (True, "2 tensors")
    row = held("distinct", ("0.weight", "0.bias", "1.weight"), Told(tied()))
    assert (row.holds, row.found, row.names) == (False, "0.weight = 1.weight", ("0.weight", "1.weight"))
    overlapping = Told(mlp(), aliased={"0.weight": "2.weight"})
    assert not found("distinct", ("0.weight", "2.weight"), overlapping)[0]


@pytest.mark.parametrize("name", ["shared", "distinct"])
def test_a_name_that_is_not_there_breaks_the_expectation(name: str) -> None:
    """After a layer is renamed its tie is no longer what was expected, and the new name is suggested."""
    row = held(name, ("0.weight", "1.weigth"), Told(tied()))
    assert (row.holds, row.names) == (False, ("1.weigth",))
    assert row.found == "there is no 1.weigth; did you mean '1.weight'?"


@pytest.mark.parametrize(
    ("value", "amiss"), [(float("nan"), "1 NaN"), (float("inf"), "1 infinite"), (float("-inf"), "1 infinite")]
)
def test_finite_parameters_hold_no_nan_and_no_infinity(value: float, amiss: str) -> None:
    """One NaN or infinity in one parameter is found; a tied one is told once, and buffers may have them."""
    module = tied()
    module.register_buffer("mask", torch.full((2,), -torch.inf))
    assert found("finite", "true", Told(module)) == (True, "3 of 3 finite")
    with torch.no_grad():
        module[0].get_parameter("weight")[1, 1] = value
    row = held("finite", "true", Told(module))
    assert (row.found, row.names) == (f"2 of 3 finite; not 0.weight ({amiss})", ("0.weight",))


def test_init_is_complete_where_every_parameter_is_filled() -> None:
    """Parameters that no rule fills are told; a rule that matches nothing breaks it too."""
    assert found("init", "complete", Told(mlp())) == (True, "4 of 4 filled")
    row = held("init", "complete", Told(mlp(), rules=["0.bias", "2.bias"]))
    assert (row.holds, row.found) == (False, "2 of 4 filled; not 0.bias, 2.bias")
    nothing = Told(mlp(), rules=NothingMatched("--pattern embed matches no parameter"))
    assert found("init", "complete", nothing) == (False, "--pattern embed matches no parameter")


def test_gradients_reach_all_that_require_one() -> None:
    """A frozen parameter need not be reached; a zero gradient is one; a missing verdict is none."""
    module = mlp()
    module[0].bias.requires_grad_(False)
    told = {"0.weight": "zero", "0.bias": "none", "2.weight": "ok", "2.bias": "nan"}
    assert found("gradients", "reach-all", Told(module, verdicts=told)) == (True, "3 of 3 reached")
    del told["2.bias"]
    row = held("gradients", "reach-all", Told(module, verdicts={**told, "0.weight": "none"}))
    assert (row.holds, row.found) == (False, "1 of 3 reached; not 0.weight, 2.bias")


def test_same_as_tells_the_differences() -> None:
    """No difference from the snapshot keeps it; else the first differences are said."""
    assert found("same_as", "main.json", Told(mlp())) == (True, "the same")
    one = Told(mlp(), different=["untied 1.weight"])
    assert found("same_as", "main.json", one) == (False, "1 difference: untied 1.weight")
    four = Told(mlp(), different=["removed a", "added b", "added c", "added d"])
    row = held("same_as", "main.json", four)
    assert row.found == "4 differences: removed a; added b; added c; and 1 more"
    assert row.names == ("removed a", "added b", "added c", "added d")


@pytest.mark.parametrize("name", ["parameters", "trainable", "bytes"])
def test_what_has_no_shape_cannot_be_counted(name: str) -> None:
    """A lazy parameter is no zero: the question has no answer, and the error says what gives it one."""
    lazy = Told(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(Problems) as raised:
        held(name, about("0", COUNTS), lazy)
    (error,) = raised.value.errors
    assert isinstance(error, CannotAnswer)
    assert str(error) == (
        f"model.yaml:7:3: error: cannot check '{name}': a lazy parameter has no shape yet;"
        " give the spec an 'input'"
    )


def test_all_that_cannot_be_told_is_told_at_once() -> None:
    """Every question without an answer is in the error; those with one do not hide it."""
    lazy = Told(nn.Sequential(nn.LazyLinear(3)))
    wanted: list[tuple[str, Expected]] = [
        ("parameters", about("3", COUNTS)), ("dtype", "float32"), ("finite", "true"),
    ]  # fmt: skip
    with pytest.raises(Problems) as raised:
        check([Expectation(name, value, PLACE) for name, value in wanted], lazy, lazy.differences)
    assert [each.message.split("'")[1] for each in raised.value.errors] == ["parameters", "finite"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("parameters", about("19", COUNTS)), ("names", "."), ("shared", ("0.weight", "0.bias"))],
)
def test_only_what_is_asked_for_is_found_out(name: str, value: Expected) -> None:
    """An expectation of the structure computes no statistics."""
    told = Told(mlp())
    held(name, value, told)
    assert set(told.asked) == {"listing"}


def test_the_report_is_in_the_order_of_the_expectations() -> None:
    """All expectations are reported, broken ones do not end it, and the totals add up."""
    wanted: list[tuple[str, Expected]] = [
        ("dtype", "float16"), ("parameters", about("19", COUNTS)), ("names", "x"), ("finite", "true"),
    ]  # fmt: skip
    told = Told(mlp())
    report = check([Expectation(name, value, PLACE) for name, value in wanted], told, told.differences)
    assert [(row.name, row.holds) for row in report.rows] == [
        ("dtype", False), ("parameters", True), ("names", False), ("finite", True),
    ]  # fmt: skip
    assert (report.command, report.totals.expectations) == ("check", 4)
    assert (report.totals.kept, report.totals.broken) == (2, 2)


def test_an_option_has_no_place_in_a_file() -> None:
    """What was typed has no file, line or column."""
    typed = Place(Text("--dtype float32", "", is_option=True), 1, 1)
    told = Told(mlp())
    (row,) = check([Expectation("dtype", "float32", typed)], told, told.differences).rows
    assert (row.file, row.line, row.column, row.place) == (None, None, None, None)
