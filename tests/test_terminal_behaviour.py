"""Streams, exit statuses and terminals: pipes, full disks, interrupts, locales, colours, hostile names."""

from __future__ import annotations

import csv
import errno
import fcntl
import importlib
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import safetensors.torch
import torch

from paramtool.cli import console
from paramtool.cli.main import BUG
from tests.conftest import Run
from tests.processes import COMMAND, environment, execute, watch

HOSTILE = (
    "\x1b[31m",
    "\x9b31m",
    "\u202egnp",
    "\u2066x",
    "\u200bx",
    "line\nbreak",
    "car\rriage",
    "ta\tb",
    "[red]",
    "[/red]",
    "::error::x",
    "  ::warning::x",
    "##[group]",
    "##vso[x]",
    "=1+1",
    "+1",
    "@x",
    "-x",
    "*bold* _x_ `code` <b> | # &amp; $x$ \\",
    "日本",
)
HARMLESS = re.compile(r"[^\S\n]*[^\s:]|[^\S\n]*:(?!:)|$")  # a line that no CI runner obeys
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SGR = re.compile(r"\x1b\[[0-9;]*m")
ERASED = re.compile(r"\r\x1b\[K(?:[^\r\n]*\r\x1b\[K)*")
"""A line of progress that is no longer on the screen, as where torch is imported and takes long."""

