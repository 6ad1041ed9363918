"""File names with whatever a file system takes, in the formats that programs read."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from paramtool.render.cells import json_text
from tests.conftest import CONFIGS, Run

NAMES = ("a,b", 'a"b', "a\nb", "a\r\tb", "a\u202eb", "a\udcffb", "=a", "::error::a", "a\x1b[31m")


@pytest.fixture(params=NAMES, ids=ascii)
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the beginning of the names of a checkpoint and a spec in a folder that was entered."""
    monkeypatch.chdir(tmp_path)
    found: str = request.param
    torch.save({"w": torch.ones(2)}, tmp_path / "w")
    (tmp_path / "w").rename(f"{found}.pt")
    shutil.copy(CONFIGS / "mlp.yaml", f"{found}.yaml")
    return found


def outputs(run: Run, name: str, format: str) -> list[str]:
    """Return what commands write about the files of that name."""
    return [
        run(
            "inspect", f"{name}.pt", "w.pt" if Path("w.pt").exists() else f"{name}.yaml", "-f", format
        ).stdout,
        run("inspect", f"{name}.pt", "-f", format).stdout,
        run("diff", f"{name}.yaml", f"{name}.pt", "-f", format).stdout,
        run("check", f"{name}.yaml", "--parameters", "3", "-f", format).stdout,
        run("convert", f"{name}.pt", "-o", f"{name}.safetensors", "--force", "-f", format).stdout,
    ]


def test_json_is_what_strict_readers_take(run: Run, name: str) -> None:
    for text in outputs(run, name, "json"):
        assert text.isascii()
        found = json.loads(text)
        found_again = json.dumps(found, ensure_ascii=False).encode()  # which refuses half of a surrogate pair
        assert json.loads(found_again) == found
        assert "\ufffd" not in str(found)


@pytest.mark.parametrize(("format", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_every_line_has_the_same_number_of_cells(run: Run, name: str, format: str, delimiter: str) -> None:
    for text in outputs(run, name, format):
        text.encode()
        plain = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
        lines = list(csv.reader(io.StringIO(text)) if delimiter == "," else plain)
        assert len({len(line) for line in lines}) == 1
        assert len(lines) == text.count("\n")  # so tools that go by lines read it too
        assert not any(cell.startswith("=") for line in lines for cell in line)


def test_annotations_are_one_line_each(run: Run, name: str) -> None:
    said = run("check", f"{name}.yaml", "--parameters", "3", "-f", "github").stdout
    said.encode()
    first, *rest = said.rstrip("\n").split("\n")
    assert first.startswith("::error ")
    _, properties, message = first.split("::", 2)
    assert properties.startswith("error ")
    assert not message.startswith("::")
    assert rest == ["1 expectation: 1 broken"]


def test_halves_of_pairs_are_escaped_and_pairs_are_not() -> None:
    for text, expected in (
        ("\udcff", r"\udcff"),
        ("\ud83d", r"\ud83d"),
        ("\U0001f600", "\U0001f600"),
        ("\ud83d\U0001f600\ude00", "\\ud83d\U0001f600\\ude00"),
        (r"\ud83d", r"\ud83d"),
        ("\\\ud83d", r"\\ud83d"),
    ):
        assert json.loads(json_text(text)) == expected


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_jq_reads_it_as_it_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"a\xffb.pt")
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pt")
    (tmp_path / "w.pt").rename(path)
    text = run("inspect", str(path), "--json").stdout
    done = subprocess.run(["jq", "-r", ".model"], input=text, capture_output=True, text=True, check=True)
    assert done.stdout.rstrip("\n").endswith(r"a\udcffb.pt")
