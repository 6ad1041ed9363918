"""What ``b.load_state_dict(a.state_dict(), strict=True)`` would do, predicted without torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from paramtool.name_parts import last_part
from paramtool.quantities import and_more
from paramtool.records.parameter import ParameterRow

KINDS = ("parameter", "buffer", "tensor")
"""What a tensor can be, if known; a checkpoint does not say."""

_SINCE_VERSION_2 = "num_batches_tracked"
"""What a BatchNorm adds itself to a state_dict without torch's metadata."""


@dataclass(frozen=True)
class Verdict:
    """Whether it loads, why not, what happens silently, and which names are in the way."""

    loads: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    breaking: frozenset[str]


def is_stored(row: ParameterRow) -> bool:
    """Return whether a state_dict holds it."""
    return row.kind != "tensor" and row.persistent is not False


def judge(
    a: Iterable[ParameterRow],
    b: Iterable[ParameterRow],
    absent_a: Collection[str] = (),
    absent_b: Collection[str] = (),
) -> Verdict:
    """Return what a strict load of the state_dict of `a` into `b` would do.

    It is torch's own order of checks: keys, then sizes; a dtype is cast without a word, and a tensor
    that has several names in `b` keeps what was loaded last.  Load hooks of a module's own class are
    not known here.

    Args:
        a, b: the names of both.
        absent_a, absent_b: names that a file only maps to another, as safetensors files do.
    """
    stored = {row.name: row for row in a if is_stored(row) and row.name not in absent_a}
    expected = {row.name: row for row in b if is_stored(row)}
    is_bare = any(row.kind not in KINDS for row in stored.values())
    missing = [
        name
        for name, row in expected.items()
        if name not in stored and name not in absent_b and not (is_bare and _adds_itself(row))
    ]
    unexpected = [name for name in stored if name not in expected]
    both = [(stored[name], row) for name, row in expected.items() if name in stored]
    misfits = [(was, now) for was, now in both if not _fits(was, now)]
    once = [name for name in missing if name in absent_a]
    reasons = [*_keys("missing", missing), *_stored_once(once)]
    reasons += [*_keys("unexpected", unexpected), *_sizes(misfits)]
    breaking = frozenset([*missing, *unexpected, *(now.name for _, now in misfits)])
    return Verdict(not breaking, tuple(reasons), (*_casts(both), *_overwritten(both)), breaking)


def _adds_itself(row: ParameterRow) -> bool:
    """Return whether torch forgives that a bare file lacks `row`."""
    return last_part(row.name) == _SINCE_VERSION_2 and row.kind == "buffer"


def _fits(was: ParameterRow, now: ParameterRow) -> bool:
    if now.shape is None:  # a lazy parameter takes any shape
        return True
    return was.shape == now.shape or (now.shape == () and was.shape == (1,))  # as of torch 0.3


def _keys(what: str, names: list[str]) -> Iterator[str]:
    if len(names) == 1:
        yield f"{what} key {names[0]}"
    elif names:
        yield f"{len(names):,} {what} keys, the first is {names[0]}"


def _stored_once(names: list[str]) -> Iterator[str]:
    if names:
        more = and_more(len(names) - 1)
        yield f"{names[0]}{more}: stored once, under its other name, as safetensors.torch.load_model expects"


def _sizes(misfits: list[tuple[ParameterRow, ParameterRow]]) -> Iterator[str]:
    if misfits:
        was, now = misfits[0]
        more = and_more(len(misfits) - 1, ", ")
        yield f"size mismatch for {now.name}, {_shape(was)} into {_shape(now)}{more}"


def _shape(row: ParameterRow) -> str:
    return "uninitialized" if row.shape is None else str(list(row.shape))


def _casts(both: list[tuple[ParameterRow, ParameterRow]]) -> Iterator[str]:
    cast = [(was, now) for was, now in both if was.dtype != now.dtype and None not in (was.dtype, now.dtype)]
    if cast:
        was, now = cast[0]
        more = and_more(len(cast) - 1, ", ")
        yield f"casts {was.dtype} to {now.dtype}: {now.name}{more}"


def _overwritten(both: list[tuple[ParameterRow, ParameterRow]]) -> Iterator[str]:
    """Yield a warning if several tensors in A are loaded into one in B."""
    groups: dict[str, list[ParameterRow]] = {}
    for was, now in both:
        groups.setdefault(now.tensor, []).append(was)
    lost = [group for group in groups.values() if len({each.tensor for each in group}) > 1]
    if lost:
        first, last = lost[0][0], lost[0][-1]
        more = f"; {len(lost) - 1:,} more like it" if len(lost) > 1 else ""
        both_ways = f"{last.name} over {first.name}, two tensors in A but one in B"
        yield f"loads {both_ways}: the last one wins{more}"
