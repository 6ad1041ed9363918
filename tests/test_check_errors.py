"""`paramtool check` of several models, some of which cannot be checked: every format says so."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from paramtool import check
from paramtool.cli.several_checks import check_each
from paramtool.records.expectation import Expectations
from tests.conftest import Run
from tests.processes import execute
from tests.test_check import properties
from tests.test_terminal_behaviour import is_harmless

FINE = "model: {Linear: [4, 3]}\nexpect: {parameters: 15}\n"
BROKEN = "model: {Linear: [4, 3]}\nexpect:\n  parameters: 16\n"
TWO_ERRORS = "model:\n  Sequential:\n    - Liner: [4, 3]\n    - Linear: [4]\n"
LAB = """\
import sys
from torch import nn

def raises():
    raise ValueError("no such size")

def leaves():
    sys.exit(0)

class Odd(nn.Linear):
    def named_parameters(self, *args, **kwargs):
        raise KeyError("odd")

def odd():
    return Odd(4, 3)

def lazy():
    return nn.LazyLinear(3)
"""
LINER = "unknown module 'Liner'; did you mean 'Linear'?"
MODELS = ("fine.yaml", "bad.yaml", "cut.pt", "lab_of_errors:raises", "broken.yaml", "gone.yaml")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with good and bad models the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in {"fine": FINE, "broken": BROKEN, "bad": TWO_ERRORS}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "lab_of_errors.py").write_text(LAB)
    torch.save(nn.Linear(4, 3).state_dict(), tmp_path / "whole.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:300])
    return tmp_path


def rows(text: str) -> list[dict[str, Any]]:
    """Return the rows of a JSON document."""
    found: list[dict[str, Any]] = json.loads(text)["rows"]
    return found


def errors(found: list[dict[str, Any]]) -> list[tuple[str, str | None, int | None, int | None]]:
    """Return the model and the place of each error, which has nothing of an expectation."""
    bad = [row for row in found if row["error"] is not None]
    for row in bad:
        assert [row[key] for key in ("name", "holds", "expected", "found", "value")] == [None] * 5
    return [(row["model"], row["file"], row["line"], row["column"]) for row in bad]


def test_what_is_wrong_with_one_model_hides_no_other(run: Run) -> None:
    """A broken spec, a cut checkpoint, code that raises and a missing file: the others are checked."""
    result = run("check", *MODELS, "--dtype", "float32", "--json")
    assert result.status == 2
    found = rows(result.stdout)
    kept = [(row["model"], row["name"], row["holds"]) for row in found if row["error"] is None]
    assert kept == [
        ("fine.yaml", "parameters", True),
        ("fine.yaml", "dtype", True),
        ("broken.yaml", "parameters", False),
        ("broken.yaml", "dtype", True),
    ]
    assert [each[:3] for each in errors(found) if "lab" not in each[0]] == [
        ("bad.yaml", "bad.yaml", 3),
        ("bad.yaml", "bad.yaml", 4),
        ("cut.pt", None, None),
        ("gone.yaml", None, None),
    ]
    (raised,) = (row for row in found if row["model"] == "lab_of_errors:raises")
    assert "ValueError: no such size" in raised["error"]
    totals = json.loads(result.stdout)["totals"]
    assert totals == {"expectations": 4, "kept": 3, "broken": 1, "failed": 4}
    assert result.stderr.count("error: ") == 5
    assert "    - Liner: [4, 3]\n        ^\n" in result.stderr


def test_a_table_has_the_others_and_counts_the_errors(run: Run) -> None:
    """Stderr has the errors with their carets; a table does not repeat them, Markdown has a column."""
    result = run("check", *MODELS)
    assert (result.status, "Liner" in result.stdout, "Liner" in result.stderr) == (2, False, True)
    assert result.stdout.splitlines()[-1] == (" 2 expectations: 1 kept, 1 broken; 4 models cannot be checked")
    text = run("check", *MODELS, "-f", "markdown").stdout
    assert text.splitlines()[0] == "| model | name | holds | expected | found | place | error |"
    assert r"| bad.yaml |  |  |  |  | bad.yaml:3:7 | unknown module 'Liner'; did you mean 'Linear'? |" in text


@pytest.mark.parametrize("format", ["table", "markdown"])
def test_one_bad_model_alone_has_no_table(format: str, run: Run) -> None:
    """Its errors are on stderr, and there is no result."""
    result = run("check", "bad.yaml", "-f", format)
    assert (result.status, result.stdout) == (2, "")


def test_json_lines_and_delimited_formats_have_a_row_for_each_error(run: Run) -> None:
    """An error is a row like others, of which only the model, the place and the error are filled."""
    lines = [json.loads(line) for line in run("check", *MODELS, "-f", "jsonl").stdout.splitlines()]
    assert len(errors(lines)) == 5
    for format, delimiter in (("csv", ","), ("tsv", "\t")):
        text = run("check", "bad.yaml", "fine.yaml", "-f", format).stdout
        found = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
        assert [(row["model"], row["holds"], row["line"], row["error"] == "") for row in found] == [
            ("bad.yaml", "", "3", False),
            ("bad.yaml", "", "4", False),
            ("fine.yaml", "true", "2", True),
        ]


def test_github_annotates_errors_at_their_places(run: Run) -> None:
    """A broken spec at each line that is wrong; what has no place names its model."""
    result = run("check", *MODELS, "-f", "github")
    assert result.status == 2
    *lines, totals = result.stdout.splitlines()
    assert totals == "2 expectations: 1 kept, 1 broken; 4 models cannot be checked"
    told = [properties(line) for line in lines]
    assert told[0] == {
        "file": "bad.yaml", "line": "3", "col": "7", "title": "paramtool check", "message": LINER,
    }  # fmt: skip
    assert [each.get("line") for each in told[:2]] == ["3", "4"]
    assert told[2]["message"].count("cut.pt") == 1
    assert "lab_of_errors" in told[3]["message"]
    assert told[4]["message"] == "parameters: expected 16, found: 15"
    assert told[5]["message"] == "cannot read gone.yaml: No such file or directory"
    assert len(told) == 6


def test_junit_has_one_case_with_an_error_for_each_such_model(run: Run) -> None:
    """A server tells errors from failures, and drops the second case of one name."""
    root = ElementTree.fromstring(run("check", *MODELS, "-f", "junit").stdout)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "1", "4")
    cases = list(root.iter("testcase"))
    assert [case.get("classname") for case in cases] == list(MODELS)
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    bad = cases[1].find("error")
    assert bad is not None
    assert (cases[1].get("file"), cases[1].get("line")) == ("bad.yaml", "3")
    assert bad.get("message") == f"{LINER} (and 1 more)"
    assert [line.partition(": ")[0] for line in (bad.text or "").split("\n")] == [
        "bad.yaml:3:7",
        "bad.yaml:4:7",
    ]


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "junit", "github"])
def test_a_program_gets_a_document_even_if_nothing_could_be_checked(format: str, run: Run) -> None:
    """One broken spec alone: CI that reads stdout finds the error there."""
    result = run("check", "bad.yaml", "-f", format)
    assert (result.status, "Liner" in result.stdout) == (2, True)


def test_quiet_shows_errors_and_nothing_that_holds(run: Run) -> None:
    """Silent on both streams if all is well, whatever there is to note; else only what is broken."""
    (Path() / "model.yaml").write_text(FINE)
    (Path() / "plain.yaml").write_text("model: ReLU\n")
    for words in ([], ["fine.yaml", "model.yaml"], ["fine.yaml", "plain.yaml", "--allow-none"]):
        result = run("check", "-q", *words)
        assert (result.status, result.stdout, result.stderr) == (0, "", "")
    result = run("check", "-q", "fine.yaml", "bad.yaml")
    assert (result.status, result.stdout) == (2, "")
    assert [line for line in result.stderr.splitlines() if "error" in line] != []
    result = run("check", "-q", "fine.yaml", "bad.yaml", "broken.yaml", "-f", "github")
    assert [properties(line).get("file") for line in result.stdout.splitlines()[:-1]] == [
        "bad.yaml", "bad.yaml", "broken.yaml",
    ]  # fmt: skip


def test_the_status_is_that_of_the_worst(run: Run) -> None:
    """A broken expectation is a no, and a model that cannot be checked an error, in any order."""
    assert run("check", "fine.yaml", "broken.yaml").status == 1
    assert run("check", "broken.yaml", "bad.yaml").status == 2
    assert run("check", "bad.yaml", "broken.yaml").status == 2


def test_code_that_ends_the_process_ends_no_check(run: Run) -> None:
    """``sys.exit(0)`` in a factory, or an odd method called later, is an error of that model alone."""
    words = ("lab_of_errors:leaves", "lab_of_errors:odd", "fine.yaml", "--dtype", "float32", "--finite")
    result = run("check", *words, "--json")
    assert result.status == 2
    assert [row["model"] for row in rows(result.stdout) if row["error"]] == list(words[:2])
    assert [row["holds"] for row in rows(result.stdout) if not row["error"]] == [True] * 3


def test_an_input_gives_a_lazy_object_its_shapes(run: Run) -> None:
    """``--input`` is for factories too; without it the answer says what is missing."""
    words = ("check", "lab_of_errors:lazy", "--parameters", "15")
    assert run(*words, "--input", "2,4").status == 0
    result = run(*words)
    assert (result.status, "lazy" in result.stderr) == (2, True)


def test_what_is_wrong_with_an_option_is_said_once(run: Run) -> None:
    """It is no error of a model: nothing is opened."""
    for words in (["--set", "x"], ["--input", "2,x"], ["--parameters", "many"]):
        result = run("check", "fine.yaml", "broken.yaml", *words, "--json")
        assert (result.status, result.stdout, result.stderr.count("error")) == (2, "", 1)
    assert "stdin can be read only once" in run("check", "-", "-").stderr


def test_stdin_is_named_in_its_error(folder: Path) -> None:
    """It is in no repository, but the line is worth knowing."""
    ended = execute("check", "-", "-f", "jsonl", stdin=TWO_ERRORS.encode(), cwd=folder)
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(row["model"], row["file"], row["line"]) for row in found] == [
        ("<stdin>", "<stdin>", 3), ("<stdin>", "<stdin>", 4),
    ]  # fmt: skip


def test_a_file_with_many_errors_has_bounded_rows(run: Run) -> None:
    """The first errors have a row each, and the last row says how many there are besides."""
    (Path() / "many.yaml").write_text("model:\n  Sequential:\n" + "    - Liner\n" * 300)
    found = rows(run("check", "many.yaml", "fine.yaml", "--json").stdout)
    assert [row["error"] for row in found[49:51]] == [LINER, "… and 250 more errors"]
    assert (len(found), found[51]["holds"]) == (52, True)


@pytest.mark.parametrize("format", ["table", "markdown", "json", "jsonl", "csv", "tsv", "github", "junit"])
def test_hostile_names_in_errors_are_harmless(format: str, run: Run) -> None:
    """What cannot be opened may be called anything, and a spec may hold anything."""
    (Path() / "##[error]x.yaml").write_text("model: {'::error::##[x\\e[31m\\u202e': [1]}\n".replace("'", '"'))
    names = ("##[error]x.yaml", "a\n::error::b", "=1+1", "\x1b[31m", "<b>&.yaml", "\u202e.pt")
    result = run("check", *names, "fine.yaml", "-f", format)
    assert result.status == 2
    assert is_harmless(result.stdout.replace("::error", "") if format == "github" else result.stdout)
    assert is_harmless(result.stderr)
    if format == "github":
        assert [properties(line)["title"] for line in result.stdout.splitlines()[:-1]] == [
            "paramtool check"
        ] * 6
    if format == "junit":
        cases = list(ElementTree.fromstring(result.stdout).iter("testcase"))
        assert [case.find("error") is None for case in cases] == [False] * 6 + [True]


def test_a_column_may_be_sorted_out_by_a_program(run: Run) -> None:
    """``holds`` is true, false or null, so that nobody takes an error for a broken expectation."""
    found = rows(run("check", "fine.yaml", "broken.yaml", "bad.yaml", "--json").stdout)
    assert [row["holds"] for row in found] == [True, False, None, None]


def test_memory_that_runs_out_is_an_error_of_one_model(capsys: pytest.CaptureFixture[str]) -> None:
    """The model that took it could not be checked; the next may be smaller."""

    def check_one(number: int) -> Expectations:
        if number == 0:
            raise MemoryError
        return check(nn.Linear(4, 3), {"parameters": 15}, name="b.yaml")

    report = check_each(["a.yaml", "b.yaml"], check_one, complain=True)
    assert [(row.model, row.holds, row.error) for row in report.rows] == [
        ("a.yaml", None, "out of memory"), ("b.yaml", True, None),
    ]  # fmt: skip
    assert capsys.readouterr().err == "error: out of memory\n"


def test_the_log_of_a_runner_has_each_error_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner shows an annotation as a line too, without its place: it is in the message, once."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = run("check", "bad.yaml", "broken.yaml", "cut.pt", "-f", "github")
    assert (result.status, result.stderr) == (2, "")
    messages = [properties(line)["message"] for line in result.stdout.splitlines()[:-1]]
    assert [each.partition(": ")[0] for each in messages[:2]] == ["bad.yaml:3:7", "bad.yaml:4:7"]
    assert messages[0] == f"bad.yaml:3:7: {LINER}"
    assert any(each.startswith("broken.yaml:3:") for each in messages[2:])
    assert [each.count("cut.pt") for each in messages[2:]] in ([0, 1], [1, 0])
    result = run("diff", "fine.yaml", "bad.yaml", "-f", "github")
    assert (result.status, result.stderr, result.stdout.count(LINER)) == (2, "", 1)
    judged = run("diff", "fine.yaml", "fine.yaml", "--set", "model.Linear=[4,2]", "-f", "github").stdout
    assert judged.count("a strict load of fine.yaml into fine.yaml fails") == 1
    quiet = run("diff", "fine.yaml", "bad.yaml", "-f", "github", "-q")
    assert (quiet.status, quiet.stdout, quiet.stderr.count(LINER)) == (2, "", 1)
    assert run("diff", "fine.yaml", "bad.yaml").stderr.count(LINER) == 1


def test_every_error_with_this_format_is_an_annotation(run: Run) -> None:
    """So is that of a model of `diff`, and of an option; in other formats it is on stderr alone."""
    result = run("diff", "fine.yaml", "bad.yaml", "-f", "github")
    assert (result.status, result.stderr.count("error: ")) == (2, 2)
    told = [properties(line) for line in result.stdout.splitlines()]
    assert [(each["title"], each["file"], each["line"]) for each in told] == [
        ("paramtool diff", "bad.yaml", "3"), ("paramtool diff", "bad.yaml", "4"),
    ]  # fmt: skip
    assert told[0]["message"] == LINER
    result = run("check", "fine.yaml", "--dtype", "flot32", "-f", "github")
    (line,) = result.stdout.splitlines()
    assert properties(line)["message"].startswith("--dtype flot32: 'dtype' of expect")
    assert run("diff", "fine.yaml", "bad.yaml").stdout == ""
    Path("many.yaml").write_text("model:\n  Sequential:\n" + "    - Liner\n" * 300)
    lines = run("diff", "fine.yaml", "many.yaml", "-f", "github").stdout.splitlines()
    assert (len(lines), properties(lines[-1])["message"]) == (51, "… and 250 more errors")
