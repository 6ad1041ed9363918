"""`paramtool check`: options, exit statuses, formats that CI reads, and names that would harm them."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paramtool.operations.expectations.findings import sums
from paramtool.records.expectation import MACHINE_COLUMNS, ExpectationRow
from paramtool.records.report import Report
from paramtool.render.formats import Format, as_text
from paramtool.render.github import annotation
from paramtool.render.names import shown
from tests.conftest import CONFIGS, ROOT, Run
from tests.processes import execute, watch
from tests.test_terminal_behaviour import HOSTILE, is_harmless

MLP = """\
model: {Sequential: [{Linear: [4, 3]}, ReLU, {Linear: [3, 1]}]}
init: [{pattern: weight, normal: 0.01}, {pattern: bias, zeros: }]
expect:
  parameters: 19
  dtype: float32
  init: complete
  finite: true
"""
TIED = """\
model: {Sequential: [{Linear: [2, 2]}, {Linear: [2, 2]}]}
tie: {1.weight: 0.weight}
freeze: bias
expect:
  shared: [[0.weight, 1.weight]]
  distinct: [[0.weight, 0.bias], [0.bias, 1.bias]]
  frozen: [0.bias, 1.bias]
  trainable: {max: 4}
"""
COMMAND = re.compile(r"::error( (?P<properties>[^:]*))?::(?P<message>[^\r\n]*)")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with two specs the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    (tmp_path / "model.yaml").write_text(MLP)
    (tmp_path / "tied.yaml").write_text(TIED)
    (tmp_path / "plain.yaml").write_text("model: {Linear: [1, 1]}\n")
    return tmp_path


def rows(text: str) -> list[dict[str, Any]]:
    """Return the rows of a JSON document."""
    found: list[dict[str, Any]] = json.loads(text)["rows"]
    return found


# exit statuses


def test_a_model_that_keeps_what_is_expected_ends_with_0(run: Run) -> None:
    """Every expectation has a line, and the status is 0."""
    result = run("check", "tied.yaml")
    assert (result.status, result.stderr) == (0, "")
    assert result.stdout.count("True") == 6
    assert result.stdout.endswith(" 6 expectations: all kept\n")


def test_a_broken_expectation_ends_with_1_and_all_are_reported(run: Run) -> None:
    """One broken expectation makes the status 1; the others are reported beside it."""
    result = run("check", "--set", "dtype=bfloat16", "--set", "expect.parameters=max", "model.yaml")
    assert result.status == 2
    result = run("check", "--set", "dtype=bfloat16", "--json")
    assert result.status == 1
    assert [(row["name"], row["holds"]) for row in rows(result.stdout)] == [
        ("parameters", True), ("dtype", False), ("init", True), ("finite", True),
    ]  # fmt: skip
    assert json.loads(result.stdout)["totals"] == {
        "expectations": 4, "kept": 3, "broken": 1, "failed": 0,
    }  # fmt: skip
    assert rows(result.stdout)[1] == {
        "model": "model.yaml", "name": "dtype", "holds": False, "expected": "float32",
        "found": "4 bfloat16",
        "names": ["0.weight", "0.bias", "2.weight", "2.bias"], "file": "model.yaml", "line": 5, "column": 3,
        "value": 0, "error": None,
    }  # fmt: skip


def test_nothing_to_check_is_an_error(run: Run) -> None:
    """A check that checks nothing says so, and how to write an expectation."""
    result = run("check", "plain.yaml")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == (
        "error: plain.yaml has no expectations; e.g. expect: {parameters: 124M} in the spec, or"
        " --parameters 124M\n"
    )
    assert run("check", "plain.yaml", "--set", "expect.finite=false").status == 2


def test_what_is_the_same_for_all_models_is_said_once(run: Run, folder: Path) -> None:
    """Each model of which nothing is expected has its line, the last of them the hint."""
    for name in ("other.yaml", "third.yaml"):
        (folder / name).write_text("model: {Linear: [1, 1]}\n")
    (folder / "wrong.yaml").write_text("model: Liner\n")
    result = run("check", "plain.yaml", "tied.yaml", "other.yaml", "third.yaml", "wrong.yaml")
    assert result.status == 2
    assert result.stdout.endswith(" 6 expectations: all kept; 4 models cannot be checked\n")
    assert result.stderr.splitlines()[:4] == [
        "error: plain.yaml has no expectations",
        "error: other.yaml has no expectations",
        "error: third.yaml has no expectations; e.g. expect: {parameters: 124M} in the spec, or"
        " --parameters 124M",
        "wrong.yaml:1:8: error: unknown module 'Liner'; did you mean 'Linear'?",
    ]


def test_nothing_to_check_can_be_allowed(run: Run) -> None:
    """With --allow-none a model without expectations is passed over."""
    result = run("check", "plain.yaml", "--allow-none")
    assert (result.status, result.stdout) == (0, "")
    assert result.stderr == "note: plain.yaml has no expectations\n"
    assert parsed(run("check", "plain.yaml", "--allow-none", "-f", "junit").stdout) == []
    assert run("check", "plain.yaml", "tied.yaml", "--allow-none").status == 0
    assert run("check", "plain.yaml", "tied.yaml").status == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--parameters 12X", "--parameters 12X: error: 'parameters' of expect must be a count, got the"
         " string '12X'; e.g. 124M"),
        ("--parameters 1.5", "--parameters 1.5: error: 'parameters' of expect must be a count, got the"
         " string '1.5'; e.g. 124M"),
        ("--parameters 1.2345k", "--parameters 1.2345k: error: nothing can have 1.2345k;"
         " it is not a whole number"),
        ("--trainable min=5,max=2", "--trainable min=5,max=2: error: nothing can have min 5, max 2"),
        ("--trainable max=1,max=2", "--trainable max=1,max=2: error: 'max' appears twice"),
        ("--trainable most=1", "--trainable most=1: error: 'trainable' has no bound 'most'; use min or max"),
        ("--bytes 5Gb", "--bytes 5Gb: error: 'bytes' of expect must be a size, got the string '5Gb'; e.g."
         " 500MB or 476MiB"),
        ("--names '('", "--names (: error: '(' is not a regular expression: missing ), unterminated"
         " subpattern at position 0; escape special characters, e.g. '\\['"),
        ("--dtype float31", "--dtype float31: error: 'dtype' of expect must be a dtype, got the string"
         " 'float31'"),
        ("--shared a", "--shared a: error: 'shared' takes two or more different names, got a; e.g."
         " shared: [[a.weight, b.weight]]"),
        ("--init done", "--init done: error: 'init' of expect must be 'complete', got the string 'done'"),
        ("--gradients all", "--gradients all: error: 'gradients' of expect must be 'reach-all', got the"
         " string 'all'"),
        ("--dtype", "error: --dtype needs a value; see 'paramtool check --help'"),
        ("--nope", "error: No such option: --nope"),
        ("-f tree", "error: check has no format tree; type: paramtool check "),
        ("missing.yaml", "error: cannot read missing.yaml: No such file or directory"),
    ],
)  # fmt: skip
def test_what_is_typed_wrong_ends_with_2(arguments: str, complaint: str, run: Run) -> None:
    """Wrong options are complained of as wrong specs are, and nothing is written to stdout."""
    result = run("check", *shlex.split(arguments))
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith(complaint)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("expect", "complaint"),
    [
        ("{shared: [[a]]}", "1:19: error: 'shared' takes two or more different names, got a"),
        ("{shared: [a, b]}", "1:18: error: 'shared' of expect must be [[name]], got a list"),
        ("{parameters: {}}", "1:22: error: 'parameters' has neither min nor max; e.g. {max: 124M}"),
        ("{parameters: {min: 3, max: 2}}", "1:22: error: nothing can have min 3, max 2"),
        ("{parameters: '1.5'}", "1:22: error: 'parameters' of expect must be a count"),
        ("{bytes: 1.5}", "1:17: error: 'bytes' of expect must be a size, got 1.5; e.g. 500MB or 476MiB"),
        ("{frozen: [a, '(']}", "1:22: error: '(' is not a regular expression"),
        ("{same_as: /etc/passwd}", "1:19: error: 'same_as' must be a .json file below the spec's folder"),
        ("{same_as: a/../../b.json}", "1:19: error: 'same_as' must be a .json file below the spec's folder"),
        ("{same_as: 'C:\\b.json'}", "1:19: error: 'same_as' must be a .json file below the spec's folder"),
        ("{same_as: secrets.env}", "1:19: error: 'same_as' must be a .json file below the spec's folder"),
        ("{same_as: ''}", "1:19: error: 'same_as' must be a .json file below the spec's folder"),
    ],
)
def test_what_is_written_wrong_ends_with_2(expect: str, complaint: str, folder: Path, run: Run) -> None:
    """Expectations that cannot be kept by anything are errors of the spec, at their place."""
    (folder / "wrong.yaml").write_text(f"expect: {expect}\nmodel: ReLU\n")
    result = run("check", "wrong.yaml")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith(f"wrong.yaml:{complaint}")


# options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--parameters 19", [("parameters", "19", True)]),
        ("--parameters 0.02k", [("parameters", "0.02k", True)]),
        ("--parameters max=18", [("parameters", "max 18", False)]),
        ("--parameters 'min=19, max=19'", [("parameters", "min 19, max 19", True)]),
        ("--parameters max=19 --parameters min=20", [("parameters", "max 19", True),
                                                     ("parameters", "min 20", False)]),
        ("--trainable 19 --bytes 76B", [("trainable", "19", True), ("bytes", "76B", True)]),
        ("--names '(weight|bias)$'", [("names", "(weight|bias)$", True)]),
        ("--names 0", [("names", "0", False)]),
        ("--frozen 0 --frozen bias", [("frozen", "0", False), ("frozen", "bias", False)]),
        ("--dtype float32", [("dtype", "float32", True)]),
        ("--shared weight,bias", [("shared", "weight, bias", False)]),
        ("--distinct 'weight, bias'", [("distinct", "weight, bias", True)]),
        ("--finite", [("finite", "true", True)]),
        ("--init complete", [("init", "complete", False)]),
        ("--finite --dtype float32 --parameters 19", [("parameters", "19", True), ("dtype", "float32", True),
                                                      ("finite", "true", True)]),
    ],
)  # fmt: skip
def test_options_say_what_a_spec_says(
    options: str, expected: list[tuple[str, str, bool]], folder: Path, run: Run
) -> None:
    """Every expectation is an option as well; these have no place, and a fixed order."""
    (folder / "free.yaml").write_text("model: {Linear: [18, 1]}\n")
    result = run("check", "free.yaml", *shlex.split(options), "--json")
    found = [(row["name"], row["expected"], row["holds"]) for row in rows(result.stdout)]
    if "bytes" in options or "dtype" in options or "trainable" in options:
        assert result.status == 0
    assert found == expected
    assert result.status == (0 if all(holds for _, _, holds in expected) else 1)
    assert all(row["file"] is None for row in rows(result.stdout))


def test_an_option_adds_to_the_spec(run: Run) -> None:
    """What is typed is expected as well as, and not instead of, what the spec expects."""
    result = run("check", "--parameters", "20", "--json")
    assert [(row["name"], row["expected"], row["holds"]) for row in rows(result.stdout)] == [
        ("parameters", "19", True), ("dtype", "float32", True), ("init", "complete", True),
        ("finite", "true", True), ("parameters", "20", False),
    ]  # fmt: skip


def test_several_models_are_checked_in_one_run(run: Run) -> None:
    """Each row says which model it is about, and one broken expectation of any is enough."""
    result = run("check", "plain.yaml", "tied.yaml", "--parameters", "2")
    assert result.status == 1
    assert result.stdout.splitlines()[0].split()[0] == "model"
    result = run("check", "plain.yaml", "tied.yaml", "--parameters", "2", "--json")
    assert json.loads(result.stdout)["model"] is None
    assert [row["model"] for row in rows(result.stdout)] == ["plain.yaml"] + ["tied.yaml"] * 7
    assert [row["holds"] for row in rows(result.stdout)] == [True] * 7 + [False]


def test_quiet_shows_only_what_is_broken(run: Run) -> None:
    """Nothing at all where all is well, and only the broken lines else; the totals stay whole."""
    assert (run("check", "-q").status, run("check", "-q").stdout) == (0, "")
    for format in ("markdown", "github"):
        assert run("check", "--quiet", "-f", format).stdout == ""
    result = run("check", "-q", "--dtype", "float16")
    assert result.status == 1
    assert result.stdout.count("False") == 1
    assert "True" not in result.stdout
    assert result.stdout.endswith(" 5 expectations: 4 kept, 1 broken\n")
    assert rows(run("check", "-q", "--json").stdout) == []


def test_a_quiet_suite_has_its_tests(run: Run) -> None:
    """Servers take a suite of no tests for an error, so JUnit keeps what holds."""
    for more in ((), ("--dtype", "float16")):
        assert run("check", "-q", "-f", "junit", *more).stdout == run("check", "-f", "junit", *more).stdout
    assert 'tests="4" failures="0"' in run("check", "-q", "-f", "junit").stdout


@pytest.mark.parametrize("option", ["--parameters 1", "--same-as other.yaml", "--dtype float16"])
def test_an_annotation_names_the_file_that_was_checked(option: str, run: Run, folder: Path) -> None:
    """What was typed as an option has no line, but MODEL is a file; stdin and a name in Python are not."""
    (folder / "other.yaml").write_text("model: {Linear: [1, 1]}\n")
    (folder / "named_nets.py").write_text("from torch import nn\ndef net(): return nn.Linear(2, 2)\n")
    line = run("check", "model.yaml", *option.split(), "-f", "github").stdout
    assert "::error file=model.yaml,title=paramtool check::model.yaml: " in line
    line = run("check", "named_nets.py:net", *option.split(), "-f", "github").stdout
    assert line.startswith("::error title=paramtool check::named_nets.py:net: ")


def test_only_values_that_are_asked_for_are_built(folder: Path) -> None:
    """A model of 70 billion parameters is checked by its structure, in the memory of a small one."""
    path = str(CONFIGS / "llama3_70b.yaml")
    result = watch("check", path, "--parameters", "70.6B", "--dtype", "bfloat16", folder=folder)
    assert result.status == 0
    assert result.megabytes < 1_000


def test_finite_values_are_those_that_the_rules_leave(folder: Path, run: Run) -> None:
    """The rules of the spec are run before its values are looked at."""
    (folder / "inf.yaml").write_text(
        "model: {Linear: [2, 1]}\ninit: [{pattern: bias, constant: .inf}]\nexpect: {finite: true}\n"
    )
    (row,) = rows(run("check", "inf.yaml", "--json").stdout)
    assert (row["holds"], row["names"]) == (False, ["bias"])
    assert run("check", "inf.yaml", "--set", "init=[]").status == 0


def test_a_rule_that_matches_nothing_breaks_init_complete(folder: Path, run: Run) -> None:
    """After a layer is renamed, the rule that named it is why the initialization is not complete."""
    (folder / "renamed.yaml").write_text(
        "model: {Linear: [2, 1]}\ninit: [{pattern: weihgt, zeros: }]\nexpect: {init: complete}\n"
    )
    (row,) = rows(run("check", "renamed.yaml", "--json").stdout)
    assert (row["holds"], row["found"]) == (False, "--pattern weihgt matches no parameter")


def test_gradients_reach_all_is_found_by_a_backward_pass(folder: Path, run: Run) -> None:
    """One pass over the spec's input tells what is not reached: here the words that no target asked for."""
    (folder / "rare.yaml").write_text(
        "model: {AdaptiveLogSoftmaxWithLoss: {in_features: 4, n_classes: 9, cutoffs: [5]}}\n"
        "input: [{shape: [2, 4], fill: rand}, {values: [0, 7]}]\n"
        "expect: {gradients: reach-all}\n"
    )
    assert run("check", "rare.yaml").status == 0
    rare = ("check", "rare.yaml", "--set", "input.1.values.1=4", "--json")
    (row,) = rows(run(*rare).stdout)
    assert (row["holds"], row["names"]) == (False, ["tail.0.0.weight", "tail.0.1.weight"])
    assert run(*rare, "--set", "freeze=tail").status == 0


