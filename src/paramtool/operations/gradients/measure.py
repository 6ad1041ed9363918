"""What a use of a parameter is beside the whole gradient: its share, its angle, and whether all add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from paramtool.operations.gradients.magnitude import Elements, Magnitude, distance, inner, inner_and_distance

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
    total: Tensor, whole: Magnitude, gradients: Sequence[Elements | None], sizes: Sequence[Magnitude | None]
) -> tuple[list[Measure], float | None]:
    """Return what `against` says of each use, and `residual_of`; in one reading, where nothing overflows."""
    came = [each for each in gradients if each is not None]
    known = [each for each in sizes if each is not None]
    is_plain = whole.verdict == "ok" and all(each.verdict in FINITE and each.is_safe for each in known)
    if not (is_plain and whole.is_safe):
        pairs = zip(gradients, sizes, strict=True)
        found = [Measure(size, *against(each, size, total, whole)) for each, size in pairs]
        return found, residual_of(total, whole, came, known)
    products, off = inner_and_distance(total, came)
    rest = iter(products)
    found = [Measure(size, *_shared(next(rest), size, whole)) if size else Measure(None) for size in sizes]
    norms = sum(each.unit_norm * each.abs_max for each in known)
    return found, off / norms if norms else off
