"""``--help``: it fits a screen, hides nothing, and its examples run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from paramtool.cli.command_group import SUMMARIES, load
from paramtool.cli.examples import EXAMPLES
from paramtool.cli.panels import MODEL, ORDER, OUTPUT, Panel, panel_of, rare
from tests.conftest import Run
from tests.processes import execute

LINES = {"init": 48, "grad": 48}
"""Two screens for the commands with rules, one for all others."""

SPEC = """\
model: {Sequential: [{Linear: [4, 4]}, {Linear: {in_features: 4, out_features: 4, bias: false}}]}
input: {shape: [2, 4], fill: ones}
init: [{pattern: ., constant: 0.1}]
"""


@pytest.fixture(autouse=True)
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")


def options_of(command: str) -> list[Any]:
    """Return the options of a command, ``--help`` aside."""
    return [each for each in load(command).params if each.param_type_name == "option" and not each.hidden]


@pytest.mark.parametrize("command", SUMMARIES)
def test_the_help_fits_a_terminal(command: str, run: Run) -> None:
    """It has 24 lines of 80 columns at most; with all initializers twice as many."""
    lines = run(command, "--help").stdout.splitlines()
    assert len(lines) <= LINES.get(command, 24)
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("command", LINES)
def test_the_first_group_of_a_long_page_stands_apart(command: str, run: Run) -> None:
    """Two screens have room for an empty line between what MODEL is and the options."""
    lines = run(command, "--help").stdout.splitlines()
    first = next(at for at, line in enumerate(lines) if line.removesuffix(":") in ORDER)
    assert lines[first - 1] == ""
    assert lines[first - 2].strip()


@pytest.mark.parametrize("command", SUMMARIES)
def test_every_option_is_named_in_the_help(command: str, run: Run) -> None:
    """Rare options are named by --help, and all are explained by --help-all."""
    usual, whole = run(command, "--help").stdout, run(command, "--help-all").stdout
    for option in options_of(command):
        name = next(each for each in option.opts if each.startswith("--"))
        assert re.search(rf"(^|[\s,]){name}(\s|$)", usual, re.MULTILINE)
        entry = re.search(rf"^  (-\w, )?{name}(, --[a-z-]+)?( .*)?(\n {{9,}}.*)*$", whole, re.MULTILINE)
        assert entry
        words = " ".join(entry[0].split())
        assert " ".join(option.help.split()) in words
        is_explained = re.search(rf"^  (-\w, )?{name} ", usual, re.MULTILINE) is not None
        assert is_explained is not panel_of(option).is_rare


@pytest.mark.parametrize("command", SUMMARIES)
def test_groups_come_in_one_order(command: str, run: Run) -> None:
    """The groups of --help-all are those of the options, in the order that all commands have."""
    titles = [
        line[:-1] for line in run(command, "--help-all").stdout.splitlines() if re.fullmatch(r"\w.*:", line)
    ]
    groups = {panel_of(option) for option in options_of(command)} | {ORDER[-1]}
    assert titles == [each for each in ORDER if each in groups]


def test_an_option_without_a_group_is_a_rare_one() -> None:
    """What somebody adds without a thought makes no page longer than a screen."""
    assert panel_of(object()).is_rare
    assert panel_of(object()) == ORDER[-1]
    assert not OUTPUT.is_rare
    assert (rare(MODEL), rare(MODEL).is_rare) == (MODEL, True)
    assert isinstance(rare(MODEL), Panel)


@pytest.mark.parametrize("command", SUMMARIES)
def test_each_help_has_examples_and_a_link(command: str, run: Run) -> None:
    """Two examples, one where there is nothing to choose, and where to read on."""
    lines = run(command, "--help").stdout.splitlines()
    assert len(EXAMPLES[command]) == (1 if command == "schema" else 2)
    assert all(any(line.endswith(f" {each}") for line in lines) for each in EXAMPLES[command])
    assert lines[-1].endswith(f"more in docs/commands/{command}.md")


@pytest.mark.parametrize("example", [each for examples in EXAMPLES.values() for each in examples])
def test_the_examples_run(example: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each does what it is for, in a folder with the files that it names."""
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_text(SPEC)
    weights = {"0.weight": (4, 4), "0.bias": (4,), "1.weight": (4, 4)}
    for name, value in (("model", 0.1), ("old", 0.2)):
        state = {key: torch.full(shape, value) for key, shape in weights.items()}
        save_file(state, f"{name}.safetensors")
    program, *arguments = shlex.split(example)
    result = run(*arguments)
    assert program == "paramtool"
    assert (result.status, "error" in result.stderr) == (int("--values" in arguments), False), result.stderr
    assert result.stdout


def test_the_help_of_a_narrow_terminal_has_every_word(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts go on in the next line, whatever the width."""
    wide = run("inspect", "--help").stdout
    monkeypatch.setenv("COLUMNS", "40")
    narrow = run("inspect", "--help").stdout
    assert sorted(narrow.split()) == sorted(wide.split())


@pytest.mark.parametrize("command", SUMMARIES)
def test_the_help_is_readable_in_ascii(command: str) -> None:
    """Where no other characters come through, none is an escape."""
    ended = execute(command, "--help-all", env={"PYTHONIOENCODING": "ascii"})
    assert (ended.status, ended.stdout.isascii(), "\\" in ended.stdout) == (0, True, False)


def test_titles_are_bold_where_there_are_colours(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours add nothing but the codes."""
    plain = run("inspect", "--help-all").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    bold = run("inspect", "--help-all").stdout
    assert "\x1b[1mOutput:\x1b[0m\n" in bold
    assert re.sub(r"\x1b\[[0-9;]*m", "", bold) == plain


def test_help_comes_before_anything_else(run: Run) -> None:
    """--help-all ends the command as --help does, whatever else was typed."""
    result = run("inspect", "nothing.yaml", "--json", "--help-all")
    assert (result.status, result.stderr) == (0, "")
    assert result.stdout == run("inspect", "--help-all").stdout
