"""The elements of a live tensor, as numbers and as torch prints them."""

from __future__ import annotations

from torch import Tensor

from paramtool.elements.tensor_text import MOST_VALUES
from paramtool.records.parameter import Printed, Values
from paramtool.tensors.kinds import dense, lack_of_values


def printed(tensor: Tensor) -> Printed:
    """Return the elements as nested tuples, None past 1,000 of them, and torch's own text."""
    detached = tensor.detach()
    lack = lack_of_values(detached)
    if lack is not None and not is_printable(detached):
        return Printed(None, text_of(detached))
    is_read = lack is None and tensor.numel() <= MOST_VALUES
    values = _nested(dense(detached).tolist()) if is_read else None
    return Printed(values, str(detached))


def is_printable(tensor: Tensor) -> bool:
    """Return whether torch prints a tensor: of freed memory it would end the process, of bits it raises."""
    lack = lack_of_values(tensor) or ""
    return not (lack.endswith("freed") or str(tensor.dtype).startswith("torch.bits"))


def text_of(tensor: Tensor) -> str:
    """Return what torch prints of a tensor; where it cannot, its sizes."""
    if is_printable(tensor):
        return str(tensor)
    return f"tensor(..., size={tuple(tensor.shape)}, dtype={tensor.dtype})"


def _nested(values: object) -> Values:
    if isinstance(values, list):
        return tuple(_nested(each) for each in values)
    if isinstance(values, complex):
        return (values.real, values.imag)
    return values  # type: ignore[return-value]
