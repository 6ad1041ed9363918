"""The elements of a tensor, as numbers and as torch prints them.

A port of ``torch/_tensor_str.py`` of torch 2.13 for strided tensors on the CPU, with torch's default
print options; a test compares it with ``str`` of random tensors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from paramtool.elements.dtypes import Array, Dtype
from paramtool.elements.elements import EDGE, Elements
from paramtool.records.parameter import Printed, Values

MOST_VALUES = 1000  # where torch begins to summarize as well
MOST_LINES = 10_000  # elements of a summary, which has 7 of each dimension

_LINE = 80
_HEAD = "tensor("
_DEFAULTS = ("float32", "complex64", "int64", "bool")
"""The dtypes that torch does not mention."""


def printed_elements(elements: Elements, name: str) -> Printed:
    """Return the elements as nested tuples, None past 1,000 of them, and the text that torch prints.

    Of a large tensor only the edges are read.

    Raises:
        ParamtoolError: if elements cannot be read.
    """
    shape, dtype = elements.shape(name), elements.dtype(name)
    if math.prod(shape) <= MOST_VALUES:
        whole = np.empty(math.prod(shape), dtype.held)
        start = 0
        for block in elements.blocks(name):
            whole[start : start + block.size] = block
            start += block.size
        array = whole.reshape(shape)
        return Printed(_values(array, dtype), tensor_text(array, dtype))
    if math.prod(min(size, 2 * EDGE + 1) for size in shape) > MOST_LINES:
        return Printed(None, f"tensor with {len(shape)} dimensions, too many to print")
    return Printed(None, tensor_text(elements.outline(name), dtype, is_summary=True))


def tensor_text(array: Array, dtype: Dtype, *, is_summary: bool = False) -> str:
    """Return what ``str`` returns for a tensor.

    Args:
        array: its elements as `dtype` holds them; for a summary 7 of each longer dimension.
        dtype: torch's.
        is_summary: show 3 at each end of what is longer than 6.
    """
    if not array.size:
        size = [f"size={tuple(array.shape)}"] if array.ndim != 1 else []
        name = [f"dtype=torch.{dtype.name}"] if dtype.name != "float32" else []
        return _with_suffixes(f"{_HEAD}[]", [*size, *name])
    text = _Writer(array, dtype, is_summary).text()
    name = [] if dtype.name in _DEFAULTS else [f"dtype=torch.{dtype.name}"]
    return _with_suffixes(_HEAD + text, name)


def _values(array: Array, dtype: Dtype) -> Values:
    return _nested(dtype.scalars(array.reshape(-1)), array.shape if dtype.values == 1 else (*array.shape, 2))


def _nested(scalars: list[Any], shape: tuple[int, ...]) -> Values:
    if not shape:
        value = scalars[0]
        return (value.real, value.imag) if isinstance(value, complex) else value
    step = len(scalars) // shape[0] if shape[0] else 0
    return tuple(_nested(scalars[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0]))


def _with_suffixes(text: str, suffixes: list[str]) -> str:
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > _LINE:
            text += f",\n{' ' * len(_HEAD)}{suffix}"
            length = len(_HEAD) + len(suffix)
        else:
            text += f", {suffix}"
            length += len(suffix) + 2
    return f"{text})"


class _Format:
    """How the numbers of a tensor are written: as integers, with four digits, or with an exponent."""

    def __init__(self, numbers: list[Any], dtype: Dtype) -> None:
        self._is_float = dtype.kind in ("float", "complex")
        self._is_whole = True
        self._has_exponent = False
        self.width = 1
        if not self._is_float:
            self.width = max(len(f"{number}") for number in numbers)
            return
        if dtype.name == "float8_e8m0fnu":  # where torch finds NaN finite, and the smallest number zero
            known = [number for number in numbers if number != 2.0**-127]
        else:
            known = [number for number in numbers if number and math.isfinite(number)]
        if not known:
            return
        if any(map(math.isnan, known)):
            self._is_whole = False
            self.width = max(len(f"{number:.4f}") for number in known)
            return
        sizes = [abs(number) for number in known]
        least, most = min(sizes), max(sizes)
        self._is_whole = all(number == math.floor(number) for number in known)
        self._has_exponent = most / least > 1000 or most > 1e8 or least < 1e-4
        if self._has_exponent:
            self.width = max(len(f"{number:.4e}") for number in known)
        elif self._is_whole:
            self.width = max(len(f"{number:.0f}") + 1 for number in known)
        else:
            self.width = max(len(f"{number:.4f}") for number in known)

    def text(self, number: Any) -> str:
        """Return one number, as wide as the others."""
        if not self._is_float:
            text = f"{number}"
        elif self._has_exponent:
            text = f"{number:.4e}"
        elif self._is_whole:
            text = f"{number:.0f}" + ("." if math.isfinite(number) else "")
        else:
            text = f"{number:.4f}"
        return text.rjust(self.width)


class _Writer:
    """Writes the brackets of one tensor."""

    def __init__(self, array: Array, dtype: Dtype, is_summary: bool) -> None:
        self._array = array
        self._dtype = dtype
        self._is_summary = is_summary
        shown = array
        if is_summary:
            for dimension, size in enumerate(array.shape):
                if size > 2 * EDGE:
                    shown = np.take(shown, [*range(EDGE), *range(size - EDGE, size)], dimension)
        numbers = self._numbers(shown.reshape(-1))
        if dtype.kind == "complex":
            parts = [number.real for number in numbers], [number.imag for number in numbers]
            self._formats = tuple(_Format(part, dtype) for part in parts)
        else:
            self._formats = (_Format(numbers, dtype),)

    def text(self) -> str:
        """Return all of it."""
        if not self._array.ndim:
            return self._number(self._numbers(self._array.reshape(-1))[0])
        return self._part(self._array, len(_HEAD))

    def _numbers(self, flat: Array) -> list[Any]:
        """Return Python's numbers; the bytes of float4_e2m1fn_x2, as torch does."""
        return list(flat.tolist()) if self._dtype.values > 1 else self._dtype.scalars(flat)

    def _part(self, array: Array, indent: int) -> str:
        size = len(array)
        is_cut = self._is_summary and size > 2 * EDGE
        if array.ndim == 1:
            texts = [self._number(number) for number in self._numbers(array)]
            if is_cut:
                texts = [*texts[:EDGE], " ...", *texts[-EDGE:]]
            width = sum(each.width for each in self._formats) + 1 + len(self._formats)
            count = max(1, (_LINE - indent) // width)
            lines = [", ".join(texts[i : i + count]) for i in range(0, len(texts), count)]
            return "[" + f",\n{' ' * (indent + 1)}".join(lines) + "]"
        rows = [*range(EDGE), None, *range(size - EDGE, size)] if is_cut else [*range(size)]
        parts = ["..." if row is None else self._part(array[row], indent + 1) for row in rows]
        return "[" + f",{chr(10) * (array.ndim - 1)}{' ' * (indent + 1)}".join(parts) + "]"

    def _number(self, number: Any) -> str:
        if self._dtype.kind != "complex":
            return self._formats[0].text(number)
        real = self._formats[0].text(number.real)
        imaginary = f"{self._formats[1].text(number.imag)}j".lstrip()
        return real + imaginary if imaginary[0] in "+-" else f"{real}+{imaginary}"