def test_gradients_need_an_input(run: Run) -> None:
    """A spec without an input cannot tell what a backward pass reaches, and the error says what can."""
    result = run("check", "plain.yaml", "--gradients", "reach-all")
    assert (result.status, result.stdout, result.stderr) == (
        2, "", "--gradients reach-all: error: cannot check 'gradients': plain.yaml has no input to run on;"
        " 'input: {shape: [2, 1]}' in the spec, or --input 2,1\n",
    )  # fmt: skip


@pytest.fixture
def weights(run: Run) -> str:
    """Write the weights of model.yaml."""
    assert run("init", "-o", "weights.safetensors").status == 0
    return "weights.safetensors"


def test_a_checkpoint_is_checked_as_well(weights: str, folder: Path) -> None:
    """What the files say is held to the options; the structure alone needs no torch."""
    structure = ("--parameters", "19", "--bytes", "76B", "--dtype", "float32", "--names", "weight|bias")
    watched = watch("check", weights, *structure, folder=folder)
    assert (watched.status, watched.torch) == (0, False)
    assert watch("check", weights, "--finite", "--distinct", "0.weight,2.weight", folder=folder).status == 0


def test_what_a_checkpoint_cannot_tell_is_no_answer(weights: str, run: Run) -> None:
    """All questions that have no answer are told, with what would have one, and nothing is kept silently."""
    asked = [
        "--trainable",
        "19",
        "--frozen",
        "bias",
        "--init",
        "complete",
        "--gradients",
        "reach-all",
        "--parameters",
        "20",
    ]
    result = run("check", weights, *asked)
    assert result.status == 2
    assert result.stdout.splitlines()[2:] == [
        " parameters  False  20        19 elements", "",
        " 1 expectation: 1 broken; 1 model cannot be checked",
    ]  # fmt: skip
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == [
        "--trainable 19", "--frozen bias", "--init complete", "--gradients reach-all",
    ]  # fmt: skip


