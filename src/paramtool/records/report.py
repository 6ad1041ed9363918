"""The one Report: rows, totals, and which columns of the rows were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from paramtool.errors import BadArgument, shorten
from paramtool.records.column import columns_of
from paramtool.suggestion import nearest_field

if TYPE_CHECKING:
    from paramtool.records.contents import Origin

SCHEMA = 1
"""Version of the JSON: fields are added, never removed or renamed; readers pass over unknown ones."""


class Sums:
    """Base of all totals: what holds for the rows of their report as a whole.

    Attributes:
        row: the type of the rows.
        fold: what folds over numbered blocks: a ``block`` whole, likewise where each row is about a
            ``module``, each ``row`` by itself, the rows that stand ``alone``, without others below them,
            or nothing.
        people: the columns that people see, if these are not those that machines get.
        tells_of_none: whether the totals in words say that there are no rows, so that no empty table does.
    """

    row: ClassVar[type[Any]]
    fold: ClassVar[Literal["block", "module", "row", "alone", ""]] = ""
    people: ClassVar[tuple[str, ...]] = ()
    tells_of_none: ClassVar[bool] = False


Row = TypeVar("Row")
Totals = TypeVar("Totals", bound=Sums)


@dataclass(frozen=True)
class Part:
    """The rows of some kinds, which people see as a table of their own.

    Attributes:
        kinds: values of the rows' `kind`.
        columns: the fields to show of them.
        caption: a line below the table.
    """

    kinds: tuple[str, ...]
    columns: tuple[str, ...]
    caption: str | None = None


@dataclass(frozen=True)
class Others:
    """What a report leaves out that shows the largest rows only.

    Attributes:
        names: how many it leaves out.
        numel, nbytes: elements and bytes of their tensors, each counted once.
    """

    names: int
    numel: int
    nbytes: int


@dataclass(frozen=True, repr=False)
class Report(Generic[Row, Totals]):
    """What one command found out.

    Attributes:
        command: the command's name.
        model: what the model was called; None for a command that takes none.
        rows: records of one type.
        totals: one record.
        columns: the fields of the rows to show, in order: field name = header = column = key.
        modules: the class name of every module by its path, for the tree and for folding.
        parts: a table for people each; none if all rows are in one, with `columns`.
        origin: the files that the rows were read from, if they are those of a checkpoint.
        is_chosen: whether a person chose the columns, so that every format has these and no other.
        others: what the totals are of beside the rows.
    """

    command: str
    model: str | None
    rows: tuple[Row, ...]
    totals: Totals
    columns: tuple[str, ...]
    modules: Mapping[str, str] = field(default_factory=dict, repr=False)
    parts: tuple[Part, ...] = ()
    origin: Origin | None = field(default=None, repr=False)
    is_chosen: bool = False
    others: Others | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __repr__(self) -> str:
        about = f" of {self.model!r}" if self.model else ""
        return f"<Report {self.command}{about}: {len(self):,} rows>"

    def __str__(self) -> str:
        """Write the table that the command prints, with identical numbered blocks folded."""
        formats = import_module("paramtool.render.formats")  # which stands above the records
        return str(formats.as_text(formats.folded(self)))

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: the content of the page, without its frame."""
        return str(import_module("paramtool.render.html.notebook").notebook_view(self))

    def for_people(self) -> Report[Row, Totals]:
        """Return the report with the columns for people, if machines get others."""
        if not self.totals.people or self.is_chosen:
            return self
        model = ("model",) if self.model is None else ()  # of several models
        return replace(self, columns=(*model, *self.totals.people))

    def with_columns(self, *names: str) -> Report[Row, Totals]:
        """Return the report with these columns, in this order, in every format.

        Raises:
            BadArgument: for a column that there is not, or that is given twice.
        """
        check_columns(names, type(self.totals))
        return replace(self, columns=names, is_chosen=True)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the columns of each row by their names, ready for a DataFrame or ``json.dumps``."""
        return [{name: _plain(value) for name, value in self.cells(row).items()} for row in self.rows]

    def cells(self, row: Row) -> dict[str, Any]:
        """Return the fields of `row` that were asked for, by name."""
        return {column: getattr(row, column) for column in self.columns}


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it, with NaN and infinities as they are; printed values by their numbers."""
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if value is None or isinstance(value, (str, int, float)):
        return value
    return _plain(value.values) if hasattr(value, "values") else str(value)


def column_names(totals: type[Sums]) -> list[str]:
    """Return the names of all columns that a report with such totals can have."""
    fields = [name for name, each in columns_of(totals.row).items() if each.kind != "internal"]
    return list(dict.fromkeys([*fields, *totals.people]))


def check_columns(names: Sequence[str], totals: type[Sums]) -> None:
    """Check that these are columns of a report with such totals.

    Raises:
        BadArgument: for none, one that there is not, or one that is given twice.
    """
    known = column_names(totals)
    listed = f"the columns are {', '.join(known)}"
    if not names:
        raise BadArgument("no columns", hint=listed)
    for index, name in enumerate(names):
        if name not in known:
            near = nearest_field(name, known)
            hint = f"did you mean '{near}'? {listed}" if near else listed
            raise BadArgument(f"there is no column '{shorten(name)}'", hint=hint)
        if name in names[:index]:
            raise BadArgument(f"the column '{name}' appears twice")
