"""Recurrent layers, and the cells that make one step of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from paramtool.structure.layer import Layer, Maker
from paramtool.structure.unsure import require

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _recurrent(
    layer: Layer,
    mode: str,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    bias: bool,
    dropout: float,
    bidirectional: bool,
    proj_size: int = 0,
) -> None:
    require(mode in _GATES, "an unknown mode")
    require(input_size > 0 and hidden_size > 0 and num_layers > 0, "sizes that are not positive")
    require(0 <= dropout <= 1 and not (dropout and num_layers == 1), "a dropout that torch warns about")
    require(0 <= proj_size < hidden_size, "a proj_size outside")
    gates = _GATES[mode] * hidden_size
    out, ways = proj_size or hidden_size, ("", "_reverse") if bidirectional else ("",)
    for depth in range(num_layers):
        for way in ways:
            end = f"_l{depth}{way}"
            layer.parameter(f"weight_ih{end}", gates, input_size if depth == 0 else out * len(ways))
            layer.parameter(f"weight_hh{end}", gates, out)
            if bias:
                layer.parameter(f"bias_ih{end}", gates)
                layer.parameter(f"bias_hh{end}", gates)
            if proj_size:
                layer.parameter(f"weight_hr{end}", proj_size, hidden_size)


def _rnn(
    layer: Layer,
    nonlinearity: str,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    bias: bool,
    dropout: float,
    bidirectional: bool,
) -> None:
    mode = f"RNN_{nonlinearity.upper()}" if nonlinearity in ("tanh", "relu") else ""
    _recurrent(layer, mode, input_size, hidden_size, num_layers, bias, dropout, bidirectional)


def _cell(layer: Layer, input_size: int, hidden_size: int, bias: bool, num_chunks: int) -> None:
    gates = num_chunks * hidden_size
    layer.parameter("weight_ih", gates, input_size)
    layer.parameter("weight_hh", gates, hidden_size)
    if bias:
        layer.parameter("bias_ih", gates)
        layer.parameter("bias_hh", gates)


RECURRENT_LAYERS: Mapping[str, Maker] = {
    "RNNBase": _recurrent,
    "RNN": _rnn,
    "LSTM": partial(_recurrent, mode="LSTM"),
    "GRU": partial(_recurrent, mode="GRU"),
    "RNNCellBase": _cell,
    "RNNCell": partial(_cell, num_chunks=1),
    "LSTMCell": partial(_cell, num_chunks=4),
    "GRUCell": partial(_cell, num_chunks=3),
}
