"""Hold a model to what is expected of its sharing.  No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from paramtool.errors import ParamtoolError
from paramtool.operations.sharing.grouping import Layout, share
from paramtool.records.sharing import ExpectedSharing, SharingRow
from paramtool.suggestion import did_you_mean

LONGEST = 200
"""Characters of a name in a message."""


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
    each: ExpectedSharing, rows: Mapping[str, SharingRow], names: Collection[str]
) -> ParamtoolError | None:
    word = "shared" if each.is_shared else "distinct"
    for name in each.names:
        if name not in names:
            message = f"no parameter or buffer {_quoted(name)}, which is expected to be {word}"
            return ParamtoolError(message, each.place, did_you_mean(name, names))
    pair = _apart(each.names, rows) if each.is_shared else _together(each.names, rows)
    if pair is None:
        return None
    one, other = pair
    found = "share nothing" if each.is_shared else _relation(rows[one], rows[other])
    message = f"{_quoted(one)} and {_quoted(other)} {found}, and are expected to be {word}"
    return ParamtoolError(message, each.place)


def _apart(names: Iterable[str], rows: Mapping[str, SharingRow]) -> tuple[str, str] | None:
    """Return two names that are not of one group."""
    first, *others = names
    return next(((first, each) for each in others if _group(each, rows) != _group(first, rows)), None)


def _together(names: Iterable[str], rows: Mapping[str, SharingRow]) -> tuple[str, str] | None:
    """Return two names that are of one group."""
    seen: dict[int | str, str] = {}
    for name in names:
        earlier = seen.setdefault(_group(name, rows), name)
        if earlier is not name:
            return earlier, name
    return None


def _group(name: str, rows: Mapping[str, SharingRow]) -> int | str:
    return rows[name].group if name in rows else name


def _relation(one: SharingRow, other: SharingRow) -> str:
    is_one = (one.tied_to or one.name) == (other.tied_to or other.name)
    return "are one tensor" if is_one else "overlap in memory"


def _quoted(name: str) -> str:
    return f"'{name}'" if len(name) <= LONGEST else f"'{name[: LONGEST - 1]}…'"
