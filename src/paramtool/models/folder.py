"""A folder with several checkpoints, of which one must be named."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from paramtool.errors import ParamtoolError, SeveralFiles
from paramtool.files.reading import formats
from paramtool.files.reading.checkpoint import SeveralCheckpoints
from paramtool.models.model import Model
from paramtool.records.checkpoints import COLUMNS, CheckpointRow, Checkpoints, CheckpointTotals
from paramtool.records.report import Report

if TYPE_CHECKING:
    from paramtool.elements.elements import Elements
    from paramtool.network.construction import Network
    from paramtool.records.contents import Contents
    from paramtool.records.layout import Layout
    from paramtool.records.parameter import Listing

MOST_OPENED = 256
"""Files of a folder that are opened; of the others only the names are shown."""


class FolderModel(Model):
    """What lists its checkpoints, and for everything else says which to name."""

    def __init__(self, error: SeveralCheckpoints, tell: Callable[[str], object] | None = None) -> None:
        super().__init__(str(error.folder), tell)
        self._error = error

    def overview(self, *, for_people: bool) -> Checkpoints:
        """Return one row per checkpoint."""
        del for_people
        names = [each.name for each in self._error.candidates]
        rows = [_row(self._error.folder / name) for name in names[:MOST_OPENED]]
        rows += [CheckpointRow(name=name, note="not opened") for name in names[MOST_OPENED:]]
        first = next((row.name for row in rows if row.tensors), names[0])
        self.note(f"{self.name} has several checkpoints; name one, e.g. {self._error.folder / first}")
        totals = CheckpointTotals(
            checkpoints=len(rows),
            opened=sum(row.format is not None for row in rows),
            nbytes=sum(row.nbytes or 0 for row in rows),
        )
        return Report("checkpoints", self.name, tuple(rows), totals, COLUMNS)

    def members(self) -> Sequence[str]:
        """Return the paths of its checkpoints."""
        return self._error.paths

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

    def _refuse_all(self) -> NoReturn:
        raise SeveralFiles(self._error.message, self._error.paths)


def _row(path: Path) -> CheckpointRow:
    try:
        found = formats.read_checkpoint(path, None, str(path))
    except ParamtoolError as error:
        return CheckpointRow(name=path.name, note=re.sub(rf"^{re.escape(str(path))}:? ", "", error.message))
    return CheckpointRow(
        name=path.name,
        format=found.format,
        tensors=len(found.tensors),
        elements=sum(prod(each.shape) for each in found.tensors),
        nbytes=sum(each.nbytes for each in found.tensors),
    )
