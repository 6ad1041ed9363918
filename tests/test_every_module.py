"""Every module class of the installed torch.nn, built from YAML and compared with plain Python."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

import pytest
import torch
from torch import nn

from paramtool.errors import Problems
from paramtool.language.catalog import shipped
from paramtool.language.document import Spec, read_spec
from paramtool.language.signature import Signature
from paramtool.network import construction, signatures
from paramtool.place import Text

NAMES = sorted(
    name
    for name, value in vars(nn).items()
    if isinstance(value, type) and issubclass(value, nn.Module) and not name.startswith("_")
)
LAZY = [name for name in NAMES if name.startswith("Lazy")]
LANGUAGE = ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Module", "Container")
LEFT_OUT = ("device", "device_ids", "output_device", "process_group", "generator", "options")
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

Form: TypeAlias = "tuple[str, Callable[[], nn.Module]]"


def zeros(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


def encoder_layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(4, 2, dim_feedforward=8)


def decoder_layer() -> nn.TransformerDecoderLayer:
    return nn.TransformerDecoderLayer(4, 2, dim_feedforward=8)


def pair() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU())


FORMS: dict[str, list[Form]] = {
    "AdaptiveAvgPool1d": [
        ("3", lambda: nn.AdaptiveAvgPool1d(3)),
        ("[[3]]", lambda: nn.AdaptiveAvgPool1d((3,))),
    ],
    "AdaptiveAvgPool2d": [
        ("[[null, 3]]", lambda: nn.AdaptiveAvgPool2d((None, 3))),
        ("{output_size: [2, 3]}", lambda: nn.AdaptiveAvgPool2d((2, 3))),
    ],
    "AdaptiveAvgPool3d": [("[[2, null, 4]]", lambda: nn.AdaptiveAvgPool3d((2, None, 4)))],
    "AdaptiveLogSoftmaxWithLoss": [
        ("[6, 10, [2, 5]]", lambda: nn.AdaptiveLogSoftmaxWithLoss(6, 10, [2, 5])),
        (
            "{in_features: 6, n_classes: 10, cutoffs: [4], div_value: 2.0, head_bias: true}",
            lambda: nn.AdaptiveLogSoftmaxWithLoss(6, 10, [4], div_value=2.0, head_bias=True),
        ),
    ],
    "AdaptiveMaxPool1d": [("[3, true]", lambda: nn.AdaptiveMaxPool1d(3, return_indices=True))],
    "AdaptiveMaxPool2d": [("3", lambda: nn.AdaptiveMaxPool2d(3))],
    "AdaptiveMaxPool3d": [("[[2, 3, 4]]", lambda: nn.AdaptiveMaxPool3d((2, 3, 4)))],
    "AlphaDropout": [("", nn.AlphaDropout), ("0.25", lambda: nn.AlphaDropout(0.25))],
    "AvgPool1d": [
        ("2", lambda: nn.AvgPool1d(2)),
        ("{kernel_size: [2], stride: [1]}", lambda: nn.AvgPool1d((2,), (1,))),
    ],
    "AvgPool2d": [
        (
            "{kernel_size: [2, 3], ceil_mode: true, divisor_override: 4}",
            lambda: nn.AvgPool2d((2, 3), ceil_mode=True, divisor_override=4),
        )
    ],
    "AvgPool3d": [("[[1, 2, 3], 2]", lambda: nn.AvgPool3d((1, 2, 3), 2))],
    "BCELoss": [("", nn.BCELoss), ("{weight: [0.5, 2.0]}", lambda: nn.BCELoss(torch.tensor([0.5, 2.0])))],
    "BCEWithLogitsLoss": [
        ("", nn.BCEWithLogitsLoss),
        (
            "{weight: [1.0, 2.0], pos_weight: {Tensor: {shape: [2], fill: 3.5}}, reduction: sum}",
            lambda: nn.BCEWithLogitsLoss(
                torch.tensor([1.0, 2.0]), pos_weight=torch.full((2,), 3.5), reduction="sum"
            ),
        ),
    ],
    "BatchNorm1d": [
        ("3", lambda: nn.BatchNorm1d(3)),
        (
            "{num_features: 3, momentum: null, affine: false}",
            lambda: nn.BatchNorm1d(3, momentum=None, affine=False),
        ),
    ],
    "BatchNorm2d": [
        ("[3, 1e-3]", lambda: nn.BatchNorm2d(3, 1e-3)),
        (
            "{num_features: 3, track_running_stats: false}",
            lambda: nn.BatchNorm2d(3, track_running_stats=False),
        ),
    ],
    "BatchNorm3d": [("{num_features: 3, dtype: float64}", lambda: nn.BatchNorm3d(3, dtype=torch.float64))],
    "Bilinear": [
        ("[2, 3, 4]", lambda: nn.Bilinear(2, 3, 4)),
        (
            "{in1_features: 2, in2_features: 3, out_features: 4, bias: false}",
            lambda: nn.Bilinear(2, 3, 4, bias=False),
        ),
    ],
    "CTCLoss": [("{blank: 3, zero_infinity: true}", lambda: nn.CTCLoss(3, zero_infinity=True))],
    "ChannelShuffle": [("2", lambda: nn.ChannelShuffle(2))],
    "CircularPad1d": [("[[1, 2]]", lambda: nn.CircularPad1d((1, 2)))],
    "CircularPad2d": [("1", lambda: nn.CircularPad2d(1))],
    "CircularPad3d": [("[[1, 2, 3, 4, 5, 6]]", lambda: nn.CircularPad3d((1, 2, 3, 4, 5, 6)))],
    "ConstantPad1d": [("[2, 0.5]", lambda: nn.ConstantPad1d(2, 0.5))],
    "ConstantPad2d": [("{padding: [1, 2, 3, 4], value: 1}", lambda: nn.ConstantPad2d((1, 2, 3, 4), 1))],
    "ConstantPad3d": [("[1, -1.5]", lambda: nn.ConstantPad3d(1, -1.5))],
    "Container": [("", nn.Container), ("{a: {Linear: [2, 1]}}", lambda: nn.Container(a=nn.Linear(2, 1)))],
    "Conv1d": [
        ("[2, 4, 3]", lambda: nn.Conv1d(2, 4, 3)),
        (
            "{in_channels: 2, out_channels: 4, kernel_size: [3], padding: same, padding_mode: circular}",
            lambda: nn.Conv1d(2, 4, (3,), padding="same", padding_mode="circular"),
        ),
    ],
    "Conv2d": [
        ("[1, 8, 3]", lambda: nn.Conv2d(1, 8, 3)),
        (
            "{in_channels: 4, out_channels: 8, kernel_size: [3, 5], stride: 2, padding: [1, 2],"
            " dilation: [2, 1], groups: 2, bias: false}",
            lambda: nn.Conv2d(4, 8, (3, 5), 2, (1, 2), (2, 1), 2, False),
        ),
    ],
    "Conv3d": [("[1, 2, [1, 2, 3]]", lambda: nn.Conv3d(1, 2, (1, 2, 3)))],
    "ConvTranspose1d": [("[2, 4, 3]", lambda: nn.ConvTranspose1d(2, 4, 3))],
    "ConvTranspose2d": [
        (
            "{in_channels: 2, out_channels: 4, kernel_size: 3, stride: [2, 2], output_padding: [1, 0]}",
            lambda: nn.ConvTranspose2d(2, 4, 3, stride=(2, 2), output_padding=(1, 0)),
        )
    ],
    "ConvTranspose3d": [("[2, 4, 2]", lambda: nn.ConvTranspose3d(2, 4, 2))],
    "CosineEmbeddingLoss": [("0.5", lambda: nn.CosineEmbeddingLoss(0.5))],
    "CosineSimilarity": [("{dim: -1}", lambda: nn.CosineSimilarity(dim=-1))],
    "CrossEntropyLoss": [
        ("", nn.CrossEntropyLoss),
        ("{weight: [1.0, 2.0, 0.5]}", lambda: nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 0.5]))),
        (
            "{weight: {Tensor: {shape: [3], fill: rand}}, ignore_index: 2, label_smoothing: 0.1}",
            lambda: nn.CrossEntropyLoss(torch.rand(3), ignore_index=2, label_smoothing=0.1),
        ),
    ],
    "CrossMapLRN2d": [("[3, 1e-3]", lambda: nn.CrossMapLRN2d(3, 1e-3))],
    "DataParallel": [
        ("[{Linear: [4, 3]}]", lambda: nn.DataParallel(nn.Linear(4, 3))),
        ("{module: {Sequential: [{Linear: [4, 3]}, ReLU]}, dim: 1}", lambda: nn.DataParallel(pair(), dim=1)),
        ("ReLU", lambda: nn.DataParallel(nn.ReLU())),
    ],
    "Dropout": [
        ("", nn.Dropout),
        ("0.1", lambda: nn.Dropout(0.1)),
        ("[0, true]", lambda: nn.Dropout(0, True)),
    ],
    "ELU": [("{alpha: 2}", lambda: nn.ELU(alpha=2))],
    "Embedding": [
        ("[10, 4]", lambda: nn.Embedding(10, 4)),
        (
            "{num_embeddings: 10, embedding_dim: 4, padding_idx: 0, max_norm: 1, sparse: true}",
            lambda: nn.Embedding(10, 4, padding_idx=0, max_norm=1, sparse=True),
        ),
        ("[10, 4, -1]", lambda: nn.Embedding(10, 4, -1)),
    ],
    "EmbeddingBag": [
        ("[10, 4]", lambda: nn.EmbeddingBag(10, 4)),
        (
            "{num_embeddings: 10, embedding_dim: 4, mode: sum, padding_idx: 3, include_last_offset: true}",
            lambda: nn.EmbeddingBag(10, 4, mode="sum", padding_idx=3, include_last_offset=True),
        ),
    ],
    "Flatten": [("", nn.Flatten), ("[0, 1]", lambda: nn.Flatten(0, 1))],
    "Fold": [
        ("{output_size: [4, 5], kernel_size: 2, stride: [2, 1]}", lambda: nn.Fold((4, 5), 2, stride=(2, 1)))
    ],
    "FractionalMaxPool2d": [
        ("[3, [4, 5]]", lambda: nn.FractionalMaxPool2d(3, (4, 5))),
        (
            "{kernel_size: 3, output_ratio: [0.5, 0.25]}",
            lambda: nn.FractionalMaxPool2d(3, output_ratio=(0.5, 0.25)),
        ),
    ],
    "FractionalMaxPool3d": [
        ("{kernel_size: [1, 2, 3], output_size: 4}", lambda: nn.FractionalMaxPool3d((1, 2, 3), output_size=4))
    ],
    "GELU": [("", nn.GELU), ("{approximate: tanh}", lambda: nn.GELU(approximate="tanh"))],
    "GLU": [("0", lambda: nn.GLU(0))],
    "GRU": [
        ("[4, 3]", lambda: nn.GRU(4, 3)),
        (
            "{input_size: 4, hidden_size: 3, num_layers: 2, bidirectional: true, bias: false}",
            lambda: nn.GRU(4, 3, num_layers=2, bidirectional=True, bias=False),
        ),
    ],
    "GRUCell": [("[4, 3]", lambda: nn.GRUCell(4, 3))],
    "GroupNorm": [
        ("[2, 4]", lambda: nn.GroupNorm(2, 4)),
        ("{num_groups: 2, num_channels: 4, affine: false}", lambda: nn.GroupNorm(2, 4, affine=False)),
    ],
    "Hardtanh": [("[-2, 2]", lambda: nn.Hardtanh(-2, 2))],
    "HuberLoss": [("{delta: 0.5, reduction: none}", lambda: nn.HuberLoss(delta=0.5, reduction="none"))],
    "Identity": [("", nn.Identity)],
    "InstanceNorm1d": [("3", lambda: nn.InstanceNorm1d(3))],
    "InstanceNorm2d": [
        (
            "{num_features: 3, affine: true, track_running_stats: true}",
            lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
        )
    ],
    "InstanceNorm3d": [
        (
            "{num_features: 3, affine: true, bias: false}",
            lambda: nn.InstanceNorm3d(3, affine=True, bias=False),
        )
    ],
    "LPPool1d": [("[2, 3]", lambda: nn.LPPool1d(2, 3))],
    "LPPool2d": [("{norm_type: 1.2, kernel_size: [3, 2], stride: 1}", lambda: nn.LPPool2d(1.2, (3, 2), 1))],
    "LPPool3d": [("[2, 3]", lambda: nn.LPPool3d(2, 3))],
    "LSTM": [
        ("[4, 3]", lambda: nn.LSTM(4, 3)),
        (
            "{input_size: 4, hidden_size: 3, num_layers: 2, dropout: 0.5, batch_first: true, proj_size: 2}",
            lambda: nn.LSTM(4, 3, num_layers=2, dropout=0.5, batch_first=True, proj_size=2),
        ),
    ],
    "LSTMCell": [("[4, 3, false]", lambda: nn.LSTMCell(4, 3, False))],
    "LayerNorm": [
        ("4", lambda: nn.LayerNorm(4)),
        ("[[2, 3]]", lambda: nn.LayerNorm((2, 3))),
        ("{normalized_shape: [4], bias: false}", lambda: nn.LayerNorm([4], bias=False)),
        (
            "{normalized_shape: 4, elementwise_affine: false}",
            lambda: nn.LayerNorm(4, elementwise_affine=False),
        ),
    ],
    "LazyBatchNorm1d": [
        ("", nn.LazyBatchNorm1d),
        ("{affine: false}", lambda: nn.LazyBatchNorm1d(affine=False)),
    ],
    "LazyConv1d": [("[4, 3]", lambda: nn.LazyConv1d(4, 3))],
    "LazyConv2d": [
        ("{out_channels: 4, kernel_size: [3, 2], bias: false}", lambda: nn.LazyConv2d(4, (3, 2), bias=False))
    ],
    "LazyConv3d": [("[4, 3]", lambda: nn.LazyConv3d(4, 3))],
    "LazyConvTranspose1d": [("[4, 3]", lambda: nn.LazyConvTranspose1d(4, 3))],
    "LazyConvTranspose2d": [("[4, 3, 2]", lambda: nn.LazyConvTranspose2d(4, 3, 2))],
    "LazyConvTranspose3d": [("[4, 3]", lambda: nn.LazyConvTranspose3d(4, 3))],
    "LazyLinear": [
        ("3", lambda: nn.LazyLinear(3)),
        (
            "{out_features: 3, bias: false, dtype: float64}",
            lambda: nn.LazyLinear(3, False, dtype=torch.float64),
        ),
    ],
    "LeakyReLU": [("{negative_slope: 1e-1}", lambda: nn.LeakyReLU(negative_slope=0.1))],
    "Linear": [
        ("[3, 1]", lambda: nn.Linear(3, 1)),
        ("{in_features: 4, out_features: 3}", lambda: nn.Linear(4, 3)),
        ("{out_features: 3, in_features: 4, bias: false}", lambda: nn.Linear(4, 3, bias=False)),
        ("{in_features: 4, out_features: 3, dtype: bfloat16}", lambda: nn.Linear(4, 3, dtype=torch.bfloat16)),
        ("[0x10, 010]", lambda: nn.Linear(16, 10)),
    ],
    "LinearCrossEntropyLoss": [
        ("[4, 3]", lambda: nn.LinearCrossEntropyLoss(4, 3)),
        (
            "{in_features: 4, num_classes: 3, bias: true, weight: [1.0, 2.0, 3.0], reduction: sum}",
            lambda: nn.LinearCrossEntropyLoss(
                4, 3, bias=True, weight=torch.tensor([1.0, 2.0, 3.0]), reduction="sum"
            ),
        ),
        (
            "{in_features: 4, num_classes: 3, out_features: [2]}",
            lambda: nn.LinearCrossEntropyLoss(4, 3, out_features=(2,)),
        ),
    ],
    "LocalResponseNorm": [("{size: 2, k: 2}", lambda: nn.LocalResponseNorm(2, k=2))],
    "LogSoftmax": [("1", lambda: nn.LogSoftmax(1))],
    "MaxPool1d": [("2", lambda: nn.MaxPool1d(2))],
    "MaxPool2d": [
        ("[2, 2]", lambda: nn.MaxPool2d(2, 2)),
        ("{kernel_size: [3, 2]}", lambda: nn.MaxPool2d((3, 2))),
    ],
    "MaxPool3d": [("{kernel_size: 2, return_indices: true}", lambda: nn.MaxPool3d(2, return_indices=True))],
    "MaxUnpool1d": [("2", lambda: nn.MaxUnpool1d(2))],
    "MaxUnpool2d": [("[[3, 2], [2, 1]]", lambda: nn.MaxUnpool2d((3, 2), (2, 1)))],
    "MaxUnpool3d": [("{kernel_size: 3, stride: 2}", lambda: nn.MaxUnpool3d(3, stride=2))],
    "Module": [("", nn.Module)],
    "ModuleDict": [
        ("", nn.ModuleDict),
        (
            "{relu: ReLU, head: {Linear: [4, 3]}}",
            lambda: nn.ModuleDict({"relu": nn.ReLU(), "head": nn.Linear(4, 3)}),
        ),
    ],
    "ModuleList": [
        ("", nn.ModuleList),
        ("[{Linear: [4, 3]}, Tanh]", lambda: nn.ModuleList([nn.Linear(4, 3), nn.Tanh()])),
    ],
    "MultiMarginLoss": [
        ("{p: 2, weight: [0.5, 0.25]}", lambda: nn.MultiMarginLoss(p=2, weight=torch.tensor([0.5, 0.25])))
    ],
    "MultiLabelSoftMarginLoss": [
        ("[[0.5, 0.25]]", lambda: nn.MultiLabelSoftMarginLoss(torch.tensor([0.5, 0.25])))
    ],
    "MultiheadAttention": [
        ("[4, 2]", lambda: nn.MultiheadAttention(4, 2)),
        (
            "{embed_dim: 4, num_heads: 2, kdim: 3, vdim: 5, add_bias_kv: true, batch_first: true}",
            lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True, batch_first=True),
        ),
        ("{embed_dim: 4, num_heads: 2, bias: false}", lambda: nn.MultiheadAttention(4, 2, bias=False)),
    ],
    "NLLLoss": [("{weight: [0.5, 0.25]}", lambda: nn.NLLLoss(torch.tensor([0.5, 0.25])))],
    "NLLLoss2d": [
        ("", nn.NLLLoss2d),
        ("{weight: [0.5, 0.25]}", lambda: nn.NLLLoss2d(torch.tensor([0.5, 0.25]))),
    ],
    "PReLU": [("", nn.PReLU), ("{num_parameters: 3, init: 0.1}", lambda: nn.PReLU(3, init=0.1))],
    "ParameterDict": [
        ("", nn.ParameterDict),
        (
            "{a: {Parameter: [2, 3]}, b: {Parameter: {values: [1.5, 2.5], requires_grad: false}}}",
            lambda: nn.ParameterDict(
                {"a": zeros(2, 3), "b": nn.Parameter(torch.tensor([1.5, 2.5]), requires_grad=False)}
            ),
        ),
    ],
    "ParameterList": [
        ("", nn.ParameterList),
        ("[{Parameter: [2, 3]}, {Parameter: 4}]", lambda: nn.ParameterList([zeros(2, 3), zeros(4)])),
    ],
    "PixelShuffle": [("2", lambda: nn.PixelShuffle(2))],
    "PixelUnshuffle": [("{downscale_factor: 2}", lambda: nn.PixelUnshuffle(2))],
    "PoissonNLLLoss": [("[false, true]", lambda: nn.PoissonNLLLoss(False, True))],
    "RMSNorm": [("4", lambda: nn.RMSNorm(4)), ("[[2, 3], 1e-6]", lambda: nn.RMSNorm((2, 3), 1e-6))],
    "RNN": [
        ("[4, 3]", lambda: nn.RNN(4, 3)),
        (
            "{input_size: 4, hidden_size: 3, nonlinearity: relu, dtype: float64}",
            lambda: nn.RNN(4, 3, nonlinearity="relu", dtype=torch.float64),
        ),
        ("[4, 3, 2, relu]", lambda: nn.RNN(4, 3, 2, "relu")),
    ],
    "RNNBase": [
        ("[LSTM, 4, 3]", lambda: nn.RNNBase("LSTM", 4, 3)),
        (
            "{mode: GRU, input_size: 4, hidden_size: 3, num_layers: 2}",
            lambda: nn.RNNBase("GRU", 4, 3, num_layers=2),
        ),
    ],
    "RNNCell": [("[4, 3, true, relu]", lambda: nn.RNNCell(4, 3, True, "relu"))],
    "RNNCellBase": [("[4, 3, true, 2]", lambda: nn.RNNCellBase(4, 3, True, 2))],
    "RReLU": [("[0.1, 0.2]", lambda: nn.RReLU(0.1, 0.2))],
    "ReLU": [
        ("", nn.ReLU),
        ("true", lambda: nn.ReLU(True)),
        ("{inplace: true}", lambda: nn.ReLU(inplace=True)),
    ],
    "ReflectionPad1d": [("[[1, 2]]", lambda: nn.ReflectionPad1d((1, 2)))],
    "ReflectionPad2d": [("1", lambda: nn.ReflectionPad2d(1))],
    "ReflectionPad3d": [("1", lambda: nn.ReflectionPad3d(1))],
    "ReplicationPad1d": [("1", lambda: nn.ReplicationPad1d(1))],
    "ReplicationPad2d": [("{padding: [1, 2, 3, 4]}", lambda: nn.ReplicationPad2d((1, 2, 3, 4)))],
    "ReplicationPad3d": [("1", lambda: nn.ReplicationPad3d(1))],
    "Sequential": [
        ("", nn.Sequential),
        ("[{Linear: [4, 3]}, ReLU]", pair),
        ("{fc: {Linear: [4, 3]}}", lambda: nn.Sequential(OrderedDict(fc=nn.Linear(4, 3)))),
    ],
    "Softmax": [("", nn.Softmax), ("{dim: -1}", lambda: nn.Softmax(dim=-1))],
    "SyncBatchNorm": [
        ("3", lambda: nn.SyncBatchNorm(3)),
        ("[3, 1e-3, 0.2]", lambda: nn.SyncBatchNorm(3, 1e-3, 0.2)),
    ],
    "Threshold": [("[0.1, 20]", lambda: nn.Threshold(0.1, 20))],
    "Transformer": [
        (
            "{d_model: 4, nhead: 2, num_encoder_layers: 1, num_decoder_layers: 2, dim_feedforward: 8}",
            lambda: nn.Transformer(4, 2, 1, 2, 8),
        ),
        (
            "{d_model: 4, nhead: 2, custom_encoder: {Linear: [4, 4]}, custom_decoder: Identity,"
            " activation: gelu}",
            lambda: nn.Transformer(
                4, 2, custom_encoder=nn.Linear(4, 4), custom_decoder=nn.Identity(), activation="gelu"
            ),
        ),
    ],
    "TransformerDecoder": [
        (
            "{decoder_layer: {TransformerDecoderLayer: [4, 2, 8]}, num_layers: 2}",
            lambda: nn.TransformerDecoder(decoder_layer(), 2),
        )
    ],
    "TransformerDecoderLayer": [
        ("[4, 2, 8]", decoder_layer),
        (
            "{d_model: 4, nhead: 2, dim_feedforward: 8, norm_first: true, bias: false, activation: {SiLU: }}",
            lambda: nn.TransformerDecoderLayer(4, 2, 8, norm_first=True, bias=False, activation=nn.SiLU()),
        ),
    ],
    "TransformerEncoder": [
        (
            "{encoder_layer: {TransformerEncoderLayer: {d_model: 4, nhead: 2, dim_feedforward: 8}},"
            " num_layers: 2, norm: {LayerNorm: 4}}",
            lambda: nn.TransformerEncoder(encoder_layer(), 2, norm=nn.LayerNorm(4)),
        ),
        ("[{TransformerEncoderLayer: [4, 2, 8]}, 1]", lambda: nn.TransformerEncoder(encoder_layer(), 1)),
    ],
    "TransformerEncoderLayer": [
        ("[4, 2, 8]", encoder_layer),
        ("[4, 2, 8, 0.0, gelu]", lambda: nn.TransformerEncoderLayer(4, 2, 8, 0.0, "gelu")),
        (
            "{d_model: 4, nhead: 2, dim_feedforward: 8, activation: {GELU: {approximate: tanh}}}",
            lambda: nn.TransformerEncoderLayer(4, 2, 8, activation=nn.GELU(approximate="tanh")),
        ),
    ],
    "TripletMarginWithDistanceLoss": [
        ("", nn.TripletMarginWithDistanceLoss),
        (
            "{distance_function: PairwiseDistance, margin: 0.5, swap: true}",
            lambda: nn.TripletMarginWithDistanceLoss(
                distance_function=nn.PairwiseDistance(), margin=0.5, swap=True
            ),
        ),
        (
            "{distance_function: {PairwiseDistance: {p: 1}}}",
            lambda: nn.TripletMarginWithDistanceLoss(distance_function=nn.PairwiseDistance(p=1)),
        ),
    ],
    "Unflatten": [
        ("[1, [2, 3]]", lambda: nn.Unflatten(1, (2, 3))),
        ("{dim: -1, unflattened_size: [2, 3]}", lambda: nn.Unflatten(-1, (2, 3))),
    ],
    "Unfold": [
        ("2", lambda: nn.Unfold(2)),
        ("{kernel_size: [2, 3], dilation: 2}", lambda: nn.Unfold((2, 3), 2)),
    ],
    "Upsample": [
        ("", nn.Upsample),
        ("{scale_factor: 2, mode: bilinear}", lambda: nn.Upsample(scale_factor=2, mode="bilinear")),
        ("{size: [4, 5]}", lambda: nn.Upsample(size=(4, 5))),
        ("{scale_factor: [2, 1.5]}", lambda: nn.Upsample(scale_factor=(2, 1.5))),
    ],
    "UpsamplingNearest2d": [("[[4, 5]]", lambda: nn.UpsamplingNearest2d((4, 5)))],
    "ZeroPad1d": [("[[1, 2]]", lambda: nn.ZeroPad1d((1, 2)))],
    "ZeroPad2d": [("{padding: 1}", lambda: nn.ZeroPad2d(1))],
    "ZeroPad3d": [("1", lambda: nn.ZeroPad3d(1))],
}
"""The arguments in YAML and the same in Python, for every class that cannot do without, and some that can."""

SETTLED: dict[str, tuple[str, list[int], Callable[[], nn.Module]]] = {
    "LazyBatchNorm1d": ("", [2, 3], lambda: nn.BatchNorm1d(3)),
    "LazyBatchNorm2d": ("", [2, 3, 4, 4], lambda: nn.BatchNorm2d(3)),
    "LazyBatchNorm3d": ("", [2, 3, 4, 4, 4], lambda: nn.BatchNorm3d(3)),
    "LazyConv1d": ("[4, 3]", [2, 5, 8], lambda: nn.Conv1d(5, 4, 3)),
    "LazyConv2d": ("[4, [3, 2]]", [2, 5, 8, 8], lambda: nn.Conv2d(5, 4, (3, 2))),
    "LazyConv3d": ("[4, 2]", [2, 5, 4, 4, 4], lambda: nn.Conv3d(5, 4, 2)),
    "LazyConvTranspose1d": ("[4, 3]", [2, 5, 8], lambda: nn.ConvTranspose1d(5, 4, 3)),
    "LazyConvTranspose2d": ("[4, 3]", [2, 5, 8, 8], lambda: nn.ConvTranspose2d(5, 4, 3)),
    "LazyConvTranspose3d": ("[4, 2]", [2, 5, 4, 4, 4], lambda: nn.ConvTranspose3d(5, 4, 2)),
    "LazyInstanceNorm1d": (
        "{affine: true}",
        [2, 3, 4],
        lambda: nn.InstanceNorm1d(3, affine=True, track_running_stats=True),
    ),
    "LazyInstanceNorm2d": (
        "{affine: true}",
        [2, 3, 4, 4],
        lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
    ),
    "LazyInstanceNorm3d": (
        "{affine: true}",
        [2, 3, 4, 4, 4],
        lambda: nn.InstanceNorm3d(3, affine=True, track_running_stats=True),
    ),
    "LazyLinear": ("3", [2, 4], lambda: nn.Linear(4, 3)),
}
"""The arguments of a lazy class, an input that settles it, and the class it is then."""


def forms(name: str) -> list[Form]:
    """Return what FORMS has for `name`, else the class without arguments, which may well fail."""
    return FORMS.get(name, [("", getattr(nn, name))])


def written(name: str, arguments: str, rest: str = "") -> Spec:
    return read_spec(Text("m.yaml", f"model: {{{name}: {arguments}}}\n{rest}"), shipped())


def plain(make: Callable[[], nn.Module]) -> nn.Module:
    """Build in plain Python as a person does, whatever torch warns of."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        return make()


