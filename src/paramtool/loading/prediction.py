"""What a strict load into a module answers, where torch's own code alone does the loading."""

from __future__ import annotations

from collections.abc import Collection

from paramtool.loading.answer import Answer, Misfit, Shape
from paramtool.loading.state_dict import StateDict, in_saved_order, is_norm
from paramtool.name_parts import last_part, parent
from paramtool.records.parameter import Listing, ParameterRow

_SINCE_VERSION_2 = "num_batches_tracked"
"""What a BatchNorm adds itself to a state_dict of version 1, or without versions."""


def predicted(state: StateDict, listed: Listing, absent: Collection[str] = ()) -> Answer:
    """Return what torch says of loading `state` into a module.

    It is torch's own order of checks: keys, then sizes.  Modules with hooks, extra state or loading code
    of their own are not for this.

    Args:
        state: what is loaded.
        listed: all tensors of the module.
        absent: names that a file only maps to another, where those listed are of a file.
    """
    stored = {each.name: each for each in state.entries}
    expected = {row.name: row for row in in_saved_order(listed, listed.rows)}
    objects = [name for name in state.objects if name in expected]
    known = {*stored, *objects, *absent}
    lacking = [name for name in expected if name not in known]
    kept = {name: None for name in lacking if _adds_itself(expected[name], state)}
    misfits = [
        Misfit(name, stored[name].shape, row.shape)
        for name, row in expected.items()
        if name in stored and not _fits(stored[name].shape, row.shape)
    ]
    return Answer(
        missing=tuple(name for name in lacking if name not in kept),
        unexpected=tuple(name for name in (*stored, *state.objects) if name not in expected),
        sizes=tuple(misfits),
        others=tuple(map(not_a_tensor, objects)),
        kept=tuple(kept),
    )


def not_a_tensor(name: str) -> str:
    """Return what there is to say of a tensor of the module for which there is something else."""
    return f"{name} is not a tensor"


def _adds_itself(row: ParameterRow, state: StateDict) -> bool:
    """Return whether torch adds `row` to `state`, by the version of its module there."""
    if row.kind != "buffer" or last_part(row.name) != _SINCE_VERSION_2:
        return False
    if (state.version(parent(row.name)) or 0) >= 2:
        return False
    return not row.bases or is_norm(row.type, row.bases)


def _fits(was: Shape, now: Shape) -> bool:
    """Return whether a shape loads into another; as of torch 0.3, scalars had one dimension."""
    return now is None or was == now or (now == () and was == (1,))
