"""The command line: the commands, the exit statuses, and the one handler of errors."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from paramtool import __version__
from paramtool.audience import at_terminal
from paramtool.cli import address_space, console, process_rank
from paramtool.cli.command_group import SUMMARIES, CommandGroup
from paramtool.cli.typed_line import typed
from paramtool.errors import ParamtoolError
from paramtool.foreign_code import is_out_of_memory
from paramtool.patterns import one_budget
from paramtool.signals import ENDINGS, handle, interrupt, interrupt_again, received

DONE, USAGE, BUG, INTERRUPTED = 0, 2, 3, 130

app = typer.Typer(
    name="paramtool",
    cls=CommandGroup,
    help="Look at, initialize and compare the parameters of PyTorch networks.",
    epilog="'paramtool COMMAND --help' has options and examples; more in docs/index.md",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.write([f"paramtool {__version__}\n"])
        raise typer.Exit


@app.callback(invoke_without_command=True)
def paramtool(
    context: typer.Context,
    debug: Annotated[  # noqa: ARG001 - read in _run, which also sees errors from before this
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Look at, initialize and compare the parameters of PyTorch networks.

    paramtool MODEL is short for paramtool inspect MODEL.
    """
    if context.invoked_subcommand is None:
        for line in context.get_help().splitlines():
            console.say(line)
        raise typer.Exit(USAGE)


def main() -> NoReturn:
    """Run the command line and end the process with its exit status."""
    # The records of a large model stay until the end; the collector would walk them again and again.
    gc.set_threshold(500_000, 50, 100)
    try:
        handle(interrupt)  # a terminated write removes its temporary file, as an interrupted one does
        sys.unraisablehook = _unraisable
        status = _finish()
    except SystemExit:  # how Typer ends the completion of a shell
        raise
    except BaseException as error:  # a signal in the last moment
        os._exit(_report(error))
    # Skip the interpreter's own end: with torch loaded it takes longer than most commands.
    os._exit(status)


def _finish() -> int:
    try:
        console.prepare()
        address_space.guard()
        status = _run(sys.argv[1:])
        sys.stdout.flush()
        process_rank.leave(has_answer=status < USAGE)
    except (ParamtoolError, console.OutputClosed) as error:
        return _report(error)
    return status


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Raise an interrupt again that Python dropped, for example in a ``__del__``, as soon as that is over."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        interrupt_again()
    else:
        sys.__unraisablehook__(unraisable)


def _run(arguments: list[str]) -> int:
    """Return the exit status; every error of every command is printed here."""
    with typed(arguments):
        return _guarded(arguments)


def _guarded(arguments: list[str]) -> int:
    debug = arguments[:1] == ["--debug"]
    try:
        with one_budget(), at_terminal():
            status = app(arguments, prog_name="paramtool", standalone_mode=False)
        if status == INTERRUPTED or received():  # typer makes 130 of a KeyboardInterrupt
            return _interrupted()
        return status if isinstance(status, int) else DONE
    except (Exception, KeyboardInterrupt) as error:
        if debug and not received():
            import traceback

            for line in traceback.format_exc().splitlines():
                console.say(line)
        return _report(error)


def _interrupted() -> int:
    number = received() or signal.SIGINT
    console.say(ENDINGS[number])
    return 128 + number


def _report(error: BaseException) -> int:
    if received():  # whatever an interrupted import made of it
        return _interrupted()
    if isinstance(error, console.OutputClosed):
        return DONE
    if isinstance(error, ParamtoolError):
        console.complain(error)
        return error.status
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return _interrupted()
    if is_out_of_memory(error):
        console.complain(ParamtoolError(address_space.reason()))
        return USAGE
    return _bug(error)


def _usage(error: typer.TyperException) -> int:
    from paramtool.cli.usage import usage_error

    console.complain(usage_error(error, SUMMARIES))
    return USAGE


def _bug(error: BaseException) -> int:
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    where = f" ({Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno})" if frame else ""
    console.complain(
        ParamtoolError(
            f"a bug in paramtool: {type(error).__name__}: {error}{where}",
            hint="'paramtool --debug …' shows the traceback to report",
        )
    )
    return BUG
