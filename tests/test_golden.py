"""What people see, kept in files: read the diff when it changes (``make golden``)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from torch import nn

from paramtool.api.shared import shared as sharing
from paramtool.network import construction
from paramtool.network.listing import parameters
from paramtool.operations.comparison.differences import differences
from paramtool.operations.gradients.backpropagation import gradients
from paramtool.records.report import Report
from paramtool.render.formats import Format, folded, render
from paramtool.render.screen import Screen
from tests.conftest import CONFIGS, ROOT, Result, Run
from tests.specs import open_spec

SMALL = ("mlp", "shared", "my_model")
RESIDUAL = re.compile(r"(?<=residual )[\d.e-]+")  # rounding, which differs between processors
EVERY = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


class TextFile(SingleFileSnapshotExtension):
    """One readable file a golden."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


@pytest.fixture
def golden(snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> SnapshotAssertion:
    """Compare with a file; the project's folder is current, so that paths are the same everywhere."""
    monkeypatch.chdir(ROOT)
    return snapshot.use_extension(TextFile)


@pytest.mark.parametrize("config", EVERY)
@pytest.mark.parametrize("format", ["table", "tree"])
def test_every_config_looks_the_same(config: str, format: str, golden: SnapshotAssertion, run: Run) -> None:
    """Every config has the table and the tree that were last looked at."""
    result = run("inspect", f"configs/{config}.yaml", "--format", format)
    assert result.status == 0
    assert result.stderr + result.stdout == golden


@pytest.mark.parametrize("config", SMALL)
@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "tsv", "markdown"])
def test_every_format_looks_the_same(config: str, format: str, golden: SnapshotAssertion, run: Run) -> None:
    """A small model in every format is written as it was last looked at."""
    result = run("inspect", f"configs/{config}.yaml", "--format", format, "--buffers")
    assert result.status == 0
    assert result.stdout == golden


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("gpt2", "--depth 2"),
        ("gpt2", "--depth 2 --all --format tree"),
        ("gpt2", "--module h.0 --pattern weight --sort numel"),
        ("gpt2", "--buffers --pattern attn"),
        ("gpt2", "--buffers --depth 1 --format tree"),
        ("gpt2", "--buffers --depth 2 --format tree"),
        ("gpt2", "--buffers --depth 2"),
        ("resnet18", "--buffers --depth 2 --format tree"),
        ("resnet18", "--buffers --type BatchNorm2d --exclude layer"),
        ("lenet", "--set dtype=bfloat16 --set freeze=0"),
    ],
)
def test_options_look_the_same(config: str, options: str, golden: SnapshotAssertion, run: Run) -> None:
    """Selections, folding and overrides show what they last showed."""
    result = run("inspect", f"configs/{config}.yaml", *options.split())
    assert result.status == 0
    assert result.stderr + result.stdout == golden


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("albert_like", ""),
        ("albert_like", "--depth 1 --format tree --all"),
        ("albert_like", "--type Linear --top 3 --optimizer nadam --dtype bf16"),
        ("shared", "--format csv"),
        ("shared", "--format markdown"),
        ("mlp", "--json"),
        ("mlp", "--format jsonl --columns name,macs --sort macs"),
    ],
)
def test_costs_look_the_same(config: str, options: str, golden: SnapshotAssertion, run: Run) -> None:
    """The cost of each module, folded and not, and the memory below it."""
    result = run("inspect", f"configs/{config}.yaml", "--cost", *options.split())
    assert result.status == 0
    assert result.stderr + result.stdout == golden


@pytest.mark.parametrize("format", ["table", "json", "markdown"])
def test_statistics_and_values_look_the_same(
    format: str, golden: SnapshotAssertion, run: Run, tmp_path: Path
) -> None:
    """Statistics and values of fixed tensors are written as they were last looked at."""
    path = tmp_path / "model.yaml"
    path.write_text(
        "model:\n  Module:\n    ramp: {Parameter: {shape: [2, 5], fill: arange}}\n"
        "    odd: {Parameter: {values: [.nan, .inf, -.inf, 0, -2.5]}}\n"
        "    none: {Parameter: [0]}\n    one: {Parameter: {values: 3.0}}\n"
        "    counts: {Buffer: {values: [1, 2, 3]}}\n"
    )
    result = run("inspect", str(path), "--stats", "--values", "--buffers", "--format", format)
    assert result.status == 0
    assert result.stdout.replace(str(path), "model.yaml") == golden


