"""Texts in other encodings, archives that were cut off, cells that a spreadsheet runs, slow machines."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paramtool import ParamtoolError, as_text, inspect, patterns
from paramtool.files.reading.formats import open_checkpoint
from paramtool.text_encoding import decode
from tests.conftest import Run

SPEC = "# größe\nmodel: {Linear: [2, 1]}\n"


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16LE", "UTF-16BE", "UTF-32", "UTF-32LE", "UTF-32BE"])
def test_a_wide_encoding_is_named(encoding: str, tmp_path: Path, run: Run) -> None:
    """With and without a mark; PowerShell's ``>`` once wrote the first of these."""
    path = tmp_path / "model.yaml"
    path.write_bytes(SPEC.encode(encoding))
    result = run("inspect", str(path))
    said = f"is in {encoding}, not UTF-8; 'iconv -f {encoding} -t UTF-8 {path}' converts it\n"
    assert (result.status, result.stderr) == (2, f"error: {path} {said}")


@pytest.mark.parametrize("form", ["safetensors", "zip", "pickle", "npz", "npy", "gguf"])
def test_a_checkpoint_is_not_read_through_a_pipe(form: str, tmp_path: Path) -> None:
    """Whatever its first bytes look like, it is told to be given by name; no encoding is named."""
    path = tmp_path / "w"
    if form == "safetensors":
        save_file({"w": torch.zeros(2)}, path)
    elif form in ("zip", "pickle"):
        torch.save({"w": torch.zeros(2)}, path, _use_new_zipfile_serialization=form == "zip")
    elif form == "gguf":
        path.write_bytes(b"GGUF\x03\0\0\0" + bytes(16))
    else:
        with path.open("wb") as file:
            (np.savez if form == "npz" else np.save)(file, np.zeros(2))
    with path.open("rb") as file:
        command = [sys.executable, "-m", "paramtool", "inspect", "-"]
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
    said = "error: <stdin> is a checkpoint, which is not read through a pipe; give a checkpoint by name\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


@pytest.mark.parametrize("content", [b"m\0\0\0\1\2\3\4", b"m\0n\0\1\0\2\0", b"\0\0\0m\0\0\0\1", bytes(64)])
def test_zeros_alone_are_no_encoding(content: bytes) -> None:
    """Bytes that only begin like a wide encoding are not called one."""
    with suppress(ParamtoolError):
        assert decode(content, "x")
    with pytest.raises(ParamtoolError) as raised:
        decode(content + b"\xff", "x")
    assert "iconv" not in str(raised.value)


def test_a_character_cut_at_the_limit_is_one() -> None:
    """The part that is looked at may end within a pair of surrogates."""
    with pytest.raises(ParamtoolError, match="is in UTF-16LE"):
        decode(("abc" + "\U0001f600" * (1 << 15)).encode("UTF-16LE"), "x")


def test_utf_8_with_a_mark_is_read(tmp_path: Path, run: Run) -> None:
    (tmp_path / "model.yaml").write_bytes(SPEC.encode("utf-8-sig"))
    assert run("inspect", str(tmp_path / "model.yaml")).status == 0


def test_latin_1_is_named_with_its_line() -> None:
    with pytest.raises(ParamtoolError) as raised:
        decode(("a: 1\n" + SPEC).encode("latin-1"), "<stdin>")
    assert str(raised.value) == (
        "error: <stdin> is not UTF-8 but looks like Latin-1 (byte 0xf6 on line 2); "
        "'iconv -f ISO-8859-1 -t UTF-8' converts it"
    )
    with pytest.raises(ParamtoolError, match=r"is not UTF-8 text \(byte 4\); a hint$"):
        decode(b"\x01\x02ab\xff\xfe", "x", "a hint")


def test_an_archive_cut_in_its_end_says_so(tmp_path: Path) -> None:
    """At every byte of the records at the end; whoever downloaded it knows what to do."""
    whole, cut = tmp_path / "w.pt", tmp_path / "cut.pt"
    torch.save({"w": torch.zeros(2)}, whole)
    content = whole.read_bytes()
    for missing in range(1, 120):
        cut.write_bytes(content[:-missing])
        with pytest.raises(ParamtoolError, match="cut off"):
            open_checkpoint(str(cut))
    cut.write_bytes(content[:-2] + b"\x05\x00ab")
    with pytest.raises(ParamtoolError, match="cut off in the comment"):
        open_checkpoint(str(cut))


@pytest.mark.parametrize(
    "start", ["=", " =", "\t=", "\u3000+", "\ufeff@", "＝", "＋", "－", "＠", "\t", "\r"]
)
@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_no_cell_begins_a_formula(start: str, form: str) -> None:
    """Not behind blanks, which a spreadsheet drops, nor in full width, which it takes for the same."""
    module = nn.Module()
    module.register_parameter(f"{start}1", nn.Parameter(torch.zeros(1)))
    rows = list(
        csv.reader(StringIO(as_text(inspect(module), form)), delimiter="," if form == "csv" else "\t")
    )
    assert rows[1][0].startswith("'")


def test_only_cpu_time_counts_for_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits is not a pattern that runs away."""
    monkeypatch.setattr(patterns, "SECONDS", 0.05)
    with patterns._time_limit("waits"):
        time.sleep(0.3)
    with pytest.raises(ParamtoolError, match="runs timed out"), patterns._time_limit("runs timed out"):
        for _ in range(10**9):
            os.getpid()
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


def test_a_failing_forward_points_at_its_line(tmp_path: Path, run: Run) -> None:
    """At the module in the spec, also inside of a repeat; and at none where a name of Python is run."""
    path = tmp_path / "m.yaml"
    path.write_text("model:\n  Sequential:\n    - Linear: [4, 3]\n    - Linear: [5, 1]\ninput: [2, 4]\n")
    result = run("grad", str(path))
    assert result.stderr.startswith(f"{path}:4:7: error: '1' (Linear) with weight [1, 5], bias [1] fails on")
    assert result.stderr.splitlines()[1:] == ["      - Linear: [5, 1]", "        ^"]
    path.write_text(
        "model:\n  Repeat:\n    times: 2\n    module:\n      Sequential:\n        - Linear: [4, 3]\n"
        "input: [2, 4]\n"
    )
    assert run("grad", str(path)).stderr.startswith(f"{path}:6:11: error: '1.0' (Linear)")
    result = run(
        "grad", "torch.nn:Linear", "--arg", "in_features=2", "--arg", "out_features=1", "--input", "3"
    )
    assert result.stderr.startswith("error: the model (Linear)")


def test_the_state_of_an_optimizer_is_called_so(tmp_path: Path, run: Run) -> None:
    """Hugging Face's Trainer writes it beside the model, which is what people want to see."""
    layer = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    path = tmp_path / "optimizer.pt"
    torch.save(optimizer.state_dict(), path)
    what = "note: optimizer.pt holds the state of an optimizer, one entry per parameter; the model is in "
    assert f"{what}another file, such as model.safetensors\n" in run("inspect", str(path)).stderr
    torch.save(layer.state_dict(), tmp_path / "pytorch_model.bin")
    assert f"{what}'pytorch_model.bin' beside it\n" in run("inspect", str(path)).stderr
    assert "optimizer.pt holds" not in run("inspect", f"{path}:state").stderr