def shape(tensor: torch.Tensor) -> list[int] | str:
    return "lazy" if nn.parameter.is_lazy(tensor) else list(tensor.shape)


def python_parameters(name: str) -> list[inspect.Parameter]:
    return list(inspect.signature(getattr(nn, name)).parameters.values())


def is_variadic(name: str) -> bool:
    return any(parameter.kind in VARIADIC for parameter in python_parameters(name))


def takes_device(name: str) -> bool:
    cls = getattr(nn, name)
    return issubclass(cls, nn.RNNBase) or "device" in inspect.signature(cls).parameters


def is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(is_plain(each) for each in value)
    return value is None or isinstance(value, (bool, int, float, str, torch.dtype))


def described(module: nn.Module) -> dict[str, object]:
    """Return everything about `module` but the values of its tensors."""
    return {
        "parameters": [
            (name, shape(each), each.dtype, each.requires_grad)
            for name, each in module.named_parameters(remove_duplicate=False)
        ],
        "buffers": [
            (name, shape(each), each.dtype, each.requires_grad)
            for name, each in module.named_buffers(remove_duplicate=False)
        ],
        "saved": list(module.state_dict()),
        "modules": [
            (name, type(each).__name__) for name, each in module.named_modules(remove_duplicate=False)
        ],
        "repr": repr(module).replace("torch.meta.", "torch."),
    }


