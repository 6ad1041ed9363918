"""The man pages say what ``--help`` says, and render without a warning; ``make golden`` writes them anew."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from paramtool.cli.command_group import SUMMARIES
from tests.conftest import Run
from tools import man_pages

PAGES = sorted(path.name for path in man_pages.FOLDER.glob("*.1"))
OPTION = re.compile(r"--[a-z][a-z-]+")


def plain(page: str) -> str:
    """Return the text of a page without the marks of roff."""
    return (
        (man_pages.FOLDER / page)
        .read_text("utf-8")
        .replace(r"\-", "-")
        .replace(r"\fB", "")
        .replace(r"\fR", "")
    )


def test_the_pages_are_those_of_today(request: pytest.FixtureRequest) -> None:
    """What is in man/ is what the help is made of now."""
    if request.config.getoption("--snapshot-update"):
        man_pages.main()
    found = {path.name: path.read_text("utf-8") for path in man_pages.FOLDER.iterdir()}
    assert found == man_pages.pages()


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_page_has_every_option_of_the_help(name: str, run: Run) -> None:
    """No option is lost between the two."""
    text = run(name, "--help-all").stdout
    wanted = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text, re.MULTILINE))
    assert "--help" in wanted
    assert wanted <= set(OPTION.findall(plain(f"paramtool-{name}.1")))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_in_order(page: str) -> None:
    """Its sections are the usual ones, in the usual order, and no line of text is taken for a request."""
    text = (man_pages.FOLDER / page).read_text("utf-8")
    sections = re.findall(r"^\.SH (.+)$", text, re.MULTILINE)
    usual = ["NAME", "SYNOPSIS", "DESCRIPTION", "ARGUMENTS", "OPTIONS", "COMMANDS", "EXAMPLES", "EXIT STATUS"]
    usual += ["ENVIRONMENT", "SEE ALSO"]
    assert sections == [each for each in usual if each in sections]
    assert {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "SEE ALSO"} <= set(sections)
    requests = {line.split()[0] for line in text.splitlines() if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".TP", ".PP", ".nh", ".ad", ".nf", ".fi"}


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
@pytest.mark.parametrize("page", PAGES)
def test_a_page_renders_without_a_warning(page: str) -> None:
    """``man -l`` shows its name and options, and groff has nothing to complain about."""
    done = subprocess.run(
        ["man", "--warnings=w", "-l", str(man_pages.FOLDER / page)],
        env={**os.environ, "MANWIDTH": "100", "MAN_KEEP_FORMATTING": "", "LC_ALL": "C.UTF-8", "PAGER": "cat"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert "--help" in done.stdout
    assert page.removesuffix(".1") in done.stdout


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
@pytest.mark.parametrize("page", PAGES)
def test_mandoc_finds_no_error(page: str) -> None:
    """Where mandoc is the reader of man pages, they are valid as well."""
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "error", str(man_pages.FOLDER / page)], check=False)
    assert done.returncode == 0


def test_what_roff_would_obey_is_text() -> None:
    """Backslashes, hyphens, quotes and dots at the start of a line come out as they are."""
    assert man_pages._line(r".SH a\b -'`") == r"\&.SH a\eb \-\(aq\(ga"
    assert man_pages._line("'x") == r"\(aqx"
