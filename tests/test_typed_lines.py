"""What was typed, and the line to type instead: every hinted line is run, and works."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from paramtool.cli.command_group import SUMMARIES
from paramtool.cli.typed_line import mended
from paramtool.cli.typed_rules import GAINS
from paramtool.cli.words import OTHER_WORDS
from tests.conftest import Run
from tests.processes import environment, execute

MODEL = "model: {Sequential: [{Conv2d: [3, 4, 3]}, {BatchNorm2d: 4}, {Linear: [3, 1]}]}\n"
NETS = """
from torch import nn
def make(): return nn.Linear(2, 2)
class Net(nn.Module):
    def __init__(self, width):
        super().__init__(); self.layer = nn.Linear(width, width)
class Flat(Net):
    def forward(self, x): return self.layer(x)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write a spec, checkpoints with prefixes, and a package below src."""
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    state = net.state_dict()
    (tmp_path / "model.yaml").write_text(MODEL)
    (tmp_path / "small.yaml").write_text("model: {Sequential: [{Linear: [4, 3]}, {Linear: [3, 1]}]}\n")
    (tmp_path / "typed_nets.py").write_text(NETS)
    (tmp_path / "src" / "typed_lab").mkdir(parents=True)
    (tmp_path / "src" / "typed_lab" / "__init__.py").touch()
    (tmp_path / "src" / "typed_lab" / "net.py").write_text(NETS)
    (tmp_path / "filled.yaml").write_text(
        "model: {Linear: [4, 3]}\ninput: {shape: [2, 4], fill: ones}\ninit: [{pattern: ., zeros: }]\n"
    )
    torch.save(state, tmp_path / "w.pt")
    torch.save({f"module.{name}": each for name, each in state.items()}, tmp_path / "ddp.pt")
    torch.save({name.replace(".", "._orig_mod."): each for name, each in state.items()}, tmp_path / "half.pt")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in [each for each in sys.modules if each.startswith("typed_")]:
        del sys.modules[name]


LINES = [
    ("info w.pt", "inspect w.pt"),
    ("ls w.pt", "inspect w.pt"),
    ("summary model.yaml --all", "inspect model.yaml --all"),
    ("tree w.pt", "inspect w.pt --format tree"),
    ("stats w.pt", "inspect w.pt --stats"),
    ("params model.yaml", "inspect model.yaml"),
    ("compare w.pt w.pt", "diff w.pt w.pt"),
    ("help inspect", "inspect --help"),
    ("version", "--version"),
    ("inspct w.pt", "inspect w.pt"),
    ("--stats w.pt", "inspect --stats w.pt"),
    ("--json inspect w.pt", "inspect --json w.pt"),
    ("torch.nn.Flatten", "torch.nn:Flatten"),
    ("inspect typed_lab.net.make", "inspect typed_lab.net:make"),
    ("typed_nets", "typed_nets:make"),
    ("inspect typed_lab.net", "inspect typed_lab.net:make"),
    ("w.pt shared", "shared w.pt"),
    ("typed_nets:mak", "typed_nets:make"),
    ("shared typed_nets.py", "shared typed_nets.py:make"),
    ("init typed_nets.py -p weight --zeros", "init typed_nets.py:make -p weight --zeros"),
    ("small.yaml --weights ddp.pt", "small.yaml --weights ddp.pt --strip-prefix module."),
    ("inspect small.yaml -w half.pt", "inspect small.yaml -w half.pt --strip-prefix _orig_mod."),
    ("model.yaml --pattern '*.weight'", r"model.yaml --pattern '\.weight$'"),
    ("model.yaml '--exclude=*.weight'", r"model.yaml '--exclude=\.weight$'"),
    ("init model.yaml -p '*.bias' --zeros", r"init model.yaml -p '\.bias$' --zeros"),
    (
        "init model.yaml -p weight --ndim 2 --kaiming-normal relu",
        "init model.yaml -p weight --ndim 2 --with kaiming_normal:nonlinearity=relu",
    ),
    (
        "init model.yaml -p weight --ndim 2 --kaiming-normal=relu",
        "init model.yaml -p weight --ndim 2 --with kaiming_normal:nonlinearity=relu",
    ),
    (
        "init model.yaml -p weight --ndim 2 --kaiming-uniform fan_out relu",
        "init model.yaml -p weight --ndim 2 --with kaiming_uniform:mode=fan_out,nonlinearity=relu",
    ),
    (
        "init model.yaml -p weight --ndim 2 --xavier-normal tanh",
        f"init model.yaml -p weight --ndim 2 --xavier-normal {5 / 3}",
    ),
    (
        "init model.yaml -p weight --kaiming-normal",
        "init model.yaml -p weight --ndim 2 --kaiming-normal -p weight --ndim 4 --kaiming-normal",
    ),
    (
        "init small.yaml --pattern . --orthogonal 2 -p bias --zeros",
        "init small.yaml --pattern . --ndim 2 --orthogonal 2 -p bias --zeros",
    ),
    ("init model.yaml -p . --zeros -o 'a b.npz'", "init model.yaml -p . --zeros -o 'a b.safetensors'"),
    ("model.yaml --format htm", "model.yaml --format html"),
    ("model.yaml --format md", "model.yaml --format markdown"),
    ("model.yaml --tree", "model.yaml --format tree"),
    ("check w.pt --finite --junit", "check w.pt --finite --format junit"),
    ("diff w.pt w.pt --junit", "diff w.pt w.pt --format junit"),
    ("check w.pt --max-parameters 1M", "check w.pt --parameters max=1M"),
    ("check w.pt --min-size=4", "check w.pt --bytes min=4"),
    ("convert w.pt -n --add-prefix x.", "convert w.pt -n --rename '^' x."),
    ("convert w.pt -n --drop bias", "convert w.pt -n --exclude bias"),
    ("convert w.pt -n --half", "convert w.pt -n --dtype float16"),
    ("--verison", "--version"),
    ("w.pt -n 0.bias", "w.pt --name 0.bias"),
    (
        "init small.yaml -n 0.bias --zeros -n 1.bias --ones",
        "init small.yaml --name 0.bias --zeros --name 1.bias --ones",
    ),
    ("check w.pt --parameters 10,100", "check w.pt --parameters min=10,max=100"),
    ("check w.pt --parameters=10..1.5M", "check w.pt --parameters=min=10,max=1.5M"),
    ("check w.pt --parameters '<20M'", "check w.pt --parameters max=20M"),
    ("check w.pt --bytes '>= 4 B'", "check w.pt --bytes 'min=4 B'"),
    ("convert w.pt -n --rename 0=5", "convert w.pt -n --rename 0 5"),
    ("convert w.pt --rename=0=5 -n", "convert w.pt --rename 0 5 -n"),
    ("grad filled.yaml --input 2x4", "grad filled.yaml --input 2,4"),
    ("grad filled.yaml --input '(2, 4)'", "grad filled.yaml --input 2,4"),
    ("grad filled.yaml --input '2*4,randn'", "grad filled.yaml --input 2,4,randn"),
    ("grad filled.yaml --input=input=2x4", "grad filled.yaml --input=input=2,4"),
    ("grad filled.yaml --loss l2", "grad filled.yaml --loss mse"),
    ("inspect typed_nets:Net --arg width 3", "inspect typed_nets:Net --arg width=3"),
    ("grad typed_nets:Flat --input 2,4 --arg width 4", "grad typed_nets:Flat --input 2,4 --arg width=4"),
    ("-V", "--version"),
    ("model.yaml --dept=1", "model.yaml --depth=1"),
    ("model.yaml --format JSON", "model.yaml --format json"),
    ("check model.yaml --parameters 124 --format tree", "check model.yaml --parameters 124 --format table"),
    ("model.yaml --jsn", "model.yaml --json"),
    ("init model.yaml weight --normal 0.1", "init model.yaml -p weight --normal 0.1"),
    ("init model.yaml -p . --normal 0 1", "init model.yaml -p . --normal 0,1"),
    ("init model.yaml -p . --uniform -1 1", "init model.yaml -p . --uniform -1,1"),
    ("init model.yaml -p . --normal std=0.1", "init model.yaml -p . --with normal:std=0.1"),
    ("init model.yaml -p . --normal=std=0.1", "init model.yaml -p . --with normal:std=0.1"),
    ("init model.yaml -p . --with normal std=0.1", "init model.yaml -p . --with normal:std=0.1"),
    ("grad filled.yaml --input 2 4", "grad filled.yaml --input 2,4"),
    ("model.yaml --pat weight", "model.yaml --pattern weight"),
    ("model.yaml --filter weight", "model.yaml --pattern weight"),
    ("small.yaml --ckpt w.pt", "small.yaml --weights w.pt"),
    ("model.yaml --total bytes", "model.yaml --total nbytes"),
    ("model.yaml --total params", "model.yaml --total numel"),
    ("model.yaml --total nbyts", "model.yaml --total nbytes"),
    ("inspect --total size model.yaml", "inspect --total nbytes model.yaml"),
    ("model.yaml --sort size", "model.yaml --sort nbytes"),
    ("model.yaml --stats --sort sigma", "model.yaml --stats --sort std"),
    ("model.yaml w.pt --sort params", "model.yaml w.pt --sort numel"),
    ("init model.yaml -p weight --zeros --exclude 1", "init model.yaml -p weight --exclude 1 --zeros"),
    ("init model.yaml -p . --zeros --ndim 2", "init model.yaml -p . --ndim 2 --zeros"),
    ("init model.yaml -p . --zeros -t Linear", "init model.yaml -p . -t Linear --zeros"),
    ("init model.yaml --zeros -p bias", "init model.yaml -p bias --zeros"),
    ("init model.yaml --normal 0.1 -p weight --ndim 2", "init model.yaml -p weight --ndim 2 --normal 0.1"),
    (
        "init small.yaml -p 0.weight --zeros --put 0,1=1",
        "init small.yaml -p 0.weight --zeros -p 0.weight --put 0,1=1",
    ),
    ("init model.yaml -p . --constant nan", "init model.yaml -p . --constant .nan"),
    ("init model.yaml -p . --constant=-inf", "init model.yaml -p . --constant=-.inf"),
    ("init model.yaml -p . --clamp=-inf,0", "init model.yaml -p . --clamp=-.inf,0"),
    ("init model.yaml -p . --clamp 0,inf", "init model.yaml -p . --clamp 0,.inf"),
    ("init model.yaml -p . --uniforn 0,1", "init model.yaml -p . --uniform 0,1"),
    ("check filled.yaml --init all", "check filled.yaml --init complete"),
    ("check filled.yaml --gradients all", "check filled.yaml --gradients reach-all"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "line"), LINES, ids=[typed for typed, _ in LINES])
@pytest.mark.filterwarnings("ignore")
def test_the_hinted_line_works(typed: str, line: str, run: Run) -> None:
    """One error, which ends in the person's own line mended; that line does what was meant."""
    result = run(*shlex.split(typed))
    assert (result.status, result.stdout) == (2, "")
    first = result.stderr.splitlines()[0]
    assert "error: " in first
    assert first.endswith(f"type: paramtool {line}")
    again = run(*shlex.split(line))
    assert (again.status, bool(again.stdout)) == (0, True), again.stderr