def settings(module: nn.Module) -> list[tuple[str, dict[str, object]]]:
    """Return the plain attributes of every module, where constructors keep their arguments."""
    return [
        (name, {key: value for key, value in vars(each).items() if is_plain(value)})
        for name, each in module.named_modules(remove_duplicate=False)
    ]


def bits(module: nn.Module) -> dict[str, list[int]]:
    """Return the bytes of every parameter and buffer."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {
        name: each.detach().reshape(-1).view(torch.uint8).tolist()
        for name, each in tensors
        if not nn.parameter.is_lazy(each)
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_class_is_that_of_plain_python(name: str) -> None:
    """A spec's module is Python's own: without memory as a structure, and bit for bit after manual_seed(0).

    Names, shapes, dtypes, flags, classes, arguments and repr are compared in both; a structure is all on
    the meta device.
    """
    for arguments, make in forms(name):
        spec, expected = written(name, arguments), plain(make)
        structure = construction.structure(spec).module
        assert type(structure) is getattr(nn, name)
        assert (arguments, described(structure)) == (arguments, described(expected))
        assert (arguments, settings(structure)) == (arguments, settings(expected))
        tensors = [*structure.named_parameters(), *structure.named_buffers()]
        assert [key for key, tensor in tensors if tensor.device.type != "meta"] == []
        values = construction.values(spec, rng="torch").module
        assert (arguments, described(values)) == (arguments, described(expected))
        assert (arguments, bits(values)) == (arguments, bits(expected))


def test_a_bare_name_is_the_class_without_arguments() -> None:
    """`ReLU`, `{ReLU: }`, `{ReLU: []}` and `{ReLU: {}}` are one and the same."""
    for text in ("model: ReLU", "model: {ReLU: }", "model: {ReLU: []}", "model: {ReLU: {}}"):
        built = construction.structure(read_spec(Text("m.yaml", text), shipped())).module
        assert described(built) == described(nn.ReLU())


@pytest.mark.parametrize("name", LAZY)
def test_a_lazy_class_without_an_input_stays_lazy(name: str) -> None:
    """Without an input nothing gives a lazy class its shapes, and a note says so."""
    arguments, _, _ = SETTLED[name]
    built = construction.structure(written(name, arguments))
    assert type(built.module) is getattr(nn, name)
    assert any(nn.parameter.is_lazy(each) for each in built.module.parameters())
    assert built.notes == ("1 lazy module has no shapes; give the spec an 'input' to settle it",)


@pytest.mark.parametrize("name", LAZY)
@pytest.mark.parametrize("build", [construction.structure, construction.values])
def test_a_lazy_class_with_an_input_is_the_eager_class(
    name: str, build: Callable[[Spec], construction.Network]
) -> None:
    """An input settles a lazy class into its eager class, with the shapes that are given there."""
    arguments, sizes, eager = SETTLED[name]
    built = build(written(name, arguments, f"input: {{shape: {sizes}, fill: rand}}"))
    assert built.notes == ()
    assert described(built.module) == described(plain(eager))


def test_settling_leaves_modes_and_statistics_alone() -> None:
    """The pass that settles is in evaluation mode, and modules are in training mode after it."""
    spec = written("Sequential", "[{LazyLinear: 3}, LazyBatchNorm1d]", "input: {shape: [4, 2], fill: rand}")
    built = construction.values(spec).module
    assert all(each.training for each in built.modules())
    assert built.get_buffer("1.num_batches_tracked").item() == 0
    assert torch.equal(built.get_buffer("1.running_mean"), torch.zeros(3))


def test_a_device_is_refused() -> None:
    """A spec says nothing about hardware: `device` is no argument of any class."""
    for name in filter(takes_device, NAMES):
        with pytest.raises(Problems) as caught:
            written(name, "{device: cpu}")
        first = next(error for error in caught.value.errors if "device" in error.message)
        place = f"m.yaml:1:{len(name) + 12}"
        assert (
            str(first) == f"{place}: error: {name} has no argument 'device'; a spec does not choose hardware"
        )


@pytest.mark.skipif(
    shipped().torch != torch.__version__.partition("+")[0],
    reason=f"the shipped catalogue is of torch {shipped().torch}",
)
def test_the_shipped_catalogue_is_that_of_the_installed_torch() -> None:
    """The catalogue in the package is what torch itself says, for every class and no other."""
    assert signatures.catalog() == shipped()
    assert sorted(shipped().modules) == NAMES
    assert set(FORMS) <= set(NAMES)


def test_every_type_in_the_catalogue_parses_and_writes_itself_again() -> None:
    """Types are of the notation, and a signature that is written and read again is the same."""
    for name in NAMES:
        signature = signatures.catalog().module(name)
        assert signature is not None, name
        assert all(argument.parsed_type.alternatives for argument in signature.arguments), name
        assert Signature.read(name, signature.written()) == signature


def test_the_catalogue_has_the_arguments_of_python_in_their_order() -> None:
    """But for hardware and what plain data cannot write, a class takes what it takes in Python."""
    for name in NAMES:
        if name in LANGUAGE or is_variadic(name):
            continue
        parameters = python_parameters(name)
        signature = signatures.catalog().module(name)
        assert signature is not None, name
        accepted = [
            each for each in parameters if each.name not in LEFT_OUT and not each.name.startswith("_")
        ]
        assert [(name, each.name, each.required) for each in signature.arguments] == [
            (name, each.name, each.default is inspect.Parameter.empty) for each in accepted
        ]
        positions = [each.name for each in parameters]
        assert [each.name for each in signature.positional] == positions[: len(signature.positional)]


HEAVY = ("torch._refs", "torch._decomp.decompositions", "torch._meta_registrations", "torch._dynamo", "sympy")
"""What the first random call on a meta tensor imports, for about a second."""

LEAN = """
import sys
import torch

