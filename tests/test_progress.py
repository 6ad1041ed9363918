"""The line that says how far a work is: where it is shown, what it says, and that it goes away."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import paramtool
from paramtool import progress
from paramtool.cli import console
from paramtool.cli import progress as shown
from tests.processes import environment

SHOWN_AT_ONCE = """
import sys
from paramtool.cli import main, progress
progress.PATIENCE = progress._INTERVAL = 0.001
sys.argv = ["paramtool", *sys.argv[1:]]
main.main()
"""


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def watched_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stderr a terminal on which a line appears at once; not in a fixture, where pytest has its own."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(shown, "PATIENCE", 0.001)
    monkeypatch.setattr(shown, "_INTERVAL", 0.001)
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    return stderr


def wait_for(terminal: Terminal, text: str) -> None:
    for _ in range(2000):
        if text in terminal.getvalue():
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"{text!r} is not in {terminal.getvalue()!r}")


def test_the_line_has_what_there_is_room_for() -> None:
    """The work, the part, the rate and the time left; on a narrow terminal the first of these."""
    line = shown.Line("statistics", 200, "elements")
    line.advance(50)
    assert line.text(2.0, 80, True) == "statistics  ███           25%  25 elements/s  6 s left"
    assert line.text(2.0, 80, False) == "statistics  ###           25%  25 elements/s  6 s left"
    assert line.text(2.0, 45, True) == "statistics  ███           25%  25 elements/s"
    assert line.text(2.0, 12, True) == "statistics"
    assert line.text(2.0, 4, True) == "stat"
    writing = shown.Line("writing", 10**10, "bytes")
    assert writing.text(1.5, 80, True) == f"writing  {' ' * 12}   0%  2 s"
    writing.advance(2 * 10**9)
    assert writing.text(20.0, 80, True) == "writing  ██▍           20%  100.0 MB/s  1:20 min left"
    unknown = shown.Line("comparison", None, "elements")
    unknown.advance(3_000_000)
    assert unknown.text(3.0, 80, True) == "comparison  1.0 M elements/s  3 s"
    done = shown.Line("statistics", 5, "elements")
    done.advance(9)
    assert "100%" in done.text(1.0, 80, True)


def test_the_line_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the work nothing is left of it, and what is written meanwhile has a line of its own."""
    terminal = watched_terminal(monkeypatch)
    with shown.progress_bar(10, "statistics", "elements") as advance:
        advance(5)
        wait_for(terminal, "50%")
        console.say("note: something")
    text = terminal.getvalue()
    assert "\r\x1b[Knote: something\n" in text
    assert text.rpartition("left")[2].replace("\r\x1b[K", "") in ("", "note: something\n")
    assert text.endswith(("\r\x1b[K", "note: something\n"))


def test_a_work_inside_another_is_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the outer one is shown, and after it the next."""
    terminal = watched_terminal(monkeypatch)
    with shown.progress_bar(10, "outer", "elements"), shown.progress_bar(10, "inner", "elements") as advance:
        advance(1)
        wait_for(terminal, "outer")
    with shown.progress_bar(10, "next", "elements"):
        wait_for(terminal, "next")
    assert "inner" not in terminal.getvalue()


def test_an_error_takes_the_line_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends a work."""
    terminal = watched_terminal(monkeypatch)
    with pytest.raises(ZeroDivisionError), shown.progress_bar(10, "statistics", "elements"):
        wait_for(terminal, "statistics")
        raise ZeroDivisionError
    assert terminal.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize("variables", [{"CI": "true"}, {"TERM": "dumb"}])
def test_nothing_is_shown_where_nobody_watches(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the log of a CI job, and where a line cannot be erased, there is none."""
    terminal = watched_terminal(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with shown.progress_bar(10) as advance:
        advance(5)
        threading.Event().wait(0.05)
    assert terminal.getvalue() == ""


def test_statistics_and_comparisons_say_how_far_they_are() -> None:
    """Whoever listens hears of every element, from Python as well; nobody has to."""
    heard: list[tuple[str, int | None, int]] = []

    class Listener:
        def __init__(self, total: int | None, what: str, _unit: str) -> None:
            self.total, self.what, self.done = total, what, 0

        def __enter__(self) -> progress.Advance:
            return self.advance

        def advance(self, done: int) -> None:
            self.done += done

        def __exit__(self, *_: object) -> None:
            heard.append((self.what, self.total, self.done))

    state = {"a": torch.zeros(3_000_000), "b": torch.arange(5.0), "c": torch.arange(5.0)}
    with progress.shown_by(Listener):
        paramtool.inspect(state, stats=True)
        paramtool.diff(state, {**state, "b": torch.ones(5)}, values=True)
    paramtool.inspect(state, stats=True)
    assert heard[0] == ("statistics", 3_000_010, 3_000_010)
    assert ("comparison", 3_000_010, 3_000_010) in heard
    assert len([each for each in heard if each[0] == "statistics"]) == 1


@pytest.mark.filterwarnings("ignore:.*forkpty:DeprecationWarning")
def test_the_result_is_the_same_with_and_without_the_line(tmp_path: Path) -> None:
    """On a real terminal the line is on stderr, never in the result."""
    path = tmp_path / "w.safetensors"
    save_file({f"w{index}": torch.randn(500_000) for index in range(20)}, path)
    results = []
    for watched in (True, False):
        result = tmp_path / "result.txt"
        child, screen = pty.fork()
        if child == 0:
            os.dup2(os.open(result, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            env = environment({"TERM": "xterm"}) | ({} if watched else {"CI": "1"})
            env.pop("CI", None) if watched else None
            command = [sys.executable, "-c", SHOWN_AT_ONCE, "inspect", str(path), "--stats"]
            os.execvpe(command[0], command, env)
        pieces = b""
        while True:
            try:
                piece = os.read(screen, 1 << 16)
            except OSError:  # so Linux tells that the other end is closed
                break
            if not piece:
                break
            pieces += piece
        os.close(screen)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        results.append((pieces.decode(), result.read_text()))
    (seen, with_line), (nothing, without) = results
    assert with_line == without
    assert nothing == ""
    assert re.search(r"\r\x1b\[Kstatistics  ", seen)
    assert seen.endswith("\r\x1b[K")


@pytest.mark.parametrize(("total", "unit"), [(7 * 10**10, "elements"), (8 * 10**10, "bytes")])
def test_large_work_is_announced_once_where_no_line_appears(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int, unit: str
) -> None:
    monkeypatch.setattr(shown, "_is_announced", False)
    for _ in range(2):
        with shown.progress_bar(total, "statistics", unit):
            pass
    said = {"elements": "70.0 G elements", "bytes": "80.0 GB"}[unit]
    assert capsys.readouterr().err == f"note: this takes a while: statistics, {said}\n"


def test_small_work_is_not_announced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shown, "_is_announced", False)
    with shown.progress_bar(10**9, "statistics", "elements"), shown.progress_bar(None, "importing torch"):
        pass
    assert capsys.readouterr().err == ""