def test_an_object_of_python_is_checked_as_well(run: Run) -> None:
    """An object has a structure and values, no rule that fills them, and no input."""
    linear = ("check", "torch.nn:Linear", "--arg", "in_features=4", "--arg", "out_features=3")
    assert (
        run(
            *linear, *["--parameters", "15", "--trainable", "15", "--finite", "--distinct", "weight,bias"]
        ).status
        == 0
    )
    (row,) = rows(run(*linear, "--init", "complete", "--json").stdout)
    assert (row["holds"], row["found"]) == (False, "0 of 2 filled")
    result = run(*linear, "--gradients", "reach-all")
    assert (result.status, result.stdout) == (2, "")
    assert "torch.nn:Linear has no input to run on" in result.stderr


def test_a_snapshot_is_checked_by_what_it_remembers(folder: Path, run: Run) -> None:
    """A snapshot tells names, counts and ties; values only where it was written with --stats."""
    (folder / "plain.json").write_text(run("inspect", "model.yaml", "--json").stdout)
    (folder / "stats.json").write_text(run("inspect", "model.yaml", "--json", "--stats").stdout)
    structure = [
        "--parameters",
        "19",
        "--trainable",
        "19",
        "--dtype",
        "float32",
        "--distinct",
        "0.weight,2.weight",
    ]
    assert run("check", "plain.json", *structure, "--same-as", "model.yaml").status == 0
    assert run("check", "stats.json", "--finite").status == 0
    result = run("check", "plain.json", "--finite", "--init", "complete")
    assert (result.status, result.stdout) == (2, "")
    assert [line.split("': ")[0] for line in result.stderr.splitlines()] == [
        "--finite: error: cannot check 'finite", "--init complete: error: cannot check 'init",
    ]  # fmt: skip