before = set(sys.modules)
from paramtool.place import Text
from paramtool.network import construction
from paramtool.language.catalog import shipped
from paramtool.language.document import read_spec

spec = '''
model:
  Sequential:
    - Linear: [4, 3]
    - Conv2d: [4, 8, 3]
    - LayerNorm: 4
    - Embedding: {num_embeddings: 10, embedding_dim: 4, padding_idx: 0}
    - LSTM: [4, 3]
    - MultiheadAttention: {embed_dim: 4, num_heads: 2, add_bias_kv: true}
    - BatchNorm2d: 3
    - Repeat: {times: 2, module: {TransformerEncoderLayer: [4, 2, 8]}}
    - Module:
        a: {Parameter: {shape: [2], fill: arange}}
        b: {Buffer: {shape: [2], fill: randint, high: 3}}
        c: {Tensor: {values: [1.5, 2]}}
        d: {Parameter: {shape: [2], fill: randn}}
        e: {Parameter: {shape: [2], fill: 0.5}}
'''
construction.structure(read_spec(Text('m.yaml', spec), shipped()))
print(*sorted(set(sys.modules) - before))
"""


def test_building_a_structure_imports_nothing_heavy() -> None:
    """The second of imports behind torch's decompositions is not paid for a structure."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LEAN], capture_output=True, text=True, check=True
    )
    imported = done.stdout.split()
    assert "paramtool.network.construction" in imported
    assert [name for name in imported if name.startswith(HEAVY)] == []
    assert [name for name in imported if name.startswith("torch.")] in ([], ["torch.utils._device"])