SHARED = """\
model:
  Module:
    emb: {Embedding: [100, 16]}
    layers: {Sequential: [&b {Module: {q: {Linear: [16, 16]}, n: {LayerNorm: 16}}}, *b, *b, *b, *b]}
    h: {Repeat: {times: 12, module: {Module: {a: &l {Linear: [4, 4]}, b: *l, c: {Linear: [4, 4]}}}}}
    out: {Linear: {in_features: 16, out_features: 100, bias: false}}
    mask: &m {Buffer: {shape: [2, 2], fill: arange}}
    same: *m
    copy: {Buffer: {shape: [2, 2], fill: arange}}
tie: {out.weight: emb.weight}
expect:
  shared: [[out.weight, emb.weight], [layers.0.q.weight, layers.4.q.weight, layers.4.n.weight]]
  distinct: [[h.0.a.weight, h.0.c.weight, h.0.b.weight], [h.0.a.weight, h.0.d.weight]]
"""


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--all --pattern 0",
        "--by-value",
        "--format markdown",
        "--format tsv --pattern mask",
        "--json --pattern out",
    ],
)
def test_sharing_looks_the_same(options: str, golden: SnapshotAssertion, run: Run, tmp_path: Path) -> None:
    """What is shared, folded and not, and the expectations that do not hold."""
    path = tmp_path / "model.yaml"
    path.write_text(SHARED)
    result = run("shared", str(path), *options.split())
    assert result.status == 1
    assert (result.stderr + result.stdout).replace(str(path), "model.yaml") == golden


TREES = {
    "init": "init configs/gpt2.yaml --pattern weight --normal 0.02 --pattern bias --zeros",
    "plan": "init configs/bert_base.yaml --ndim 2 --xavier-normal --ndim 1 --normal 0.02 --pattern bias"
    " --zeros --dry-run",
    "shared": "shared configs/gpt2.yaml",
    "grad": "grad configs/tiny_lm.yaml --layers",
    "uses": "grad configs/shared.yaml --pattern weight --constant 3",
}


@dataclass
class Shown:
    """A command that ran once, whose report is rendered for terminals of many widths."""

    result: Result
    report: Report[Any, Any]
    format: Format

    def at(self, width: int | None) -> Result:
        """Return how the command would have ended on a terminal of `width`."""
        return replace(self.result, stdout="".join(render(self.report, self.format, Screen(width=width))))


SHOWN: dict[tuple[str, ...], Shown] = {}


@pytest.fixture
def show(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shown]:
    """Run a command at its first call alone, and keep what it would render."""

    def show(*arguments: str) -> Shown:
        def keep(report: Report[Any, Any], format: Format, _: Screen) -> list[str]:
            kept.append((report, format))
            return []

        if arguments not in SHOWN:
            kept: list[tuple[Report[Any, Any], Format]] = []
            for module in ("page_file", f"commands.{arguments[0]}"):  # whichever of them writes
                monkeypatch.setattr(import_module(f"paramtool.cli.{module}"), "render", keep, raising=False)
            result = run(*arguments)
            assert (len(kept), result.stdout) == (1, "")
            SHOWN[arguments] = Shown(result, *kept[0])
        return SHOWN[arguments]

    return show


@pytest.mark.parametrize("width", [None, 80, 120])
@pytest.mark.parametrize("case", [*TREES, "diff"])
def test_a_tree_looks_the_same(
    case: str, width: int | None, golden: SnapshotAssertion, show: Callable[..., Shown]
) -> None:
    """Each command with names has a tree, of which no leaf is wider than its terminal, nor cut in a file."""
    path = "configs/gpt2.yaml"
    arguments = TREES[case].split() if case in TREES else ["diff", path, path, *CHANGES.split()]
    result = show(*arguments, "--format", "tree").at(width)
    assert result.status == (case == "diff")
    head = result.stdout.split("\n\n")[0]
    assert all(len(line) <= (width or len(head)) for line in head.splitlines())
    assert RESIDUAL.sub("about 0", result.stderr + result.stdout) == golden


