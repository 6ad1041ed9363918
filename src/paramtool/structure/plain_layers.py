"""Layers without tensors whose constructors refuse some arguments, or warn."""

from __future__ import annotations

from collections.abc import Mapping

from paramtool.structure.layer import Layer, Maker, Sizes
from paramtool.structure.unsure import require


def _dropout(_: Layer, p: float) -> None:
    require(0 <= p <= 1, "a probability outside [0, 1]")


def _hardtanh(
    _: Layer, min_val: float, max_val: float, min_value: float | None, max_value: float | None
) -> None:
    require(min_value is None and max_value is None, "names that torch warns about")
    require(min_val < max_val, "no room between the values")


def _fractional_pool(
    _: Layer,
    kernel_size: Sizes,
    output_size: Sizes | None,
    output_ratio: float | tuple[float, ...] | None,
) -> None:
    sizes = (kernel_size,) if isinstance(kernel_size, int) else kernel_size
    require(all(size > 0 for size in sizes), "a kernel_size that is not positive")
    require((output_size is None) != (output_ratio is None), "not one of output_size and output_ratio")
    if output_ratio is not None:
        ratios = output_ratio if isinstance(output_ratio, tuple) else (output_ratio,)
        require(all(0 < ratio < 1 for ratio in ratios), "a ratio outside (0, 1)")


def _unflatten(_: Layer, unflattened_size: tuple[int, ...]) -> None:
    require(all(type(size) is int for size in unflattened_size), "sizes that are not integers")


def _anything(_: Layer) -> None:
    """Take any arguments: these constructors do more than keep them, but it cannot fail."""


_DROPOUTS = ("AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout")

PLAIN_LAYERS: Mapping[str, Maker] = {
    **dict.fromkeys(_DROPOUTS, _dropout),
    "FractionalMaxPool2d": _fractional_pool,
    "FractionalMaxPool3d": _fractional_pool,
    "Hardtanh": _hardtanh,
    "ReLU6": _anything,
    "Unflatten": _unflatten,
    "Upsample": _anything,
    "UpsamplingBilinear2d": _anything,
    "UpsamplingNearest2d": _anything,
}
