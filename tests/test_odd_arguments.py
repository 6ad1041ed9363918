"""Functions given what makes no sense: an error of ours, worded for Python, that can be pickled."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import paramtool
from paramtool import BadArgument, CannotOpen, ParamtoolError, Rule, UserCodeFailed
from paramtool.errors import BrokenSpec, Problems
from paramtool.operations.listing.selection import Selection
from tests.conftest import Run

ODD = (
    None, -1, 1.5, float("nan"), 2**70, True, "", "x", "\0", "(", b"x", (), [1], {"a": 1}, {1: 2}, object(),
    int, torch.ones(2), nn.Linear(1, 1), "\ud800", [None], Path("/nowhere"), {1}, 1j,
)  # fmt: skip
ZEROS = (Rule("zeros", pattern="."),)
X = (torch.ones(1, 2),)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2))


def ruled(**fields: Any) -> Any:
    rule = Rule(**{"initializer": "normal", "pattern": "weight", **fields})
    return paramtool.initialize(model(), [rule])


def opened(**given: Any) -> Any:
    return paramtool.open("torch.nn:Identity", **given)


CALLS: dict[str, tuple[Callable[..., Any], str]] = {
    "open": (opened, "name set arguments seed weights"),
    "inspect": (lambda **odd: paramtool.inspect(model(), **odd), "name module stats values"),
    "shared": (lambda **odd: paramtool.shared(model(), **odd), "name by_value selection"),
    "diff": (lambda **odd: paramtool.diff(model(), model(), **odd), "values atol rtol"),
    "check": (lambda **odd: paramtool.check(model(), **{"expect": {"parameters": 6}, **odd}), "expect name"),
    "gradients": (
        lambda **odd: paramtool.gradients(model(), **{"inputs": X, **odd}),
        "inputs named loss by_use layers training values seed name",
    ),
    "initialize": (
        lambda **odd: paramtool.initialize(model(), **{"rules": ZEROS, **odd}),
        "rules seed rng dry_run values digests name",
    ),
    "rule": (ruled, "initializer arguments pattern name module exclude type ndim"),
    "selection": (
        lambda **odd: paramtool.shared(model(), selection=Selection(**odd)),
        "patterns exclude types names modules",
    ),
    "state": (lambda **odd: paramtool.inspect(odd, stats=True), "tensor"),
    "report": (lambda **odd: paramtool.as_text(odd["report"]), "report"),
    "format": (lambda **odd: paramtool.as_text(paramtool.inspect(model()), odd["format"]), "format"),
}
PARAMETERS = [(name, each) for name, (_, names) in CALLS.items() for each in names.split()]


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(PARAMETERS), st.sampled_from(range(len(ODD))))
def test_an_odd_value_is_refused_or_taken(parameter: tuple[str, str], number: int) -> None:
    """Never another error than ours; its message has no option of the command line."""
    call, name = parameter
    try:
        CALLS[call][0](**{name: ODD[number]})
    except ParamtoolError as error:
        assert error.status != 3
        assert "--" not in str(error)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "x", True])
def test_an_odd_seed_is_refused_everywhere(seed: Any) -> None:
    for call in ("open", "gradients", "initialize"):
        with pytest.raises(BadArgument, match="seed must be"):
            CALLS[call][0](seed=seed)


def test_every_error_can_be_pickled(tmp_path: Path) -> None:
    """With all of its errors, its place, and a hint that is only found when it is read."""
    path = tmp_path / "bad.yaml"
    path.write_text("model: {Sequential: [{Liner: [1, 2]}, {Linar: [1, 2]}]}\n")
    with pytest.raises(BrokenSpec) as raised:
        paramtool.open(path)
    again = pickle.loads(pickle.dumps(raised.value))
    assert type(again) is BrokenSpec
    assert (str(again), again.status) == (str(raised.value), 2)
    assert [each.place and each.place.line for each in again.errors] == [1, 1]
    several = Problems([CannotOpen("a", hint=lambda: "found"), UserCodeFailed("b", module="0")])
    again = pickle.loads(pickle.dumps(several))
    assert [type(each) for each in again.errors] == [CannotOpen, UserCodeFailed]
    assert (again.errors[0].hint, again.errors[1].module) == ("found", "0")


def test_messages_speak_to_their_reader(tmp_path: Path, run: Run) -> None:
    """Options to a person at the command line, arguments to one who calls functions."""
    target = tmp_path / "w.safetensors"
    target.touch()
    typed = "init torch.nn:Linear --arg in_features=1 --arg out_features=1 -p . --zeros -o"
    assert "--force replaces it" in run(*typed.split(), str(target)).stderr
    with pytest.raises(ParamtoolError, match="a Target with force=True replaces it"):
        paramtool.initialize(model(), ZEROS, output=target)
    assert "e.g. --input 2,4" in run("grad", "torch.nn:Identity").stderr
    with pytest.raises(ParamtoolError, match=r"e\.g\. inputs=\[...\]"):
        paramtool.gradients("torch.nn:Identity")


def test_to_dicts_is_json() -> None:
    report = paramtool.inspect(nn.Linear(2, 1), values=True, stats=True)
    rows = json.loads(json.dumps(report.to_dicts()))
    assert [row["shape"] for row in rows] == [[1, 2], [1]]
    assert torch.tensor(rows[0]["values"]).shape == (1, 2)


def raises_ours() -> nn.Module:
    raise CannotOpen("not yours")


def calls_us() -> nn.Module:
    paramtool.inspect("no/such/file.yaml")
    return nn.Identity()


@pytest.mark.parametrize("name", ["raises_ours", "calls_us"])
def test_errors_of_ours_that_their_code_raises_are_theirs(name: str, run: Run) -> None:
    result = run("inspect", f"{__name__}:{name}")
    assert result.status == 2
    assert f"error: {__name__}:{name} failed: CannotOpen: " in result.stderr.splitlines()[0]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("inspect x --seed x", "--seed takes an integer, got 'x'"),
        ("init x --seed -1", "'--seed': must be 0 or more, got '-1'"),
        ("diff a b --values --atol x", "--atol takes a number, got 'x'"),
    ],
)
def test_numbers_are_refused_in_plain_words(typed: str, said: str, run: Run) -> None:
    result = run(*typed.split())
    assert (result.status, said in result.stderr) == (2, True)
