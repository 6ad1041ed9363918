"""Convolutions and transposed convolutions in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from paramtool.structure.layer import Layer, Maker, Sizes
from paramtool.structure.unsure import require

_MODES = ("zeros", "reflect", "replicate", "circular")


def _convolution(
    layer: Layer,
    in_channels: int,
    out_channels: int,
    kernel_size: Sizes,
    stride: Sizes,
    padding: str | Sizes,
    dilation: Sizes,
    groups: int,
    bias: bool,
    padding_mode: str,
    rank: int,
) -> None:
    if isinstance(padding, str):
        can_be_same = padding == "same" and set(_each(rank, stride)) == {1}
        require(padding == "valid" or can_be_same, "a padding that is refused")
        padding = 0
    require(padding_mode in _MODES, "an unknown padding_mode")
    _check_groups(in_channels, out_channels, groups)
    _check_sizes(rank, positive=(stride, dilation), others=(padding,))
    layer.parameter("weight", out_channels, in_channels // groups, *_each(rank, kernel_size))
    if bias:
        layer.parameter("bias", out_channels)


def _transposed(
    layer: Layer,
    in_channels: int,
    out_channels: int,
    kernel_size: Sizes,
    stride: Sizes,
    padding: Sizes,
    output_padding: Sizes,
    groups: int,
    bias: bool,
    dilation: Sizes,
    padding_mode: str,
    rank: int,
) -> None:
    require(padding_mode == "zeros", "a padding_mode that is refused")
    _check_groups(in_channels, out_channels, groups)
    _check_sizes(rank, positive=(stride, dilation), others=(padding, output_padding))
    layer.parameter("weight", in_channels, out_channels // groups, *_each(rank, kernel_size))
    if bias:
        layer.parameter("bias", out_channels)


def _check_groups(in_channels: int, out_channels: int, groups: int) -> None:
    require(groups > 0 and in_channels % groups == 0 and out_channels % groups == 0, "groups that do not fit")


def _check_sizes(rank: int, positive: tuple[Sizes, ...], others: tuple[Sizes, ...]) -> None:
    for sizes in positive:
        require(all(size > 0 for size in _each(rank, sizes)), "a stride or dilation that is not positive")
    for sizes in others:
        require(all(size >= 0 for size in _each(rank, sizes)), "a negative padding")


def _each(rank: int, sizes: Sizes) -> tuple[int, ...]:
    """Return a size for each dimension."""
    if isinstance(sizes, int):
        return (sizes,) * rank
    require(len(sizes) == rank, "another number of dimensions")
    return sizes


CONVOLUTIONS: Mapping[str, Maker] = {
    **{f"Conv{rank}d": partial(_convolution, rank=rank) for rank in (1, 2, 3)},
    **{f"ConvTranspose{rank}d": partial(_transposed, rank=rank) for rank in (1, 2, 3)},
}
