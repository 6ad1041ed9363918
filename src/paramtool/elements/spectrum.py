"""How many directions a change of a matrix has: the singular values of the difference.

A tensor of more dimensions is the matrix of its first dimension by all others, as ``flatten(1)`` makes it.
The squares of the singular values are the eigenvalues of the Gram matrix of the smaller side, DᵀD or DDᵀ,
which is added up in float64 from panels of rows, so that the difference is never held whole.

Squares have half of the digits: a singular value below about 1e-8 times the root of the larger side of
the largest one drowns in rounding, and counts as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from paramtool.elements.dtypes import Array
from paramtool.records.difference import Spectrum

LARGEST_SIDE = 8192
"""The longest that the smaller side of a matrix may be: its Gram matrix takes 512 MiB, and twice that while
it is solved.
"""

PANEL = 1 << 24
"""Elements in a panel of the difference: 128 MiB, and two panels are held at most."""

Rows = Callable[[int, int], Array]
"""Returns some rows of the difference, from the first up to and without the second, in double precision."""


def obstacle(shape: tuple[int, ...]) -> str | None:
    """Return why the singular values of such a tensor are not computed; None if they are."""
    height, width = sides(shape)
    if min(height, width) > LARGEST_SIDE:
        return f"its smaller side is {min(height, width):,}, more than {LARGEST_SIDE:,}"
    if width > PANEL:
        return f"its rows have {width:,} elements, more than {PANEL:,}"
    return None


def sides(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the rows and columns of a tensor of two or more dimensions as a matrix."""
    return shape[0], math.prod(shape[1:])


def spectrum(rows: Rows, height: int, width: int, noise: float = 0.0) -> Spectrum | None:
    """Return what the singular values of a matrix say; None if an element is not finite, or all are 0.

    Args:
        rows: of the matrix, with magnitudes of about 1 or less.
        height, width: its sides, neither of which is 0.
        noise: how far an element may be off by rounding.
    """
    gram = _gram(rows, height, width)
    if not np.isfinite(gram).all():
        return None
    squares: Array = np.linalg.eigvalsh(gram)[::-1]  # of the lower triangle
    largest = float(squares[0])
    if largest <= 0:
        return None
    longer = max(height, width)
    squares = np.where(squares > largest * longer * np.finfo(np.float64).eps, squares, 0.0)
    values = np.sqrt(squares)
    parts = values[values > 0] / values.sum()
    rounded = noise * (math.sqrt(height) + math.sqrt(width))
    tolerance = max(values[0] * longer * np.finfo(np.float32).eps, rounded)
    return Spectrum(
        rank=max(1, int(np.count_nonzero(values > tolerance))),
        effective_rank=max(1.0, math.exp(-float((parts * np.log(parts)).sum()))),
        top_1=float(squares[0] / squares.sum()),
        top_8=float(squares[:8].sum() / squares.sum()),
    )


def _gram(rows: Rows, height: int, width: int) -> Array:
    """Return the Gram matrix of the smaller side; above its diagonal it may be left empty."""
    panels = list(_panels(height, width))
    if width <= height:
        return sum((panel.conj().T @ panel for panel in (rows(*each) for each in panels)), np.zeros(()))
    first = rows(*panels[0])
    gram = np.zeros((height, height), first.dtype)
    for index, (start, stop) in enumerate(panels):
        panel = rows(start, stop) if index else first
        gram[start:stop, start:stop] = panel @ panel.conj().T
        for before in panels[:index]:
            gram[start:stop, slice(*before)] = panel @ rows(*before).conj().T
    return gram


def _panels(height: int, width: int) -> Iterator[tuple[int, int]]:
    step = max(1, PANEL // width)
    for start in range(0, height, step):
        yield start, min(start + step, height)
