"""The records of a plan: a row per target, and the totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from paramtool.operations.rules.target import Target
from paramtool.quantities import left_out
from paramtool.records.initialization import InitializationRow, InitializationTotals
from paramtool.records.rule import Rule

MOMENTS = ("mean", "std", "min", "max")


def totals_of(
    touched: Sequence[Target],
    tensors: int,
    rules: Sequence[Rule],
    seed: int,
    rng: str,
    torch: str,
) -> InitializationTotals:
    """Return the totals of what rules do; `torch` is its version."""
    return InitializationTotals(
        tensors=len(touched),
        parameters=sum(prod(target.shape) for target in touched),
        untouched=tensors - len(touched),
        seed=seed,
        rng=rng,
        torch=torch,
        rules=tuple(f"{rule.selector} {rule}" for rule in rules),
    )


def plan_row(target: Target, after: Mapping[str, Any] | None = None) -> InitializationRow:
    """Return the row of a target: what the rules do to it, and the statistics of the result."""
    only = target.steps[0] if len(target.steps) == 1 else None
    law = only.law if only and only.replaces and not target.is_overwritten else None
    moments: dict[str, Any] = {key: (after or {}).get(key) for key in MOMENTS}
    odd = left_out(after.get("nan", 0), after.get("inf", 0)) if after else None
    return InitializationRow(
        name=target.name,
        names=target.names,
        shape=target.shape,
        dtype=target.dtype,
        numel=prod(target.shape),
        rule=", ".join(str(step.rule) for step in target.steps),
        skipped=", ".join(str(step.rule) for step in target.skipped) or None,
        note="; ".join(filter(None, (target.note, odd))) or None,
        expected_mean=law.mean if law else None,
        expected_std=law.std if law else None,
        histogram=(after or {}).get("histogram"),
        **moments,
    )
