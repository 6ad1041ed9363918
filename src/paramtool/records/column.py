"""What is to be known of a field of a row when it becomes a column, written down on the field itself.

    nbytes: int | None = field(metadata=column("bytes", unknown="?", tone="quiet"))

A field without metadata is a plain text.  Nothing is looked up before something is rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeAlias

from paramtool.errors import ParamtoolError, shorten
from paramtool.suggestion import nearest_field

if TYPE_CHECKING:
    from typing import Literal

Kind: TypeAlias = """Literal[
    "text", "name", "names", "path", "number", "bytes", "times", "bar", "histogram", "elements", "internal"
]"""
Shown: TypeAlias = 'Literal["always", "filled", "known", "never"]'
Tone: TypeAlias = 'Literal["", "accent", "quiet", "link", "good", "notable", "gone", "bad"]'
Pooled: TypeAlias = """Literal[
    "same", "first", "never", "path", "paths", "numbered", "span", "sum", "any",
    "mean", "std", "min", "max", "lowest", "highest", "root",
]"""

_KEY = "column"
_P = ParamSpec("_P")
_known: dict[type[Any], Mapping[str, Column]] = {}


class Column(NamedTuple):
    """How people see a column, and what becomes of it where rows fold.

    Attributes:
        kind: how a cell is written.  ``name`` is what a row is called by; ``names`` are written as one where
            they run on; ``path`` is that of a module, empty for the model; ``times`` is how many a row
            stands for; ``bar`` is a number with a bar beside it; ``elements`` are printed as torch does;
            ``internal`` is no column at all.
        shown: ``filled`` only where some row says something; ``known`` likewise, and in a table without rows;
            ``never`` in a table, which it would make too wide.
        usual: values that say nothing.
        unknown: what stands for None in a row of one name.
        drop: the order in which a narrow terminal does without columns, from 1; equal ones go together, and
            from 10 on names are broken first.
        alike: the order in which columns that are the same in all rows go out of the table first, from 1.
        wraps: whether long cells go on in the next line, as names do after their dots.
        of_whole: whether a cell is a part of the whole, so that a percent says something.
        labelled: whether a cell away from its header needs the header's name.
        implied: the cell that such a place leaves out.
        tone, tones: what a cell means to the eye: by its text, else `tone`.
        pooled: what several rows make of it.  ``same``: it must agree.  ``first``: that of the first row.
            ``never``: rows that show it do not fold.  ``path``, ``paths``: names that must agree inside their
            blocks.  ``numbered``: names that differ in their numbers alone, and are shown as one.
            ``span``: from the first to the last.  ``sum``: it must agree, and adds up.  ``mean``,
            ``std``, ``min``, ``max``: of all elements, None if one is unknown.  ``lowest``,
            ``highest``: of the known ones, NaN if one is.  ``root``: of the sum of their squares.
        mean: the field of the mean, for a ``std``.
        name: of the field.
    """

    kind: Kind = "text"
    shown: Shown = "always"
    usual: tuple[object, ...] = ()
    unknown: str = ""
    drop: int = 0
    alike: int = 0
    wraps: bool = False
    of_whole: bool = False
    labelled: bool = True
    implied: str = ""
    tone: Tone = ""
    tones: Mapping[str, Tone] = {}
    pooled: Pooled = "same"
    mean: str = ""
    name: str = ""

    @property
    def is_numeric(self) -> bool:
        """Whether cells are set flush right."""
        return self.kind in ("number", "bytes", "times")

    @property
    def is_name(self) -> bool:
        """Whether cells are names, which break after a dot and nowhere else."""
        return self.kind in ("name", "path") or self.pooled == "path"

    @property
    def is_sortable(self) -> bool:
        return self.kind not in ("elements", "histogram", "internal")

    def tone_of(self, cell: str) -> Tone:
        """Return what a cell means to the eye."""
        return self.tones.get(cell, self.tone)


def _on_field(make: Callable[_P, Column]) -> Callable[_P, Mapping[str, Column]]:
    def column(*facts: _P.args, **named: _P.kwargs) -> Mapping[str, Column]:
        return {_KEY: make(*facts, **named)}

    return column


column = _on_field(Column)
"""Return the metadata of a field from the facts of a `Column`."""


def columns_of(row: type[Any]) -> Mapping[str, Column]:
    """Return what there is to know of each field of a record, by its name."""
    if row not in _known:
        facts = {each.name: each.metadata.get(_KEY, Column()) for each in fields(row)}
        _known[row] = {name: each._replace(name=name) for name, each in facts.items()}
    return _known[row]


def column_of(row: type[Any], name: str) -> Column:
    """Return what there is to know of one column; a property of the record is shown if it says something."""
    return columns_of(row).get(name) or Column(shown="filled", drop=10, name=name)


def sort_keys(row: type[Any]) -> tuple[str, ...]:
    """Return the names of the columns that rows can be sorted by."""
    return tuple(name for name, each in columns_of(row).items() if each.is_sortable)


def unsortable(key: str, known: Sequence[str], what: str = "") -> ParamtoolError:
    """Return the error for an unknown sort key, with the nearest known one.

    Args:
        key: what was asked for.
        known: the keys that there are.
        what: the rows, for the message.
    """
    near = nearest_field(key, known)
    hint = f"did you mean '{near}'?" if near else f"use one of {', '.join(known)}"
    error = ParamtoolError(f"cannot sort {f'{what} ' if what else ''}by '{shorten(key)}'", hint=hint)
    return error if near is None else error.mended(key, near)


NAME = column("name", pooled="first")
TYPE = column(shown="known", drop=2, tone="accent", labelled=False)
SHAPE = column(unknown="?", drop=12, labelled=False)
DTYPE = column(drop=3, alike=3, tone="quiet", labelled=False)
NUMEL = column("number", unknown="?", drop=11, pooled="sum")
NBYTES = column("bytes", unknown="?", drop=1, tone="quiet", labelled=False, pooled="sum")
REQUIRES_GRAD = column(
    shown="known", drop=4, alike=1, implied="True", tone="notable", tones={"True": "quiet"}
)
TIED_TO = column(shown="filled", drop=10, tone="link", pooled="path")
KIND = column(labelled=False)
COUNT = column("times", "filled", usual=(1,), tone="accent", labelled=False, pooled="sum")
INTERNAL = column("internal")
"""What the same field of several records has in common."""
