"""Names that differ by a prefix: found out in general, said in one line, and taken off."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from paramtool.errors import ParamtoolError
from paramtool.loading.prefix import all_stripped, difference
from tests.conftest import Run

SPEC = "model: {Sequential: [{Linear: [4, 3]}, {BatchNorm1d: 3}, {Linear: [3, 1]}]}\n"
NETS = """
import torch
from torch import nn
def plain(): return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
def compiled(): return torch.compile(plain())
def dp(): return nn.DataParallel(plain())
"""
Renaming = Callable[[str], str]
RENAMED: dict[str, tuple[Renaming, tuple[str, ...]]] = {
    "ddp": (lambda name: f"module.{name}", ("module.",)),
    "compiled": (lambda name: f"_orig_mod.{name}", ("_orig_mod.",)),
    "both": (lambda name: f"module._orig_mod.{name}", ("module._orig_mod.",)),
    "inner": (lambda name: name.replace(".", "._orig_mod.", 1), ("_orig_mod.",)),
    "mixed": (lambda name: "module." + name.replace("0.", "0._orig_mod."), ("module.", "_orig_mod.")),
    "lightning": (lambda name: f"model.net.{name}", ("model.net.",)),
}


@pytest.fixture
def state() -> dict[str, Tensor]:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).state_dict()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model.yaml").write_text(SPEC)
    (tmp_path / "prefixed_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", RENAMED)
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_one_line_says_how_to_go_on(kind: str, suffix: str, state: dict[str, Tensor], run: Run) -> None:
    """Every usual wrapper is one error; with the options that it names, torch's strict load is read."""
    rename, texts = RENAMED[kind]
    renamed = {rename(name): each for name, each in state.items()}
    if suffix == "pt":
        torch.save(renamed, "w.pt")
    else:
        save_file(renamed, "w.safetensors")
    options = [word for text in texts for word in ("--strip-prefix", text)]
    command = ["inspect", "model.yaml", "--weights", f"w.{suffix}"]
    result = run(*command)
    assert (result.status, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.endswith(f"; type: paramtool {' '.join([*command, *options])}\n")
    rows = json.loads(run(*command, *options, "--values", "--json").stdout)["rows"]
    expected = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    expected.load_state_dict(state)
    found = {row["name"]: row["values"] for row in rows}
    assert found.keys() == dict(expected.named_parameters()).keys()
    assert torch.equal(torch.tensor(found["0.weight"]), expected.get_parameter("0.weight"))


def test_a_key_of_the_file_is_named(state: dict[str, Tensor], run: Run) -> None:
    """Two state_dicts side by side are listed under their keys; the hint names one of them."""
    torch.save({"net_a": state, "net_b": state}, "w.pt")
    first = run("inspect", "model.yaml", "--weights", "w.pt").stderr.splitlines()[0]
    assert first.endswith("type: paramtool inspect model.yaml --weights w.pt:net_a")
    assert run("inspect", "model.yaml", "--weights", "w.pt:net_a").status == 0


def test_other_errors_stay(state: dict[str, Tensor], run: Run) -> None:
    """What a prefix does not explain is said after it."""
    renamed = {f"module.{name}": each for name, each in state.items() if name != "0.bias"}
    torch.save({**renamed, "extra.weight": torch.ones(2)}, "w.pt")
    lines = run("inspect", "model.yaml", "--weights", "w.pt").stderr.splitlines()
    assert lines[0].startswith("error: 8 of 9 names in w.pt differ from the model's by the prefix 'module.'")
    assert lines[1:] == [
        "error: w.pt lacks '0.bias' [3]",
        "error: w.pt has 'extra.weight' [2], which the model does not have",
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["compiled", "dp"])
def test_a_model_may_have_the_prefix(name: str, state: dict[str, Tensor], run: Run) -> None:
    """A wrapped module takes the weights of what it wraps, by the same option."""
    torch.save(state, "w.pt")
    command = ("inspect", f"prefixed_nets.py:{name}", "--weights", "w.pt")
    result = run(*command)
    prefix = "_orig_mod." if name == "compiled" else "module."
    assert result.stderr.endswith(f"type: paramtool {' '.join(command)} --strip-prefix {prefix}\n")
    assert run(*command, "--strip-prefix", prefix).status == 0
    same = run("diff", "w.pt", f"prefixed_nets.py:{name}", "--strip-prefix", prefix)
    assert (same.status, same.stderr) == (0, "")


@pytest.mark.parametrize("command", ["inspect", "shared", "check", "init", "grad"])
def test_every_command_with_weights_strips(command: str, state: dict[str, Tensor], run: Run) -> None:
    """The option stands wherever --weights does."""
    torch.save({f"module.{name}": each for name, each in state.items()}, "w.pt")
    more = {
        "check": ("--parameters", "25"), "init": ("-p", "0.weight", "--zeros"),
        "grad": ("--input", "2,4", "--loss", "square"),
    }.get(command, ())  # fmt: skip
    words = (command, "model.yaml", "--weights", "w.pt", *more)
    assert run(*words).status == 2
    assert run(*words, "--strip-prefix", "module").status == 0
    refused = run(*words, "--strip-prefix", "nope.")
    message = "no name has the prefix 'nope.'; the first name is 'module.0.weight'"
    assert refused.stderr == f"error: w.pt: {message}\n"


def test_diff_says_that_all_names_differ_by_a_prefix(state: dict[str, Tensor], run: Run) -> None:
    """A note says so, and the option makes the two the same, whichever of them has the prefix."""
    torch.save(state, "a.pt")
    torch.save({f"_orig_mod.{name}": each for name, each in state.items()}, "b.pt")
    for pair, which in ((("a.pt", "b.pt"), "B"), (("b.pt", "a.pt"), "A")):
        result = run("diff", *pair)
        line = f"paramtool diff {' '.join(pair)} --strip-prefix _orig_mod."
        note = f"note: all names differ by the prefix '_orig_mod.', which {which} has; type: {line}\n"
        assert (result.status, result.stderr) == (1, note)
        same = run("diff", *pair, "--strip-prefix", "_orig_mod.", "--values")
        assert (same.status, same.stderr) == (0, "")
    assert run("diff", "a.pt", "b.pt", "--strip-prefix", "x").status == 2


def test_diff_strips_both(state: dict[str, Tensor], run: Run) -> None:
    """A prefix that both have comes off both; the line of a note makes the names the same."""
    longer = {f"module.{name}": each for name, each in state.items()}
    torch.save(longer, "a.pt")
    torch.save({name: each + 1 for name, each in longer.items()}, "b.pt")
    torch.save({f"module.{name}": each for name, each in longer.items()}, "twice.pt")
    same = run("diff", "a.pt", "b.pt", "--strip-prefix", "module.", "--format", "csv")
    assert (same.status, same.stdout.count("\n"), same.stderr) == (0, 1, "")
    rows = run("diff", "a.pt", "b.pt", "--strip-prefix", "module.", "--values", "-f", "jsonl").stdout
    assert {json.loads(line)["name"] for line in rows.splitlines()} == set(state)
    for pair in (("twice.pt", "a.pt"), ("a.pt", "twice.pt")):
        note = run("diff", *pair).stderr
        assert note.count("--strip-prefix module.") == 2
        again = run(*shlex.split(note.partition("type: paramtool ")[2]))
        assert (again.status, again.stderr) == (0, "")
    refused = run("diff", "a.pt", "b.pt", "--strip-prefix", "module.", "--strip-prefix", "nope.")
    message = "a.pt: no name has the prefix 'nope.'; the first name is '0.weight'"
    assert (refused.status, refused.stderr) == (2, f"error: {message}\n")


def test_diff_knows_a_prefix_of_each_side(state: dict[str, Tensor], run: Run) -> None:
    """The line of the note takes off both; two modules of one model are a renaming, and no prefixes."""

    def save(name: str, *prefixes: str) -> None:
        torch.save({f"{prefix}{key}": each for prefix in prefixes for key, each in state.items()}, name)

    save("lightning.pt", "model.")
    save("ddp.pt", "module.")
    save("deep.pt", "net.encoder.model.")
    for a, b, first, second in (
        ("lightning.pt", "ddp.pt", "model.", "module."),
        ("ddp.pt", "lightning.pt", "module.", "model."),
        ("deep.pt", "ddp.pt", "net.encoder.model.", "module."),
    ):
        note = run("diff", a, b).stderr
        assert note.startswith(f"note: the names have the prefix '{first}' in A, '{second}' in B; type: ")
        again = run(*shlex.split(note.partition("type: paramtool ")[2]))
        assert (again.status, again.stderr) == (0, "")
    save("old.pt", "encoder.", "head.")
    save("new.pt", "backbone.", "head.")
    save("twice.pt", "x.", "y.")
    assert run("diff", "old.pt", "new.pt").stderr == ""
    assert run("diff", "twice.pt", "ddp.pt").stderr == ""
    torch.save({"a.weight": torch.ones(1)}, "a.pt")
    torch.save({"b.bias": torch.ones(1)}, "b.pt")
    assert run("diff", "a.pt", "b.pt").stderr == ""


def test_a_note_of_a_file_is_told_once(state: dict[str, Tensor], run: Run) -> None:
    """What else is in a file is not said again for its shorter names."""
    renamed = {f"module.{name}": each for name, each in state.items()}
    torch.save({"state_dict": renamed, "epoch": 3}, "w.pt")
    plain = run("w.pt").stderr
    assert "epoch" in plain
    assert run("w.pt", "--strip-prefix", "module.").stderr == plain


def test_the_prefix_reaches_same_as(state: dict[str, Tensor], run: Run) -> None:
    """--strip-prefix is for MODEL and for what it is to be the same as; --arg-same-as for the latter."""
    renamed = {f"module.{name}": each for name, each in state.items()}
    torch.save(state, "plain.pt")
    torch.save(renamed, "ddp.pt")
    pairs = ("ddp.pt plain.pt", "plain.pt ddp.pt", "ddp.pt ddp.pt")
    for model, other in (each.split() for each in pairs):
        words = ("check", model, "--same-as", other, "--strip-prefix")
        assert run(*words, "module.").status == 0
        assert run(*words, "nope.").status == 2
    torch.save({f"model.{name}": each for name, each in state.items()}, "lightning.pt")
    one_each = ("--strip-prefix", "module.", "--strip-prefix", "model.")
    assert run("diff", "ddp.pt", "lightning.pt", *one_each).status == 0
    assert run("check", "ddp.pt", "--same-as", "lightning.pt", *one_each).status == 0
    torch.save({f"module.{name}": each for name, each in nn.Linear(5, 5).state_dict().items()}, "wide.pt")
    Path("wide_nets.py").write_text(
        "from torch import nn\ndef net(width=3): return nn.Linear(width, width)\n"
    )
    wide = ("check", "wide.pt", "--strip-prefix", "module.", "--same-as", "wide_nets.py:net")
    assert run(*wide).status == 1
    assert run(*wide, "--arg-same-as", "width=5").status == 0


def test_a_checkpoint_alone_is_stripped(state: dict[str, Tensor], run: Run) -> None:
    """The names of a MODEL that is a checkpoint become shorter; a snapshot's are fixed."""
    torch.save({f"module.{name}": each for name, each in state.items()}, "w.pt")
    listed = run("w.pt", "--strip-prefix", "module.", "--format", "csv").stdout.splitlines()
    assert [line.split(",")[0] for line in listed[1:]] == list(state)
    Path("s.json").write_text(run("w.pt", "--json").stdout)
    refused = run("s.json", "--strip-prefix", "module.").stderr
    assert refused == "error: --strip-prefix is for checkpoints and modules; s.json is neither\n"


def test_two_names_do_not_become_one(run: Run) -> None:
    """A prefix that would hide a tensor is refused."""
    torch.save({"module.w": torch.ones(1), "w": torch.ones(2)}, "w.pt")
    result = run("w.pt", "--strip-prefix", "module.")
    assert result.status == 2
    assert "'module.w' and 'w' would both be 'w'" in result.stderr


def test_repeated_errors_fold(run: Run) -> None:
    """Sixty blocks that do not fit are two lines."""
    torch.save(nn.ModuleList(nn.Linear(4, 4) for _ in range(60)).state_dict(), "w.pt")
    Path("one.yaml").write_text("model: {ModuleList: []}\n")
    lines = run("inspect", "one.yaml", "--weights", "w.pt").stderr.splitlines()
    assert lines == [
        "error: w.pt has '{0..59}.weight' [4, 4], which the model does not have",
        "error: w.pt has '{0..59}.bias' [4], which the model does not have",
    ]


NAMES = [".".join(parts) for count in (1, 3) for parts in product(("a", "module", "0", "w"), repeat=count)]


@given(
    st.sets(st.sampled_from(NAMES), min_size=1, max_size=6),
    st.sampled_from(["module.", "_orig_mod.", "x.y."]),
)
def test_what_is_put_before_names_is_found_and_taken_off(names: set[str], prefix: str) -> None:
    """Taking a prefix off undoes putting it on; what is found makes names match."""
    longer = [prefix + name for name in names]
    assert set(all_stripped(longer, [prefix]).values()) == names
    found = difference([each for each in longer if each not in names], names)
    if found is not None:
        assert set(found.names.values()) <= names
        assert all_stripped(found.names, found.texts) == found.names


def test_nothing_is_made_up() -> None:
    """Unrelated names differ by no prefix; a name is never emptied."""
    assert difference(["encoder.w", "encoder.b"], ["decoder.v"]) is None
    assert difference([], ["a"]) is None
    with pytest.raises(ParamtoolError, match="no name has the prefix"):
        all_stripped(["module."], ["module."])
    with pytest.raises(ParamtoolError, match="no name has the prefix"):
        all_stripped(["a"], [""])
