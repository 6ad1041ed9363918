"""``paramtool diff``: what it shows of two models, where it points, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paramtool.network import construction
from paramtool.records.difference import CHANGES
from paramtool.render.github import annotation
from tests.conftest import CONFIGS, Run
from tests.processes import watch
from tests.specs import open_spec

SPEC = """\
model:
  Module:
    embed: {Embedding: [10, 4]}
    layers: {Repeat: {times: 4, module: {Linear: [4, 4]}}}
    norm: {BatchNorm1d: 4}
    head: {Linear: {in_features: 4, out_features: 10, bias: false}}
tie: {head.weight: embed.weight}
"""

MANY = """\
model:
  Module:
    embed: {Embedding: [10, 4]}
    blocks:
      Repeat:
        times: 4
        module: {Linear: [4, 4]}
    norm: {BatchNorm1d: {num_features: 4, affine: false}}
    head: {Linear: {in_features: 4, out_features: 10, bias: false}}
    scale: {Parameter: [7]}
freeze:
  - embed
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with two specs the current one."""
    (tmp_path / "a.yaml").write_text(SPEC)
    (tmp_path / "b.yaml").write_text(MANY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    return tmp_path


def document(run: Run, *arguments: str) -> dict[str, Any]:
    return dict(json.loads(run("diff", *arguments, "--json").stdout))


def refusal(run: Run, *arguments: str, status: int = 2) -> str:
    """Return what is said on stderr where nothing goes to stdout."""
    result = run("diff", *arguments)
    assert (result.status, result.stdout) == (status, "")
    return result.stderr


# the exit status


def test_the_same_is_0_and_a_sentence(run: Run) -> None:
    """Two models without a difference end with 0, and a plain sentence in the formats for people."""
    for format in ("table", "markdown"):
        result = run("diff", "a.yaml", "a.yaml", "-f", format)
        assert result.status == 0
        first = result.stdout.strip().splitlines()[0]
        assert first == "no difference between a.yaml and a.yaml, not counting values"
        assert "a strict load of a.yaml into a.yaml works" in result.stdout
    assert "including values" in run("diff", "a.yaml", "a.yaml", "--values").stdout
    assert document(run, "a.yaml", "a.yaml")["rows"] == []


def test_a_difference_is_1(run: Run) -> None:
    """Models that differ end with 1 in every format."""
    for format in ("table", "json", "jsonl", "csv", "tsv", "markdown", "github"):
        assert run("diff", "a.yaml", "b.yaml", "-f", format).status == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no.yaml", "b.yaml"), "error: cannot read no.yaml: No such file"),
        (("a.yaml", "no.yaml"), "error: cannot read no.yaml: No such file"),
        (("-", "-"), "error: A and B are both -, but stdin can be read only once"),
        ((), "error: Missing argument 'A'"),
        (("a.yaml",), "error: no B given, and no model.yaml here"),
        (("", "b.yaml"), "error: A is empty"),
        (("a.yaml", "b.yaml", "--atol", "1"), "error: --atol requires --values"),
        (("a.yaml", "b.yaml", "--rtol", "1e-3"), "error: --rtol requires --values"),
        (("a.yaml", "b.yaml", "--values", "--atol", "-1"), "error: Invalid value for '--atol'"),
        (("a.yaml", "b.yaml", "--values", "--rtol", "nan"), "error: Invalid value for '--rtol'"),
        (("a.yaml", "b.yaml", "--pattern", "("), "error: --pattern '(' is not a regular expression"),
        (("a.yaml", "b.yaml", "--set", "modle=1"), "unknown key 'modle'"),
    ],
)
def test_what_is_wrong_is_2(arguments: tuple[str, ...], said: str, run: Run) -> None:
    """A side that is missing or wrong is named, and nothing is written."""
    assert said in refusal(run, *arguments)


def test_a_spec_that_is_wrong_is_named(run: Run, folder: Path) -> None:
    """An error in B's spec has its place in B."""
    (folder / "bad.yaml").write_text("model: {Liner: [1, 1]}\n")
    assert refusal(run, "a.yaml", "bad.yaml").startswith("bad.yaml:1:9: error: unknown module 'Liner'")


