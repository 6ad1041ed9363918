"""The man pages, one for the tool and one per command, from what ``--help`` is made of: ``make man``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from paramtool.cli.examples import EXAMPLES

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "man"


def main() -> None:
    """Write every page to man/, and remove those of commands that are gone."""
    written = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.1"):
        if path.name not in written:
            path.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, "utf-8")


def pages() -> dict[str, str]:
    """Return the text of each page by its file name, in roff's man macros."""
    import typer

    from paramtool.cli.command_group import SUMMARIES, load
    from paramtool.cli.main import app

    found = {"paramtool.1": _page("paramtool", typer.main.get_command(app), SUMMARIES)}
    for name in SUMMARIES:
        found[f"paramtool-{name}.1"] = _page(f"paramtool {name}", load(name), SUMMARIES)
    return found


def _page(path: str, command: Any, summaries: dict[str, str]) -> str:
    is_group = path == "paramtool"
    context = command.make_context(path, [], resilient_parsing=True)
    title = path.replace(" ", "-")
    summary, *description = re.split(r"\n\s*\n", (command.help or "").replace("\b", "").strip())
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH {_roff(title.upper())} 1 "" "paramtool {_version()}" "paramtool"',
        ".nh",  # no hyphens in what is to be copied
        ".ad l",
        *_section("NAME", [f"{_roff(title)} \\- {_roff(summary.rstrip('.'))}"]),
        *_section("SYNOPSIS", [rf"\fB{_roff(path)}\fR {_roff(usage)}"]),
        *_section("DESCRIPTION", _paragraphs(description or [summary])),
        *_options(command, context),
    ]
    if is_group:
        lines += _section("COMMANDS", _items((f"paramtool {name}", text) for name, text in summaries.items()))
    examples = EXAMPLES.get(path.removeprefix("paramtool "), ())
    if examples:
        lines += _section("EXAMPLES", [".nf", *map(_line, examples), ".fi"])
    lines += _section("EXIT STATUS", _items(_statuses()))
    lines += _section("ENVIRONMENT", _items(_VARIABLES))
    others = ["paramtool", *(f"paramtool-{name}" for name in summaries)]
    lines += _section("SEE ALSO", [", ".join(rf"\fB{_roff(each)}\fR(1)" for each in others if each != title)])
    return "\n".join(lines) + "\n"


_VARIABLES = (
    (
        "PARAMTOOL_MODEL",
        "The MODEL of a command that is given none.  If unset, it is model.yaml in the current folder.",
    ),
    ("NO_COLOR", "If set, the output has no colors."),
)


def _options(command: Any, context: Any) -> Iterator[str]:
    """Yield the sections of the arguments and options, as the help has them."""
    for kind, title in (("argument", "ARGUMENTS"), ("option", "OPTIONS")):
        records = [
            (record[0].removesuffix(" <str>"), record[1])
            for each in command.get_params(context)
            if each.param_type_name == kind and (record := each.get_help_record(context))
        ]
        if records:
            yield from _section(title, _items(records))


def _statuses() -> list[tuple[str, str]]:
    """Return each exit status and what it means, from the table in the docs."""
    text = (ROOT / "docs" / "output.md").read_text("utf-8")
    return [
        (status, _plain(meaning[0].upper() + meaning[1:]) + ".")
        for status, meaning in re.findall(r"^\| (\d+) \| (.+) \|$", text, re.MULTILINE)
    ]


def _plain(markdown: str) -> str:
    return markdown.replace("`", "")


def _version() -> str:
    from paramtool import __version__

    return __version__


def _section(title: str, body: Iterable[str]) -> list[str]:
    return [f".SH {title}", *body]


def _paragraphs(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield ".PP"
        yield _line(" ".join(text.split()))


def _items(records: Iterable[tuple[str, str]]) -> Iterator[str]:
    for head, text in records:
        yield ".TP"
        yield rf"\fB{_roff(head)}\fR"
        yield _line(" ".join(text.split()))


def _line(text: str) -> str:
    """Return one line of text: a dot or a quote at its start would be a request."""
    escaped = _roff(text)
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _roff(text: str) -> str:
    return text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")


if __name__ == "__main__":
    main()
