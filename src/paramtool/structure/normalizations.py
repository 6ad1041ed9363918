"""Normalizations: over the batch, the instance, groups of channels, and the last dimensions."""

from __future__ import annotations

from collections.abc import Mapping

from paramtool.structure.layer import Layer, Maker, Sizes
from paramtool.structure.unsure import require


def _batch_norm(layer: Layer, num_features: int, affine: bool, track_running_stats: bool, bias: bool) -> None:
    if affine:
        _scale(layer, (num_features,), bias)
    if track_running_stats:
        layer.buffer("running_mean", num_features)
        layer.buffer("running_var", num_features)
        layer.buffer("num_batches_tracked", dtype="int64")


def _group_norm(layer: Layer, num_groups: int, num_channels: int, affine: bool, bias: bool) -> None:
    require(num_groups > 0 and num_channels > 0 and num_channels % num_groups == 0, "groups that do not fit")
    if affine:
        _scale(layer, (num_channels,), bias)


def _layer_norm(layer: Layer, normalized_shape: Sizes, elementwise_affine: bool, bias: bool = False) -> None:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
    require(len(shape) > 0, "a normalized_shape without sizes")
    if elementwise_affine:
        _scale(layer, shape, bias)


def _scale(layer: Layer, shape: tuple[int, ...], bias: bool) -> None:
    layer.parameter("weight", *shape)
    if bias:
        layer.parameter("bias", *shape)


NORMALIZATIONS: Mapping[str, Maker] = {
    **{f"BatchNorm{rank}d": _batch_norm for rank in (1, 2, 3)},
    **{f"InstanceNorm{rank}d": _batch_norm for rank in (1, 2, 3)},
    "SyncBatchNorm": _batch_norm,
    "GroupNorm": _group_norm,
    "LayerNorm": _layer_norm,
    "RMSNorm": _layer_norm,
}
