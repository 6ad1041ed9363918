"""Hold a model to what is expected of its sharing.  No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import combinations

from paramtool.errors import ParamtoolError
from paramtool.operations.grouping import Layout, share
from paramtool.records.sharing import ExpectedSharing, SharingRow
from paramtool.suggestion import did_you_mean


def unmet(layout: Layout, expected: Iterable[ExpectedSharing]) -> list[ParamtoolError]:
    """Return an error, with its place, for each expectation that does not hold.

    Names are shared where they are of one group, and distinct where no two of them are.
    """
    expected = list(expected)
    rows = {row.name: row for row in share(layout).rows} if expected else {}
    names = {*rows, *(row.name for row in layout.listed.rows if row.kind != "tensor")}
    errors = (_unmet(each, rows, names) for each in expected)
    return [error for error in errors if error is not None]


def _unmet(
    each: ExpectedSharing, rows: dict[str, SharingRow], names: Collection[str]
) -> ParamtoolError | None:
    for name in each.names:
        if name not in names:
            message = f"no parameter or buffer '{name}', which is expected to be {_word(each)}"
            return ParamtoolError(message, each.place, did_you_mean(name, names))
    for one, other in combinations(each.names, 2):
        shared = one == other or (one in rows and other in rows and rows[one].group == rows[other].group)
        if shared != each.is_shared:
            found = _relation(rows[one], rows[other]) if one in rows and other in rows and shared else ""
            message = (
                f"'{one}' and '{other}' {found or 'share nothing'}, and are expected to be {_word(each)}"
            )
            return ParamtoolError(message, each.place)
    return None


def _word(each: ExpectedSharing) -> str:
    return "shared" if each.is_shared else "distinct"


def _relation(one: SharingRow, other: SharingRow) -> str:
    is_one = (one.tied_to or one.name) == (other.tied_to or other.name)
    return "are one tensor" if is_one else "overlap in memory"
