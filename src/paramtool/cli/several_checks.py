"""``paramtool check A B C``: what is wrong with one MODEL does not hide what is found in the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from paramtool.cli import console
from paramtool.errors import Bug, ParamtoolError, SeveralFiles
from paramtool.foreign_code import foreign_frames, is_out_of_memory
from paramtool.language.text import STDIN
from paramtool.models.default import choose
from paramtool.models.given import parse_overrides
from paramtool.models.open import spec_catalog
from paramtool.operations.expectations.failure import Unanswered, failure_rows
from paramtool.operations.expectations.findings import sums
from paramtool.records.expectation import MACHINE_COLUMNS, ExpectationRow, Expectations
from paramtool.records.report import Report

if TYPE_CHECKING:
    from paramtool.models.model import Model


class NothingExpected(ParamtoolError):
    """Say that nothing is expected of a model."""


def names_of(models: Sequence[str | None]) -> list[str]:
    """Return what each MODEL is called if it cannot be opened; None is the default one.

    Raises:
        ParamtoolError: if there is no default, or stdin appears twice.
    """
    if models.count(STDIN) > 1:
        raise ParamtoolError("stdin can be read only once, but - appears twice")
    return ["<stdin>" if each == STDIN else choose(each).name for each in models]


def check_options(overrides: Sequence[str] | None, inputs: Sequence[str] | None) -> None:
    """Refuse what is wrong with ``--set`` and ``--input`` whatever the models are, before one is opened.

    Raises:
        ParamtoolError: for the first that is.
    """
    parse_overrides(overrides or ())
    if inputs:
        from paramtool.language.option_inputs import read_inputs

        read_inputs(inputs, spec_catalog().dtypes)


MOST_FILES = 8
"""Files of a folder that a line to type has."""


@contextmanager
def each_file(model: str | None) -> Iterator[None]:
    """Add the line that checks each file of a folder to an error that one of them must be named."""
    try:
        yield
    except SeveralFiles as error:
        if model is None or len(error.paths) > MOST_FILES:
            raise
        raise error.mended(model, error.paths) from error


def nothing_expected(model: Model) -> NothingExpected:
    """Return the error for a model without expectations; in a folder, the specs there may have some."""
    error = NothingExpected(
        f"{model.name} has no expectations",
        hint="e.g. expect: {parameters: 124M} in the spec, or --parameters 124M",
    )
    folder = Path(model.name)
    if not folder.is_dir():
        return error
    specs = sorted(str(each) for each in folder.iterdir() if each.suffix in (".yaml", ".yml"))
    return error.mended(model.name, specs) if 0 < len(specs) <= MOST_FILES else error


def check_each(
    names: Sequence[str], check_one: Callable[[int], Expectations], *, complain: bool
) -> Expectations:
    """Return one report of all models; those that could not be checked have their errors in it.

    Args:
        names: of the models.
        check_one: checks the model of a number.
        complain: print the errors as well; a hint that several of them have, once.

    Raises:
        Bug: if a check finds this tool wrong.
    """
    found = [_outcome(check_one, number) for number in range(len(names))]
    errors = [each for each in found if isinstance(each, ParamtoolError)]
    for each in _hinted_once(errors) if complain else ():
        console.complain(each)
    rows: list[ExpectationRow] = []
    for name, outcome in zip(names, found, strict=True):
        if isinstance(outcome, (Report, Unanswered)):
            rows += outcome.rows
        if isinstance(outcome, ParamtoolError):
            rows += failure_rows(name, outcome)
    return _together(names, rows)


def without_errors(report: Expectations) -> Expectations:
    """Return `report` without the errors, which stderr has with their places in the text."""
    return replace(report, rows=tuple(row for row in report.rows if row.error is None))


def _outcome(check_one: Callable[[int], Expectations], number: int) -> Expectations | ParamtoolError:
    try:
        with foreign_frames():
            return check_one(number)
    except Bug:
        raise
    except ParamtoolError as error:
        return error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return ParamtoolError("out of memory")


def _hinted_once(errors: Sequence[ParamtoolError]) -> Iterable[ParamtoolError]:
    """Leave the hint that is the same for all models to the last of them."""
    repeated = [each for each in errors if isinstance(each, NothingExpected)][:-1]
    return [ParamtoolError(each.message) if each in repeated else each for each in errors]


def _together(names: Sequence[str], rows: Sequence[ExpectationRow]) -> Expectations:
    totals = sums(rows)
    if len(names) == 1:
        model = rows[0].model if rows else names[0]
        return Report("check", model, tuple(rows), totals, MACHINE_COLUMNS)
    return Report("check", None, tuple(rows), totals, MACHINE_COLUMNS)