ENDLESS = "model: {Sequential: [" + ", ".join(["{Linear: [1, 1]}"] * 1500) + "]}"
"""A model whose lines are far more than a pipe holds."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a good and a bad spec the current one."""
    monkeypatch.chdir(tmp_path)
    for variable in ("PARAMTOOL_MODEL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "good.yaml").write_text("model: {Linear: [1, 1]}\n")
    (tmp_path / "bad.yaml").write_text("model: {Liner: [1, 1]}\n")
    return tmp_path


@pytest.fixture
def hostile(folder: Path) -> str:
    """Write a spec of parameters with names that would do harm, and return its file's name."""
    members = {name: {"Parameter": [1]} for name in HOSTILE}
    (folder / "hostile.yaml").write_text(json.dumps({"model": {"Module": members}}))
    return "hostile.yaml"


def is_harmless(text: str) -> bool:
    """Tell whether no line of `text` does anything to a terminal or a CI runner but show characters."""
    return (
        text.replace("\n", "").replace("\t", "").isprintable()
        and not BIDI.search(text)
        and not re.search(r"##\w*\[", text)
        and all(HARMLESS.match(line) for line in text.split("\n"))
    )


# exit statuses


def test_each_end_has_its_status(run: Run) -> None:
    """Done is 0, an answer that is no is 1, wrong usage, wrong files and an empty selection are 2."""
    assert run("inspect", "good.yaml").status == 0
    assert run("--version").status == 0
    assert run("inspect", "good.yaml", "--pattern", "nothing").status == 2
    assert run("inspect", "bad.yaml").status == 2
    assert run("inspect", "--nope").status == 2
    assert run().status == 2


def test_without_a_command_the_help_goes_to_stderr(run: Run) -> None:
    """No command is wrong usage: stdout stays empty for whoever reads it."""
    result = run()
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: paramtool [OPTIONS] COMMAND [ARGS]...\n")


def test_our_own_bug_is_told_in_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is status 3, one line with its origin, and harmless itself."""
    names: dict[str, object] = {}  # a frame of this file would be foreign code
    exec("def open_model(*_, **__):\n    raise LookupError('two\\nlines \\x1b[31m')", names)
    open_model = names["open_model"]
    monkeypatch.setattr(importlib.import_module("paramtool.models.open"), "open_model", open_model)
    result = run("inspect", "good.yaml")
    assert (result.status, result.stdout) == (BUG, "")
    assert re.fullmatch(
        r"error: a bug in paramtool: LookupError: two\\nlines \\x1b\[31m \(<string>:2\);"
        r" 'paramtool --debug …' shows the traceback to report\n",
        result.stderr,
    )


def test_debug_shows_the_traceback(run: Run) -> None:
    """With --debug before the command an error has its traceback above it."""
    plain, debug = run("inspect", "bad.yaml"), run("--debug", "inspect", "bad.yaml")
    assert (plain.status, debug.status, debug.stdout) == (2, 2, "")
    assert "Traceback" not in plain.stderr
    assert debug.stderr.startswith("Traceback (most recent call last):\n")
    assert debug.stderr.endswith(plain.stderr)


def test_debug_after_the_command_is_told_its_place(run: Run) -> None:
    """--debug is of paramtool, not of a command, and the error says where it goes."""
    assert run("inspect", "bad.yaml", "--debug").stderr == (
        "error: No such option: --debug; put it first: 'paramtool --debug inspect …'\n"
    )


@pytest.mark.parametrize("command", ["inspect", "init", "shared", "grad", "diff", "check", "initializers"])
def test_the_formats_of_the_help_are_those_that_there_are(command: str, run: Run) -> None:
    """A command refuses each format that its help has not, and completion offers what the help has."""
    help = " ".join(run(command, "--help").stdout.split())
    listed = re.search(r"--format FORMAT ([\w, ]+) or (\w+)\.", help)
    assert listed
    formats = [*listed[1].split(", "), listed[2]]
    every = ["table", "tree", "json", "jsonl", "csv", "tsv", "markdown", "github", "junit", "html"]
    refused = [
        each for each in every if f"{command} has no format {each};" in run(command, "x", "-f", each).stderr
    ]
    assert [each for each in every if each not in refused] == formats
    words = {"COMP_WORDS": f"paramtool {command} --format ", "COMP_CWORD": "3"}
    offered = execute(env={"_PARAMTOOL_COMPLETE": "complete_bash", **words}).stdout
    assert offered.split() == formats


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("initializers xavier", ["xavier_normal", "xavier_uniform"]),
        ("inspect --sort na", ["name", "nan"]),
        ("inspect w.safetensors --module ", ["h", "h.0", "h.0.mlp", "h.1"]),
        ("inspect --module h.1 --type MaxUnpool2", ["MaxUnpool2d"]),
        ("inspect nothing.safetensors --module ", []),
        ("inspect bad.yaml --module ", []),
        ("inspect - --module ", []),
        ("init --pattern weight --zeros --type LayerN", ["LayerNorm"]),
        ("init --pattern weight --with spar", ["sparse"]),
        ("grad -f mark", ["markdown"]),
    ],
)
def test_values_are_completed_without_torch(typed: str, offered: list[str], folder: Path) -> None:
    """The shell offers initializers, fields, classes and the modules of a file, at once."""
    tensors = {name: torch.zeros(1) for name in ("h.0.mlp.weight", "h.1.bias", "top", "$(x).a", "\x1b[.a")}
    safetensors.torch.save_file(tensors, folder / "w.safetensors")
    words = f"paramtool {typed}"
    env = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_PARAMTOOL_COMPLETE": "complete_bash"}
    ended = watch(folder=folder, env=env)
    assert (ended.stdout.split(), ended.stderr, ended.torch) == (offered, "", False)


@pytest.mark.parametrize("of_torch", [False, True])
def test_memory_that_runs_out_is_no_bug(of_torch: bool, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory runs out, the model is too large for this machine, whoever says so."""

    def open_model(*_: object, **__: object) -> None:
        if of_torch:
            torch.empty(2**50)
        raise MemoryError

    monkeypatch.setattr(importlib.import_module("paramtool.models.open"), "open_model", open_model)
    result = run("inspect", "good.yaml")
    assert (result.status, result.stdout, result.stderr) == (2, "", "error: out of memory\n")


# streams


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["schema"], id="schema"),
        pytest.param(["inspect", "endless.yaml", "--all", "-f", "jsonl"], id="jsonl"),
    ],
)
def test_a_reader_that_has_seen_enough_is_no_error(arguments: list[str], folder: Path) -> None:
    """``| head -1`` ends the command with status 0 and silence, however much was left to write."""
    (folder / "endless.yaml").write_text(ENDLESS)
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [
        (["--help"], ""),
        (["--help"], "1"),
        (["inspect", "--help"], ""),
        (["--version"], ""),
        (["schema"], "1"),
    ],
)
def test_nobody_who_reads_is_no_error(arguments: list[str], unbuffered: str) -> None:
    """``| true`` is a pipe that is closed before the first word, and status 0 as well."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        ended = execute(*arguments, stdout=closed, env={"PYTHONUNBUFFERED": unbuffered})
    assert (ended.status, ended.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("arguments", "unbuffered"), [(["--help"], ""), (["--help"], "1"), (["--version"], "1"), (["schema"], "")]
)
def test_a_full_disk_is_told(arguments: list[str], unbuffered: str) -> None:
    """What cannot be written is status 2 and one line, never a silent loss."""
    with Path("/dev/full").open("wb") as full:
        ended = execute(*arguments, stdout=full, env={"PYTHONUNBUFFERED": unbuffered})
    assert (ended.status, ended.stderr) == (2, "error: cannot write to stdout: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_of_a_result(folder: Path) -> None:
    """The table of a model that does not fit on the disk is told in the same way."""
    with Path("/dev/full").open("wb") as full:
        ended = execute("inspect", "good.yaml", stdout=full, cwd=folder)
    assert (ended.status, ended.stderr) == (2, "error: cannot write to stdout: No space left on device\n")


@pytest.mark.skipif(os.name != "posix", reason="a shell closes the streams")
@pytest.mark.parametrize(
    ("redirection", "status", "stdout", "stderr"),
    [
        (">&-", 2, "", "error: stdout is closed\n"),
        ("2>&-", 2, "", ""),
        (">&- 2>&-", 2, "", ""),
        ("<&-", 2, "", "error: <stdin> is empty; a spec starts with 'model:'\n"),
        ("2>/dev/full", 2, "", ""),
    ],
)
def test_closed_streams_are_no_bug(redirection: str, status: int, stdout: str, stderr: str) -> None:
    """A stream that the caller closed is told where that is possible, and the status tells the rest."""
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND]
    ended = execute("inspect", "-", command=shell)
    assert (ended.status, ended.stdout, ended.stderr) == (status, stdout, stderr)


def test_a_write_error_is_told_apart_from_a_closed_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a closed pipe is a quiet end; any other error of stdout is told."""
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    with Path(os.devnull).open("w") as stream:
        closed = console._output_error(BrokenPipeError(errno.EPIPE, "Broken pipe"), stream)
        told = console._output_error(OSError(errno.EIO, "Input/output error"), stream)
    assert isinstance(closed, console.OutputClosed)
    assert str(told) == "error: cannot write to stdout: Input/output error"


