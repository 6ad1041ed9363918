"""The elementwise initializers of ``torch.nn.init``, and arithmetic on the present values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from paramtool.initializers.functions.laws import Law, fans, gain_of

if TYPE_CHECKING:
    from torch import Tensor

Maker = TypeVar("Maker")


def law(maker: Maker) -> Maker:
    """Mark a function as one that makes a law of a shape, and does not fill a tensor itself."""
    maker.is_law = True  # type: ignore[attr-defined]
    return maker


@law
def constant(_: Sequence[int], val: float) -> Law:
    """Fill with `val`."""
    return Law(lambda block, _: block.fill_(val), val, 0.0, random=False)


@law
def zeros(_: Sequence[int]) -> Law:
    """Fill with 0."""
    return Law(lambda block, _: block.zero_(), 0.0, 0.0, random=False)


@law
def ones(_: Sequence[int]) -> Law:
    """Fill with 1."""
    return Law(lambda block, _: block.fill_(1.0), 1.0, 0.0, random=False)


@law
def normal(_: Sequence[int], mean: float = 0.0, std: float = 1.0) -> Law:
    """Draw from the normal distribution N(mean, std²).

    Complex numbers have independent real and imaginary parts of variance std²/2 each; their mean must
    be 0, since torch adds another one to both parts.
    """
    return Law(
        lambda block, chance: block.normal_(mean, std, generator=chance),
        mean, std, complex=mean == 0, in_parts=True,
    )  # fmt: skip


@law
def uniform(_: Sequence[int], a: float = 0.0, b: float = 1.0) -> Law:
    """Draw from the uniform distribution U(a, b), which has std (b - a)/√12."""
    return Law(
        lambda block, chance: block.uniform_(a, b, generator=chance),
        (a + b) / 2,
        abs(b - a) / math.sqrt(12),
        complex=False,
        in_parts=True,
    )


@law
def trunc_normal(
    _: Sequence[int], mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Law:
    """Draw from N(mean, std²) within [a, b]; the bounds are absolute, not in units of std.

    By the inverse of the distribution function, Φ⁻¹ of a uniform draw in [Φ(a), Φ(b)].
    Moments: Johnson, Kotz, Balakrishnan, "Continuous Univariate Distributions", section 13.10.1.
    """
    if not std > 0:
        raise ValueError(f"std must be above 0, got {std:g}")
    low, high = (a - mean) / std, (b - mean) / std
    mass = _phi(high) - _phi(low)
    if not (b > a and mass > 1e-6):
        raise ValueError(f"the normal distribution has almost nothing within [{a:g}, {b:g}]")

    def draw(block: Tensor, chance: Any) -> None:
        block.uniform_(2 * _phi(low) - 1, 2 * _phi(high) - 1, generator=chance)
        block.erfinv_().mul_(std * math.sqrt(2)).add_(mean).clamp_(a, b)

    shift = (_density(low) - _density(high)) / mass
    tails = (low * _density(low) - high * _density(high)) / mass
    spread = std * math.sqrt(max(0.0, 1 + tails - shift * shift))
    return Law(draw, mean + std * shift, spread, complex=False)


@law
def xavier_uniform(shape: Sequence[int], gain: float = 1.0) -> Law:
    """Draw from U(-b, b) with b = gain·√(6/(fan_in + fan_out)).

    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks", equation 16.
    """
    fan_in, fan_out = _two_fans(shape)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return _noted(uniform(shape, -bound, bound), f"fan_in {fan_in}, fan_out {fan_out}")


@law
def xavier_normal(shape: Sequence[int], gain: float = 1.0) -> Law:
    """Draw from N(0, s²) with s = gain·√(2/(fan_in + fan_out)).

    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward
    neural networks", equation 12 with both fans.
    """
    fan_in, fan_out = _two_fans(shape)
    std = gain * math.sqrt(2 / (fan_in + fan_out))
    return _noted(normal(shape, 0.0, std), f"fan_in {fan_in}, fan_out {fan_out}")


@law
def kaiming_uniform(
    shape: Sequence[int], a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Law:
    """Draw from U(-b, b) with b = gain·√(3/fan), for layers before a rectifier.

    Source: He et al. 2015, "Delving deep into rectifiers", equations 10 and 14.
    """
    std, note = _kaiming(shape, a, mode, nonlinearity)
    bound = math.sqrt(3) * std
    return _noted(uniform(shape, -bound, bound), note)


@law
def kaiming_normal(
    shape: Sequence[int], a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Law:
    """Draw from N(0, s²) with s = gain/√fan, for layers before a rectifier.

    Source: He et al. 2015, "Delving deep into rectifiers", equations 10 and 14.
    """
    std, note = _kaiming(shape, a, mode, nonlinearity)
    return _noted(normal(shape, 0.0, std), note)


@law
def add(_: Sequence[int], value: float) -> Law:
    """Add `value` to every element, as ``bias += 1``."""
    return Law(lambda block, _: block.add_(value), replaces=False, random=False)


@law
def mul(_: Sequence[int], value: float) -> Law:
    """Multiply every element by `value`."""
    return Law(lambda block, _: block.mul_(value), replaces=False, random=False)


@law
def clamp(_: Sequence[int], min: float | None = None, max: float | None = None) -> Law:
    """Move every element into [min, max]."""
    if min is None and max is None:
        raise ValueError("clamp needs 'min' or 'max'")
    if min is not None and max is not None and min > max:
        raise ValueError(f"the range [{min:g}, {max:g}] is empty")
    return Law(lambda block, _: block.clamp_(min, max), replaces=False, random=False, complex=False)


def _two_fans(shape: Sequence[int]) -> tuple[int, int]:
    fan_in, fan_out = fans(shape)
    if fan_in + fan_out == 0:
        raise ValueError("its fans are 0")
    return fan_in, fan_out


def _kaiming(shape: Sequence[int], a: float, mode: str, nonlinearity: Any) -> tuple[float, str]:
    fan = fans(shape)[0 if mode == "fan_in" else 1]
    if fan == 0:
        raise ValueError(f"its {mode} is 0")
    return gain_of(nonlinearity, a) / math.sqrt(fan), f"{mode} {fan}"


def _noted(made: Law, note: str) -> Law:
    return replace(made, note=note)


def _phi(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
