"""What a forward pass computes and keeps, by module, and the memory that inference and training take."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from paramtool.records.column import COUNT, INTERNAL, TYPE, column
from paramtool.records.report import Report, Sums

COLUMNS = ("name", "type", "calls", "output_shape", "parameters", "macs", "activation_nbytes")


class Optimizer(str, Enum):
    """Optimizers of torch.optim with their default arguments; names in lower case.

    ``sgd_momentum`` is ``SGD(momentum=…)`` with any momentum but 0.
    """

    adamw = "adamw"
    adam = "adam"
    sgd = "sgd"
    sgd_momentum = "sgd_momentum"
    adafactor = "adafactor"
    rmsprop = "rmsprop"
    adagrad = "adagrad"
    adadelta = "adadelta"
    adamax = "adamax"
    nadam = "nadam"
    radam = "radam"


USUAL = (Optimizer.adamw, Optimizer.sgd, Optimizer.adafactor)
"""The optimizers that are shown by default."""


@dataclass(frozen=True, kw_only=True)
class CostRow:
    """One module, without the modules in it: rows add up to the totals.

    Attributes:
        name: the path of the module; empty for the model itself.
        type: the class of the module.
        calls: how often one forward pass calls it by this path; 0 for a module whose parameters another
            module uses, such as ``out_proj`` of MultiheadAttention.  None for a folded row of a module
            that only holds others.
        output_shape: of the first tensor that its first call returned; None if it was not called.
        parameters: elements of its own parameters; a tied one counts where its name comes first.
        macs: multiply-accumulate operations of its own calls, all together, in evaluation mode.
        activation_nbytes: bytes that autograd saves for the backward pass in its own calls, in training
            mode; each memory counts in the module that saved it first, and parameters and buffers nowhere.
        count: the number of modules this row stands for; 1 but for folded rows.
        bases: the class names that `type` derives from, itself included; for selection.
    """

    name: str = field(metadata=column("path", pooled="first"))
    type: str | None = field(default=None, metadata=TYPE)
    calls: int | None = field(default=None, metadata=column("number", usual=(1,), shown="filled", drop=5))
    output_shape: tuple[int, ...] | None = field(
        default=None, metadata=column(drop=12, labelled=False, wraps=False)
    )
    parameters: int = field(default=0, metadata=column("number", usual=(0,), drop=6, pooled="sum"))
    macs: int = field(default=0, metadata=column("number", usual=(0,), of_whole=True, pooled="sum"))
    activation_nbytes: int = field(default=0, metadata=column("bytes", usual=(0,), drop=8, pooled="sum"))
    count: int = field(default=1, metadata=COUNT)
    counted: bool = field(default=True, repr=False, metadata=INTERNAL)
    bases: tuple[str, ...] = field(default=(), repr=False, metadata=column("internal", pooled="first"))


@dataclass(frozen=True, kw_only=True)
class TensorShape:
    """A tensor that goes in or comes out.

    Attributes:
        name: the argument, such as ``input[0]`` or ``mask``; ``output``, or ``output[1][0]`` of several.
        shape, dtype: torch's words.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, kw_only=True)
class InferenceMemory:
    """The bytes of a forward pass in evaluation mode without gradients: the parts and their sum.

    Attributes:
        parameters, buffers: each tensor once.
        activations: the most that inputs, outputs and all tensors between them take at one moment.
        total: the sum.
    """

    parameters: int
    buffers: int
    activations: int
    total: int


@dataclass(frozen=True, kw_only=True)
class TrainingMemory:
    """The bytes of a training step with one optimizer: the parts and their sum.

    Attributes:
        optimizer: one of `Optimizer`.
        parameters, buffers: each tensor once.
        gradients: one for each parameter that requires grad, of its shape and dtype.
        states: what the optimizer keeps between steps, as torch.optim allocates it.
        activations: what autograd saves in the forward pass.
        total: the sum.
    """

    optimizer: str
    parameters: int
    buffers: int
    gradients: int
    states: int
    activations: int
    total: int


@dataclass(frozen=True, kw_only=True)
class CostTotals(Sums):
    """Sums over all modules, those that a selection leaves out included, and the memory that they need.

    Attributes:
        modules: number of module paths.
        parameters, trainable: elements, each tensor once.
        macs: of one forward pass in evaluation mode.
        activation_nbytes: that autograd saves in one forward pass in training mode.
        inputs, outputs: of that forward pass.
        dtype: that floating-point tensors were cast to; None if they were not.
        device: ``meta``, where nothing has values or takes memory, or ``cpu``.
        inference: the memory of inference.
        training: that of training, for each optimizer.
        notes: what there is to say about the passes.
    """

    row = CostRow
    fold = "module"

    modules: int
    parameters: int
    trainable: int
    macs: int
    activation_nbytes: int
    inputs: tuple[TensorShape, ...]
    outputs: tuple[TensorShape, ...]
    dtype: str | None
    device: str
    inference: InferenceMemory
    training: tuple[TrainingMemory, ...]
    notes: tuple[str, ...] = ()


Costs: TypeAlias = Report[CostRow, CostTotals]
