"""Hold names to what is expected of their sharing: that they share, or that no two of them do.  No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import cast

from paramtool.errors import ParamtoolError, shorten
from paramtool.records.expectation import Expectation
from paramtool.records.parameter import ParameterRow
from paramtool.suggestion import did_you_mean

LONGEST = 200
"""Characters of a name in a message."""


def group_names(names: Iterable[str], sharing: Mapping[str, str]) -> list[list[str]]:
    """Return `names` in groups of those that are one tensor or overlap in memory.

    Args:
        names: any.
        sharing: what stands for the whole group, by each name that shares.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(sharing.get(name, name), []).append(name)
    return list(groups.values())


def unmet(
    expectations: Iterable[Expectation], rows: Iterable[ParameterRow], sharing: Mapping[str, str]
) -> list[ParamtoolError]:
    """Return an error, with its place, for each expectation of sharing that does not hold.

    Args:
        expectations: of any kind; others are passed over.
        rows: every named tensor.
        sharing: as of `group_names`.
    """
    tensors = {row.name: row.tensor for row in rows if row.kind != "tensor" or row.name in sharing}
    errors = (
        _absent(each, tensors) or _broken(each, tensors, sharing)
        for each in expectations
        if each.name in ("shared", "distinct")
    )
    return [error for error in errors if error is not None]


def _absent(each: Expectation, known: Collection[str]) -> ParamtoolError | None:
    for name in _names(each):
        if name not in known:
            message = f"no parameter or buffer {_quoted(name)}, which is expected to be {each.name}"
            return ParamtoolError(message, each.place, did_you_mean(name, known))
    return None


def _broken(
    each: Expectation, tensors: Mapping[str, str], sharing: Mapping[str, str]
) -> ParamtoolError | None:
    groups = group_names(_names(each), sharing)
    if each.name == "shared":
        pair = [group[0] for group in groups][:2]
        found = "share nothing"
    else:
        pair = next((group[:2] for group in groups if len(group) > 1), [])
        found = "are one tensor" if len({tensors[name] for name in pair}) == 1 else "overlap in memory"
    if len(pair) < 2:
        return None
    message = f"{' and '.join(map(_quoted, pair))} {found}, and are expected to be {each.name}"
    return ParamtoolError(message, each.place)


def _names(each: Expectation) -> Sequence[str]:
    return cast("tuple[str, ...]", each.value)


def _quoted(name: str) -> str:
    return f"'{shorten(name, LONGEST)}'"
