"""``paramtool inspect``: its options, its streams and its exit statuses."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from paramtool.network.listing import parameters
from paramtool.records.parameter import COLUMNS, KIND_COLUMNS, STATISTICS_COLUMNS
from paramtool.render.formats import FOR_CI, Format
from tests.conftest import CONFIGS, Run

SPEC = """\
model:
  Module:
    embedding: {Embedding: [10, 4]}
    blocks: {Repeat: {times: 3, module: {TransformerEncoderLayer: [4, 2, 8]}}}
    norm: {BatchNorm1d: 4}
    scale: {Parameter: {shape: [4], fill: ones}}
    mask: {Buffer: {shape: [3], persistent: false}}
    table: {Tensor: [2, 2]}
    head: {Linear: [4, 10]}
tie: {head.weight: embedding.weight}
freeze: ^norm
"""
FOR_REPORTS = tuple(format for format in Format if format not in FOR_CI)
NOTE = "note: table [2, 2] is a plain tensor, not a parameter: no optimizer, state_dict or .to() sees it\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a spec the current one, and no other default."""
    (tmp_path / "tagger.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    return tmp_path


def document(run: Run, *options: str, model: str = "tagger.yaml") -> dict[str, Any]:
    """Return the JSON that `inspect` writes."""
    result = run("inspect", model, "--json", *options)
    assert result.status == 0, result.stderr
    return dict(json.loads(result.stdout))


def names(run: Run, *options: str) -> list[str]:
    return [row["name"] for row in document(run, *options)["rows"]]


def refusal(run: Run, *arguments: str, status: int = 2) -> str:
    """Return what is said on stderr where nothing goes to stdout."""
    result = run("inspect", *arguments)
    assert (result.status, result.stdout) == (status, "")
    return result.stderr


class Tagger(nn.Module):
    """What the spec writes down, in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(4, 2, 8) for _ in range(3)))
        self.norm = nn.BatchNorm1d(4)
        self.scale = nn.Parameter(torch.ones(4))
        self.head = nn.Linear(4, 10)
        self.head.weight = self.embedding.weight
        self.norm.requires_grad_(False)


def test_every_name_is_listed(run: Run) -> None:
    """Without options every parameter is listed, under every name, as torch lists it."""
    found = document(run)
    expected = list(Tagger().named_parameters(remove_duplicate=False))
    assert [(row["name"], row["shape"]) for row in found["rows"]] == [
        (name, list(each.shape)) for name, each in expected
    ]
    assert found["totals"]["parameters"] == sum(each.numel() for each in Tagger().parameters())
    assert (found["command"], found["model"]) == ("inspect", "tagger.yaml")
    assert [row["name"] for row in found["rows"] if row["tied_to"] == "embedding.weight"] == ["head.weight"]
    assert [row["name"] for row in found["rows"] if not row["requires_grad"]] == ["norm.weight", "norm.bias"]


def test_only_the_result_is_on_stdout(run: Run) -> None:
    """A plain tensor is told on stderr, and stdout is the same as if nobody read that."""
    result = run("inspect", "tagger.yaml", "-f", "csv")
    assert result.stderr == NOTE
    assert result.stdout.startswith(",".join(COLUMNS) + "\nscale,Module,[4],float32,4,16,true,\n")


# selection


def test_patterns_choose_names(run: Run) -> None:
    """--pattern, --exclude and --type choose, each more than once, and the totals follow."""
    assert names(run, "-p", "norm1", "--exclude", "bias") == [f"blocks.{i}.norm1.weight" for i in range(3)]
    assert names(run, "--pattern", "^head", "-p", "^emb") == ["embedding.weight", "head.weight", "head.bias"]
    assert names(run, "--type", "Embedding", "-t", "BatchNorm1d") == [
        "embedding.weight",
        "norm.weight",
        "norm.bias",
    ]
    projections = names(run, "--type", "Linear", "--exclude", "linear", "--exclude", "^head")
    assert projections[:2] == [
        "blocks.0.self_attn.out_proj.weight",
        "blocks.0.self_attn.out_proj.bias",
    ]
    totals = document(run, "-p", r"^head\.weight")["totals"]
    assert (totals["parameters"], totals["tensors"], totals["buffers"]) == (40, 1, 0)


def test_a_selection_that_matches_nothing_is_no_answer(run: Run) -> None:
    """Where nothing matches the exit status is 2, and the hint says what there is."""
    assert refusal(run, "tagger.yaml", "--type", "Liner") == (
        NOTE + "error: no parameter matches the selection; did you mean 'Linear'?\n"
    )
    assert "there are 42 names, the first is 'scale'" in refusal(run, "tagger.yaml", "-p", "zzz")


@pytest.mark.parametrize("option", ["--pattern", "--exclude"])
def test_a_pattern_that_is_none_is_refused(option: str, run: Run) -> None:
    """A pattern that is no regular expression is wrong usage, told by its option."""
    text = refusal(run, "tagger.yaml", option, "a(")
    assert text.startswith(f"error: {option} 'a(' is not a regular expression: ")


def test_a_module_is_listed_by_its_own_names(run: Run) -> None:
    """--module lists one submodule as if it were the model, with its own totals."""
    found = document(run, "--module", "blocks.1.self_attn")
    module = nn.MultiheadAttention(4, 2)
    assert [row["name"] for row in found["rows"]] == [name for name, _ in module.named_parameters()]
    assert found["totals"]["parameters"] == sum(each.numel() for each in module.parameters())
    head = document(run, "-m", "head")
    assert [(row["name"], row["tied_to"]) for row in head["rows"]] == [("weight", None), ("bias", None)]


def test_a_module_that_is_not_there_is_refused(run: Run) -> None:
    """An unknown path is wrong usage, with the nearest one."""
    assert refusal(run, "tagger.yaml", "--module", "blocks.1.self_atn") == (
        "error: no module 'blocks.1.self_atn'; did you mean 'blocks.1.self_attn'?\n"
    )
    text = refusal(run, "tagger.yaml", "--module", "?")
    assert "there are embedding, blocks, blocks.0, blocks.0.self_attn" in text


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("net[0]", "did you mean '0'?"),
        ("[2]", "did you mean '2'?"),
        ("net.2", "did you mean '2'?"),
        ("2.bias", "it is a tensor; --pattern '^2.bias$' lists it"),
        ("net[1][1]", "there are 0, 1, 2"),
        ("net[]", "there are 0, 1, 2"),
    ],
)
def test_a_module_that_is_written_as_in_python_gets_its_path(typed: str, hint: str, run: Run) -> None:
    """What a notebook writes is no path, and the hint says which one it means."""
    mlp = str(CONFIGS / "mlp.yaml")
    assert refusal(run, mlp, "--module", typed) == f"error: no module '{typed}'; {hint}\n"


# more to see


def test_buffers_come_with_their_kind(run: Run) -> None:
    """--buffers adds buffers and plain tensors, what each is, and whether it is saved."""
    found = document(run, "--buffers", "-p", "norm.running", "-p", "mask", "-p", "table", "-p", "scale")
    assert list(found["rows"][0])[:4] == ["name", "type", "kind", "persistent"]
    assert [(row["name"], row["kind"], row["persistent"]) for row in found["rows"]] == [
        ("scale", "parameter", None),
        ("mask", "buffer", False),
        ("norm.running_mean", "buffer", True),
        ("norm.running_var", "buffer", True),
        ("table", "tensor", None),
    ]
    assert found["totals"]["buffers"] == 3 + 4 + 4
    plain = run("inspect", "tagger.yaml", "-f", "tsv", "-b").stdout
    assert plain.partition("\n")[0].split("\t") == ["name", "type", "kind", "persistent", *COLUMNS[2:]]
    assert document(run)["totals"] == document(run, "-b")["totals"]


def test_values_are_printed(run: Run) -> None:
    """--values has the elements: as torch prints them for people, and as numbers in JSON."""
    (row,) = document(run, "--values", "-p", "scale")["rows"]
    assert row["values"] == [1.0, 1.0, 1.0, 1.0]
    table = run("inspect", "tagger.yaml", "--values", "-p", "scale").stdout
    assert " scale\ntensor([1., 1., 1., 1.])\n" in table
    (tied,) = document(run, "--values", "-p", "head.weight")["rows"]
    (first,) = document(run, "--values", "-p", "embedding")["rows"]
    assert tied["values"] == first["values"]
    assert torch.tensor(tied["values"]).shape == (10, 4)


def test_statistics_are_columns(run: Run) -> None:
    """--stats adds its columns, of the same values that --values prints."""
    (row,) = document(run, "--stats", "--values", "-p", "embedding")["rows"]
    assert list(row) == [*COLUMNS, *STATISTICS_COLUMNS, "values", *KIND_COLUMNS]
    values = torch.tensor(row["values"], dtype=torch.float64)
    assert row["mean"] == pytest.approx(float(values.mean()))
    assert row["std"] == pytest.approx(float(values.std()))
    assert sum(row["histogram"]) == 40


def test_statistics_are_those_of_the_api(run: Run) -> None:
    """The command prints what the Python API returns."""
    (row,) = document(run, "--stats", "-p", "scale")["rows"]
    api = next(row for row in parameters(Tagger(), stats=True).rows if row.name == "scale")
    assert {key: row[key] for key in ("mean", "std", "zeros", "norm")} == {
        "mean": api.mean,
        "std": api.std,
        "zeros": api.zeros,
        "norm": api.norm,
    }


def test_a_seed_decides_the_values(run: Run) -> None:
    """One seed gives one set of values, another another; the spec's seed is overridden."""
    options = ("--values", "-p", "embedding")
    first = document(run, *options)["rows"]
    assert document(run, *options, "--seed", "0")["rows"] == first
    one = document(run, *options, "--seed", "1")["rows"]
    assert one != first
    assert document(run, *options, "--set", "seed=1")["rows"] == one
    assert document(run, *options, "--set", "seed=1", "--seed", "0")["rows"] == first


@pytest.mark.parametrize("seed", ["-1", "a", "1.5", str(2**64)])
def test_a_seed_that_is_none_is_refused(seed: str, run: Run) -> None:
    """A seed is a number from 0 that 64 bits hold."""
    assert "--seed" in refusal(run, "tagger.yaml", "--seed", seed)


# order and folding


def test_rows_are_sorted(run: Run) -> None:
    """--sort has the largest first or A to Z, and --reverse turns either around."""
    listed = names(run)
    assert names(run, "--sort", "name") == sorted(listed)
    assert names(run, "--sort", "name", "--reverse") == sorted(listed, reverse=True)
    assert names(run, "--reverse") == listed[::-1]
    sizes = [row["numel"] for row in document(run, "--sort", "numel")["rows"]]
    assert sizes == sorted(sizes, reverse=True)
    assert [row["numel"] for row in document(run, "--sort", "numel", "--reverse")["rows"]] == sizes[::-1]


def test_a_field_that_is_none_is_refused(run: Run) -> None:
    """--sort by an unknown field is wrong usage, with the nearest one."""
    assert refusal(run, "tagger.yaml", "--sort", "numl").endswith(
        "error: cannot sort by 'numl'; type: paramtool inspect tagger.yaml --sort numel\n"
    )


def test_depth_folds_modules(run: Run) -> None:
    """--depth has a row a module, how many names it stands for, and the same totals."""
    found = document(run, "--depth", "1")
    assert list(found["rows"][0])[:2] == ["name", "count"]
    assert [(row["name"], row["count"], row["numel"]) for row in found["rows"]] == [
        ("scale", 1, 4),
        ("embedding", 1, 40),
        ("blocks", 36, 3 * 172),
        ("norm", 2, 8),
        ("head", 2, 10),
    ]
    assert found["totals"] == document(run)["totals"]
    assert sum(row["numel"] for row in found["rows"]) == found["totals"]["parameters"]


def test_depth_has_no_values(run: Run) -> None:
    """Tensors that are folded together have no common values, so these are refused."""
    assert "--depth folds tensors together" in refusal(run, "tagger.yaml", "--depth", "1", "--values")


@pytest.mark.parametrize("format", ["table", "tree", "markdown"])
def test_people_see_identical_blocks_as_one(format: str, run: Run) -> None:
    """Numbered blocks are one line for people, unless --all asks for each."""
    short = run("inspect", "tagger.yaml", "-f", format).stdout
    long = run("inspect", "tagger.yaml", "-f", format, "--all").stdout
    assert "{0..2}" in short.replace("\\", "") and "{0..2}" not in long.replace("\\", "")
    assert "42 names in 18 lines; --all shows each" in short
    assert len(long.splitlines()) > len(short.splitlines())


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "tsv"])
def test_machines_see_every_name(format: str, run: Run) -> None:
    """A format for machines never folds: a row is a name."""
    text = run("inspect", "tagger.yaml", "-f", format).stdout
    assert ".." not in text
    assert all(f"blocks.{index}.linear1.bias" in text for index in range(3))
    assert text == run("inspect", "tagger.yaml", "-f", format, "--all").stdout


