"""What is to be stored: every complaint comes before a byte is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from paramtool.elements.dtypes import DTYPES
from paramtool.errors import ParamtoolError, Problems, RuleMatchedNothing
from paramtool.files.safetensors_format import METADATA, Entry
from paramtool.name_parts import parent
from paramtool.operations.conversion.items import Item, by_memory
from paramtool.operations.conversion.rules import Rule, check_casts
from paramtool.operations.conversion.sources import Prefer, Sources


@dataclass(frozen=True)
class Plan:
    """Every name of the sources after all rules.

    Attributes:
        sources: what is read.
        items: the names, in order, those that are left out included.
        rules: as they were written.
        ties_are_stored: whether the format has one storage for several names; else only a name that a source
            maps to another, or that `Tie` is about, is not a tensor of its own.
    """

    sources: Sources
    items: tuple[Item, ...]
    rules: tuple[str, ...]
    ties_are_stored: bool

    @cached_property
    def kept(self) -> tuple[Item, ...]:
        """The names that are written."""
        return tuple(each for each in self.items if each.left_out is None)

    @cached_property
    def owners(self) -> Mapping[str, Item]:
        """By every name that is written, the item whose elements are stored for it."""
        first: dict[int, Item] = {}
        for key, group in by_memory(self.kept).items():
            first[key] = next((each for each in group if not each.is_mapped), group[0])
        return {
            each.name: first[id(each.memory)] if self.ties_are_stored or each.is_mapped else each
            for each in self.kept
        }

    @cached_property
    def stored(self) -> tuple[Item, ...]:
        """The items whose elements are stored."""
        return tuple(each for each in self.kept if self.owners[each.name] is each)

    @property
    def entries(self) -> list[Entry]:
        """What is stored, for the writer."""
        return [Entry(each.name, each.dtype, each.stored.shape) for each in self.stored]

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The bytes of each tensor that is stored, by its name."""
        return {each.name: each.nbytes for each in self.entries}

    @property
    def ties(self) -> dict[str, str]:
        """The names that stand for another."""
        return {name: owner.name for name, owner in self.owners.items() if owner.name != name}

    @property
    def copies(self) -> list[tuple[Item, Item]]:
        """Names of one tensor whose elements are stored more than once, with the first of them."""
        groups = by_memory(self.stored).values()
        return [(group[0], each) for group in groups for each in group[1:]]

    @property
    def versions(self) -> dict[str, int]:
        """The versions of modules by their new paths, where all that is in one has moved together."""
        found: dict[str, set[int | None]] = {}
        for each in self.kept:
            known = self.sources.checkpoints[each.source].versions
            found.setdefault(parent(each.name), set()).add(known.get(parent(each.was)))
        return {path: each for path, (each, *more) in found.items() if each is not None and not more}


def plan(
    sources: Sources, rules: Sequence[Rule], *, prefer: Prefer | None, ties_are_stored: bool, jobs: int
) -> Plan:
    """Return what `rules` make of the names of the sources.

    Raises:
        RuleMatchedNothing: if a rule matches nothing, or nothing is left.
        DoesNotMatch: if names collide.
        Problems: with every tensor that cannot be converted.
    """
    items = sources.items(prefer, jobs)
    for rule in rules:
        rule.apply([each for each in items if each.left_out is None], sources.are_equal)
    found = Plan(sources, tuple(items), tuple(each.written for each in rules), ties_are_stored)
    if not found.kept:
        raise RuleMatchedNothing("nothing is left to convert")
    problems = check_casts(found.kept)
    problems += [] if ties_are_stored else _check_names(found)
    if problems:
        raise Problems(problems)
    return found


def _check_names(plan: Plan) -> list[ParamtoolError]:
    """Return an error for each tensor that a safetensors file cannot hold under its name or dtype."""
    problems = []
    for each in plan.stored:
        hint = f"--rename '{METADATA}' … gives it another"
        if each.name == METADATA:
            problems.append(ParamtoolError(f"safetensors reserves the name '{METADATA}'", hint=hint))
        elif not _is_unicode(each.name):
            problems.append(
                ParamtoolError(f"safetensors cannot hold the name {each.name!r}: it is not Unicode")
            )
        elif each.dtype in DTYPES and each.dtype in _ELSEWHERE:
            hint = f"--dtype {_literal(each.name)}=… casts it, and a .pt file can hold it"
            what = f"safetensors has no dtype {each.dtype}, which '{each.name}' has"
            problems.append(ParamtoolError(what, hint=hint))
    return problems


_ELSEWHERE = ("complex128", "complex32", "float4_e2m1fn_x2")


def _literal(name: str) -> str:
    return name if name.isidentifier() else f"'{name}'"


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