def test_a_model_without_a_forward_cannot_be_run(folder: Path, run: Run) -> None:
    """Names and shapes written down have no backward pass; the error says what is missing."""
    (folder / "names.yaml").write_text("model: {Module: {a: {Linear: [1, 1]}}}\ninput: [1, 1]\n")
    result = run("check", "names.yaml", "--gradients", "reach-all")
    assert (result.status, result.stdout) == (2, "")
    assert "has no forward" in result.stderr


def test_same_as_compares_with_another_model(weights: str, folder: Path, run: Run) -> None:
    """An option may name any MODEL; every difference is told."""
    assert run("check", "--same-as", "model.yaml").status == 0
    assert run("check", "--same-as", weights).status == 0
    (folder / "wider.yaml").write_text(MLP.replace("[3, 1]", "[3, 2]").replace("19", "23"))
    (row,) = (row for row in rows(run("check", "wider.yaml", "--same-as", "model.yaml", "--json").stdout)
              if not row["holds"])  # fmt: skip
    assert (row["name"], row["expected"]) == ("same_as", "model.yaml")
    assert row["found"] == (
        "2 differences: 2.weight has the shape [2, 3], was [1, 3]; 2.bias has the shape [2], was [1]"
    )
    assert run("check", "--same-as", "missing.json").status == 2


