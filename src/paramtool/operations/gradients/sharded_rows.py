"""The rows of the parameters of a sharded module: each process measures its part, and all hear the sum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from paramtool.audience import worded
from paramtool.elements.tensor_text import printed_elements
from paramtool.errors import ParamtoolError
from paramtool.operations.gradients.magnitude import Magnitude, magnitude
from paramtool.operations.gradients.parameter_rows import NamedParameter, row_of
from paramtool.records.gradient import GradientRow
from paramtool.tensors.held_parts import held_parts
from paramtool.tensors.process_group import gathered
from paramtool.tensors.sharded_elements import ShardedElements
from paramtool.tensors.sharding import is_sharded

UNSPLIT = "the module is sharded, so its gradients are not split by use"


def check_options(by_use: bool | None, layers: bool) -> None:
    """Refuse what is known of one process alone.

    Raises:
        ParamtoolError: with what to leave out.
    """
    if by_use:
        raise ParamtoolError(UNSPLIT, hint=worded("use --no-by-use", "use by_use=False"))
    if layers:
        hint = worded("leave out --layers", "leave out layers=True")
        raise ParamtoolError(
            "the module is sharded, so the outputs of its layers are not measured", hint=hint
        )


def sharded_rows(parameters: Sequence[NamedParameter], most: int) -> list[GradientRow]:
    """Return the row of each parameter, the same in every process; all of them call it.

    Gradients are read as they were left: FSDP2 leaves the mean over the processes that it splits a batch
    among, and a partial sum is added up first.

    Args:
        parameters: with their gradients.
        most: elements of a gradient that are added whole.

    Raises:
        ParamtoolError: in every process, if one has other gradients, or cannot read one.
    """
    gradients = {
        each.names[0]: _reduced(each.parameter.grad) for each in parameters if each.parameter.grad is not None
    }
    _check_reached([each.names[0] for each in parameters if each.parameter.grad is not None])
    own = {each.names[0]: each.parameter for each in parameters if each.names[0] in gradients}
    sizes, weights = magnitudes(gradients), magnitudes(own)
    elements = ShardedElements(gradients)
    rows = []
    for each in parameters:
        name = each.names[0]
        gradient = gradients.get(name)
        is_small = gradient is not None and gradient.numel() <= most
        text = printed_elements(elements, name) if is_small else None
        weight = weights[name].norm if name in weights else None
        rows.append(row_of(each, sizes.get(name), weight, text))
    return rows


def _check_reached(names: Sequence[str]) -> None:
    """Refuse in every process a parameter that the passes reached in some of them alone.

    Raises:
        ParamtoolError: with its name.
    """
    first, *others = map(set, gathered(lambda: list(names)))
    for rank, other in enumerate(others, 1):
        for name in sorted(first ^ other):
            with_, without = (0, rank) if name in first else (rank, 0)
            raise ParamtoolError(f"'{name}' has a gradient in process {with_} and none in process {without}")


def magnitudes(tensors: Mapping[str, Tensor]) -> dict[str, Magnitude]:
    """Return the magnitudes of tensors by name, the same in every process; all of them call it.

    Raises:
        ParamtoolError: in every process, if one has other tensors, or cannot read one.
    """
    parts = held_parts(tensors)
    everyone = gathered(lambda: {name: magnitude(part.local) for name, part in parts.counted()})
    return {name: _merged([each[name] for each in everyone if name in each]) for name in tensors}


def _merged(parts: Sequence[Magnitude]) -> Magnitude:
    verdicts = {each.verdict for each in parts}
    for verdict in ("nan", "inf"):
        if verdict in verdicts:
            return Magnitude(float(verdict), float(verdict), verdict)
    abs_max = max((each.abs_max for each in parts), default=0.0)
    if not abs_max:
        return Magnitude(0.0, 0.0, "zero")
    unit = math.hypot(*(each.unit_norm * (each.abs_max / abs_max) for each in parts))
    return Magnitude(unit * abs_max, abs_max, "ok", unit)


def _reduced(gradient: Tensor) -> Tensor:
    """Return a gradient whose terms, if processes hold such, are added up."""
    if not is_sharded(gradient):
        return gradient
    from torch.distributed.tensor import Replicate

    placements: list[Any] = [
        Replicate() if each.is_partial() else each
        for each in gradient.placements  # type: ignore[attr-defined]
    ]
    return gradient.redistribute(placements=placements)  # type: ignore[attr-defined,no-any-return]
