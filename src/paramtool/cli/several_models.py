"""``paramtool inspect A B C``: a line for each model, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from paramtool.cli.typed_line import KEYED, mended, typed_words
from paramtool.errors import NothingMatched, ParamtoolError, Problems
from paramtool.language.text import STDIN
from paramtool.models.open import open_model
from paramtool.records.column import unsortable
from paramtool.records.models import SORT_KEYS, ModelRow, Models, models_report

if TYPE_CHECKING:
    from paramtool.models.model import Model
    from paramtool.operations.listing.selection import Selection
    from paramtool.records.parameter import ParameterRow, ParameterTotals


def list_models(names: Sequence[str], selection: Selection, asked: Mapping[str, object]) -> Models:
    """Return one row for each model; one that cannot be listed has its error in its row.

    Args:
        names: as they were typed; a folder with several checkpoints has a row for each.
        selection: which tensors count.
        asked: what was typed of the options that are for one model, by their names.

    Raises:
        ParamtoolError: for such an option.
    """
    for option, value in asked.items():
        if value:
            message = f"{option} is for one MODEL, got {len(names):,}"
            error = ParamtoolError(message, hint="several MODELs show only totals")
            last = value[-1] if isinstance(value, list) else None
            if isinstance(last, str) and option in KEYED and "=" not in last:
                for name in names:  # KEY VALUE, of which the second was taken for a MODEL
                    if mended(typed_words(), (option, last, name), ()) is not None:
                        raise error.mended((option, last, name), (option, f"{last}={name}"))
            raise error
    if names.count(STDIN) > 1:
        raise ParamtoolError("stdin can be read only once, but - appears twice")
    return models_report(tuple(row for name in names for row in _rows(name, selection)))


def sort_models(report: Models, key: str | None, *, reverse: bool) -> Models:
    """Return the rows by a column: numbers with the largest first, words from A to Z.

    Raises:
        ParamtoolError: if `key` is not one of the columns that rows are sorted by.
    """
    if key is None:
        return replace(report, rows=report.rows[::-1]) if reverse else report
    if key not in SORT_KEYS:
        raise unsortable(key, SORT_KEYS, "models")
    known = [row for row in report.rows if getattr(row, key) is not None]
    unknown = [row for row in report.rows if getattr(row, key) is None]
    is_word = key in ("name", "format")
    known.sort(key=lambda row: getattr(row, key), reverse=reverse if is_word else not reverse)
    return replace(report, rows=(*known, *unknown))


def _rows(name: str, selection: Selection) -> Iterator[ModelRow]:
    """Yield the row of a model, or those of the checkpoints of a folder."""
    try:
        opened = open_model(name)
        members = opened.members()
        if members is None:
            yield _row(name, opened, selection)
            return
    except ParamtoolError as error:
        yield ModelRow(name=name, error=_told(name, error))
        return
    for each in members:
        yield from _rows(each, selection)


def _row(name: str, opened: Model, selection: Selection) -> ModelRow:
    report = opened.listing()
    totals = report.totals
    if selection:
        totals = _selected(report.rows, selection)
    origin = report.origin
    return ModelRow(
        name=name,
        format=origin.format if origin is not None and origin.format else opened.kind,
        tensors=totals.tensors,
        numel=totals.parameters,
        nbytes=totals.nbytes,
        dtypes=", ".join(totals.dtypes),
        beside="; ".join(_beside(opened)) or None,
    )


def _beside(opened: Model) -> Iterator[str]:
    """Yield what else is in the files, and what there is to say about them."""
    from paramtool.operations.listing.contents import named, told_of

    parts = named(opened.contents)
    if parts is not None:
        yield parts
    yield from (note for note in opened.notes if not note.startswith(told_of(opened.name)))


def _selected(rows: Sequence[ParameterRow], selection: Selection) -> ParameterTotals:
    from paramtool.operations.listing.selection import select
    from paramtool.records.totals import totals

    try:
        return totals(select([row for row in rows if row.is_parameter], selection))
    except NothingMatched:
        return totals(())


def _told(name: str, error: ParamtoolError) -> str:
    """Return an error for the row of its model, which has the name already."""
    text = error.message if error.place is None or error.place.text.is_option else str(error)
    text = re.sub(rf"^(cannot read )?{re.escape(name)}:? ?", "", text)
    more = len(error.errors) - 1 if isinstance(error, Problems) else 0
    return text.partition("\n")[0] + (f" (and {more:,} more)" if more else "")
