"""A factory that builds on the meta device, as large models are, with a checkpoint loaded into it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import paramtool
from paramtool.errors import BadArgument, DoesNotLoad, ParamtoolError
from tests.conftest import Run

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.rnn = nn.LSTM(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.mix = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.mix(self.norm(self.rnn(self.embed(tokens))[0].flatten(0, 1))))


class Rotary(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("angles", torch.ones(3), persistent=False)


def net():
    with torch.device("meta"):
        return Net()


def rotary():
    with torch.device("meta"):
        return Rotary()
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    torch.manual_seed(1)
    torch.save(paramtool.open("net.py:Net").network().module.state_dict(), "w.pt")


def opened(name: str) -> paramtool.Model:
    return paramtool.open(f"net.py:{name}", weights="w.pt")


def test_it_has_the_values_of_the_checkpoint() -> None:
    """Whatever is asked is as for a module with memory: statistics, sharing, gradients, differences."""
    assert [*paramtool.inspect(opened("net"), stats=True)] == [*paramtool.inspect(opened("Net"), stats=True)]
    assert [*paramtool.shared(opened("net"))] == [*paramtool.shared(opened("Net"))]
    assert paramtool.shared(opened("net")).rows[1].tied_to == "embed.weight"
    tokens = torch.randint(5, (2, 3), generator=torch.Generator().manual_seed(0))
    found, expected = (paramtool.gradients(opened(name), [tokens]) for name in ("net", "Net"))
    assert [*found] == [*expected]
    assert not paramtool.diff("w.pt", opened("net"), values=True).rows


@pytest.mark.parametrize(
    "command", [("check", "--finite"), ("init", "--pattern", "norm", "--ones", "-o", "o.safetensors")]
)
def test_commands_take_it(command: tuple[str, ...], run: Run) -> None:
    """A gate, and rules on top of the checkpoint."""
    assert run(command[0], "net.py:net", "--weights", "w.pt", *command[1:]).status == 0


def test_what_no_checkpoint_holds_is_without_values() -> None:
    """A buffer that is not stored has none to get."""
    with pytest.raises(BadArgument, match="'angles' is on the meta device and has no values"):
        paramtool.inspect(opened("rotary"), stats=True)
    assert paramtool.inspect(opened("rotary")).rows


def test_a_checkpoint_that_does_not_fit_is_refused() -> None:
    """All that is missing is told, as for a module with memory."""
    torch.save({"embed.weight": torch.ones(5, 4)}, "w.pt")
    with pytest.raises(DoesNotLoad, match=r"rnn\.weight_ih_l0"):
        paramtool.inspect(opened("net"), stats=True)


def test_a_module_of_the_caller_stays_on_the_meta_device() -> None:
    """Its values are read from the checkpoint; no parameter is replaced, which an optimizer may have."""
    with torch.device("meta"):
        module = torch.nn.Linear(4, 3)
    torch.save(torch.nn.Linear(4, 3).state_dict(), "w.pt")
    found = paramtool.inspect(paramtool.open(module, weights="w.pt"), stats=True)
    assert [row.mean for row in found] == [row.mean for row in paramtool.inspect("w.pt", stats=True)]
    with pytest.raises(ParamtoolError, match="'weight' is on the meta device and has no values"):
        paramtool.gradients(paramtool.open(module, weights="w.pt"), [torch.ones(1, 4)])
    assert module.weight.is_meta


def test_what_does_not_fit_is_refused_before_it_is_made() -> None:
    """A checkpoint of a few bytes may stand for terabytes."""
    Path("large.py").write_text(
        "import torch\n\ndef net():\n    return torch.nn.Linear(1 << 20, 1 << 20, device='meta')\n"
    )
    state = {"weight": torch.zeros(1).expand(1 << 20, 1 << 20), "bias": torch.zeros(1 << 20)}
    torch.save(state, "large.pt")
    with pytest.raises(ParamtoolError, match="the weights need 4,398 GB"):
        paramtool.gradients(paramtool.open("large.py:net", weights="large.pt"), [torch.ones(1, 1 << 20)])
