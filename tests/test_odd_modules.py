"""Every kind of module: compiled, scripted, wrapped, lazy, and with layers that torch does not see."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import paramtool
from paramtool import inspect
from paramtool.cli import main as command_line
from tests import odd_modules

pytestmark = pytest.mark.filterwarnings("ignore")  # torch deprecates scripts and quantized modules
KINDS = ("plain", "compiled", "half_compiled", "parallel", "scripted", "traced", "Instance")


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """Run one command line in this process; return its status, stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["paramtool", *arguments])
    status = command_line._run(list(arguments))
    return (status, *capsys.readouterr())


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_modules(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"tests.odd_modules:{kind}"
    for command in (
        ("inspect", name, "--stats"),
        ("shared", name, "--by-value"),
        ("init", name, "--pattern", "weight", "--zeros"),
        ("check", name, "--finite"),
        ("grad", name, "--input", "2,4"),
    ):
        status, out, err = run(monkeypatch, capsys, *command)
        assert (status, bool(out)) == (0, True), (command, err)


@pytest.mark.parametrize(
    "command",
    [
        ("inspect",),
        ("shared", "--by-value"),
        ("check", "--parameters", "15"),
        ("init", "--pattern", "weight", "--zeros"),
        ("diff", "torch.nn:Identity"),
        ("grad",),
    ],
)
def test_an_input_settles_lazy_objects(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *more = command
    models = (*more, "tests.odd_modules:Lazy") if first == "diff" else ("tests.odd_modules:Lazy", *more)
    status, out, err = run(monkeypatch, capsys, first, *models, "--input", "2,4", "--json")
    assert status == (first == "diff"), err
    assert '"shape": [3, 4]' in out or first in {"shared", "check", "diff"}


def test_what_torch_does_not_see_is_a_note() -> None:
    model = paramtool.open(odd_modules.Hidden())
    assert model.listing().totals.parameters == 8
    layers, by_name, ws = model.notes
    assert layers.startswith("'layers' is a plain list with 40 parameters: no optimizer")
    assert by_name.startswith("'by_name' is a plain dict with 20 parameters")
    assert ws.startswith("'ws' is a plain list with 3 parameters")
    assert paramtool.open(nn.LSTM(3, 4, 2)).listing() and not paramtool.open(nn.LSTM(3, 4, 2)).notes


def test_packed_weights_are_a_note() -> None:
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("this build of torch packs no weights")
    model = paramtool.open(torch.ao.nn.quantized.Linear(4, 3))  # type: ignore[no-untyped-call]
    assert not model.listing().rows
    assert any("has its weights packed" in note for note in model.notes)


def test_an_explicit_device_is_honoured_on_meta() -> None:
    built = paramtool.open("tests.odd_modules:OnCpu", arguments={"width": 100_000}).network(values=False)
    assert all(each.is_meta for each in built.module.parameters())  # 40 GB otherwise
    assert inspect("tests.odd_modules:OnCpu").totals.parameters == 72
