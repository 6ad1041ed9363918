"""``--quiet``: the exit status is the answer, and only errors are printed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.conftest import Run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a spec, a checkpoint that fits it and one that differs."""
    (tmp_path / "model.yaml").write_text("model: {Sequential: [{Linear: [3, 2]}, Tanh]}\ninput: [2, 3]\n")
    state = nn.Sequential(nn.Linear(3, 2)).state_dict()
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "a.pt")
    torch.save({"0.weight": state["0.weight"]}, tmp_path / "b.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("inspect", "a.pt", "--verify"), 0),
        (("inspect", "a.pt", "b.pt"), 0),
        (("inspect", "--total"), 0),
        (("inspect", "--cost"), 0),
        (("shared", "--by-value"), 0),
        (("grad", "--json"), 0),
        (("diff", "a.pt", "a.pt"), 0),
        (("diff", "a.pt", "b.pt"), 1),
        (("diff", "a.pt"), 0),
        (("init", "-p", "weight", "--zeros"), 0),
        (("init", "-p", "weight", "--zeros", "-o", "new.weights"), 0),
        (("convert", "a.pt", "-o", "c.safetensors"), 0),
    ],
)
@pytest.mark.parametrize("option", ["--quiet", "-q"])
def test_nothing_is_printed(words: tuple[str, ...], status: int, option: str, run: Run) -> None:
    """No result and no note, whatever the format; the work is done all the same."""
    result = run(*words, option)
    assert (result.status, result.stdout, result.stderr) == (status, "", "")
    for path in map(Path, ("new.weights", "c.safetensors")):
        assert path.exists() is (path.name in words)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("diff", "a.pt", "none.pt"), 2, "error: cannot read none.pt: No such file or directory\n"),
        (("init", "-p", "nope", "--zeros"), 1, "-p nope --zeros: error: --pattern nope matches no parameter"),
        (("grad", "--fail-on", "ratio<9"), 1, "error: --fail-on: "),
        (("inspect", "none.pt", "a.pt"), 2, "error: none.pt: No such file or directory\n"),
    ],
)
def test_errors_are_printed(words: tuple[str, ...], status: int, message: str, run: Run) -> None:
    """They go to stderr, those of a table too."""
    result = run(*words, "-q")
    assert (result.status, result.stdout) == (status, "")
    assert result.stderr.startswith(message)
    assert "note: " not in result.stderr


def test_a_page_is_written_all_the_same(run: Run) -> None:
    """--report is a file, and not stdout; the next command speaks again."""
    result = run("diff", "a.pt", "b.pt", "-q", "--report", "page.html")
    assert (result.status, result.stdout) == (1, "")
    assert Path("page.html").read_text().startswith("<!DOCTYPE html>")
    assert "2 tensors" in run("inspect", "a.pt").stdout