# hostile names


@pytest.mark.parametrize("format", ["table", "tree", "csv", "tsv", "markdown", "json", "jsonl"])
def test_names_are_harmless_in_every_format(format: str, hostile: str, run: Run) -> None:
    """No name moves the cursor, changes colours, turns the text around or commands a CI runner."""
    result = run("inspect", hostile, "--format", format)
    assert (result.status, result.stderr) == (0, "")
    assert is_harmless(result.stdout)
    if format not in ("json", "jsonl", "markdown"):
        assert "[red]" in result.stdout
        assert "日本" in result.stdout


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_names_come_back_exactly_from_json(format: str, hostile: str, run: Run) -> None:
    """A program that reads the JSON has every name as the spec has it."""
    text = run("inspect", hostile, "--format", format).stdout
    rows = json.loads(text)["rows"] if format == "json" else [json.loads(line) for line in text.splitlines()]
    assert tuple(row["name"] for row in rows) == HOSTILE
    assert text.isascii()


def test_no_cell_of_a_csv_file_is_a_formula(hostile: str, run: Run) -> None:
    """A spreadsheet that opens the file computes nothing."""
    rows = list(csv.reader(io.StringIO(run("inspect", hostile, "-f", "csv").stdout)))
    assert len(rows) == len(HOSTILE) + 1
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert {"'=1+1", "'+1", "'@x", "'-x"} < {row[0] for row in rows}


