"""A Python file, in which one module must be named."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from paramtool.errors import CannotOpen
from paramtool.language.python_source import Definition, read_source
from paramtool.models.model import Model
from paramtool.models.python_name import choice
from paramtool.records.definitions import COLUMNS, DefinitionRow, Definitions, DefinitionTotals
from paramtool.records.report import Report

if TYPE_CHECKING:
    from paramtool.elements.elements import Elements
    from paramtool.network.construction import Network
    from paramtool.records.contents import Contents
    from paramtool.records.layout import Layout
    from paramtool.records.parameter import Listing


class PythonFileModel(Model):
    """What lists the modules of a file without running it, and for everything else says which to name."""

    def __init__(self, name: str, tell: Callable[[str], object] | None = None) -> None:
        super().__init__(name, tell)
        self._source = read_source(name)

    def overview(self, *, for_people: bool) -> Definitions:
        """Return one row for each class, factory or instance, with the line to type."""
        del for_people
        found = self._source.modules
        if not found:
            self._refuse_all()
        self.note(f"{self.name} is Python; name one of its modules after a colon")
        rows = tuple(self._row(each) for each in found)
        return Report("definitions", self.name, rows, DefinitionTotals(definitions=len(rows)), COLUMNS)

    def _row(self, each: Definition) -> DefinitionRow:
        arguments = "".join(f" --arg {name}=…" for name in each.required)
        return DefinitionRow(
            name=each.name, kind=each.kind, line=each.line,
            command=f"paramtool inspect {shlex.quote(f'{self.name}:{each.name}')}{arguments}",
        )  # fmt: skip

    def _list(self, module: str | None, stats: bool, values: bool) -> Listing:
        """Refuse, and say what to name."""
        del module, stats, values
        self._refuse_all()

    def layout(self, *, by_value: bool = False) -> Layout:
        """Refuse, and say what to name."""
        del by_value
        self._refuse_all()

    def elements(self) -> Elements:
        """Refuse, and say what to name."""
        self._refuse_all()

    def network(self, *, values: bool = True, rng: str = "streams") -> Network:
        """Refuse, and say what to name."""
        del values, rng
        self._refuse_all()

    def inside(self) -> Contents:
        """Refuse, and say what to name."""
        self._refuse_all()

    def verify(self) -> None:
        """Refuse, and say what to name."""
        self._refuse_all()

    def with_weights(self, name: str, strip: Sequence[str] = ()) -> Model:
        """Refuse, and say what to name."""
        del name, strip
        self._refuse_all()

    def with_seed(self, seed: int) -> Model:
        """Refuse, and say what to name."""
        del seed
        self._refuse_all()

    def _refuse_all(self) -> NoReturn:
        what, first = choice(self.name, self._source)
        if first is None:
            raise CannotOpen(what, hint=f"name what makes one, as {self.name}:NAME")
        meant = f"{self.name}:{first.name}"
        raise CannotOpen(what, hint=f"name one, e.g. {meant}").mended(self.name, meant)
