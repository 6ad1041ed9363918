"""The targets of a spec, known from the table of torch.nn without building anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from paramtool.files.safetensors_format import Entry
from paramtool.initializers.registry import offers
from paramtool.initializers.registry.table import BUILT_IN
from paramtool.language.torch_source import installed_source
from paramtool.operations.rules import plan
from paramtool.operations.rules.rows import plan_row, totals_of
from paramtool.operations.rules.sure_block import SureBlock
from paramtool.operations.rules.target import Owner, Target
from paramtool.operations.sharing.overlap import overlaps
from paramtool.patterns import one_budget
from paramtool.records.constructor import built_at_once
from paramtool.records.extent import Extent
from paramtool.records.initialization import PLAN_COLUMNS, Initialization
from paramtool.records.layout import Layout
from paramtool.records.parameter import Listing, ParameterRow
from paramtool.records.report import Report
from paramtool.records.rule import Rule
from paramtool.structure.facts import shipped_facts
from paramtool.structure.modules import Source
from paramtool.structure.unsure import Unsure, require

_LARGEST = {
    "float64": (2 - 2**-52) * 2.0**1023,
    "float32": (2 - 2**-23) * 2.0**127,
    "float16": 65504.0,
    "bfloat16": (2 - 2**-7) * 2.0**127,
    "complex64": (2 - 2**-23) * 2.0**127,
    "complex128": (2 - 2**-52) * 2.0**1023,
}
"""``torch.finfo(dtype).max`` of the dtypes that rules fill."""

_ASKED = ("copy",)
"""Our own initializers that read files by torch before they fill."""


@built_at_once
@dataclass(frozen=True, kw_only=True)
class WrittenTarget(Target):
    """A tensor of a spec.

    Attributes:
        row: its first name in the listing.
    """

    row: ParameterRow

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes."""
        assert self.row.shape is not None
        return self.row.shape

    @property
    def dtype(self) -> str:
        """Torch's name of the dtype."""
        assert self.row.dtype is not None
        return self.row.dtype

    @property
    def largest(self) -> float:
        """The largest finite value of its dtype.

        Raises:
            Unsure: for a rare dtype.
        """
        require(self.dtype in _LARGEST, f"a parameter of {self.dtype}")
        return _LARGEST[self.dtype]

    def check(self) -> None:
        """Raise a ValueError if no rule may fill it."""
        super().check()
        if not self.dtype.startswith(("float", "bfloat", "complex")):
            raise ValueError(f"its dtype is {self.dtype}, not floating point")

    def try_law(self, law: Any) -> None:
        """Raise `Unsure` for numbers that torch may refuse."""
        law.draw(SureBlock(self.largest), None)


@dataclass(frozen=True)
class Outline:
    """What rules ask of a spec.

    Attributes:
        layout: every name, and which tensors lie over common memory.
        padding: the row that gets no gradient, by the name of an embedding's weight.
        sources: the call that makes a tensor, and its name there, by its first name; not of all.
    """

    layout: Layout
    padding: Mapping[str, int]
    sources: Mapping[str, Source]

    @property
    def listed(self) -> Listing:
        """Every name."""
        return self.layout.listed

    def targets(self) -> list[WrittenTarget]:
        """Return every parameter once, in the order of the first names."""
        groups: dict[str, list[ParameterRow]] = {}
        for row in self.listed.rows:
            if row.kind == "parameter":
                groups.setdefault(row.tensor, []).append(row)
        owners = {row.bases: Owner(row.bases) for row in self.listed.rows}
        return [
            WrittenTarget(
                names=tuple([row.name for row in rows]),
                owners=tuple([self._owner(row, owners) for row in rows]),
                row=rows[0],
            )
            for rows in groups.values()
        ]

    def _owner(self, row: ParameterRow, owners: Mapping[tuple[str, ...], Owner]) -> Owner:
        """Return the module that has a tensor: one for all of its class, unless a row is padding."""
        if row.name in self.padding:
            return Owner(row.bases, self.padding[row.name])
        return owners[row.bases]

    def plan(self, rules: Sequence[Rule]) -> list[WrittenTarget]:
        """Return every target with its steps, as the plan of the module that torch builds has them.

        Raises:
            Unsure: if torch, or a plugin, must be asked.
            RuleMatchedNothing: if a rule matches no parameter.
            Problems: with everything that stands against the plan.
        """
        with one_budget():  # of its own, so that torch's path has the whole of the usual one
            return plan.plan(self.targets(), self._common, rules, find_certain)

    def report(self, rules: Sequence[Rule], seed: int) -> Initialization:
        """Return what a dry run reports; raises as `plan` does."""
        targets = self.plan(rules)
        touched = [each for each in targets if each.is_touched]
        totals = totals_of(touched, len(targets), rules, seed, "streams", _version())
        rows = tuple(plan_row(each) for each in touched)
        return Report("init", self.listed.model, rows, totals, PLAN_COLUMNS, self.listed.modules)

    def notes(self, rules: Sequence[Rule]) -> list[str]:
        """Return a note for each rule whose pattern is a whole name and is found in others too."""
        return plan.rule_notes((row.name for row in self.listed.rows if row.kind == "parameter"), rules)

    @property
    def has_overlap(self) -> bool:
        """Whether different tensors lie over common memory."""
        return bool(overlaps(self._common).groups)

    @cached_property
    def _common(self) -> dict[str, Extent]:
        """The memory of tensors that may have some in common with another."""
        extents = self.layout.extents
        counts = Counter(each.space for each in extents.values())
        return {name: each for name, each in extents.items() if counts[each.space] > 1}

    @property
    def tied(self) -> dict[str, str]:
        """The first stored name of a tensor, by each other one that a state_dict has."""
        first = {row.tensor: row.name for row in self.stored}
        return {row.name: first[row.tensor] for row in self._kept() if row.name != first[row.tensor]}

    @cached_property
    def entries(self) -> list[Entry]:
        """What a file of all stored tensors has."""
        return [Entry(row.name, str(row.dtype), row.shape or ()) for row in self.stored]

    @cached_property
    def stored(self) -> list[ParameterRow]:
        """The tensors that a state_dict holds, each once under its first name."""
        found: dict[str, ParameterRow] = {}
        for row in self._kept():
            found.setdefault(row.tensor, row)
        return list(found.values())

    def _kept(self) -> list[ParameterRow]:
        return [row for row in self.listed.rows if row.kind != "tensor" and row.persistent is not False]


def find_certain(name: str) -> Callable[..., Any]:
    """Return an initializer of ours that plans without torch; raises as `find_initializer` does.

    Raises:
        Unsure: if it is one of somebody else, or reads files.
    """
    found = offers.find(name)
    if found is not None and (BUILT_IN.get(name) is not found or name in _ASKED):
        raise Unsure(f"the initializer {name}")
    return plan.find_initializer(name)


def _version() -> str:
    """Return ``torch.__version__``; without torch that of the table."""
    source = installed_source()
    return source.whole_version if source else shipped_facts().torch