def test_only_judges_have_the_format_of_ci(run: Run) -> None:
    """A command that says what there is has nothing to point at."""
    result = run("inspect", "a.yaml", "-f", "github")
    assert (result.status, result.stdout) == (2, "")
    assert "inspect has no format github" in result.stderr


# what it shows


def test_the_table_reads_like_a_review(run: Run) -> None:
    """Every class is a line, renamed modules and blocks fold, and the verdict comes last."""
    assert run("diff", "a.yaml", "b.yaml").stdout.splitlines() == [
        " change   name          count  was           now          because",
        " ──────────────────────────────────────────────────────────────────────────────────────────────",
        " frozen   embed.weight",
        " renamed  layers.*         ×8                blocks.*     same shape, dtype and end of the name",
        " removed  norm.weight          [4] float32",
        " removed  norm.bias            [4] float32",
        " untied   head.weight          embed.weight",
        " added    scale                              [7] float32",
        "",
        " 13 differences: 2 removed, 1 added, 8 renamed, 1 frozen, 1 untied",
        " 167 parameters, were 128 (+39)",
        " a strict load of a.yaml into b.yaml fails: 9 missing keys, the first is scale;"
        " 10 unexpected keys, the first is layers.0.weight",
        " 13 differences in 6 lines; --all shows each",
    ]


def test_all_shows_each_and_machines_see_each(run: Run) -> None:
    """--all unfolds the table, and the formats for machines have every row as it is."""
    assert "layers.2.bias" in run("diff", "a.yaml", "b.yaml", "--all").stdout
    rows = document(run, "a.yaml", "b.yaml")["rows"]
    lines = list(csv.DictReader(io.StringIO(run("diff", "a.yaml", "b.yaml", "-f", "csv").stdout)))
    assert len(rows) == len(lines) == 13
    assert rows[1] == {
        "change": "renamed",
        "name": "layers.0.weight",
        "was": None,
        "now": "blocks.0.weight",
        "tied_to": None,
        "because": "same shape, dtype and end of the name",
    }
    assert lines[1] == {key: value or "" for key, value in rows[1].items()}


def test_the_json_has_the_verdict(run: Run) -> None:
    """The totals say what differs, how often, and whether it loads."""
    totals = document(run, "a.yaml", "b.yaml")["totals"]
    assert totals["changes"] == {"removed": 2, "added": 1, "renamed": 8, "frozen": 1, "untied": 1}
    assert (totals["a"], totals["b"], totals["differences"]) == ("a.yaml", "b.yaml", 13)
    assert (totals["loads"], len(totals["reasons"]), totals["warnings"]) == (False, 2, [])
    warned = document(run, "b.yaml", "b.yaml", "--set", "tie={head.weight: embed.weight}")["totals"]
    assert warned["loads"]
    assert warned["warnings"] == [
        "loads head.weight over embed.weight, two tensors in A but one in B: the last one wins"
    ]


def test_set_changes_b_alone(run: Run) -> None:
    """--set shows what a value of the spec changes."""
    rows = document(run, "a.yaml", "a.yaml", "--set", "dtype=bfloat16")["rows"]
    assert {(row["change"], row["was"], row["now"]) for row in rows} == {("retyped", "float32", "bfloat16")}
    assert "retyped  *     " in run("diff", "a.yaml", "a.yaml", "--set", "dtype=bfloat16").stdout


def test_values_of_another_dtype_are_compared_as_a_load_casts_them(run: Run) -> None:
    """A line says so, with values and a retyped tensor, and only then."""
    said = " where dtypes differ, A was cast to the dtype in B before values were compared\n"
    state = nn.Linear(3, 2).state_dict()
    half = {name: each.half() for name, each in state.items()}
    torch.save(state, "full.pt")
    torch.save(half, "half.pt")
    torch.save({**half, "bias": half["bias"] + 1}, "other.pt")
    same = run("diff", "full.pt", "half.pt", "--values").stdout
    assert said in same
    assert " 2 differences: 2 retyped\n" in same
    other = run("diff", "full.pt", "other.pt", "--values").stdout
    assert said in other
    assert " 3 differences: 2 retyped, 1 in values\n" in other
    assert said not in run("diff", "full.pt", "half.pt").stdout
    assert said not in run("diff", "half.pt", "other.pt", "--values").stdout


