"""Whether ``b.load_state_dict(a.state_dict(), strict=True)`` works, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from paramtool.loading.answer import Answer, Misfit, Shape
from paramtool.loading.prediction import predicted
from paramtool.loading.state_dict import EXTRA_STATE, Entry, StateDict, is_stored, of_listing
from paramtool.name_parts import is_below, last_part
from paramtool.quantities import and_more
from paramtool.records.parameter import Listing, ParameterRow

KINDS = ("parameter", "buffer", "tensor")
"""What a tensor can be, if known; a checkpoint does not say."""

Both = tuple[Entry, ParameterRow]
"""What A saves, and the tensor of B that it is loaded into."""


@dataclass(frozen=True)
class Verdict:
    """Whether it loads, why not, what happens silently, and which names are in the way."""

    loads: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    breaking: frozenset[str]


class Load(NamedTuple):
    """What A saves, and what B answers when it is loaded."""

    state: StateDict
    answer: Answer

    @classmethod
    def of(cls, a: Listing, b: Listing, absent_a: Collection[str], absent_b: Collection[str]) -> Load:
        """Predict the answer from two listings."""
        state = of_listing(a, a.rows, absent_a)
        return cls(state, predicted(state, b, absent_b))

    def without_extra_state(self, rows: dict[str, ParameterRow]) -> dict[str, ParameterRow]:
        """Return `rows` without the extra states that B takes, which are not parameters of either."""
        keys = (*(each.name for each in self.state.entries), *self.state.objects)
        taken = {key for key in keys if last_part(key) == EXTRA_STATE} - set(self.answer.unexpected)
        if not taken:
            return rows
        return {
            name: row
            for name, row in rows.items()
            if name not in taken and not any(is_below(name, key) for key in taken)
        }


def judge(answer: Answer, a: StateDict, b: Iterable[ParameterRow], unknown: Collection[str] = ()) -> Verdict:
    """Return torch's answer in words, and what happens without a word.

    A dtype is cast silently, and a tensor that has several names in `b` keeps what was loaded last.

    Args:
        answer: torch's, or what is predicted of it.
        a: what is loaded.
        b: the tensors that it is loaded into.
        unknown: names that one of the two would have if it listed all, which are left out.
    """
    missing = [name for name in answer.missing if name not in unknown]
    unexpected = [name for name in answer.unexpected if name not in unknown]
    once = [name for name in missing if name in a.absent]
    reasons = [*_keys("missing", missing), *_stored_once(once)]
    reasons += [*_keys("unexpected", unexpected), *_sizes(answer.sizes), *answer.others]
    stored = {each.name: each for each in a.entries}
    both = [(stored[row.name], row) for row in b if is_stored(row) and row.name in stored]
    breaking = frozenset([*missing, *unexpected, *(each.name for each in answer.sizes)])
    return Verdict(not reasons, tuple(reasons), (*_casts(both), *_overwritten(both)), breaking)


def _keys(what: str, names: list[str]) -> Iterator[str]:
    if len(names) == 1:
        yield f"{what} key {names[0]}"
    elif names:
        yield f"{len(names):,} {what} keys, the first is {names[0]}"


def _stored_once(names: list[str]) -> Iterator[str]:
    if names:
        more = and_more(len(names) - 1)
        stored = f"{names[0]}{more}: stored once, under its other name"
        yield f"{stored}; load_model of safetensors, --weights and --same-as know such ties"


def _sizes(misfits: Collection[Misfit]) -> Iterator[str]:
    for first in list(misfits)[:1]:
        more = and_more(len(misfits) - 1, ", ")
        yield f"size mismatch for {first.name}, {_shape(first.was)} into {_shape(first.now)}{more}"


def _shape(shape: Shape) -> str:
    return "uninitialized" if shape is None else str(list(shape))


def _casts(both: list[Both]) -> Iterator[str]:
    cast = [(was, now) for was, now in both if was.dtype != now.dtype and None not in (was.dtype, now.dtype)]
    if cast:
        was, now = cast[0]
        more = and_more(len(cast) - 1, ", ")
        yield f"casts {was.dtype} to {now.dtype}: {now.name}{more}"


def _overwritten(both: list[Both]) -> Iterator[str]:
    """Yield a warning where tensors of A are loaded one over the other into one of B."""
    groups: dict[str, list[Entry]] = {}
    for was, now in both:
        groups.setdefault(now.tensor, []).append(was)
    lost = [group for group in groups.values() if len({each.tensor for each in group}) > 1]
    if lost:
        first, last = lost[0][0], lost[0][-1]
        more = f"; {len(lost) - 1:,} more like it" if len(lost) > 1 else ""
        both_ways = f"{last.name} over {first.name}, two tensors in A but one in B"
        yield f"loads {both_ways}: the last one wins{more}"
