"""A folder with several files in place of one model: what is in it, and the line to type."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch

from tests.conftest import Run

SPEC = "model: {Linear: [1, 1]}\nexpect: {parameters: 2}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder: Path, *names: str) -> None:
    """Write files by their endings: specs, which all hold, and checkpoints of two elements."""
    folder.mkdir(exist_ok=True)
    for name in names:
        if name.endswith(".pt"):
            torch.save({"weight": torch.ones(2)}, folder / name)
        else:
            (folder / name).write_text(SPEC)


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("a.pt", "b.pt"), "has several checkpoints: a.pt, b.pt"),
        (("a.yaml", "b.yml"), "is a folder without a checkpoint, but with a.yaml, b.yml"),
        (("a.yaml",), "is a folder without a checkpoint, but with a.yaml"),
        (("a.pt", "b.yaml", "c.yaml"), "has no expectations"),
    ],
)
@pytest.mark.parametrize("typed", [".", "models", "models/"])
def test_check_names_every_file(
    names: tuple[str, ...], what: str, typed: str, folder: Path, run: Run
) -> None:
    """In one line, which works when it is typed."""
    put(folder if typed == "." else folder / "models", *names)
    bounds = () if what == "has no expectations" else ("--parameters", "2")
    result = run("check", typed, *bounds)
    message, _, line = result.stderr.partition("; type: paramtool ")
    assert (result.status, result.stdout) == (2, "")
    assert re.sub(r"^error: (\.|models/?) | \([\d.]+ kB\)", "", message) == what
    assert run(*shlex.split(line)).status == 0


def test_hostile_names_are_typed_as_they_are(folder: Path, run: Run) -> None:
    """A shell reads each name back, whatever is in it; none is an option, and the hint is one line."""
    names = ["-x.pt", "a\nb.pt", "a b's.pt", "c\x1b[31m\\n'.pt", "d\u202e\u00e9.pt", "e\udcff.pt"]
    put(folder, *names)
    error = run("check", ".", "--parameters", "2").stderr
    assert error.removesuffix("\n").isprintable()
    line = error.partition("; type: paramtool ")[2]
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    ).stdout
    typed = [os.fsdecode(each) for each in words.split(b"\0")[:-1]]
    assert typed == ["check", "./-x.pt", *names[1:], "--parameters", "2"]
    assert run(*typed).status == 0


def test_other_commands_take_one(folder: Path, run: Run) -> None:
    """Of many, a few are named; a single spec has its line."""
    put(folder / "specs", *(f"m{number}.yaml" for number in range(10)))
    result = run("grad", "specs")
    assert result.stderr == (
        "error: specs is a folder without a checkpoint, but with m0.yaml, m1.yaml, m2.yaml, m3.yaml, m4.yaml,"
        " m5.yaml, m6.yaml, m7.yaml and 2 more; name one, e.g. specs/m0.yaml\n"
    )
    assert run("check", "specs").stderr == result.stderr
    put(folder / "one", "m.yaml")
    assert run("shared", "one").stderr.endswith("; type: paramtool shared one/m.yaml\n")
