"""Counts in sentences: one of a thing is singular, wherever it is counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from paramtool.quantities import counted
from paramtool.suggestion import hint_of_names
from tests.conftest import ROOT, Run

_WRONG = re.compile(
    r"(?<![\w.,×-])1 (?:more )?(?:tensors|parameters|names|elements|modules|models|groups|differences|values"
    r"|entries|classes|rules|uses|lines|expectations|errors|texts|parts|keys|files|checkpoints|initializers)\b"
)


def test_nouns_of_several() -> None:
    """Regular ones, and those of the few classes and entries that are counted."""
    assert [counted(1, each) for each in ("tensor", "entry", "class")] == ["1 tensor", "1 entry", "1 class"]
    assert [counted(2, each) for each in ("tensor", "entry", "class")] == [
        "2 tensors", "2 entries", "2 classes",
    ]  # fmt: skip
    assert counted(1200, "more error") == "1,200 more errors"


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        ([], "there are no names"),
        (["a"], "the only name is 'a'"),
        (["a", "b"], "there are 2 names, the first is 'a'"),
    ],
)
def test_the_names_that_there_are(names: list[str], hint: str) -> None:
    """None, one or several."""
    assert hint_of_names(names) == hint


def test_one_difference_of_each_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Kinds that are nouns have a preposition, so that one and several read alike."""
    monkeypatch.chdir(tmp_path)
    state = nn.Linear(1, 1).state_dict()
    torch.save(state, "a.pt")
    torch.save({**state, "bias": state["bias"] + 1}, "b.pt")
    assert "\n 1 difference: 1 in values\n" in run("diff", "a.pt", "b.pt", "--values").stdout
    annotated = run("diff", "a.pt", "b.pt", "--values", "--format", "github").stdout
    assert "bias has other values: 1 differs, by up to 1\n" in annotated
    Path("a.yaml").write_text("model: {Linear: {in_features: 1, out_features: 2, bias: false}}")
    Path("b.yaml").write_text("model: {Linear: {in_features: 1, out_features: 1, bias: false}}")
    assert "\n 1 parameter, were 2 (-1)\n" in run("diff", "a.yaml", "b.yaml").stdout
    missing = run("diff", "a.yaml", "b.yaml", "--pattern", "x").stderr
    assert missing == "error: no name matches the selection; the only name is 'weight'\n"


@pytest.mark.parametrize("folder", ["docs", "tests/__snapshots__"])
def test_nothing_that_is_shown_has_one_of_several(folder: str) -> None:
    """All that pages and golden files show."""
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".md", ".txt", ".ambr", ".raw")]
    found = [(path.name, match[0]) for path in files for match in _WRONG.finditer(path.read_text())]
    assert len(files) > 9
    assert found == []