def test_a_spec_names_only_snapshots_of_its_own_folder(folder: Path, run: Run) -> None:
    """What a stranger's spec names is opened below its folder only, and never quoted."""
    inner = folder / "specs"
    inner.mkdir()
    (inner / "secret.json").write_text("secret: [token")
    (folder / "outside.json").write_text('{"secret": "token"}')
    (inner / "link.json").symlink_to(folder / "outside.json")
    (inner / "device.json").symlink_to("/dev/zero")
    (inner / "folder.json").mkdir()
    (inner / "spec.json").write_text('{"model": "ReLU"}')
    complaints = {
        "missing.json": "there is no file specs/missing.json",
        "link.json": "specs/link.json is outside the spec's folder",
        "device.json": "there is no file specs/device.json",
        "folder.json": "there is no file specs/folder.json",
        "secret.json": "specs/secret.json is not a snapshot",
        "spec.json": "specs/spec.json is not a snapshot",
    }
    for name, complaint in complaints.items():
        (inner / "model.yaml").write_text(f"model: ReLU\nexpect: {{same_as: {name}}}\n")
        result = run("check", "specs/model.yaml")
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr.startswith(f"specs/model.yaml:2:10: error: {complaint}")
        assert "token" not in result.stderr


def test_two_runs_print_the_same(run: Run) -> None:
    """The output has nothing of the time or the machine in it."""
    for format in ("table", "json", "junit", "github"):
        assert run("check", "tied.yaml", "-f", format) == run("check", "tied.yaml", "-f", format)