def test_names_are_harmless_in_errors(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors and notes show names, keys, lines and file names of a stranger, and are harmless."""
    (folder / "tensors.yaml").write_text(
        json.dumps({"model": {"Module": {name: {"Tensor": [1]} for name in HOSTILE}}})
    )
    monkeypatch.setattr("paramtool.cli.listing_notes.MOST_NOTES", len(HOSTILE))
    notes = run("inspect", "tensors.yaml").stderr
    assert notes.count("is a plain tensor, not a parameter") == len(HOSTILE)
    assert is_harmless(notes)
    for name in HOSTILE:
        (folder / "wrong.yaml").write_text(json.dumps({"model": name, name: 1}, ensure_ascii=name.isascii()))
        for arguments in (
            ["wrong.yaml"],
            [f"{name}.yaml"],
            ["good.yaml", "--set", f"{name}=1"],
            ["good.yaml", "--set", f"loss={name}"],
            ["good.yaml", "--sort", name],
            ["good.yaml", "--module", name],
            ["good.yaml", "--pattern", f"({name}"],
            ["good.yaml", f"--{name}"],
            ["good.yaml", "--format", name],
        ):
            result = run("inspect", *arguments)
            assert (result.status, result.stdout) == (2, ""), arguments
            assert "error: " in result.stderr.splitlines()[0]
            assert is_harmless(result.stderr), arguments


def test_a_traceback_is_harmless(run: Run) -> None:
    """--debug prints the message of the error as well, and it is a stranger's."""
    assert is_harmless(run("--debug", "inspect", "\x1b[31m\u202e").stderr)


# locales


@pytest.mark.parametrize(
    "env",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["PYTHONIOENCODING=ascii", "LC_ALL=C"],
)
def test_an_ascii_terminal_gets_escapes(env: dict[str, str], folder: Path) -> None:
    """Where only ASCII comes through, an error has escapes for the rest, and its caret is still right."""
    (folder / "wide.yaml").write_text("model: {Module: {日本: Liner}}", "utf-8")
    ended = execute("inspect", "wide.yaml", env=env, cwd=folder)
    assert ended.status == 2
    line = r"  model: {Module: {\u65e5\u672c: Liner}}"
    assert ended.stderr.splitlines()[1:] == [line, " " * line.index("Liner") + "^"]


def test_a_table_is_aligned_in_ascii(folder: Path) -> None:
    """The columns of a table stay aligned where names are written as escapes."""
    (folder / "wide.yaml").write_text(
        "model: {Module: {日本: {Linear: [1, 1]}, 語: {Parameter: 1}}}", "utf-8"
    )
    ended = execute("inspect", "wide.yaml", env={"PYTHONIOENCODING": "ascii"}, cwd=folder)
    assert (ended.status, ended.stderr) == (0, "")
    assert ended.stdout.isascii()
    header, _, *rows = ended.stdout.splitlines()
    assert {row[header.index("dtype") :][:7] for row in rows[:3]} == {"float32"}
    assert r"\u65e5\u672c.weight" in ended.stdout


# terminals and colours


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "at_a_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"FORCE_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colours_are_for_terminals(
    variables: dict[str, str], at_a_terminal: bool, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colours go to terminals, unless NO_COLOR says no; FORCE_COLOR=1 sends them anywhere, =0 does not."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert console.screen().color is at_a_terminal
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert console.screen().color is elsewhere
    assert console.screen().width is None


@pytest.mark.parametrize(("variable", "has_colours"), [("1", True), ("0", False)])
def test_forced_colours_are_in_the_output(
    variable: str, has_colours: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FORCE_COLOR=1 writes colours into a pipe, and FORCE_COLOR=0 is not taken for a yes."""
    monkeypatch.setenv("FORCE_COLOR", variable)
    monkeypatch.setenv("TERM", "xterm-256color")
    colourful = run("inspect", "good.yaml").stdout
    assert bool(SGR.search(colourful)) is has_colours
    monkeypatch.delenv("FORCE_COLOR")
    words = SGR.sub("", colourful).split()
    assert words == run("inspect", "good.yaml").stdout.split()


def test_forced_colours_leave_the_formats_for_machines_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program reads the same bytes, whatever the colours of a terminal."""
    plain = [run("inspect", "good.yaml", "-f", each).stdout for each in ("json", "jsonl", "csv", "tsv")]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert [
        run("inspect", "good.yaml", "-f", each).stdout for each in ("json", "jsonl", "csv", "tsv")
    ] == plain


def at_a_terminal(width: int, *arguments: str) -> tuple[int, str]:
    """Run the command line at a real terminal, and return its status and what stays on the screen."""
    child, screen = pty.fork()
    if child == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        os.execvpe(COMMAND[0], [*COMMAND, *arguments], environment({"TERM": "xterm-256color"}))
    pieces = []
    while True:
        try:
            piece = os.read(screen, 1 << 16)
        except OSError:  # so Linux tells that the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(screen)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), ERASED.sub("", b"".join(pieces).decode())


@pytest.mark.filterwarnings("ignore:.*forkpty:DeprecationWarning")
def test_nothing_is_cut_at_a_narrow_terminal(folder: Path) -> None:
    """At 60 columns every name is on the screen to its last character, coloured by us alone."""
    names = [
        "a_quite_long_name_of_an_encoder_that_does_not_fit.another_rather_long_name_below_it.weight",
        "日本語の名前はとても長いので折り返されるはずです日本語の名前はとても長い.weight",
        r"\x1b[31m[red].weight",
    ]
    members = {
        "a_quite_long_name_of_an_encoder_that_does_not_fit": {
            "Module": {"another_rather_long_name_below_it": {"Linear": [1000000, 3]}}
        },
        "日本語の名前はとても長いので折り返されるはずです日本語の名前はとても長い": {"Linear": [4, 3]},
        "\x1b[31m[red]": {"Linear": [4, 3]},
    }
    (folder / "long.yaml").write_text(json.dumps({"model": {"Module": members}}))
    status, screen = at_a_terminal(60, "inspect", "long.yaml")
    assert status == 0
    assert SGR.search(screen)
    text = SGR.sub("", screen).replace("\r\n", "\n")
    assert is_harmless(text)
    assert "…" not in text
    assert "[3, 1000000]" in text
    unfolded = re.sub(r"\s+", "", text)
    for name in names:
        assert name in unfolded


@pytest.mark.parametrize(("width", "below"), [(60, "requires_grad True"), (80, None)])
def test_what_is_alike_is_said_once_where_a_table_is_too_wide(
    width: int, below: str | None, folder: Path
) -> None:
    """A column that says the same in every row goes below the table, where it makes the table fit."""
    (folder / "two.yaml").write_text("model: {Sequential: [{Linear: [4, 3]}, {Linear: [3, 1]}]}\n")
    _, screen = at_a_terminal(width, "inspect", "two.yaml")
    lines = [line.rstrip() for line in SGR.sub("", screen).splitlines()]
    head = next(line for line in lines if line.startswith(" name "))
    assert head.split()[-1] == ("requires_grad" if below is None else "nbytes")
    assert [line for line in lines if line.startswith(" each line:")] == (
        [] if below is None else [f" each line: {below}"]
    )
    assert all(len(line) <= width for line in lines)


def test_a_row_is_stacked_where_nothing_else_helps(folder: Path) -> None:
    """On the narrowest terminal a row is on several lines, and everything it says stays with it."""
    (folder / "one.yaml").write_text(
        "model: {Module: {name_without_a_dot: {Linear: {in_features: 4, out_features: 3, bias: false}}}}\n"
    )
    _, screen = at_a_terminal(24, "inspect", "one.yaml")
    text = SGR.sub("", screen)
    assert "each line" not in text
    assert [line.strip() for line in text.splitlines()[:5]] == [
        "name_without_a_dot.", "weight", "Linear  [3, 4]", "float32  numel 12", "48 B",
    ]  # fmt: skip


# torch


@pytest.mark.parametrize(
    ("arguments", "env", "status"),
    [
        pytest.param(["--help"], {}, 0, id="--help"),
        pytest.param(["--version"], {}, 0, id="--version"),
        pytest.param(["inspect", "--help"], {}, 0, id="inspect --help"),
        pytest.param(["schema", "--help"], {}, 0, id="schema --help"),
        pytest.param(["schema"], {}, 0, id="schema"),
        pytest.param([], {}, 2, id="no command"),
        pytest.param(["inspect", "--nope"], {}, 2, id="wrong usage"),
        pytest.param(["inspect", "bad.yaml"], {}, 2, id="a wrong spec"),
        pytest.param(["inspect", "nothing.yaml"], {}, 2, id="no spec"),
        pytest.param([], {"_PARAMTOOL_COMPLETE": "source_bash"}, 0, id="the completion script"),
        pytest.param(
            [],
            {
                "_PARAMTOOL_COMPLETE": "complete_bash",
                "COMP_WORDS": "paramtool inspect --f",
                "COMP_CWORD": "2",
            },
            0,
            id="completion",
        ),
    ],
)
def test_torch_stays_out_of_what_needs_none(
    arguments: list[str], env: dict[str, str], status: int, folder: Path
) -> None:
    """Help, completion, the schema and wrong specs do not wait for torch."""
    ended = watch(*arguments, folder=folder, env=env)
    assert (ended.status, ended.torch) == (status, False)
    assert bool(ended.stdout) is (status == 0)
    assert bool(ended.stderr) is (status != 0)


@pytest.mark.parametrize(
    ("kilobytes", "typed", "package"),
    [(100_000, "inspect w.safetensors --stats", "numpy"), (450_000, "grad good.yaml", "torch")],
)
def test_too_small_an_address_space_is_one_line(
    kilobytes: int, typed: str, package: str, folder: Path
) -> None:
    """NumPy and torch would end the process themselves under ``ulimit -v``, with any status."""
    safetensors.torch.save_file({"w": torch.zeros(2)}, folder / "w.safetensors")
    line = f"ulimit -v {kilobytes}; exec {sys.executable} -m paramtool {typed}"
    ended = execute(command=["bash", "-c", line], cwd=folder)
    assert (ended.status, ended.stdout) == (2, "")
    assert re.fullmatch(
        rf"error: loading {package} takes about [\d.]+ MB of address space; "
        rf"'ulimit -v' allows [\d.]+ MB; raise it\n",
        ended.stderr,
    )
