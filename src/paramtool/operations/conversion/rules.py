"""The rules of a conversion: each acts on what those before it left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Protocol

from paramtool.elements.casts import can_cast
from paramtool.elements.dtypes import DTYPES
from paramtool.errors import DoesNotMatch, ParamtoolError, RuleMatchedNothing
from paramtool.loading.prefix import NoPrefix, all_stripped
from paramtool.operations.conversion.items import Item, by_memory
from paramtool.operations.listing.selection import Selection, unknown_module, unknown_name
from paramtool.patterns import matching, replaced
from paramtool.suggestion import did_you_mean

LONGEST_NAME = 1 << 12


class Rule(Protocol):
    """One thing that is done to all names, or to some."""

    @property
    def written(self) -> str:
        """Return it as it is typed."""

    def apply(self, items: Sequence[Item], are_equal: Callable[[Item, Item], bool]) -> None:
        """Change `items`, which are the names that are not left out.

        Args:
            items: in their order.
            are_equal: compares the bytes of two tensors of one shape and dtype.

        Raises:
            RuleMatchedNothing: if it applies to none of them.
            ParamtoolError: if it cannot be done.
        """


@dataclass(frozen=True)
class Select:
    """Leave out what a selection does not keep."""

    selection: Selection
    written: str

    def apply(self, items: Sequence[Item], are_equal: Callable[[Item, Item], bool]) -> None:
        """Leave out names; every pattern, name and module has to match one."""
        del are_equal
        names = [each.name for each in items]
        chosen = self.selection
        _check(names, chosen)
        excluded = {
            name: f"--exclude {each.pattern}" for each in chosen.exclude for name in _matched(each, names)
        }
        kept = chosen.kept(names)
        if not kept:
            raise RuleMatchedNothing(f"nothing is left after {self.written}")
        for each in items:
            if each.name not in kept:
                each.left_out = excluded.get(each.name, "not selected")


def _check(names: Sequence[str], chosen: Selection) -> None:
    for option, patterns in (("--pattern", chosen.patterns), ("--exclude", chosen.exclude)):
        for each in patterns:
            if not _matched(each, names):
                raise RuleMatchedNothing(f"{option} {each.pattern} matches no name", hint=_first(names))
    known = set(names)
    absent = next((name for name in chosen.names if name not in known), None)
    if absent is not None:
        hint = unknown_name([absent], names) or _first(names)
        raise RuleMatchedNothing(f"--name {absent} matches no name", hint=hint)
    for path in chosen.modules:
        hint = unknown_module([path], names)
        if hint is not None or not any(path == "" or name.startswith(f"{path}.") for name in names):
            raise RuleMatchedNothing(f"--module {path} matches no name", hint=hint)


def _matched(pattern: re.Pattern[str], names: Iterable[str]) -> set[str]:
    return matching([pattern], names)


def _first(names: Sequence[str]) -> str | None:
    return f"the first name is '{names[0]}'" if names else None


@dataclass(frozen=True)
class Rename:
    """Replace what a pattern matches, wherever it matches, as ``re.sub`` does."""

    pattern: re.Pattern[str]
    replacement: str

    @property
    def written(self) -> str:
        return f"--rename {quote(self.pattern.pattern)} {quote(self.replacement)}"

    def apply(self, items: Sequence[Item], are_equal: Callable[[Item, Item], bool]) -> None:
        """Rename; all names at once."""
        del are_equal
        names = [each.name for each in items]
        if not _matched(self.pattern, names):
            raise RuleMatchedNothing(f"{self.written} matches no name", hint=_first(names))
        _rename(items, replaced(self.pattern, self.replacement, names), self.written)


@dataclass(frozen=True)
class RenameAs:
    """Give names their new ones, as `diff` found them between two models."""

    names: Mapping[str, str]
    written: str

    def apply(self, items: Sequence[Item], are_equal: Callable[[Item, Item], bool]) -> None:
        """Rename; all names at once."""
        del are_equal
        if not any(each.name in self.names for each in items):
            raise RuleMatchedNothing(f"{self.written} finds no new name for any of the tensors")
        _rename(items, self.names, self.written)


@dataclass(frozen=True)
class StripPrefix:
    """Take a prefix from the names that have it."""

    prefix: str

    @property
    def written(self) -> str:
        return f"--strip-prefix {self.prefix}"

    def apply(self, items: Sequence[Item], are_equal: Callable[[Item, Item], bool]) -> None:
        """Rename; all names at once."""
        del are_equal
        names = [each.name for each in items]
        try:
            found = all_stripped(names, [self.prefix])
        except NoPrefix as error:
            raise RuleMatchedNothing(error.message, hint=error.hint) from error
        _rename(items, found, self.written)


def _rename(items: Sequence[Item], names: Mapping[str, str], written: str) -> None:
    taken: dict[str, str] = {}
    for each in items:
        new = names.get(each.name, each.name)
        if new in taken:
            raise DoesNotMatch(f"{written} gives '{taken[new]}' and '{each.name}' the same name '{new}'")
        if not new:
            raise ParamtoolError(f"{written} leaves nothing of the name '{each.name}'")
        if len(new) > LONGEST_NAME:
            raise ParamtoolError(f"{written} makes a name of {len(new):,} characters")
        taken[new] = each.name
    for each in items:
        each.name = names.get(each.name, each.name)


@dataclass(frozen=True)
class Cast:
    """Change the dtype: of floating-point tensors, or of all that a pattern matches."""

    dtype: str
    pattern: re.Pattern[str] | None = None

    @property
    def written(self) -> str:
        return f"--dtype {f'{self.pattern.pattern}=' if self.pattern else ''}{self.dtype}"

    def apply(self, items: Sequence[Item], are_equal: Callable[[Item, Item], bool]) -> None:
        """Note the dtype; a tied tensor is cast if any of its names matches."""
        del are_equal
        groups = by_memory(items)
        if self.pattern is None:
            floats = {name for name, each in DTYPES.items() if each.kind == "float"}
            touched = [each for each in items if each.dtype in floats]
        else:
            names = _matched(self.pattern, (each.name for each in items))
            touched = [each for each in items if each.name in names]
        if not touched:
            what = "matches no name" if self.pattern else "finds no floating-point tensor"
            raise RuleMatchedNothing(f"{self.written} {what}")
        for each in touched:
            for tied in groups[id(each.memory)]:
                tied.dtype = self.dtype


@dataclass(frozen=True)
class Untie:
    """Store every name of a tied tensor as a tensor of its own."""

    written: str = "--untie"

    def apply(self, items: Sequence[Item], are_equal: Callable[[Item, Item], bool]) -> None:
        """Give each name its own memory."""
        del are_equal
        for each in items:
            each.memory, each.is_mapped = object(), False


@dataclass(frozen=True)
class Tie:
    """Store two names of equal tensors as one."""

    first: str
    second: str

    @property
    def written(self) -> str:
        return f"--tie {self.first} {self.second}"

    def apply(self, items: Sequence[Item], are_equal: Callable[[Item, Item], bool]) -> None:
        """Give the second name the tensor of the first; raises unless they are equal."""
        known = {each.name: each for each in items}
        for name in (self.first, self.second):
            if name not in known:
                raise RuleMatchedNothing(
                    f"{self.written}: no tensor is named '{name}'", hint=did_you_mean(name, known)
                )
        one, other = known[self.first], known[self.second]
        if one is other:
            raise ParamtoolError(f"{self.written}: both are one name")
        if one.memory is not other.memory:
            self._check_equal(one, other, are_equal)
            moved = [each for each in items if each.memory is other.memory]
            for each in moved:
                each.memory, each.dtype, each.is_mapped = one.memory, one.dtype, True
        other.is_mapped = True
        if all(each.is_mapped for each in items if each.memory is one.memory):
            one.is_mapped = False

    def _check_equal(self, one: Item, other: Item, are_equal: Callable[[Item, Item], bool]) -> None:
        for what in ("shape", "dtype"):
            a, b = getattr(one.stored, what), getattr(other.stored, what)
            if a != b:
                raise DoesNotMatch(f"{self.written}: their {what}s differ, {a} and {b}")
        if not are_equal(one, other):
            raise DoesNotMatch(f"{self.written}: their values differ")


def check_casts(items: Iterable[Item]) -> list[ParamtoolError]:
    """Return an error for each tensor whose values cannot be read, or not be cast."""
    problems: list[ParamtoolError] = []
    for each in items:
        if each.stored.missing is not None:
            problems.append(
                ParamtoolError(
                    f"cannot convert '{each.was}': it is without values, {each.stored.missing}",
                    hint="--exclude leaves it out",
                )
            )
            continue
        if each.stored.dtype not in DTYPES:
            problems.append(
                ParamtoolError(f"cannot convert '{each.was}': {each.stored.dtype} is not supported")
            )
            continue
        if not can_cast(DTYPES[each.stored.dtype], DTYPES[each.dtype]):
            problems.append(
                ParamtoolError(
                    f"cannot cast '{each.name}' from {each.stored.dtype} to {each.dtype}:"
                    " torch does not cast one to the other"
                )
            )
    return problems