# formats


@pytest.mark.parametrize("command", ["inspect", "init", "initializers"])
@pytest.mark.parametrize("format", ["github", "junit"])
def test_commands_that_list_have_no_format_for_verdicts(command: str, format: str, run: Run) -> None:
    """Annotations and test cases are of what holds or not; other commands name the formats they have."""
    result = run(command, "--format", format)
    assert (result.status, result.stdout) == (2, "")
    tree = "" if command == "initializers" else "tree, "
    known = f"table, {tree}json, jsonl, csv, tsv, markdown, html"
    assert result.stderr == f"error: {command} has no format {format}; use one of {known}\n"


def test_delimited_formats_hold_every_field(run: Run) -> None:
    """CSV, TSV and jsonl have the fields of the JSON document."""
    document = rows(run("check", "tied.yaml", "--json").stdout)
    objects = run("check", "tied.yaml", "-f", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in objects] == document
    for format, delimiter in (("csv", ","), ("tsv", "\t")):
        text = run("check", "tied.yaml", "-f", format).stdout
        header, *lines = csv.reader(
            io.StringIO(text),
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if format == "csv" else csv.QUOTE_NONE,
        )
        read = [dict(zip(header, line, strict=True)) for line in lines]
        assert list(read[0]) == list(MACHINE_COLUMNS)
        assert [row["expected"] for row in read] == [row["expected"] for row in document]
        assert [int(row["line"]) for row in read] == [row["line"] for row in document]


def parsed(text: str) -> list[tuple[str, str | None]]:
    """Return the name and the failure's message of every case of a JUnit document."""
    root = ElementTree.fromstring(text)
    (suite,) = root.iter("testsuite")
    cases = list(suite.iter("testcase"))
    failures = [case.find("failure") for case in cases]
    assert int(suite.attrib["tests"]) == len(cases)
    assert int(suite.attrib["failures"]) == sum(each is not None for each in failures)
    return [
        (case.attrib["name"], None if failure is None else failure.attrib["message"])
        for case, failure in zip(cases, failures, strict=True)
    ]


