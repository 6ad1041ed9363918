"""Losses: most have no tensors, some keep a weight that they were given."""

from __future__ import annotations

from collections.abc import Mapping

from paramtool.structure.layer import Layer, Maker
from paramtool.structure.modules import Module, Tensor
from paramtool.structure.unsure import require


def _loss(
    layer: Layer,
    size_average: bool | None = None,
    reduce: bool | None = None,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
) -> None:
    require(size_average is None and reduce is None, "size_average and reduce, which torch warns about")
    layer.given("weight", weight)
    layer.given("pos_weight", pos_weight)


def _multi_margin(
    layer: Layer, p: int, size_average: bool | None, reduce: bool | None, weight: Tensor | None
) -> None:
    require(p in (1, 2), "a p that is refused")
    require(weight is None or len(weight.shape) == 1, "a weight of other dimensions")
    _loss(layer, size_average, reduce, weight)


def _triplet_margin(
    layer: Layer, margin: float, size_average: bool | None = None, reduce: bool | None = None
) -> None:
    require(margin > 0, "a margin that is not positive")
    _loss(layer, size_average, reduce)


def _with_distance(layer: Layer, distance_function: Module | None, margin: float) -> None:
    _triplet_margin(layer, margin)
    made = layer.made("PairwiseDistance") if distance_function is None else distance_function
    layer.module.children["distance_function"] = made


_LOSSES = (
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss", "GaussianNLLLoss",
    "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss",
    "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss",
    "SoftMarginLoss",
)  # fmt: skip

LOSSES: Mapping[str, Maker] = {
    **dict.fromkeys(_LOSSES, _loss),
    "MultiMarginLoss": _multi_margin,
    "TripletMarginLoss": _triplet_margin,
    "TripletMarginWithDistanceLoss": _with_distance,
}