def test_a_tree_of_overlaps_and_copies_looks_the_same(golden: SnapshotAssertion) -> None:
    """Groups of what overlaps and of equal values are branches, with the ranges at their leaves."""
    weight = nn.Parameter(torch.zeros(100, 4))
    module = nn.Module()
    module.weight, module.view = weight, weight[2:4]
    module.ends = nn.Parameter(weight.detach()[:, 1])
    module.layers = nn.ModuleList(nn.ModuleList([layer := nn.Linear(2, 2), layer]) for _ in range(3))
    assert (
        "".join(render(folded(sharing(module, by_value=True)), Format.tree, Screen(unicode=False))) == golden
    )


@pytest.mark.parametrize("width", [None, 60, 100])
def test_overlaps_look_the_same(width: int | None, golden: SnapshotAssertion) -> None:
    """Views of a parameter with their ranges, in a file and on terminals."""
    weight = nn.Parameter(torch.zeros(100, 4))
    module = nn.Module()
    module.weight, module.view = weight, weight[2:4]
    module.column = nn.Parameter(weight.detach()[:, 1])
    assert "".join(render(sharing(module), Format.table, Screen(width=width))) == golden


@pytest.mark.parametrize("width", [40, 80, 110, 120])
def test_a_terminal_looks_the_same(width: int, golden: SnapshotAssertion) -> None:
    """On a terminal of any width the table folds names over lines, and has colours."""
    report = folded(parameters(construction.structure(open_spec("configs/gpt2.yaml")).module))
    assert "".join(render(report, Format.table, Screen(width=width, color=False))) == golden


CHANGES = (
    "--set define.Block.Module.attn=MLP --set define.Block.Module.ln_2.LayerNorm=700 --set tie={}"
    " --set freeze=wpe --set model.Module.lm_head.Linear.bias=true"
)


@pytest.mark.parametrize("format", ["table", "json", "jsonl", "csv", "tsv", "markdown", "github"])
def test_a_difference_looks_the_same(format: str, golden: SnapshotAssertion, run: Run) -> None:
    """The differences of a changed GPT-2 are written as they were last looked at."""
    small = ("--pattern", "h.0|wpe|head") if format in ("json", "jsonl", "csv", "tsv") else ()
    path = "configs/gpt2.yaml"
    result = run("diff", path, path, *CHANGES.split(), *small, "--format", format)
    assert result.status == 1
    assert result.stderr + result.stdout == golden


@pytest.mark.parametrize("width", [60, 100])
def test_a_difference_on_a_terminal_looks_the_same(width: int, golden: SnapshotAssertion) -> None:
    """On a terminal a difference folds over lines, whatever its width."""
    a = parameters(construction.structure(open_spec("configs/lenet.yaml")).module)
    b = parameters(construction.structure(open_spec("configs/mlp.yaml")).module)
    report = folded(differences(a, b))
    assert "".join(render(report, Format.table, Screen(width=width, color=False))) == golden


@pytest.mark.parametrize("width", [50, 80, 100, 120])
@pytest.mark.parametrize("case", ["init", "plan", "model"])
def test_a_narrow_table_looks_the_same(
    case: str, width: int, golden: SnapshotAssertion, show: Callable[..., Shown]
) -> None:
    """The tables of init and grad do without columns on a terminal of usual width, and say which."""
    result = show(*TREES.get(case, "grad configs/tiny_lm.yaml --layers").split()).at(width)
    assert result.status == 0
    assert RESIDUAL.sub("about 0", result.stdout) == golden


def test_help_looks_the_same(golden: SnapshotAssertion, run: Run) -> None:
    """The help of the tool and of each command says what it last said."""
    commands: tuple[list[str], ...] = (
        [],
        ["inspect"],
        ["shared"],
        ["grad"],
        ["diff"],
        ["convert"],
        ["schema"],
    )
    texts = [run(*command, "--help").stdout for command in commands]
    assert "\n".join(texts) == golden


@pytest.mark.parametrize("format", ["table", "csv", "markdown"])
def test_a_plan_looks_the_same(format: str, golden: SnapshotAssertion, run: Run) -> None:
    """The plan of an initialization points out fans, ties, skipped fills, norms and padding rows."""
    rules = "--ndim 2 --xavier-normal --ndim 1 --normal 0.02 --pattern bias --zeros"
    options = f"{rules} --dry-run --format {format}"
    result = run("init", "configs/bert_base.yaml", *options.split())
    assert result.status == 0
    assert result.stderr + result.stdout == golden