# formats


@pytest.mark.parametrize("format", FOR_REPORTS)
@pytest.mark.parametrize("options", ["", "--stats --values --buffers", "--depth 1 --sort name"])
def test_two_runs_print_the_same(format: Format, options: str, run: Run) -> None:
    """Every format is the same, byte for byte, in two runs."""
    arguments = ("inspect", "tagger.yaml", "--format", format.value, *options.split())
    first, second = run(*arguments), run(*arguments)
    assert first.status == 0 and first.stdout
    assert first == second


def test_the_formats_agree(run: Run) -> None:
    """JSON, JSON lines, CSV and TSV have the same rows under the same names."""
    rows = document(run, "--buffers")["rows"]
    lines = run("inspect", "tagger.yaml", "-b", "-f", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows
    for format, delimiter in (("csv", ","), ("tsv", "\t")):
        text = run("inspect", "tagger.yaml", "-b", "-f", format).stdout
        table = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
        assert [row["name"] for row in table] == [row["name"] for row in rows]
        assert [int(row["numel"]) for row in table] == [row["numel"] for row in rows]
        assert list(table[0]) == list(rows[0])


def test_json_has_a_short_name(run: Run) -> None:
    """--json is --format json, and beside another format a contradiction."""
    expected = run("inspect", "tagger.yaml", "--format", "json")
    assert run("inspect", "tagger.yaml", "--json") == expected
    assert run("inspect", "tagger.yaml", "--json", "-f", "csv").status == 2


# the model


def test_a_value_of_the_spec_is_overridden(run: Run) -> None:
    """--set changes one value of the spec, as often as it is given."""
    sizes = ("model.Module.embedding.Embedding.0=7", "model.Module.head.Linear.1=7")
    overrides = [word for each in (*sizes, "dtype=float64") for word in ("--set", each)]
    found = document(run, *overrides, "-p", "^(embedding|head)")
    assert [(row["shape"], row["dtype"]) for row in found["rows"]] == [
        ([7, 4], "float64"),
        ([7, 4], "float64"),
        ([7], "float64"),
    ]
    assert refusal(run, "tagger.yaml", "--set", "model.Modul.head=1").startswith(
        "--set model.Modul.head=1: error: 'model' has no 'Modul'; did you mean 'Module'?"
    )


def test_the_model_of_the_folder_is_the_default(folder: Path, run: Run) -> None:
    """Without MODEL it is model.yaml here, and stderr says so."""
    (folder / "model.yaml").write_text("model: {Linear: [2, 3]}")
    result = run("inspect", "-f", "csv")
    assert (result.status, result.stderr) == (0, "note: MODEL is model.yaml, from the current folder\n")
    assert len(result.stdout.splitlines()) == 3


def test_the_variable_goes_before_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """$PARAMTOOL_MODEL is the default, before model.yaml and after what is typed."""
    (folder / "model.yaml").write_text("model: ReLU")
    (folder / "other.yaml").write_text("model: {Linear: [2, 3]}")
    monkeypatch.setenv("PARAMTOOL_MODEL", "other.yaml")
    result = run("inspect", "--json")
    assert result.stderr == "note: MODEL is other.yaml, from $PARAMTOOL_MODEL\n"
    assert json.loads(result.stdout)["model"] == "other.yaml"
    assert document(run)["model"] == "tagger.yaml"


def test_no_model_at_all_is_refused(run: Run) -> None:
    """Without MODEL and without a default it is wrong usage, with what to do."""
    assert refusal(run) == (
        "error: no MODEL given, and no model.yaml here; name one, or set PARAMTOOL_MODEL\n"
    )


def test_stdin_is_a_model(folder: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """``-`` is standard input, which errors call <stdin>."""
    with (folder / "tagger.yaml").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        found = document(run, model="-")
    assert found["model"] == "<stdin>" and len(found["rows"]) == 42
    (folder / "bad.yaml").write_text("model: Liner")
    with (folder / "bad.yaml").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        text = refusal(run, "-")
    assert text.startswith("<stdin>:1:8: error: unknown module 'Liner'; did you mean 'Linear'?\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("taggr.yaml",), "cannot read taggr.yaml: No such file or directory; did you mean 'tagger.yaml'?"),
        (
            (".",),
            ". is a folder without a checkpoint, but with tagger.yaml; type: paramtool inspect tagger.yaml",
        ),
        (("tagger.yaml", "--format", "xml"), "'xml'"),
        (("tagger.yaml", "--depth", "0"), "--depth"),
        (("tagger.yaml", "--colour"), "--colour"),
        (("tagger.yaml", "--set", "seed"), "expected KEY=VALUE"),
        (("tagger.yaml", "--set", "sed=1"), "unknown key 'sed'; did you mean 'seed'?"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], message: str, run: Run) -> None:
    """Wrong usage ends with 2, one line that says what is wrong, and nothing on stdout."""
    text = refusal(run, *arguments)
    assert message in text
    assert sum("error: " in line for line in text.splitlines()) == 1


def test_every_error_of_a_spec_is_told(folder: Path, run: Run) -> None:
    """A spec with three errors is refused with all three, each at its place."""
    (folder / "bad.yaml").write_text("model:\n  Sequential: [Liner, {Linear: [1]}]\ndtyp: float32\n")
    lines = [line for line in refusal(run, "bad.yaml").splitlines() if "error:" in line]
    assert [line.partition(" ")[0] for line in lines] == ["bad.yaml:2:16:", "bad.yaml:2:24:", "bad.yaml:3:1:"]


def test_a_model_without_parameters_is_no_error(folder: Path, run: Run) -> None:
    """A model of functions alone has nothing to list, which a note says."""
    (folder / "relu.yaml").write_text("model: ReLU")
    result = run("inspect", "relu.yaml")
    assert (result.status, result.stderr) == (0, "note: the model has no parameters\n")
    assert "0 parameters in 0 tensors, 0 B" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["my_model.yaml", "-p", "weight2"], "'weight2' is a plain tensor; --buffers lists it"),
        (
            ["resnet18.yaml", "-p", "^bn1.(running|num)"],
            "'bn1.running_mean' is a buffer, and 2 more are not parameters; --buffers lists them",
        ),
        (["resnet18.yaml", "-p", "runing"], "there are 62 names, the first is 'conv1.weight'"),
        (["resnet18.yaml", "-p", "runing", "--buffers"], "there are 122 names, the first is 'conv1.weight'"),
    ],
)
def test_what_is_selected_and_not_listed_is_pointed_out(arguments: list[str], hint: str, run: Run) -> None:
    """A pattern that only buffers or plain tensors match has no row, status 2, and a way to see them."""
    result = run("inspect", str(CONFIGS / arguments[0]), *arguments[1:])
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.endswith(f"error: no parameter matches the selection; {hint}\n")
