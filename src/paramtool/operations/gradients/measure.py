"""What a use of a parameter is beside the whole gradient: its share, its angle, and whether all add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from paramtool.operations.gradients.magnitude import Elements, Magnitude, magnitude
from paramtool.operations.gradients.products import distance, has_reading, inner, reading

FINITE = ("ok", "zero")


@dataclass(frozen=True)
class Measure:
    """The size of what one use added, and how it lies to the total.

    Attributes:
        magnitude: None if nothing came back.
        share: ⟨use, total⟩ / ⟨total, total⟩.
        cosine: of the angle between them.
    """

    magnitude: Magnitude | None
    share: float | None = None
    cosine: float | None = None


def against(
    gradient: Elements | None, mine: Magnitude | None, total: Tensor, whole: Magnitude
) -> tuple[float | None, float | None]:
    """Return the share and the cosine of a use.

    Args:
        gradient: what the use added; None if nothing came back.
        mine: its magnitude.
        total: the gradient of the parameter.
        whole: the magnitude of that.
    """
    if gradient is total and whole.verdict == "ok":
        return 1.0, 1.0
    if gradient is None or mine is None or mine.verdict not in FINITE or whole.verdict != "ok":
        return None, None
    if not (mine.is_safe and whole.is_safe) and mine.abs_max:  # products may overflow
        turned = inner(gradient, total, mine.abs_max, whole.abs_max) / whole.unit_norm
        share = turned / whole.unit_norm * (mine.abs_max / whole.abs_max)
        return share, max(-1.0, min(1.0, turned / mine.unit_norm))
    return _shared(inner(gradient, total), mine, whole)


def _shared(product: float, mine: Magnitude, whole: Magnitude) -> tuple[float, float | None]:
    product /= whole.norm
    cosine = max(-1.0, min(1.0, product / mine.norm)) if mine.norm else None
    return product / whole.norm, cosine


def residual_of(
    total: Tensor, whole: Magnitude, gradients: Sequence[Elements], sizes: Sequence[Magnitude]
) -> float | None:
    """Return ‖Σ uses - total‖ / Σ ‖use‖; None where a number is not finite, so that there is no difference.

    Args:
        total: the gradient of the parameter.
        whole: its magnitude.
        gradients: what the uses added.
        sizes: the magnitudes of these.
    """
    if any(each.verdict not in FINITE for each in (whole, *sizes)):
        return None
    largest = max((each.abs_max for each in (whole, *sizes)), default=0.0)
    unit = 1.0 if all(each.is_safe for each in (whole, *sizes)) else largest
    off = distance(total, list(gradients), unit)
    norms = sum(each.unit_norm * (each.abs_max / unit) for each in sizes)
    return off / norms if norms else off


def measured(
    total: Tensor, gradients: Sequence[Elements | None], sizes: Sequence[Magnitude | None]
) -> tuple[Magnitude, list[Measure], float | None]:
    """Return the magnitude of `total`, the result of `against` for each use, and that of `residual_of`.

    Each tensor is read once, if its numbers are finite and nothing overflows.

    Args:
        total: the gradient of the parameter.
        gradients: what the uses added; None if nothing came back.
        sizes: the magnitudes of these; None for one that is not measured yet, and has a reading.
    """
    came = [each for each in gradients if each is not None]
    found = reading(total, came)
    is_plain = found.is_plain
    whole = found.whole if is_plain and has_reading(total) else magnitude(total)
    sums = iter(found.sizes)
    known = [
        _size(each, size, next(sums) if is_plain else None) if each is not None else None
        for each, size in zip(gradients, sizes, strict=True)
    ]
    there = [each for each in known if each is not None]
    if not is_plain:
        pairs = zip(gradients, known, strict=True)
        measures = [Measure(size, *against(each, size, total, whole)) for each, size in pairs]
        return whole, measures, residual_of(total, whole, came, there)
    products = iter(found.products)
    measures = [
        Measure(size, *_shared(next(products), size, whole)) if size else Measure(None) for size in known
    ]
    norms = sum(each.unit_norm * each.abs_max for each in there)
    return whole, measures, found.distance / norms if norms else found.distance


def _size(gradient: Elements, known: Magnitude | None, read: Magnitude | None) -> Magnitude:
    return known or read or magnitude(gradient)
