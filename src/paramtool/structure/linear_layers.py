"""Linear, bilinear and embedding layers, PReLU, and the softmax made of linear layers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import prod

from paramtool.structure.layer import Layer, Maker
from paramtool.structure.modules import Tensor
from paramtool.structure.unsure import require


def _linear(layer: Layer, in_features: int, out_features: int, bias: bool) -> None:
    layer.parameter("weight", out_features, in_features)
    if bias:
        layer.parameter("bias", out_features)


def _bilinear(layer: Layer, in1_features: int, in2_features: int, out_features: int, bias: bool) -> None:
    layer.parameter("weight", out_features, in1_features, in2_features)
    if bias:
        layer.parameter("bias", out_features)


def _prelu(layer: Layer, num_parameters: int) -> None:
    layer.parameter("weight", num_parameters)


def _embedding(layer: Layer, num_embeddings: int, embedding_dim: int, padding_idx: int | None) -> None:
    inside = padding_idx is None or -num_embeddings <= padding_idx < num_embeddings
    require(inside, "a padding_idx outside")
    if padding_idx is not None:
        layer.module.padding_idx = padding_idx if padding_idx >= 0 else num_embeddings + padding_idx
    layer.parameter("weight", num_embeddings, embedding_dim)


def _adaptive_softmax(
    layer: Layer,
    in_features: int,
    n_classes: int,
    cutoffs: tuple[int, ...],
    div_value: float,
    head_bias: bool,
) -> None:
    ends = [*cutoffs, n_classes]
    require(len(ends) > 1 and ends[0] > 0, "cutoffs that are not positive")
    require(all(first < second for first, second in pairwise(ends)), "cutoffs out of order")
    head = ends[0] + len(cutoffs)
    layer.child("head", "Linear", in_features=in_features, out_features=head, bias=head_bias)
    tail = layer.child("tail", "ModuleList")
    for index, (start, stop) in enumerate(pairwise(ends)):
        projection = tail.children[str(index)] = layer.made("Sequential")
        sizes = (in_features, int(in_features // div_value ** (index + 1)), stop - start)
        for name, (before, after) in zip("01", pairwise(sizes), strict=True):
            made = layer.made("Linear", in_features=before, out_features=after, bias=False)
            projection.children[name] = made


def _linear_cross_entropy(
    layer: Layer,
    in_features: int,
    num_classes: int,
    out_features: tuple[int, ...],
    bias: bool,
    weight: Tensor | None,
    label_smoothing: float,
) -> None:
    require(weight is None or weight.shape == (num_classes,), "a weight of another shape")
    require(0 <= label_smoothing <= 1, "label_smoothing outside [0, 1]")
    layer.given("weight", weight)
    count = prod(out_features, start=num_classes)
    layer.child("linear", "Linear", in_features=in_features, out_features=count, bias=bias)


LINEAR_LAYERS: Mapping[str, Maker] = {
    "Linear": _linear,
    "NonDynamicallyQuantizableLinear": _linear,
    "Bilinear": _bilinear,
    "PReLU": _prelu,
    "Embedding": _embedding,
    "EmbeddingBag": _embedding,
    "AdaptiveLogSoftmaxWithLoss": _adaptive_softmax,
    "LinearCrossEntropyLoss": _linear_cross_entropy,
}
