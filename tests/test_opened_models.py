"""An opened MODEL answers for itself: what it builds it builds once, and what it cannot answer it says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import paramtool
from paramtool.errors import (
    BadArgument,
    BrokenSpec,
    CannotAnswer,
    CannotOpen,
    DoesNotLoad,
    ParamtoolError,
    RuleMatchedNothing,
    UserCodeFailed,
)
from tests.conftest import Run

COUNTED = """
import torch
from torch import nn

built = 0

def net():
    global built
    built += 1
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
"""
FILL = ("--pattern", ".", "--normal", "0.1")


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Give a factory in the current folder, `counted:net`, and how often it has run."""
    (tmp_path / "counted.py").write_text(COUNTED)
    monkeypatch.chdir(tmp_path)
    torch.save(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).state_dict(), "w.pt")
    path = list(sys.path)
    yield lambda: sys.modules["counted"].built
    sys.path[:] = path
    sys.modules.pop("counted", None)


@pytest.mark.parametrize(
    "command",
    [
        ("inspect",),
        ("inspect", "--stats"),
        ("inspect", "--values", "--module", "0"),
        ("inspect", "--weights", "w.pt"),
        ("inspect", "--weights", "w.pt", "--stats"),
        ("shared",),
        ("shared", "--by-value"),
        ("check", "--parameters", "23", "--names", "."),
        ("check", "--finite", "--parameters", "23"),
        ("check", "--finite", "--weights", "w.pt"),
        ("init", *FILL),
        ("init", *FILL, "--dry-run"),
        ("init", *FILL, "--rng", "torch"),
        ("init", *FILL, "-o", "x.safetensors"),
        ("init", "--weights", "w.pt", "-o", "x.safetensors"),
        ("grad", "--input", "2,4"),
        ("grad", "--input", "2,4", *FILL),
        ("grad", "--input", "2,4", "--weights", "w.pt"),
        ("diff", "w.pt"),
        ("diff", "w.pt", "--values", "--weights", "w.pt"),
    ],
    ids=" ".join,
)
def test_a_factory_runs_once_for_a_command(
    command: tuple[str, ...], run: Run, counted: Callable[[], int]
) -> None:
    """Whatever is asked, the code that the person named runs once: it may take seconds, or download."""
    name, *rest = command
    before = [rest.pop(0)] if name == "diff" else []
    result = run(name, *before, "counted:net", *rest)
    assert (result.status, counted()) == (0, 1), result.stderr


def test_the_values_of_both_sides_take_one_run_each(run: Run, counted: Callable[[], int]) -> None:
    """`diff --values` of a factory with itself builds A and B, and neither twice."""
    assert run("diff", "counted:net", "counted:net", "--values").status == 0
    assert counted() == 2


def test_one_open_model_answers_several_questions(counted: Callable[[], int]) -> None:
    """Structure is taken from the values where these are there already."""
    model = paramtool.open("counted:net")
    assert paramtool.inspect(model, stats=True).totals.parameters == 23
    assert [paramtool.inspect(model).totals.names, len(paramtool.shared(model)), counted()] == [4, 0, 1]


def live() -> dict[str, Any]:
    """Return every kind of thing that holds the same parameters."""
    module = nn.Sequential(nn.Linear(2, 2))
    return {"module": module, "state": module.state_dict(), "report": paramtool.inspect(module)}


def test_everything_that_holds_parameters_opens() -> None:
    """A module, its state_dict and its report have the same names, shapes and counts."""
    for given in live().values():
        report = paramtool.inspect(given)
        assert [(row.name, row.shape, row.numel) for row in report] == [
            ("0.weight", (2, 2), 4), ("0.bias", (2,), 2),
        ]  # fmt: skip
        assert report.totals.parameters == 6
    for given in live().values():
        assert paramtool.inspect(given, module="0").to_dicts()[0]["name"] == "weight"


def test_a_state_dict_is_seen_as_it_is_stored() -> None:
    """Ties and overlaps are found by memory, values are compared, and nothing is said of kinds."""
    whole = torch.arange(6.0)
    state: Mapping[str, torch.Tensor] = {"a": whole, "b": whole, "c": whole[2:4], "d": torch.ones(6)}
    groups = [(row.group, row.sharing, row.name) for row in paramtool.shared(state)]
    assert groups == [(1, "aliased", "a"), (1, "aliased", "b"), (1, "aliased", "c")]
    assert [row.kind for row in paramtool.inspect(state)] == ["stored"] * 4
    changed = paramtool.diff(state, {**state, "d": torch.zeros(6)}, values=True)
    assert [(row.change, row.name, row.max_abs) for row in changed] == [("values", "d", 1.0)]
    assert paramtool.inspect(state, stats=True).rows[3].mean == 1.0


