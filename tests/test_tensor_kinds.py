"""Every kind of tensor in every place of a module: each command answers, or says in one line why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import distributed

from paramtool.cli import main as command_line
from tests.tensor_kinds import KINDS, ROLES

pytestmark = pytest.mark.filterwarnings("ignore")  # torch deprecates or warns of most kinds
NAME = "tests.tensor_kinds:holder"
HELD = (
    ("inspect", NAME, "--buffers"),
    ("inspect", NAME, "--buffers", "--stats"),
    ("inspect", NAME, "--buffers", "--values", "--json"),
    ("shared", NAME),
    ("shared", NAME, "--by-value"),
    ("check", NAME, "--parameters", "12"),
    ("check", NAME, "--finite"),
    ("init", NAME, "--pattern", ".", "--normal", "--dry-run"),
    ("init", NAME, "--pattern", ".", "--normal"),
    ("init", NAME, "--pattern", "linear", "--zeros"),
    ("init", NAME, "--pattern", "linear", "--zeros", "--force", "-o"),
    ("diff", "torch.nn:Identity", NAME),
    ("diff", "torch.nn:Identity", NAME, "--values"),
)
RUN = (("grad", NAME, "--input", "2,3"), ("grad", NAME, "--input", "2,3", "--layers", "--by-use"))


@pytest.fixture(autouse=True)
def _end_of_the_group() -> Iterator[None]:
    """End the process group of a distributed tensor, which another test of this process may start anew."""
    yield
    if distributed.is_initialized():
        distributed.destroy_process_group()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_or_one_line(
    kind: str,
    role: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if (kind, role) in {("freed", "used"), ("freed", "gradient")}:
        pytest.skip("torch itself reads the memory that is gone")
    commands = (*HELD, *RUN) if role in {"parameter", "buffer", "attribute"} else RUN
    wrong = []
    for command in commands:
        file = [str(tmp_path / "out.safetensors")] if command[-1] == "-o" else []
        arguments = [*command, *file, "--arg", f"kind={kind}", "--arg", f"role={role}"]
        monkeypatch.setattr("sys.argv", ["paramtool", *arguments])
        status = command_line._run(arguments)
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if "error: " in line]
        is_answer = status in {0, 1} and out
        is_refusal = status == 2 and not out and len(lines) == 1
        if not (is_answer or is_refusal):
            wrong.append((command[0], *command[2:], status, *lines))
        if command[1:] == (NAME, "--buffers"):
            assert status == 0 or "failed: " in err  # names and shapes need no values
    assert not wrong, "; ".join(map(str, wrong))
