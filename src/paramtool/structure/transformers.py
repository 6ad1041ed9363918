"""Attention, the layers of transformers, their stacks, and the whole Transformer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import isnan

from paramtool.structure.layer import Layer, Maker
from paramtool.structure.modules import Module, copied
from paramtool.structure.unsure import require


def _attention(
    layer: Layer,
    embed_dim: int,
    num_heads: int,
    bias: bool,
    add_bias_kv: bool,
    kdim: int | None,
    vdim: int | None,
) -> None:
    require(embed_dim > 0 and num_heads > 0 and embed_dim % num_heads == 0, "heads that do not fit")
    keys, values = kdim if kdim is not None else embed_dim, vdim if vdim is not None else embed_dim
    if keys == values == embed_dim:
        layer.parameter("in_proj_weight", 3 * embed_dim, embed_dim)
    else:
        for name, size in (("q", embed_dim), ("k", keys), ("v", values)):
            layer.parameter(f"{name}_proj_weight", embed_dim, size)
    if bias:
        layer.parameter("in_proj_bias", 3 * embed_dim)
    sizes = {"in_features": embed_dim, "out_features": embed_dim}
    layer.child("out_proj", "NonDynamicallyQuantizableLinear", **sizes, bias=bias)
    if add_bias_kv:
        layer.parameter("bias_k", 1, 1, embed_dim)
        layer.parameter("bias_v", 1, 1, embed_dim)


def _transformer_layer(
    layer: Layer,
    d_model: int,
    nhead: int,
    dim_feedforward: int,
    dropout: float,
    activation: str | Module,
    layer_norm_eps: float,
    batch_first: bool,
    norm_first: bool,
    bias: bool,
    attentions: tuple[str, ...],
) -> None:
    for name in attentions:
        layer.child(name, "MultiheadAttention", embed_dim=d_model, num_heads=nhead, bias=bias)
    layer.child("linear1", "Linear", in_features=d_model, out_features=dim_feedforward, bias=bias)
    layer.child("dropout", "Dropout", p=dropout)
    layer.child("linear2", "Linear", in_features=dim_feedforward, out_features=d_model, bias=bias)
    parts = range(1, len(attentions) + 2)
    for number in parts:
        layer.child(f"norm{number}", "LayerNorm", normalized_shape=d_model, bias=bias)
    for number in parts:
        layer.child(f"dropout{number}", "Dropout", p=dropout)
    if isinstance(activation, Module):
        layer.module.children["activation"] = activation
    is_known = _is_relu_or_gelu(activation)
    require(is_known or isinstance(activation, Module), "an unknown activation")
    layer.module.is_quiet_layer = (
        len(attentions) == 1
        and batch_first
        and not norm_first
        and bias
        and is_known
        and nhead % 2 == 0
        and not isnan(layer_norm_eps)  # which differs from itself
    )


def _is_relu_or_gelu(activation: str | Module) -> bool:
    if isinstance(activation, Module):
        return "ReLU" in activation.bases or "GELU" in activation.bases
    return activation in ("relu", "gelu")


def _encoder(
    layer: Layer, encoder_layer: Module, num_layers: int, norm: Module | None, enable_nested_tensor: bool
) -> None:
    quiet = encoder_layer.is_quiet_layer or not enable_nested_tensor
    require(quiet, "no nested tensors, which torch warns about")
    _stack(layer, encoder_layer, num_layers, norm)


def _decoder(layer: Layer, decoder_layer: Module, num_layers: int, norm: Module | None) -> None:
    _stack(layer, decoder_layer, num_layers, norm)


def _stack(layer: Layer, repeated: Module, num_layers: int, norm: Module | None) -> None:
    require(num_layers >= 0, "a negative number of layers")
    layers = layer.child("layers", "ModuleList")
    layers.children = {str(index): copied(repeated) for index in range(num_layers)}
    if norm is not None:
        layer.module.children["norm"] = norm


def _transformer(
    layer: Layer,
    d_model: int,
    nhead: int,
    num_encoder_layers: int,
    num_decoder_layers: int,
    dim_feedforward: int,
    dropout: float,
    activation: str | Module,
    custom_encoder: Module | None,
    custom_decoder: Module | None,
    layer_norm_eps: float,
    batch_first: bool,
    norm_first: bool,
    bias: bool,
) -> None:
    options = {
        "d_model": d_model, "nhead": nhead, "dim_feedforward": dim_feedforward, "dropout": dropout,
        "activation": activation, "layer_norm_eps": layer_norm_eps, "batch_first": batch_first,
        "norm_first": norm_first, "bias": bias,
    }  # fmt: skip
    for part, custom, count in (
        ("encoder", custom_encoder, num_encoder_layers),
        ("decoder", custom_decoder, num_decoder_layers),
    ):
        if custom is not None:
            layer.module.children[part] = custom
            continue
        kind = f"Transformer{part.capitalize()}"
        repeated = layer.made(f"{kind}Layer", **options)
        norm = layer.made("LayerNorm", normalized_shape=d_model, bias=bias)
        layer.child(part, kind, **{f"{part}_layer": repeated, "num_layers": count, "norm": norm})


TRANSFORMERS: Mapping[str, Maker] = {
    "MultiheadAttention": _attention,
    "TransformerEncoderLayer": partial(_transformer_layer, attentions=("self_attn",)),
    "TransformerDecoderLayer": partial(_transformer_layer, attentions=("self_attn", "multihead_attn")),
    "TransformerEncoder": _encoder,
    "TransformerDecoder": _decoder,
    "Transformer": _transformer,
}
