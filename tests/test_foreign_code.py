"""Whatever code of the user's raises, and wherever: exit status 2, named as theirs, and no result."""

from __future__ import annotations

import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import pytest
import torch
import typer
from torch import Tensor, nn

from paramtool import UserCodeFailed, gradients, inspect
from paramtool.cli import console
from paramtool.cli import main as command_line
from paramtool.signals import interrupt

Run: TypeAlias = Callable[..., tuple[int, str, str]]


class Unprintable(Exception):
    """Ends the process where its message is asked for."""

    def __str__(self) -> str:
        raise SystemExit(0)


ENDS: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(0),
    "GeneratorExit": GeneratorExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "BaseException": BaseException,
    "Exit": lambda: typer.Exit(0),
    "StopIteration": StopIteration,
    "Unprintable": Unprintable,
    "RecursionError": RecursionError,
}


class Raises(torch.autograd.Function):
    """Raises in its backward."""

    @staticmethod
    def forward(context: Any, x: Tensor, end: str) -> Tensor:
        context.end = end
        return x.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> NoReturn:  # noqa: ARG004
        raise ENDS[context.end]()


AT = "Ends.at" if sys.version_info >= (3, 11) else "at"
"""How code is named: Python 3.10 has no qualified names of code objects."""


class Ends(nn.Module):
    """Raises `end` at `where`."""

    def __init__(self, where: str, end: str) -> None:
        super().__init__()
        self.where, self.end = where, end
        self.layer = nn.Linear(3, 2)
        self.at("constructor")
        if where == "pre-hook":
            self.register_forward_pre_hook(lambda *_: self.at("pre-hook"))
        if where == "module hook":
            self.register_full_backward_hook(lambda *_: self.at("module hook"))
        if where == "tensor hook":
            self.layer.weight.register_hook(lambda _: self.at("tensor hook"))  # type: ignore[no-untyped-call]

    def at(self, where: str) -> None:
        if where == self.where:
            raise ENDS[self.end]()

    def forward(self, x: Tensor) -> Tensor:
        self.at("forward")
        y = self.layer(x)
        z: Tensor = Raises.apply(y, self.end) if self.where == "function" else y  # type: ignore[no-untyped-call]
        return z

    def train(self, mode: bool = True) -> Ends:
        self.at("train")
        return super().train(mode)

    def named_modules(self, *args: Any, **kwargs: Any) -> Any:
        self.at("named_modules")
        return super().named_modules(*args, **kwargs)


PLACES = (
    "constructor", "pre-hook", "module hook", "tensor hook", "forward", "train", "named_modules", "function",
)  # fmt: skip


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run one command line in this process, as `main` does; return its status, stdout and stderr."""
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, interrupt)
    monkeypatch.setattr(command_line, "one_budget", nullcontext)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["paramtool", *arguments])
        status = command_line._run(list(arguments))
        assert console._stdout is None
        return (status, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, before)


def nested(where: str, end: str) -> nn.Module:
    return nn.Sequential(Ends(where, end))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("where", PLACES)
def test_a_gate_never_passes_by_ending_early(run: Run, where: str, end: str) -> None:
    arguments = ("--arg", f"where={where}", "--arg", f"end={end}", "--input", "2,3")
    status, out, err = run("grad", f"{__name__}:nested", *arguments, "--fail-on", "none")
    assert (status, out) == (2, "")
    (line,) = [each for each in err.splitlines() if "error: " in each[:60] and each[0] != " "]
    assert "bug" not in line
    assert end in line or (where, end) == ("named_modules", "StopIteration")
    if where not in {"constructor", "named_modules", "tensor hook", "function"}:  # no module in these
        assert "'0' (Ends)" in line


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("command", ["inspect", "shared", "check", "init", "diff"])
def test_overridden_walks_of_modules_are_theirs_in_every_command(run: Run, command: str, end: str) -> None:
    name = f"{__name__}:nested"
    more = {"diff": (name,), "check": ("--parameters", "1"), "init": ("--pattern", "weight", "--zeros")}
    arguments = ("--arg", "where=named_modules", "--arg", f"end={end}")
    first = "torch.nn:Identity" if command == "diff" else name
    status, out, err = run(command, first, *more.get(command, ()), *arguments)
    assert (status, out) == (2, "")
    assert f"{AT} (test_foreign_code.py:" in err
    assert end in err or end == "StopIteration"  # of which Python makes a RuntimeError


def test_debug_shows_their_traceback(run: Run) -> None:
    arguments = ("--arg", "where=forward", "--arg", "end=SystemExit", "--input", "2,3")
    status, _, err = run("--debug", "grad", f"{__name__}:nested", *arguments)
    assert status == 2
    assert "raise ENDS[self.end]()" in err


def test_python_callers_get_an_exception_of_ours() -> None:
    for where in ("forward", "train", "module hook", "function"):
        with pytest.raises(UserCodeFailed, match="SystemExit"):
            gradients(nested(where, "SystemExit"), [torch.ones(2, 3)], training=True)


def test_an_interrupt_is_no_failure_of_theirs() -> None:
    class Interrupted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            signal.raise_signal(signal.SIGINT)
            y: Tensor = self.layer(x)
            return y

    with pytest.raises(KeyboardInterrupt):
        gradients(Interrupted(), [torch.ones(2, 3)])


@pytest.mark.parametrize("end", ["SystemExit(0)", "KeyboardInterrupt", "GeneratorExit", "BaseException('b')"])
def test_imports_and_plugins(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ends_early.py").write_text(f"raise {end}\n")
    status, out, err = run("inspect", "ends_early:Model")
    assert (status, out) == (2, "")
    assert f"ends_early.py:1:1: error: importing ends_early failed: {end[:9]}" in err.splitlines()[0]
    plugin = tmp_path / "plugin.py"
    plugin.write_text(f"def fill_all(tensor):\n    raise {end}\n")
    rule = ("--plugin", str(plugin), "--pattern", "weight", "--with", "fill_all")
    status, out, err = run(
        "init", "torch.nn:Linear", "--arg", "in_features=2", "--arg", "out_features=2", *rule
    )
    assert (status, out) == (2, "")
    assert "fill_all() failed on 'weight'" in err


def test_what_their_code_prints_is_no_result(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "prints.py").write_text(
        textwrap.dedent("""
        from torch import nn
        class Net(nn.Linear):
            def __init__(self):
                super().__init__(3, 2)
            def forward(self, x):
                print("hello")
                return super().forward(x)
        """)
    )
    status, out, err = run("grad", "prints:Net", "--input", "2,3", "--json")
    assert status == 0
    assert "hello" in err
    assert out.startswith("{")


class NoInit(nn.Module):
    """Does not call the constructor of its base."""

    def __init__(self) -> None:
        pass


def odd(register: str, value: object) -> nn.Module:
    module = nn.Sequential(nn.Linear(2, 2))
    getattr(module[0], register)["odd"] = value
    return module


def test_modules_that_torch_cannot_walk() -> None:
    with pytest.raises(UserCodeFailed, match=r"NoInit has no _parameters: .* super\(\).__init__\(\)"):
        inspect(NoInit())
    for register, value in (
        ("_modules", 5),
        ("_modules", torch.ones(1)),
        ("_parameters", "a"),
        ("_buffers", 2.0),
    ):
        with pytest.raises(Exception, match=rf"'0.odd' in {register} is an? \w+, not a"):
            inspect(odd(register, value))
    for register in ("_modules", "_parameters", "_buffers"):
        assert len(inspect(odd(register, None)).rows) == 2
