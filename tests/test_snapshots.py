"""Snapshots: the JSON of inspect is read back to what it was written from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from paramtool.errors import ParamtoolError
from paramtool.files.reading.json_document import read_document
from paramtool.files.reading.snapshot import read_snapshot
from paramtool.network.listing import parameters
from paramtool.operations.listing.snapshot import remembered
from paramtool.place import Text
from paramtool.records.parameter import ParameterRow, ParameterTotals
from paramtool.records.report import Report
from paramtool.render.formats import Format, as_text
from tests.conftest import CONFIGS, Run
from tests.processes import watch
from tests.strategies import trees

Rows = Report[ParameterRow, ParameterTotals]


def again(report: Rows, stats: bool = False, values: bool = False) -> Rows:
    """Return what is read from the JSON of `report`."""
    document = read_document(Text("s.json", as_text(report, Format.json)))
    assert document is not None and document.is_snapshot
    return remembered(read_snapshot(document), "s.json", stats=stats, values=values)


@settings(max_examples=150, deadline=None)
@given(trees())
def test_a_report_comes_back(module: nn.Module) -> None:
    """Rows, ties, totals, modules and classes are the same after writing and reading."""
    report = parameters(module)
    assert again(report) == report


def test_statistics_and_values_come_back() -> None:
    """NaN, infinities and histograms are read as they were; of values the numbers."""
    module = nn.Linear(3, 2)
    with torch.no_grad():
        module.weight[0] = torch.tensor([float("nan"), float("inf"), -2.5])
    report = parameters(module, stats=True, values=True)
    found = again(report, stats=True, values=True)
    assert as_text(found, Format.json) == as_text(report, Format.json)
    assert [replace(row, values=None) for row in found.rows] == [
        replace(row, values=None) for row in report.rows
    ]
    assert again(report) == parameters(module)


@pytest.mark.parametrize("config", ["gpt2", "resnet18", "shared"])
@pytest.mark.parametrize(
    "options", ["", "--buffers", "--all --sort numel", "--module {module}", "--format tree"]
)
def test_a_snapshot_prints_what_the_model_prints(config: str, options: str, run: Run, tmp_path: Path) -> None:
    """The table of a snapshot is that of its model, whatever is chosen of it."""
    spec, file = str(CONFIGS / f"{config}.yaml"), tmp_path / "snapshot.json"
    file.write_text(run("inspect", spec, "--buffers", "--json").stdout)
    words = options.format(module={"gpt2": "h.3", "resnet18": "layer1", "shared": "1"}[config]).split()
    assert run("inspect", str(file), *words) == run("inspect", spec, *words)


def test_a_snapshot_knows_classes(run: Run, tmp_path: Path) -> None:
    """--type selects by class and base class; --depth folds by them."""
    file = tmp_path / "snapshot.json"
    spec = str(CONFIGS / "resnet18.yaml")
    file.write_text(run("inspect", spec, "--json").stdout)
    for words in (["--type", "_BatchNorm"], ["--depth", "2"]):
        assert run("inspect", str(file), *words).stdout == run("inspect", spec, *words).stdout


def test_what_a_snapshot_lacks_is_told(run: Run, tmp_path: Path) -> None:
    """Statistics that were not written cannot be shown."""
    file = tmp_path / "snapshot.json"
    file.write_text(run("inspect", str(CONFIGS / "mlp.yaml"), "--json").stdout)
    result = run("inspect", str(file), "--stats")
    message = f"error: the snapshot {file} has no statistics; write it with --stats --json\n"
    assert (result.status, result.stdout, result.stderr) == (2, "", message)
    result = run("init", str(file), "--pattern", "w", "--zeros")
    assert (result.status, result.stdout) == (2, "")
    assert run("inspect", str(file), "--set", "seed=1").stderr == (
        f"error: --set changes a spec, but {file} is a snapshot\n"
    )


ROW: dict[str, Any] = {
    "name": "w", "type": "Linear", "shape": [2, 3], "dtype": "float32", "numel": 6, "nbytes": 24,
    "requires_grad": True, "tied_to": None,
}  # fmt: skip
TOTALS = dict.fromkeys(
    (
        "names", "tensors", "parameters", "trainable", "frozen", "nbytes", "buffers", "buffer_nbytes",
        "plain_tensors", "uninitialized",
    ),
    0,
)  # fmt: skip
WHOLE = "a snapshot has every column, so write it without --columns"
GOOD: dict[str, Any] = {"schema": 1, "command": "inspect", "model": "m", "rows": [ROW], "totals": TOTALS}


def read(content: dict[str, Any]) -> Rows:
    """Return what is read of a document."""
    document = read_document(Text("s.json", json.dumps(content)))
    assert document is not None
    return read_snapshot(document)


def test_unknown_fields_are_passed_over() -> None:
    """A later paramtool may add fields anywhere."""
    more = {**GOOD, "new": [1], "rows": [{**ROW, "new": {}}], "totals": {**TOTALS, "new": 1}}
    assert read(more) == read(GOOD)
    assert read(GOOD).rows[0].kind == "parameter"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "s.json has the schema 2, but only 1 is known; a newer paramtool wrote it"),
        ({"schema": True}, "s.json has the schema True, but only 1 is known"),
        ({"schema": "1"}, "s.json has the schema '1', but only 1 is known"),
        ({"command": "init"}, "s.json is the JSON of 'init', but a snapshot is the JSON of inspect"),
        ({"rows": {}}, "s.json: 'rows' must be a list, got an object"),
        ({"rows": None}, "s.json: 'rows' must be a list, got nothing"),
        ({"rows": [3]}, "s.json: row 1 must be an object, got 3"),
        ({"rows": [ROW, ROW]}, "s.json: row 2: 'w' appears twice"),
        ({"rows": [{"name": "w"}]}, f"s.json: row 1 lacks 'type'; {WHOLE}"),
        ({"totals": {**TOTALS, "names": -1}}, "s.json: 'totals': 'names' must be a count, got -1"),
        ({"totals": {}}, "s.json: 'totals' lacks 'names'"),
        ({"totals": []}, "s.json: 'totals' must be an object, got a list"),
        ({"modules": {"": 3}}, "s.json: 'modules' must map names to class names, got an object"),
        ({"bases": {"Linear": "Module"}}, "s.json: 'bases' must map names to class names, got an object"),
        ({"model": 3}, "s.json: 'model' must be a text, got 3"),
    ],
)
def test_a_malformed_document_is_told(change: dict[str, Any], message: str) -> None:
    """What is wrong is named, with what was found."""
    with pytest.raises(ParamtoolError) as caught:
        read({**GOOD, **change})
    assert str(caught.value) == f"error: {message}"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", None, "'name' must be a text, got nothing"),
        ("shape", "23", "'shape' must be a list of sizes, got '23'"),
        ("shape", [2, -3], "'shape' must be a list of sizes, got a list"),
        ("shape", [2, 3.0], "'shape' must be a list of sizes, got a list"),
        ("shape", [True, 6], "'shape' must be a list of sizes, got a list"),
        ("shape", [2, 4], "'numel' is not that of the shape [2, 4]"),
        ("numel", 1e3, "'numel' must be a count, got 1000.0"),
        ("requires_grad", 1, "'requires_grad' must be true or false, got 1"),
        ("kind", "weight", "'kind' must be one of parameter, buffer, tensor, stored, got 'weight'"),
        ("kind", [], "'kind' must be one of parameter, buffer, tensor, stored, got a list"),
        ("count", 0, "'count' must be a count, got 0"),
        ("mean", "nan", "'mean' must be a number, got 'nan'"),
        ("mean", [], "'mean' must be a number, got a list"),
        ("mean", 10**400, f"'mean' must be a number, got {'1' + '0' * 58}…"),
        ("histogram", [1, -1], "'histogram' must be a list of counts, got a list"),
        ("values", [1, ["x"]], "'values' must be numbers in lists"),
        ("values", {}, "'values' must be numbers in lists"),
    ],
)
def test_a_malformed_field_is_told(field: str, value: object, message: str) -> None:
    """Every field is checked, and the row is named."""
    with pytest.raises(ParamtoolError) as caught:
        read({**GOOD, "rows": [{**ROW, field: value}]})
    assert str(caught.value) == f"error: s.json: row 1: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"schema": 1, "command": "inspect", "schema": 1}',
            "s.json is not valid JSON: 'schema' appears twice in an object",
        ),
        ('{"schema": 1, "command": "inspect", "x": NaN}', "s.json is not valid JSON: NaN is not a number"),
    ],
)
def test_json_is_read_strictly(text: str, message: str, run: Run, tmp_path: Path) -> None:
    """Keys that come twice and numbers that are none are refused."""
    (tmp_path / "s.json").write_text(text)
    result = run("inspect", str(tmp_path / "s.json"))
    assert (result.status, result.stderr) == (2, f"error: {tmp_path}/{message}\n")


def test_a_spec_in_json_is_a_spec(run: Run, tmp_path: Path) -> None:
    """A spec may be written in JSON; it is told by its keys."""
    (tmp_path / "m.json").write_text('{"model": {"Linear": [2, 1]}}')
    assert "3 parameters in 2 tensors" in run("inspect", str(tmp_path / "m.json")).stdout


def test_a_snapshot_needs_no_torch(run: Run, tmp_path: Path) -> None:
    """The table of a snapshot is shown without importing torch, statistics too."""
    file = tmp_path / "snapshot.json"
    file.write_text(run("inspect", str(CONFIGS / "mlp.yaml"), "--stats", "--json").stdout)
    ended = watch("inspect", str(file), "--stats", folder=tmp_path)
    assert (ended.status, ended.torch) == (0, False)
    assert ended.stdout == run("inspect", str(CONFIGS / "mlp.yaml"), "--stats").stdout