def test_junit_has_a_case_for_each_expectation(run: Run) -> None:
    """A case says the model, the expectation and its place; a broken one has a failure."""
    result = run("check", "tied.yaml", "--dtype", "float64", "-f", "junit")
    assert parsed(result.stdout) == [
        ("shared 0.weight, 1.weight", None),
        ("distinct 0.weight, 0.bias", None),
        ("distinct 0.bias, 1.bias", None),
        ("frozen 0.bias", None),
        ("frozen 1.bias", None),
        ("trainable max 4", None),
        (
            "dtype float64",
            "dtype: expected float64, found: 4 float32",
        ),
    ]
    root = ElementTree.fromstring(result.stdout)
    cases = list(root.iter("testcase"))
    assert {case.attrib["classname"] for case in cases} == {"tied.yaml"}
    assert (cases[0].attrib["file"], cases[0].attrib["line"]) == ("tied.yaml", "5")
    failure = cases[-1].find("failure")
    assert failure is not None
    assert (failure.text or "").split("\n") == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert "time" not in result.stdout


def properties(line: str) -> dict[str, str]:
    """Return what an annotation says, as the runner reads it."""
    found = COMMAND.fullmatch(line)
    assert found is not None

    def read(text: str) -> str:
        for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            text = text.replace(code, character)
        return text

    pairs = [pair.split("=", 1) for pair in (found["properties"] or "").split(",") if pair]
    return {**{key: read(value) for key, value in pairs}, "message": read(found["message"])}


def test_github_annotates_the_place_of_what_is_broken(run: Run) -> None:
    """A broken expectation is an error at its line of the spec, a typed one in its file."""
    result = run("check", "tied.yaml", "--set", "tie={}", "--dtype", "float64", "-f", "github")
    *lines, totals = result.stdout.splitlines()
    assert totals == "7 expectations: 4 kept, 3 broken"
    assert [properties(line) for line in lines] == [
        {
            "file": "tied.yaml", "line": "5", "col": "12", "title": "paramtool check",
            "message": "shared: expected 0.weight, 1.weight, found: 0.weight and 1.weight are separate",
        },
        {
            "file": "tied.yaml", "line": "8", "col": "3", "title": "paramtool check",
            "message": "trainable: expected max 4, found: 8",
        },
        {
            "file": "tied.yaml", "title": "paramtool check",
            "message": "tied.yaml: dtype: expected float64, found: 4 float32",
        },
    ]  # fmt: skip
    assert run("check", "tied.yaml", "-f", "github").stdout == "6 expectations: all kept\n"


def test_an_annotation_escapes_what_the_runner_reads() -> None:
    """Colons, commas, percent signs and line breaks are written as the runner expects."""
    line = annotation("warning", "a\nb: 100%", file="a,b:c%.yaml", title="x")
    assert line == "::warning file=a%2Cb%3Ac%25.yaml,title=x::a%0Ab: 100%25\n"
    assert annotation("notice", "m") == "::notice::m\n"


MEAN = (
    *HOSTILE,
    "]]>",
    "&amp;",
    "<x>",
    "\"'",
    "a,b",
    "%0A::error::x",
    "%",
    "\ud800",
    "\ufffe",
    "\x00",
    "\x0b",
)
texts = st.lists(st.sampled_from(MEAN) | st.text(max_size=3), max_size=4).map("".join)
broken_rows = st.builds(
    ExpectationRow,
    model=texts,
    name=st.sampled_from(["names", "dtype"]),
    holds=st.booleans(),
    expected=texts,
    found=texts,
    names=st.lists(texts, max_size=3).map(tuple),
    file=st.none() | texts,
    line=st.none() | st.integers(1, 99),
    column=st.none() | st.integers(1, 99),
)


@given(st.lists(broken_rows, max_size=3))
def test_junit_is_xml_whatever_the_names_are(found: list[ExpectationRow]) -> None:
    """Names with markup, controls and surrogates come back from any XML parser as they are shown."""
    text = as_text(Report("check", None, tuple(found), sums(found), MACHINE_COLUMNS), Format.junit)
    assert text.isascii()
    assert parsed(text) == [
        (
            shown(f"{row.name} {row.expected}"),
            None if row.holds else shown(f"{row.name}: expected {row.expected}, found: {row.found}"),
        )
        for row in found
    ]
    for case, row in zip(ElementTree.fromstring(text).iter("testcase"), found, strict=True):
        assert case.attrib["classname"] == shown(row.model or "")
        failure = case.find("failure")
        if failure is not None:
            assert (failure.text or "") == "\n".join(map(shown, row.names or (row.found or "",)))


