"""The rows for renamed tensors.  No torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from paramtool.operations.comparison.renames import Pairing
from paramtool.records.constructor import changed
from paramtool.records.difference import DifferenceRow


class NewNames:
    """Makes the rows for renamed tensors, each a copy of the first for its reason, which is quicker.

    Args:
        modules: the old and the new path of the module that was renamed as a whole, by the old names in it.
        breaking: the names over which a load fails.
    """

    def __init__(self, modules: Mapping[str, tuple[str, str]], breaking: Collection[str]) -> None:
        self._modules = modules
        self._breaking = breaking
        self._first: dict[str, DifferenceRow] = {}

    def row(self, pairing: Pairing) -> DifferenceRow:
        """Return the row of one pairing, complete: with its module, and whether a load fails over it."""
        was, now, because = pairing
        first = self._first.get(because)
        if first is None:
            first = self._first[because] = DifferenceRow(
                change="renamed", name=was, new_name=now, now=now, because=because, module=None, breaks=False
            )
        breaks = was in self._breaking or now in self._breaking
        module = self._modules.get(was)
        return changed(first, name=was, now=now, new_name=now, module=module, breaks=breaks)