def test_a_name_for_torchs_format_has_two_ways_out(run: Run, folder: Path) -> None:
    """-o writes safetensors only: another name, or convert afterwards."""
    result = run("init", "model.yaml", "-p", "weight", "--zeros", "-o", "x.pt")
    line = "paramtool init model.yaml -p weight --zeros -o x.safetensors"
    later = "then, for a file of torch.save: paramtool convert x.safetensors -o x.pt"
    message = "-o writes safetensors, but x.pt ends in .pt"
    assert (result.status, result.stderr) == (2, f"error: {message}; type: {line}; {later}\n")
    assert not (folder / "x.pt").exists()


def test_what_is_not_saved_is_said(run: Run) -> None:
    """Values that are filled and forgotten are pointed out once, on stderr; a plan fills nothing."""
    note = "note: nothing was saved; -o FILE.safetensors saves the values\n"
    filled = ("init", "small.yaml", "-p", "weight", "--zeros")
    assert run(*filled).stderr == note
    assert run(*filled, "--dry-run").stderr == ""
    assert run(*filled, "-o", "a.safetensors").stderr == ""


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("diff small.yaml small.yaml --set-a x=1", "--set-a x=1: error: unknown key 'x'"),
        ("diff small.yaml small.yaml --set-b x=1", "--set x=1: error: unknown key 'x'"),
        ("diff small.yaml small.yaml --set-a x", "--set-a x: error: expected KEY=VALUE"),
        ("diff typed_nets:Net typed_nets:make --arg-a w=1", "pass arguments with --arg-a KEY=VALUE"),
        ("diff typed_nets:make typed_nets:Net --arg w=1", "pass arguments with --arg KEY=VALUE"),
        ("check w.pt --same-as typed_nets:Net --arg-same-as w=1", "with --arg-same-as KEY=VALUE"),
        ("check w.pt --same-as w.pt --arg-same-as w=1", "--arg-same-as is for package.module:object"),
        (
            "check small.yaml --dtype floaty",
            "must be a dtype, got the string 'floaty'; did you mean 'float64'?",
        ),
        ("check small.yaml --dtype x", "must be a dtype, got the string 'x'; e.g. float32 or bfloat16"),
        (
            "init small.yaml -p . --with my_init",
            "unknown initializer 'my_init'; one of your own comes with --plugin FILE.py",
        ),
        (
            "init small.yaml -p . --uniform=-inf,1",
            "'a' of uniform must be finite, got '-inf'",
        ),
    ],
)
def test_the_option_that_was_typed_is_named(typed: str, said: str, run: Run) -> None:
    """A message says the option of the side that it is about, and what a value may be."""
    result = run(*typed.split())
    assert (result.status, result.stdout) == (2, "")
    assert said in result.stderr.splitlines()[0]


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ("{weight: normal}", "write {pattern: weight, normal: }"),
        ("{weight: {normal: {std: 1}}}", "write {pattern: weight, normal: }"),
        ("{weight: constant}", "write {pattern: weight, constant: {val: …}}"),
        ("{pattern: weight, initializer: normal}", "write normal: in place of initializer: …"),
    ],
)
def test_a_rule_in_another_form_is_shown_the_right_one(rule: str, hint: str, run: Run, folder: Path) -> None:
    """What names an initializer as a value is a rule; with … filled in, the form that is shown is read."""
    (folder / "t.yaml").write_text(f"model: {{Linear: [4, 3]}}\ninit: [{rule}]\n")
    assert run("inspect", "t.yaml").stderr.splitlines()[0].endswith(f"'; {hint}")
    if hint.startswith("write {"):
        meant = hint.removeprefix("write ").replace("…", "1")
        (folder / "t.yaml").write_text(f"model: {{Linear: [4, 3]}}\ninit: [{meant}]\n")
        assert run("inspect", "t.yaml").status == 0


