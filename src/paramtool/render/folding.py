"""What makes two rows of different blocks alike, and the one row that stands for several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from paramtool.records.initialization import InitializationRow
from paramtool.render.pooling import pooled_max, pooled_mean, pooled_min, pooled_std

_ALIKE = (
    "type", "shape", "numel", "nbytes", "dtype", "requires_grad", "persistent", "counted", "count",
    "sharing", "start", "stop", "rule", "skipped", "expected_mean", "expected_std", "note",
)  # fmt: skip
"""What agrees in identical blocks; `numel` is all that is known of a module that is folded to a depth."""

_NAMES = ("tied_to", "module")
"""What agrees where it is the same part of each block."""

_SUMS = ("count", "numel", "nbytes")


def identity(row: Any, path: str) -> tuple[object, ...]:
    """Return what of `row` must agree between blocks.

    Args:
        row: a record that has a `name` and a `count`.
        path: the name of its block, with a dot.
    """
    return (
        *(getattr(row, each, None) for each in _ALIKE),
        *(_relative(getattr(row, each, None), path) for each in _NAMES),
        *(_relative(name, path) for name in getattr(row, "names", ())),
    )


def merged(rows: Sequence[Any], path: str, folded: str) -> Any:
    """Return the row that stands for all of `rows`, which are alike; its `shape` is of one.

    Args:
        rows: in the order of their blocks.
        path: the name of the first block, with a dot.
        folded: that of all of them.
    """
    first = rows[0]
    changed: dict[str, Any] = {
        key: _moved(getattr(first, key), path, folded) for key in _NAMES if hasattr(first, key)
    }
    for key in _SUMS:
        if hasattr(first, key):
            changed[key] = _sum(getattr(row, key) for row in rows)
    if hasattr(first, "group"):
        changed["group"] = _range([row.group for row in rows])
    if isinstance(first, InitializationRow):
        changed.update(_of_all_elements(rows))
    return replace(first, **changed)


def _of_all_elements(rows: Sequence[InitializationRow]) -> dict[str, Any]:
    """Return the names of all, and the moments of all elements together."""
    counts = [row.numel for row in rows]
    means, before = [row.mean for row in rows], [row.mean_before for row in rows]
    return {
        "names": tuple(name for row in rows for name in row.names),
        "mean": pooled_mean(counts, means),
        "std": pooled_std(counts, means, [row.std for row in rows]),
        "min": pooled_min([row.min for row in rows]),
        "max": pooled_max([row.max for row in rows]),
        "mean_before": pooled_mean(counts, before),
        "std_before": pooled_std(counts, before, [row.std_before for row in rows]),
        "min_before": pooled_min([row.min_before for row in rows]),
        "max_before": pooled_max([row.max_before for row in rows]),
    }


def _relative(name: str | None, path: str) -> tuple[bool, str | None]:
    inside = name is not None and name.startswith(path)
    return (inside, name[len(path) :] if inside and name else name)


def _moved(name: str | None, path: str, to: str) -> str | None:
    """Return a name inside the module of `path` as one inside that of `to`."""
    return f"{to}{name[len(path) :]}" if name is not None and name.startswith(path) else name


def _range(groups: list[int | str]) -> int | str:
    """Return the first and the last of some numbers, which may be such ranges themselves."""
    first, last = str(groups[0]).partition("..")[0], str(groups[-1]).rpartition("..")[2]
    return groups[0] if first == last else f"{first}..{last}"


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)
