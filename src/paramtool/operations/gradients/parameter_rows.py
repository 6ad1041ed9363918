"""The rows of a parameter: what reached it, and what each use of it added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from paramtool.operations.gradients.magnitude import Magnitude, magnitude, norm
from paramtool.operations.gradients.splits import Split, Splits
from paramtool.records.gradient import GradientRow
from paramtool.records.parameter import Printed
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.printed import printed


@dataclass(frozen=True)
class NamedParameter:
    """A parameter and all of its names."""

    names: tuple[str, ...]
    parameter: nn.Parameter


def gradient_rows(
    each: NamedParameter, splits: Splits | None, by_use: bool | None, most: int
) -> list[GradientRow]:
    """Return the row of a parameter, and those of its uses.

    Args:
        each: the parameter, with its gradient.
        splits: the uses of all parameters; None if nobody looked.
        by_use: show the uses; None if there are several.
        most: elements of a gradient that are added whole.

    Raises:
        Bug: if the uses do not add up to the gradient.
    """
    parameter, gradient = each.parameter, each.parameter.grad
    known = splits.size(parameter) if splits is not None else None
    whole = None if gradient is None else known or magnitude(gradient)
    weight_norm = None if whole is None else norm(parameter)
    uses = splits.of(parameter) if splits is not None else []
    count = len(uses)
    rest = splits.check(each.names[0], parameter, whole) if splits is not None and whole is not None else None
    if rest is not None:
        uses = [*uses, rest]
    number = count if splits is not None and parameter.requires_grad else None
    row = row_of(each, whole, weight_norm, _printed(gradient, most), number)
    if not by_use and len(uses) < 2:
        return [row]
    return [row, *(_use_row(each.names[0], use, gradient, whole, weight_norm, most) for use in uses)]


def row_of(
    each: NamedParameter,
    whole: Magnitude | None,
    weight_norm: float | None,
    elements: Printed | None,
    uses: int | None = None,
) -> GradientRow:
    """Return the row of a parameter.

    Args:
        each: the parameter.
        whole: the magnitude of its gradient; None if there is none.
        weight_norm: its own norm.
        elements: those of the gradient, if they are few.
        uses: how many uses it has; None if nobody looked.
    """
    parameter = each.parameter
    return GradientRow(
        kind="parameter",
        name=each.names[0],
        tied=each.names[1:],
        shape=tuple(parameter.shape),
        dtype=dtype_name(parameter),
        numel=parameter.numel(),
        requires_grad=parameter.requires_grad,
        uses=uses,
        **_sizes(whole, weight_norm, elements),
    )


def _use_row(
    name: str,
    use: Split,
    total: Tensor | None,
    whole: Magnitude | None,
    weight_norm: float | None,
    most: int,
) -> GradientRow:
    # a parameter's only use is all there is
    mine = whole if use.gradient is total is not None else use.magnitude
    share, cosine = (None, None) if total is None or whole is None else use.against(total, whole)
    return GradientRow(
        kind="use",
        name=name,
        module=use.call.path,
        call=use.call.number,
        operation=use.operation,
        share=share,
        cosine=cosine,
        **_sizes(mine, weight_norm, _printed(use.gradient, most)),
    )


def _printed(gradient: Tensor | None, most: int) -> Printed | None:
    is_small = gradient is not None and gradient.numel() <= most
    return printed(gradient.to_dense()) if gradient is not None and is_small else None


def _sizes(whole: Magnitude | None, weight_norm: float | None, elements: Printed | None) -> dict[str, Any]:
    """Return the columns that a parameter and a use of it have in common."""
    if whole is None:
        return {"verdict": "none"}
    return {
        "norm": whole.norm,
        "abs_max": whole.abs_max,
        "ratio": whole.norm / weight_norm if weight_norm else None,
        "verdict": whole.verdict,
        "gradient": elements,
    }