def test_words_mean_commands_that_there_are() -> None:
    """Other words name commands, and are none themselves."""
    planned = {"convert"}  # offered once it is there
    assert {meant[0] for meant in OTHER_WORDS.values()} <= set(SUMMARIES) | planned
    assert not set(OTHER_WORDS) & set(SUMMARIES)


def test_gains_are_torchs() -> None:
    """The gain that a nonlinearity stands for is what torch calculates."""
    assert {name: float(each) for name, each in GAINS.items()} == {
        name: nn.init.calculate_gain(name)  # type: ignore[arg-type]
        for name in GAINS
    }


@pytest.mark.parametrize("dtype", ["bf16", "torch.bfloat16", "bfloat16"])
def test_dtypes_have_several_names(dtype: str, run: Run) -> None:
    """--dtype, --set dtype= and an input take the short names too."""
    spec = ("small.yaml", "--set", f"dtype={dtype}")
    assert run("check", *spec, "--dtype", dtype).status == 0
    assert run("grad", *spec, "--input", f"2,4,dtype={dtype}").status == 0


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("model.yaml --seed abc", "--seed takes an integer, got 'abc'; see 'paramtool inspect --help'"),
        ("model.yaml --depth=1.5", "--depth takes an integer, got '1.5'; see 'paramtool inspect --help'"),
        ("diff w.pt w.pt --values --atol x", "--atol takes a number, got 'x'; see 'paramtool diff --help'"),
        ("shared model.yaml --module X", "no module 'X'; there are 0, 1, 2"),
        ("diff w.pt small.yaml --module X", "no module 'X'; there are 0, 1"),
        ("nonsense", "no command 'nonsense'; see 'paramtool --help'"),
        ("mode.yaml", "cannot read mode.yaml: No such file or directory; did you mean 'model.yaml'?"),
        (
            "typed_nets.py:make[0][1]",
            "there is no file typed_nets.py:make[0][1]; --module 0.1 is this part of typed_nets.py:make",
        ),
        ("torch.nn", "torch.nn is a Python module; name an object in it, as torch.nn:NAME"),
        ("test.pt", "cannot read test.pt: No such file or directory"),
        ("z.pt:nope", "cannot read z.pt:nope: No such file or directory"),
        ("w.pt --allow-none", "No such option: --allow-none; it is an option of check"),
        (
            "grad filled.yaml --loss foo",
            "--loss takes sum, mean, square, projection, cross_entropy, nll, mse, l1, smooth_l1 or"
            " bce_with_logits, got 'foo'; see 'paramtool grad --help'",
        ),
        (
            "w.pt -f xml",
            "--format takes table, tree, json, jsonl, csv, tsv, markdown or html, got 'xml'; see"
            " 'paramtool inspect --help'",
        ),
        (
            "diff w.pt w.pt -f xml",
            "--format takes table, tree, json, jsonl, csv, tsv, markdown, github, junit or html, got 'xml';"
            " type: paramtool diff w.pt w.pt -f junit",
        ),
        (
            "diff w.pt ddp.pt -p zzz",
            "no name matches the selection; there are 8 names, the first is '0.weight'",
        ),
        ("convert w.pt -o -", "tensors are not written to stdout; -o takes a path; ./- is one called -"),
        ("w.pt --spectrum", "No such option: --spectrum; it is an option of diff"),
        ("w.pt --nonsense", "No such option: --nonsense; see 'paramtool inspect --help'"),
        ("shared m.yaml --junit", "No such option: --junit; see 'paramtool shared --help'"),
        ("grad filled.yaml --use", "No such option: --use; did you mean --by-use?"),
        (
            "typed_nets:Net --width=3",
            "No such option: --width; an argument of typed_nets:Net is --arg width=3",
        ),
        (
            "init typed_nets.py:Net --width 3 -p . --zeros",
            "No such option: --width; did you mean --with? an argument of typed_nets.py:Net is --arg width=3",
        ),
        ("w.pt --top", "--top needs a value; see 'paramtool inspect --help'"),
        ("check w.pt --parameters", "--parameters needs a value; see 'paramtool check --help'"),
        ("diff w.pt ''", "B is empty; leave it out for model.yaml"),
        ("diff w.pt w.pt ddp.pt", "unexpected argument 'ddp.pt'; see 'paramtool diff --help'"),
        (
            "init model.yaml -p . --kaiming",
            "No such option: --kaiming; did you mean --kaiming-uniform or --kaiming-normal?",
        ),
        (
            "model.yaml --total foo",
            "there is no total of 'foo'; use one of numel, nbytes, trainable, frozen, tensors, names",
        ),
        (
            "init model.yaml -p . --my-init 3",
            "No such option: --my-init; an initializer from --plugin FILE.py is --with my_init:KEY=VALUE,…",
        ),
        (
            "grad model.yaml --my_decay 3",
            "No such option: --my_decay; an initializer from --plugin FILE.py is --with my_decay:KEY=VALUE,…",
        ),
        (
            "init model.yaml -p . --zeros -p bias",
            "-p bias selects parameters, but no initializer follows it; e.g. --pattern weight --normal 0.01",
        ),
        ("check w.pt --parameters 1 --arg-same-as x=1", "--arg-same-as requires --same-as"),
    ],
)
def test_other_errors_are_a_line(typed: str, message: str, run: Run) -> None:
    """What has no line to type says what is wrong."""
    result = run(*shlex.split(typed))
    assert (result.stdout, result.stderr) == ("", f"error: {message}\n")
    assert result.status in (1, 2)