def test_help_of_initializations_looks_the_same(golden: SnapshotAssertion, run: Run) -> None:
    """The help of init and initializers, and the listing, say what they last said."""
    commands = (["init", "--help"], ["initializers", "--help"], ["initializers"], ["initializers", "normal"])
    assert "\n".join(run(*command).stdout for command in commands) == golden


@pytest.mark.parametrize(
    "options",
    [
        "shared --pattern weight --constant 3",
        "shared --pattern weight --constant 3 --steps 2",
        "shared --pattern weight --constant 3 --format json",
        "shared --pattern weight --constant 3 --format csv",
        "shared --pattern weight --constant 3 --format markdown",
        "mlp --layers --by-use",
        "mlp --layers --format markdown",
        "tiny_lm",
        "tiny_lm --layers --no-by-use",
        "rnn --by-use --no-values",
        "albert_like",
        "lenet --eval --loss square --set freeze=0",
    ],
)
def test_gradients_look_the_same(options: str, golden: SnapshotAssertion, run: Run) -> None:
    """Gradients of the configs that run, with uses, layers and values, are written as last looked at."""
    config, *rest = options.split()
    result = run("grad", f"configs/{config}.yaml", *rest)
    assert result.status == 0
    assert RESIDUAL.sub("about 0", result.stderr + result.stdout) == golden


@pytest.mark.parametrize("width", [60, 160])
def test_gradients_on_a_terminal_look_the_same(width: int, golden: SnapshotAssertion) -> None:
    """Branches and bars on a wide terminal; on a narrow one a row is stacked."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 2).double()
    report = gradients(torch.nn.Sequential(layer, layer), [torch.ones(1, 2).double()], layers=True)
    assert "".join(render(report, Format.table, Screen(width=width, color=False))) == golden


@pytest.mark.parametrize(
    "arguments",
    [
        "configs/gpt2.yaml",
        "configs/gpt2.yaml --names ^h --distinct wte.weight,wpe.weight --bytes max=400MB --quiet",
        "configs/gpt2.yaml configs/lenet.yaml --parameters max=1M --frozen wte --format markdown",
        "configs/gpt2.yaml --set tie={} --dtype bfloat16 --format github",
        "configs/gpt2.yaml --set tie={} --format junit",
        "configs/gpt2.yaml --set tie={} --json",
        "--help",
    ],
    ids=["kept", "broken", "several", "github", "junit", "json", "help"],
)
def test_check_looks_the_same(arguments: str, golden: SnapshotAssertion, run: Run) -> None:
    """Expectations, kept and broken, are shown as they were last looked at."""
    result = run("check", *arguments.split())
    assert f"{result.stdout}{result.stderr}exit status {result.status}\n" == golden


FIRST_LINES = {
    "file": "net.py",
    "files": "w.pt ddp.pt model.yaml nope.pt broken.yaml",
    "tree of files": "w.pt model.yaml --format tree",
    "prefix": "inspect model.yaml --weights ddp.pt",
    "prefix of a diff": "diff ddp.pt model.yaml",
    "blocks": "inspect model.yaml --weights blocks.pt",
    "errors": "broken.yaml",
    "factory": "net.py:fails",
    "word": "stats w.pt",
    "nothing saved": "init model.yaml -p weight --zeros",
}


@pytest.mark.parametrize("what", FIRST_LINES)
def test_the_first_minute_looks_the_same(
    what: str, golden: SnapshotAssertion, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What people type first: a file, a module of their own, a checkpoint that nearly fits."""
    monkeypatch.chdir(tmp_path)
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(12))
    torch.save({"state_dict": net.state_dict(), "epoch": 3}, "w.pt")
    torch.save(nn.DataParallel(net).state_dict(), "ddp.pt")
    torch.save(blocks.state_dict(), "blocks.pt")
    Path("model.yaml").write_text("model: {Sequential: [{Linear: [4, 3]}, {Linear: [3, 1]}]}\n")
    lines = [f"    - Linear: [4, x{i}]\n" for i in range(30)]
    Path("broken.yaml").write_text("model:\n  Sequential:\n" + "".join(lines))
    Path("net.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, width, depth=2): ...\n"
        "def make(): return nn.Linear(1, 1)\ndef fails() -> nn.Module:\n    raise ValueError('no size')\n"
        "net = make()\n"
    )
    result = run(*FIRST_LINES[what].split())
    assert f"exit status {result.status}\n{result.stderr}{result.stdout}" == golden