def test_a_load_that_fails_is_no_contradiction(run: Run) -> None:
    """Where only an extra state is missing, no tensor differs, which is not the same as no difference."""
    Path("extra.py").write_text(
        "from torch import nn\n"
        "class Counted(nn.Linear):\n"
        "    def get_extra_state(self): return 1\n"
        "    def set_extra_state(self, state): pass\n"
    )
    arguments = ("--arg-a", "0=3", "--arg-a", "1=2", "--arg", "0=3", "--arg", "1=2")
    result = run("diff", "torch.nn:Linear", "extra.py:Counted", *arguments)
    assert (result.status, result.stdout) == (
        1,
        " no tensor differs between torch.nn:Linear and extra.py:Counted, not counting values\n"
        " a strict load of torch.nn:Linear into extra.py:Counted fails: missing key _extra_state\n",
    )


def test_patterns_choose_by_either_name(run: Run) -> None:
    """--pattern finds old and new names, --exclude drops them, and the verdict is of the whole."""
    rows = document(run, "a.yaml", "b.yaml", "-p", r"^blocks\.0")["rows"]
    assert [row["name"] for row in rows] == ["layers.0.weight", "layers.0.bias"]
    found = document(run, "a.yaml", "b.yaml", "--exclude", "blocks|norm|scale|head")
    assert [row["change"] for row in found["rows"]] == ["frozen"]
    assert not found["totals"]["loads"]
    same = run("diff", "a.yaml", "b.yaml", "-p", "running")
    assert same.status == 0
    whole = run("diff", "a.yaml", "b.yaml").stdout.splitlines()
    (verdict,) = (line for line in whole if " a strict load of " in line)
    assert same.stdout.splitlines()[::2] == [
        " no difference in the selected part of a.yaml and b.yaml, not counting values",
        f" whatever is selected, {verdict.strip()}",
    ]
    assert "there are" in refusal(run, "a.yaml", "b.yaml", "-p", "zzz")


def test_the_second_model_may_be_left_out(run: Run) -> None:
    """B is chosen as MODEL is for other commands, and that is said."""
    shutil.copy("a.yaml", "model.yaml")
    result = run("diff", "b.yaml")
    assert result.status == 1
    assert result.stderr == "note: B is model.yaml, from the current folder\n"
    assert "into model.yaml fails" in result.stdout


def test_values_have_tolerances(run: Run) -> None:
    """Other seeds give other values, unless any distance is allowed."""
    seeded = ("a.yaml", "a.yaml", "--set", "seed=1", "--values")
    found = document(run, *seeded)
    assert {row["change"] for row in found["rows"]} == {"values"}
    assert all(row["max_abs"] > 0 for row in found["rows"])
    assert run("diff", *seeded, "--atol", "100").status == 0
    assert run("diff", *seeded, "--rtol", "1e-3").status == 1


# GitHub


def test_annotations_point_into_the_spec_of_b(run: Run) -> None:
    """Each line is one annotation: at the node, the statement, or the nearest parent that is there."""
    lines = run("diff", "a.yaml", "b.yaml", "-f", "github").stdout.splitlines()
    found = [
        re.match(r"::(\w+) file=b.yaml,line=(\d+),col=(\d+),title=paramtool diff%3A (\w+)::", line)
        for line in lines
    ]
    assert [each.groups() for each in found if each] == [
        ("warning", "12", "5", "frozen"),
        ("error", "5", "7", "renamed"),
        ("error", "8", "12", "removed"),
        ("error", "8", "12", "removed"),
        ("warning", "9", "12", "untied"),
        ("error", "10", "24", "added"),
    ]
    assert lines[6].startswith(
        "::error title=paramtool diff%3A does not load::a strict load of a.yaml into b.yaml"
    )
    each = run("diff", "a.yaml", "b.yaml", "-f", "github", "--all").stdout
    assert "::error file=b.yaml,line=7,col=18,title=paramtool diff%3A renamed::layers.3.bias is now" in each


def test_a_tie_is_annotated_where_it_is_stated(run: Run) -> None:
    """A tie that was made is shown at its line under `tie`, and what it overwrites is a warning."""
    text = run("diff", "b.yaml", "a.yaml", "-f", "github").stdout
    assert "::warning file=a.yaml,line=7,col=7,title=paramtool diff%3A tied::head.weight is now one" in text


