"""What a backward pass left on each parameter, what each use added, and what each module gave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from paramtool.records.column import COUNT, DTYPE, KIND, NAME, NUMEL, REQUIRES_GRAD, Tone, column
from paramtool.records.parameter import Printed, Values
from paramtool.records.report import Report, Sums

PARAMETER_COLUMNS: tuple[str, ...] = (
    "name", "tied", "shape", "uses", "call", "operation", "share", "cosine",
    "norm", "abs_max", "ratio", "verdict", "gradient",
)  # fmt: skip
"""For people, who see a use below its parameter, under the name of the module that made it."""

LAYER_COLUMNS: tuple[str, ...] = ("module", "type", "call", "shape", "output_std", "gradient_std")
ALL_COLUMNS: tuple[str, ...] = (
    "kind", "name", "tied", "shape", "dtype", "numel", "requires_grad", "uses", "module", "call",
    *PARAMETER_COLUMNS[5:], "sensitivity",
)  # fmt: skip
"""For machines: parameters and their uses stand in one table, distinguished by `kind`."""

VERDICTS = ("none", "zero", "nan", "inf", "vanishing", "exploding", "ok")
_TONES: Mapping[str, Tone] = {"ok": "good", "none": "notable", "zero": "notable"}


class LossFunction(str, Enum):
    """How one number is made of what a model returns, the output y; those from the fifth on take a target."""

    sum = "sum"
    mean = "mean"
    square = "square"
    projection = "projection"
    cross_entropy = "cross_entropy"
    nll = "nll"
    mse = "mse"
    l1 = "l1"
    smooth_l1 = "smooth_l1"
    bce_with_logits = "bce_with_logits"


@dataclass(frozen=True, kw_only=True)
class GradientRow:
    """One parameter, one use of the parameter above it, or one call of a module.

    Attributes:
        kind: ``parameter``, ``use`` or ``module``.
        name: the first name of the parameter; the path of a module.
        tied: the other names of the same parameter.
        shape, dtype, numel: torch's words; a module's are those of its output.
        requires_grad: False for a frozen parameter, which no gradient reaches.
        uses: calls of operations that take the parameter, in one pass; None if nobody counted.
        module: the path of the innermost module that was running.
        call: which call of that module, counted from 1 in each pass.
        operation: torch's name of the operation that took the parameter.
        share: ⟨use, total⟩ / ⟨total, total⟩; the shares of a parameter add up to 1.
        cosine: of the angle between the use and the total.
        norm: the Euclidean one, in float64; NaN or infinite if an element is.
        abs_max: the largest absolute value.
        ratio: the norm by that of the parameter; None if that is 0.
        verdict: ``none`` (not reached), ``zero``, ``nan``, ``inf``, ``vanishing``, ``exploding`` or ``ok``;
            of all elements.
        gradient: the elements, where there are few.
        sensitivity: the norm by Σ |∂loss/∂output|; below 1e-6 the gradient of a weight vanishes, above 1e6
            it explodes.  None if the outputs have no gradient.
        type: the class of a module.
        output_std, gradient_std: over the elements of a module's output, and of the loss's gradient there.
    """

    kind: str = field(metadata=KIND)
    name: str = field(metadata=NAME)
    tied: tuple[str, ...] = field(default=(), metadata=column("names", "filled", drop=5))
    shape: tuple[int, ...] | None = field(default=None, metadata=column(unknown="?", drop=9, labelled=False))
    dtype: str | None = field(default=None, metadata=DTYPE)
    numel: int | None = field(default=None, metadata=NUMEL)
    requires_grad: bool | None = field(default=None, metadata=REQUIRES_GRAD)
    uses: int | None = field(default=None, metadata=column("number", "filled", drop=8))
    module: str | None = field(default=None, metadata=column("path", "filled"))
    call: int | None = field(default=None, metadata=column("number", "filled", drop=1))
    operation: str | None = field(default=None, metadata=column(shown="filled", drop=4))
    share: float | None = field(default=None, metadata=column("number", "filled"))
    cosine: float | None = field(default=None, metadata=column("number", "filled", drop=2))
    norm: float | None = field(default=None, metadata=column("number", pooled="root"))
    abs_max: float | None = field(default=None, metadata=column("number", drop=3, pooled="highest"))
    ratio: float | None = field(default=None, metadata=column("number", drop=6, pooled="highest"))
    verdict: str | None = field(default=None, metadata=column(alike=2, tone="bad", tones=_TONES))
    gradient: Printed | None = field(default=None, metadata=column("elements", "filled", drop=7))
    sensitivity: float | None = field(default=None, metadata=column("number", "filled", pooled="lowest"))
    type: str | None = field(
        default=None, metadata=column(shown="known", drop=10, tone="accent", labelled=False)
    )
    output_std: float | None = field(default=None, metadata=column("bar"))
    gradient_std: float | None = field(default=None, metadata=column("bar"))
    count: int = field(default=1, metadata=COUNT)


@dataclass(frozen=True, kw_only=True)
class Output:
    """One tensor that the forward pass returned.

    Attributes:
        name: ``output``, and where there are several ``output[0]``, ``output[1][0]``, ``output['logits']``.
        shape, dtype: torch's words.
        grad_fn: the name of the node that made it; None for one without gradient.
        values: the elements of a small one.
        text: a small one as torch prints it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    grad_fn: str | None
    values: Values | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class GradientTotals(Sums):
    """The whole of the passes, and how to repeat them.

    Attributes:
        loss, loss_text, loss_function: of the last pass: its value, as torch prints it, how it is made.
        outputs: of the last pass.
        steps: forward and backward passes that the gradients add up.
        training: whether the model was in training mode.
        seed: of the input, the loss's direction, and dropout.
        names, tensors, parameters: names, distinct tensors and elements.
        frozen: tensors without ``requires_grad``; they have no verdict to count.
        verdicts: the number of tensors of each verdict.
        uses: of all parameters in one pass; None if nobody counted.
        residual: the largest ‖Σ uses - gradient‖ / Σ ‖use‖ of a parameter; None if nobody counted.
        notes: what there is to say about the passes.
    """

    row = GradientRow
    fold = "alone"

    loss: float
    loss_text: str
    loss_function: str
    outputs: tuple[Output, ...]
    steps: int
    training: bool
    seed: int
    names: int
    tensors: int
    parameters: int
    frozen: int
    verdicts: Mapping[str, int]
    uses: int | None
    residual: float | None
    notes: tuple[str, ...] = ()


Gradients: TypeAlias = Report[GradientRow, GradientTotals]