@pytest.mark.parametrize(
    ("question", "kind", "message"),
    [
        (lambda: paramtool.inspect(3), BadArgument, "cannot open an int as a model"),  # type: ignore[arg-type]
        (lambda: paramtool.inspect(paramtool.shared(nn.Linear(1, 1))), BadArgument, "report of shared"),
        (lambda: paramtool.open(nn.Linear(1, 1), set=["seed=1"]), BadArgument, "set requires a model"),
        (lambda: paramtool.gradients({"a": torch.ones(1)}), BadArgument, "expected a module, got a s"),
        (lambda: paramtool.initialize({"a": torch.ones(1)}), BadArgument, "expected a module, got a state_d"),
        (lambda: paramtool.initialize(nn.Linear(1, 1), rng="bogus"), BadArgument, "rng must be one of str"),
        (lambda: paramtool.gradients(nn.Linear(1, 1), loss="summ"), BadArgument, "unknown loss 'summ'"),
        (lambda: paramtool.gradients(nn.Linear(1, 1), steps=0), BadArgument, "steps must be an int of 1"),
        (lambda: paramtool.diff(nn.Linear(1, 1), nn.Linear(1, 1), atol=-1), BadArgument, "atol must be"),
        (lambda: paramtool.check(nn.Linear(1, 1), {"parametres": 3}), BadArgument, "unknown expectation"),
        (lambda: paramtool.as_text(paramtool.inspect(nn.Linear(1, 1)), "xml"), BadArgument, "no format"),
        (lambda: paramtool.check(nn.Linear(1, 1)), BadArgument, "nothing is expected of Linear"),
        (lambda: paramtool.gradients(nn.Linear(1, 1), torch.ones(1)), BadArgument, "got Tensor"),  # type: ignore[arg-type]
        (lambda: paramtool.initialize(nn.Linear(1, 1), "zeros"), BadArgument, "a list of Rule"),  # type: ignore[arg-type]
        (lambda: paramtool.inspect({1: torch.ones(1)}), BadArgument, "strings, got 1"),  # type: ignore[dict-item]
        (lambda: paramtool.open("no/such.pt"), CannotOpen, "cannot read no/such.pt"),
        (lambda: paramtool.inspect("no_such_module_at_all:Net"), CannotOpen, "no module 'no_such"),
        (lambda: paramtool.gradients(live()["report"], [torch.ones(1, 2)]), CannotAnswer, "is a snapshot"),
        (lambda: paramtool.diff(live()["report"], live()["module"], values=True), CannotAnswer, "no values"),
        (lambda: paramtool.inspect(nn.Linear(2, 2, device="meta"), stats=True), BadArgument, "meta device"),
        (lambda: paramtool.gradients(nn.Linear(2, 2), [torch.ones(3)]), UserCodeFailed, r"fails on \[3\]"),
        (
            lambda: paramtool.initialize(nn.Linear(1, 1), [paramtool.Rule("zeros", pattern="x")]),
            RuleMatchedNothing,
            "matches no parameter",
        ),
    ],
)  # fmt: skip
def test_what_goes_wrong_can_be_caught_apart(
    question: Callable[[], object], kind: type[ParamtoolError], message: str
) -> None:
    """Each kind of failure has its class, which every other error is not."""
    with pytest.raises(ParamtoolError, match=message) as raised:
        question()
    assert type(raised.value) is kind
    assert isinstance(raised.value, ValueError) == (kind is BadArgument)


def test_files_that_do_not_fit_can_be_caught_apart(tmp_path: Path) -> None:
    """A broken spec, and weights of another model, carry every error that there is."""
    (tmp_path / "m.yaml").write_text("model: {Linaer: [1, 2]}\nseed: x\n")
    with pytest.raises(BrokenSpec) as broken:
        paramtool.open(tmp_path / "m.yaml")
    assert isinstance(broken.value, CannotOpen)
    assert [error.place.line for error in broken.value.errors if error.place] == [1, 2]
    (tmp_path / "m.yaml").write_text("model: {Linear: [1, 2]}\n")
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "w.pt")
    with pytest.raises(DoesNotLoad, match="'weight' is"):
        paramtool.inspect(paramtool.open(tmp_path / "m.yaml", weights=tmp_path / "w.pt"), stats=True)


def test_a_report_is_a_sequence_of_rows() -> None:
    """It counts, iterates, gives dicts, and prints as the table of the command, folded."""
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    report = paramtool.inspect(net, name="net")
    assert (len(report), bool(report), repr(report)) == (8, True, "<Report inspect of 'net': 8 rows>")
    assert [row.name for row in report][:2] == ["0.weight", "0.bias"]
    assert report.to_dicts()[1]["numel"] == 2
    assert "{0..3}.weight" in str(report)
    assert not len(paramtool.shared(net))
    assert bool(paramtool.shared(net))


def test_the_names_of_the_package_are_its_api() -> None:
    """Tab after ``paramtool.`` offers what there is, and nothing that imports brought in."""
    assert dir(paramtool) == sorted(paramtool.__all__)
    assert paramtool.__version__.count(".") == 2