@given(st.lists(broken_rows, max_size=3))
def test_an_annotation_is_one_command_whatever_the_names_are(found: list[ExpectationRow]) -> None:
    """No name ends an annotation, begins another, or changes its file."""
    text = as_text(Report("check", None, tuple(found), sums(found), MACHINE_COLUMNS), Format.github)
    *lines, _ = text.split("\n")[:-1]
    bad = [row for row in found if not row.holds]
    assert len(lines) == len(bad)
    for line, row in zip(lines, bad, strict=True):
        told = properties(line)
        assert told.get("file") == (None if row.file is None else shown(row.file))
        about = f"{row.model}: " if row.file is None and row.model else ""
        assert told["message"] == shown(f"{about}{row.name}: expected {row.expected}, found: {row.found}")
        assert "##[" not in line


@pytest.mark.parametrize("format", ["table", "markdown", "json", "jsonl", "csv", "tsv", "junit"])
def test_hostile_names_are_harmless_in_every_format(format: str, folder: Path, run: Run) -> None:
    """Names that a stranger chose do nothing to a terminal or a CI log."""
    members = {name: {"Parameter": [1]} for name in HOSTILE}
    spec = {"model": {"Module": members}, "expect": {"names": "^weight$", "dtype": "float16"}}
    (folder / "hostile.yaml").write_text(json.dumps(spec))
    result = run("check", "hostile.yaml", "-f", format)
    assert result.status == 1
    assert is_harmless(result.stdout)


def test_junit_does_not_depend_on_the_locale(folder: Path) -> None:
    """Where stdout takes only ASCII, a name in Japanese is in the document all the same."""
    (folder / "japan.yaml").write_text(
        "model: {Module: {日本: {Parameter: [1]}}}\nexpect: {names: weight}\n", "utf-8"
    )
    ended = execute("check", "japan.yaml", "-f", "junit", env={"LC_ALL": "C", "PYTHONUTF8": "0"}, cwd=folder)
    (failure,) = ElementTree.fromstring(ended.stdout).iter("failure")
    assert failure.text == "日本"


# what the docs and pre-commit run


def test_the_job_in_the_docs_keeps_a_snapshot_honest(folder: Path, run: Run) -> None:
    """The first job in docs/ci.md fails when a spec changes and its snapshot does not."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text("utf-8"), re.DOTALL)
    text = next(block for block in blocks if "runs-on" in block)
    program, *words = shlex.split(yaml.safe_load(text)["parameters"]["steps"][-1]["run"])
    assert program == "paramtool"
    (folder / "model.json").write_text(run("inspect", "model.yaml", "--json").stdout)
    assert run(*words).status == 0
    (folder / "model.yaml").write_text("model: {Sequential: [{Linear: [4, 3]}, ReLU, {Linear: [3, 2]}]}\n")
    result = run(*words)
    assert result.status == 1
    assert properties(result.stdout.splitlines()[0])["message"].startswith("model.yaml: same_as: expected")


def test_a_spec_may_name_its_snapshot(folder: Path, run: Run) -> None:
    """``same_as`` is a path from the folder of the spec, wherever check runs."""
    inner = folder / "specs"
    (inner / "main").mkdir(parents=True)
    (inner / "model.yaml").write_text(f"{MLP}  same_as: main/model.json\n")
    (inner / "main" / "model.json").write_text(run("inspect", "model.yaml", "--json").stdout)
    assert run("check", "specs/model.yaml").status == 0
    result = run("check", "specs/model.yaml", "--set", "freeze=bias", "--json")
    assert [row["name"] for row in rows(result.stdout) if not row["holds"]] == ["same_as"]


def test_values_that_cannot_be_read_are_named(run: Run, tmp_path: Path) -> None:
    """A tensor without values is neither finite nor broken: the answer names it."""
    path = tmp_path / "w.pt"
    torch.save({"w": torch.ones(2), "m": torch.ones(2, device="meta")}, path)
    result = run("check", str(path), "--finite")
    assert (result.status, result.stdout) == (2, "")
    assert "cannot check 'finite': the values of 'm' cannot be read" in result.stderr