@pytest.mark.parametrize(
    ("arguments", "message", "place"),
    [
        (("none.pt", "model.yaml"), "cannot read none.pt: No such file or directory", None),
        (("model.yaml", "bad.yaml"), "unknown module 'Liner'; did you mean 'Linear'?", ("bad.yaml", "1")),
        (("model.yaml", "model.yaml", "-p", "("), "--pattern '(' is not a regular expression", None),
        (("model.yaml", "x\x1b]]>\ud800.pt"), "cannot read x\\x1b]]>", None),
    ],
)
def test_junit_has_the_error_that_ended_a_diff(
    arguments: tuple[str, ...],
    message: str,
    place: tuple[str, str] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    """A server refuses an empty file; stderr and the exit status stay, and with -q they are all there is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.yaml").write_text("model: {Linear: [1, 1]}\n")
    (tmp_path / "bad.yaml").write_text("model: {Liner: [1, 1]}\n")
    result, quiet, table = (
        run("diff", *arguments, *more) for more in (["-f", "junit"], ["-f", "junit", "-q"], [])
    )
    assert (result.status, result.stderr) == (table.status, table.stderr) == (quiet.status, quiet.stderr)
    assert (result.status, quiet.stdout) == (2, "")
    suite = ElementTree.fromstring(result.stdout)
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("1", "1", "0")
    (case,) = suite.iter("testcase")
    assert (case[0].tag, place) == ("error", place and (case.get("file"), case.get("line")))
    assert (case[0].get("message") or "").startswith(message)


def test_junit_has_a_case_for_each_kind_of_change(run: Run) -> None:
    """The same cases in every run: those that fail say what differs, and where B is written."""

    def cases(*arguments: str) -> tuple[ElementTree.Element, dict[str, ElementTree.Element]]:
        result = run("diff", *arguments, "-f", "junit")
        root = ElementTree.fromstring(result.stdout)
        assert result.status == (root.get("failures") != "0")
        found = {str(case.get("name")): case for case in root.iter("testcase")}
        assert root.get("tests") == str(len(list(root.iter("testcase")))) == str(len(found))
        return root, found

    _, same = cases("a.yaml", "a.yaml")
    root, found = cases("a.yaml", "b.yaml")
    assert list(same) == list(found) == [*(each for each in CHANGES if each != "values"), "load"]
    assert [len(case) for case in same.values()] == [0] * len(same)
    failed = {name: case[0] for name, case in found.items() if len(case)}
    changes = document(run, "a.yaml", "b.yaml")["totals"]["changes"]
    assert list(failed) == [*(each for each in CHANGES if each in changes), "load"]
    assert root.get("failures") == str(len(failed))
    assert (found["untied"].get("file"), found["untied"].get("line")) == ("b.yaml", "9")
    assert failed["untied"].get("message") == "head.weight is no longer one tensor with embed.weight"
    assert str(failed["load"].get("message")).startswith("a strict load of a.yaml into b.yaml fails: ")
    assert found["load"].get("classname") == "a.yaml b.yaml"
    _, every = cases("a.yaml", "b.yaml", "--all")
    assert str(every["renamed"][0].text).count("\n") > str(failed["renamed"].text).count("\n")
    _, selected = cases("a.yaml", "b.yaml", "-p", "running")
    assert "load" not in selected
    _, compared = cases("a.yaml", "a.yaml", "--values")
    assert list(compared)[-2:] == ["values", "load"]


def test_nothing_that_a_stranger_wrote_is_a_command(run: Run, folder: Path) -> None:
    """Names with line breaks, colons and commands stay inside the annotation that is ours."""
    names = ('"x\\n::error::y"', '"::set-output name=a::b"', '"100%, a:b"', '"##[group]z"')
    spec = "model:\n  Module:\n" + "".join(f"    {name}: {{Parameter: [1]}}\n" for name in names)
    (folder / "evil.yaml").write_text(spec)
    for format in ("github", "table", "markdown"):
        text = run("diff", "a.yaml", "evil.yaml", "-f", format).stdout
        commands = [line for line in text.splitlines() if line.lstrip().startswith("::")]
        assert all(
            re.match("::(error|warning) (file=evil.yaml,|title=paramtool diff)", each) for each in commands
        )
        assert "##[" not in text
    assert annotation("error", "a%\r\nb", "x,y:z", 1, 2, "t") == (
        "::error file=x%2Cy%3Az,line=1,col=2,title=t::a%25\\r%0Ab\n"
    )


# sources


def test_a_checkpoint_compares_with_a_spec(run: Run, folder: Path) -> None:
    """A file of what the spec builds is the same, and its elements are read in blocks."""
    (folder / "small.yaml").write_text("model: {Sequential: [{Linear: [4, 3]}, {BatchNorm1d: 3}]}\n")
    assert run("init", "small.yaml", "-p", "0.weight", "--ones", "-o", "small.safetensors").status == 0
    assert run("diff", "small.safetensors", "small.yaml").status == 0
    found = document(run, "small.safetensors", "small.yaml", "--values")
    assert [(row["change"], row["name"], row["differing"]) for row in found["rows"]] == [
        ("values", "0.weight", 12)
    ]
    assert found["totals"]["loads"]
    assert found["totals"]["parameters_was"] is None


def test_a_file_that_stores_a_tied_tensor_once_does_not_load_alone(run: Run) -> None:
    """The name map of a safetensors file is no key of a state_dict, and the verdict says so."""
    assert run("init", "a.yaml", "-p", "norm", "--ones", "-o", "a.safetensors").status == 0
    totals = document(run, "a.safetensors", "a.yaml")["totals"]
    assert (totals["differences"], totals["loads"]) == (0, False)
    assert totals["reasons"] == [
        "missing key head.weight",
        "head.weight: stored once, under its other name; load_model of safetensors, --weights and --same-as"
        " know such ties",
    ]
    for a, b in (("a.safetensors", "a.safetensors"), ("a.yaml", "a.safetensors")):
        assert document(run, a, b)["totals"]["loads"]


def test_a_snapshot_is_what_was(run: Run, folder: Path) -> None:
    """The JSON of inspect compares like what it was written from, but for what it does not list."""
    (folder / "main.json").write_text(run("inspect", "a.yaml", "--buffers", "--json").stdout)
    assert run("diff", "main.json", "a.yaml").status == run("diff", "a.yaml", "main.json").status == 0
    assert document(run, "main.json", "b.yaml")["rows"] == document(run, "a.yaml", "b.yaml")["rows"]
    assert "a strict load of main.json into b.yaml fails" in run("diff", "main.json", "b.yaml").stdout
    (folder / "short.json").write_text(run("inspect", "a.yaml", "--json").stdout)
    short = run("diff", "short.json", "a.yaml")
    assert short.status == 0
    assert short.stderr == "note: short.json does not list its buffers, so they are not compared\n"
    assert "main.json is a snapshot and has no values" in refusal(run, "main.json", "a.yaml", "--values")


def test_an_archive_of_torch_stores_both_names(run: Run, folder: Path) -> None:
    """What torch.save wrote of a tied model loads by itself, and differs in nothing that it tells."""
    model = construction.values(open_spec("a.yaml")).module
    torch.save(model.state_dict(), folder / "a.pt")
    totals = document(run, "a.pt", "a.yaml", "--values")["totals"]
    assert (totals["differences"], totals["loads"], totals["warnings"]) == (0, True, [])
    model.load_state_dict(torch.load(folder / "a.pt", weights_only=True), strict=True)


def test_two_files_are_compared_without_torch(folder: Path) -> None:
    """The structure of checkpoints needs no torch."""
    for name, width in (("x", 3), ("y", 4)):
        save_file(dict(nn.Linear(2, width).state_dict()), folder / f"{name}.safetensors")
    seen = watch("diff", "x.safetensors", "y.safetensors", folder=folder)
    assert (seen.status, seen.torch) == (1, False)
    assert "size mismatch for bias, [3] into [4], and 1 more" in seen.stdout


def test_seventy_billion_parameters_do_not_differ_from_themselves(run: Run) -> None:
    """A spec of 80 blocks is compared with itself, names and shapes only."""
    path = str(CONFIGS / "llama3_70b.yaml")
    assert run("diff", path, path).status == 0
    found = run("diff", path, path, "--set", "define.DecoderLayer.Module.mlp=Identity")
    assert found.status == 1
    assert "model.layers.{0..79}.mlp.up_proj.weight" in found.stdout
