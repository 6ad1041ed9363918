"""Whether names share as they are expected to, or are as distinct.  No torch.

This is the one answer to that question, for ``check`` and for ``shared``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from paramtool.errors import ParamtoolError, shorten
from paramtool.records.expectation import Expectation
from paramtool.records.parameter import ParameterRow
from paramtool.suggestion import did_you_mean

LONGEST = 200
"""Characters of a name in a message."""

NAMES = ("shared", "distinct")
"""The expectations that are about sharing."""


@dataclass(frozen=True)
class SharedNames:
    """What the names of an expectation share.

    Attributes:
        holds: whether it is as expected.
        absent: names that the model does not have; if there are any, nothing else is known.
        groups: the names, those together that are one tensor or overlap in memory.
        are_tied: whether all names are one tensor.
    """

    holds: bool
    absent: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    are_tied: bool = False

    @property
    def of_several(self) -> list[tuple[str, ...]]:
        """The groups of two and more names."""
        return [group for group in self.groups if len(group) > 1]


def shared_names(
    expectation: Expectation, tensors: Mapping[str, str], sharing: Callable[[], Mapping[str, str]]
) -> SharedNames:
    """Return what the names of `expectation` share.

    Args:
        expectation: one of `NAMES`.
        tensors: the first name of its tensor by each name that there is.
        sharing: returns what stands for all names that are one tensor or overlap in memory, by each of
            them; called only for names of several tensors.
    """
    names = expected_names(expectation)
    absent = tuple(name for name in names if name not in tensors)
    if absent:
        return SharedNames(False, absent)
    are_tied = len({tensors[name] for name in names}) == 1
    if are_tied:
        groups = {"": list(names)}
    else:
        found, groups = sharing(), {}
        for name in names:
            groups.setdefault(found.get(name, tensors[name]), []).append(name)
    holds = len(groups) == (1 if expectation.name == "shared" else len(names))
    return SharedNames(holds, (), tuple(map(tuple, groups.values())), are_tied)


def expected_names(expectation: Expectation) -> Sequence[str]:
    """Return the names that one of `NAMES` is about."""
    return cast("tuple[str, ...]", expectation.value)


def unmet(
    expectations: Iterable[Expectation], rows: Iterable[ParameterRow], sharing: Mapping[str, str]
) -> list[ParamtoolError]:
    """Return an error, with its place, for each expectation of sharing that does not hold.

    Args:
        expectations: of any kind; others are passed over.
        rows: every named tensor.
        sharing: what `shared_names` takes.
    """
    tensors = {row.name: row.tensor for row in rows}
    wanted = [each for each in expectations if each.name in NAMES]
    errors = (_error(each, shared_names(each, tensors, lambda: sharing), tensors) for each in wanted)
    return [error for error in errors if error is not None]


def _error(each: Expectation, found: SharedNames, tensors: Mapping[str, str]) -> ParamtoolError | None:
    if found.holds:
        return None
    if found.absent:
        name = found.absent[0]
        message = f"there is no parameter or buffer {_quoted(name)}, expected to be {each.name}"
        return ParamtoolError(message, each.place, did_you_mean(name, tensors))
    if each.name == "shared":
        pair = [group[0] for group in found.groups][:2]
        said = "share nothing"
    else:
        pair = list(found.of_several[0][:2])
        said = "are one tensor" if len({tensors[name] for name in pair}) == 1 else "overlap in memory"
    message = f"{' and '.join(map(_quoted, pair))} {said}, but are expected to be {each.name}"
    return ParamtoolError(message, each.place)


def _quoted(name: str) -> str:
    return f"'{shorten(name, LONGEST)}'"