def test_a_command_wins_over_a_file_of_its_name(run: Run, folder: Path) -> None:
    """A file that is called like a command is named with its folder; a note says so."""
    (folder / "schema").write_text(MODEL)
    said = run("schema")
    assert said.stderr == "note: schema is the command; the file is ./schema\n"
    assert '"$schema"' in said.stdout
    assert "6 tensors" in run("./schema").stdout
    (folder / "summary").write_text(MODEL)
    assert "6 tensors" in run("summary").stdout


@pytest.mark.parametrize(
    ("words", "typed", "meant", "expected"),
    [
        (["a", "b"], ["b"], ["c", "d"], ["a", "c", "d"]),
        (["a", "--x=b"], ["b"], ["c"], ["a", "--x=c"]),
        (["a", "--x=b"], ["--x"], ["--y"], ["a", "--y=b"]),
        (["-xb"], ["b"], ["c"], ["-xc"]),
        (["--x", "a,b,b"], ["b"], ["c"], ["--x", "a,c,b"]),
        (["a"], [], ["c"], ["a", "c"]),
        (["ab"], ["b"], ["c"], None),
        (["--xb"], ["b"], ["c"], None),
        (["a", "b"], ["a", "c"], ["d"], None),
    ],
)
def test_words_are_mended(
    words: list[str], typed: list[str], meant: list[str], expected: list[str] | None
) -> None:
    """Whole words are replaced, and the values of options; nothing else is."""
    assert mended(words, typed, meant) == expected


@pytest.mark.parametrize(
    "typed", ["paramtool w.pt --for", "paramtool inspct w.pt --for", "paramtool schema "]
)
def test_completion_never_complains(typed: str, folder: Path) -> None:
    """A shell that completes a line gets options of the implied command, or nothing; no note, no error."""
    (folder / "schema").write_text(MODEL)
    more = {
        "_PARAMTOOL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")),
        "_TYPER_COMPLETE_ARGS": typed,
    }  # fmt: skip
    done = execute(cwd=folder, env=environment(more))
    assert (done.status, done.stderr) == (0, "")
    assert ("--format" in done.stdout.split()) == ("w.pt" in typed and "inspct" not in typed)
