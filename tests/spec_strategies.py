"""Strategies for specs: any class of torch.nn with any arguments, and whole networks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import strategies as st

from paramtool.language.catalog import shipped
from paramtool.language.notation import Alternative, Atom, ListOf, Literal, TupleOf, Union
from paramtool.language.signature import Argument

CALLED = [name for name, written in shipped().modules.items() if written]
"""The classes that take arguments."""

FLOATS = shipped().float_dtypes

NAMES = ("a", "b", "head", "weight", "bias", "0", "7", "é", "a b", "_x", "index", "norm", "layers")
TAKEN = ("forward", "training", "keys", "items", "__dict__", "type", "values", "_size", "append")
PATTERNS = ("weight", "bias", "0", r"\.1\.", "^0", "$", "nothing like it")

_INTEGERS = st.one_of(st.integers(1, 8), st.sampled_from([4, 2, 6, 12]), st.sampled_from([2, 4]))
_FITTING = {
    "groups": (1, 1, 2), "num_groups": (1, 2), "nhead": (1, 2, 2), "num_heads": (1, 2), "d_model": (2, 4, 8),
    "embed_dim": (2, 4, 8), "n_classes": (9, 12), "in_channels": (2, 4, 6), "out_channels": (2, 4, 6),
    "num_channels": (2, 4, 6), "padding_idx": (0, -1, 1, 5), "proj_size": (0, 1, 2),
    "in_features": (4, 8, 64), "num_layers": (1, 2, 3), "num_encoder_layers": (0, 1, 2),
    "num_decoder_layers": (0, 1, 2),
}  # fmt: skip
"""Sizes that often go together; others are drawn freely."""

_ODD = st.sampled_from([0, -1, -2, 2**31, 2**62, 2**63])
_NUMBERS = st.sampled_from([0.1, 0.5, 1.0, 1e-5, 0.25, 0, 1, 0.0])
_ODD_NUMBERS = st.sampled_from([".nan", ".inf", "-.inf", "1e308", "-0.1", "1.5", "2"])
_WORDS = {
    "mode": ("LSTM", "GRU", "RNN_TANH", "RNN_RELU", "mean"),
    "activation": ("relu", "gelu", "tanh"),
    "nonlinearity": ("tanh", "relu", "sigmoid"),
    "padding": ("same", "valid", "full"),
    "reduction": ("mean", "sum", "none", "elementwise_mean"),
    "approximate": ("none", "tanh"),
}
_WRONG = st.sampled_from(["null", "true", "1.5", "3", "abc", "[]", "[1, 2]", "{}", "[[1]]", "'1'", "ReLU"])
_SMALL = (
    "ReLU",
    "Identity",
    "GELU",
    "{GELU: tanh}",
    "{Linear: [4, 4]}",
    "{LayerNorm: 4}",
    "PReLU",
    "{BatchNorm1d: 4}",
    "{Sequential: [{Linear: [2, 3]}, {BatchNorm1d: 3}]}",
    "{LSTM: [2, 3]}",
    "{Dropout: 0.5}",
    "{Module: {w: {Parameter: [2]}, b: {Buffer: {shape: 2, persistent: false}}, t: {Tensor: [1]}}}",
    "{ParameterList: [{Parameter: [2]}, {Tensor: [3]}]}",
    "{Embedding: [5, 4]}",
    "{Hardtanh: }",
    "{ReLU6: }",
)
_LAYERS = (
    "{TransformerEncoderLayer: [4, 2, 8]}",
    "{TransformerDecoderLayer: [4, 2, 8]}",
    "{TransformerEncoderLayer: {d_model: 4, nhead: 2, dim_feedforward: 8, batch_first: true}}",
    "{TransformerEncoderLayer: {d_model: 4, nhead: 2, batch_first: true, activation: GELU}}",
    "{TransformerEncoderLayer: {d_model: 4, nhead: 2, batch_first: true, activation: {PReLU: 3}}}",
    "{TransformerEncoderLayer: {d_model: 4, nhead: 1, batch_first: true, dtype: float64}}",
    "{TransformerEncoderLayer: {d_model: 4, nhead: 2, batch_first: true, layer_norm_eps: .nan}}",
    "{MultiheadAttention: {embed_dim: 4, num_heads: 2, kdim: 3, add_bias_kv: true}}",
    "{LazyLinear: 3}",
)


def calls(names: Sequence[str] = CALLED) -> st.SearchStrategy[str]:
    """Draw ``{Class: arguments}``, by name or by position."""
    return st.sampled_from(names).flatmap(call_of)


def call_of(name: str) -> st.SearchStrategy[str]:
    """Draw a call of one class, now and then with an argument of another type or size."""
    signature = shipped().module(name)
    assert signature is not None
    required = {each.name: _argument(each) for each in signature.arguments if each.required}
    optional = {each.name: _argument(each) for each in signature.arguments if not each.required}
    by_name = st.fixed_dictionaries(required, optional=optional).map(
        lambda given: ", ".join(f"{key}: {value}" for key, value in given.items())
    )
    positions = [_argument(each) for each in signature.positional]
    few = st.integers(min(len(required), len(positions)), len(positions))
    by_position = few.flatmap(lambda count: st.tuples(*positions[:count])).map(", ".join)
    return st.one_of(
        by_name.map(lambda given: f"{{{name}: {{{given}}}}}"),
        by_name.map(lambda given: f"{{{name}: {{{given}}}}}"),
        by_position.map(lambda given: f"{{{name}: [{given}]}}"),
    )


def _argument(argument: Argument) -> st.SearchStrategy[str]:
    usual = _of_type(argument.name, argument.parsed_type)
    return st.integers(0, 79).flatmap(lambda chance: _WRONG if chance == 0 else usual)


def _of_type(name: str, kind: Union) -> st.SearchStrategy[str]:
    return st.one_of(*(_of_alternative(name, each) for each in kind.alternatives))


def _of_alternative(name: str, kind: Alternative) -> st.SearchStrategy[str]:
    if isinstance(kind, Literal):
        return st.just(f"'{kind.word}'")
    if isinstance(kind, TupleOf):
        return st.tuples(*(_of_type(name, each) for each in kind.items)).map(_list)
    if isinstance(kind, ListOf):
        many = st.lists(_of_type(name, kind.item), max_size=3)
        return st.one_of(many, many.map(lambda items: sorted(items, key=str))).map(_list)
    return _of_atom(name, kind)


def _of_atom(name: str, kind: Atom) -> st.SearchStrategy[str]:
    if kind.name == "int":
        usual = st.sampled_from(_FITTING[name]) if name in _FITTING else _INTEGERS
        odd = usual if name.endswith("layers") else _ODD
        return st.integers(0, 19).flatmap(lambda chance: odd if chance == 0 else usual).map(str)
    if kind.name == "float":
        return st.integers(0, 9).flatmap(lambda chance: _ODD_NUMBERS if chance == 0 else _NUMBERS.map(str))
    if kind.name == "bool":
        return st.booleans().map(json.dumps)
    if kind.name == "str":
        return st.sampled_from(_WORDS.get(name, ("zeros", "x")))
    if kind.name == "dtype":
        return st.sampled_from([*FLOATS, "complex64", "int64", "float8_e4m3fn", "null"])
    if kind.name == "module":
        return st.sampled_from((*_SMALL, *_LAYERS))
    if kind.name == "tensor":
        return tensors("Tensor")
    return st.just("null")


def tensors(kind: str) -> st.SearchStrategy[str]:
    """Draw a tensor that a spec writes down."""
    sizes = st.lists(st.sampled_from([1, 2, 3, 4, 0, 10, 2**40, 2**61]), max_size=3)
    filled = st.fixed_dictionaries(
        {"shape": sizes.map(str)},
        optional={
            "fill": st.sampled_from(
                ["zeros", "ones", "rand", "randn", "arange", "0.5", "7", "300", ".nan", "1e39"]
            ),
            "dtype": st.sampled_from([*FLOATS, "int64", "bool", "uint8", "complex64", "int4", "float8_e5m2"]),
            **_flags(kind),
        },
    )
    drawn = st.fixed_dictionaries(
        {"shape": sizes.map(str), "fill": st.just("randint"), "high": st.sampled_from(["3", str(2**64)])},
        optional={"dtype": st.sampled_from(["int32", "float32"]), **_flags(kind)},
    )
    literal = st.fixed_dictionaries(
        {
            "values": st.sampled_from(
                ["1", "[1, 2]", "[true, 1]", "[[1, 2.5]]", "[true]", "[]", "[.inf]", "[1e60]"]
            )
        },
        optional={"dtype": st.sampled_from([*FLOATS, "int8", "bool"]), **_flags(kind)},
    )
    mapping = st.one_of(filled, filled, drawn, literal).map(
        lambda given: "{" + ", ".join(f"{key}: {value}" for key, value in given.items()) + "}"
    )
    return st.one_of(sizes.map(str), mapping).map(lambda written: f"{{{kind}: {written}}}")


def _flags(kind: str) -> dict[str, st.SearchStrategy[str]]:
    flag = st.booleans().map(json.dumps)
    return {"persistent": flag} if kind == "Buffer" else {"requires_grad": flag}


def _list(items: Sequence[str]) -> str:
    return f"[{', '.join(items)}]"


_SHAPES = st.lists(st.integers(1, 3), max_size=2).map(str)


@st.composite
def networks(draw: st.DrawFn) -> str:
    """Draw the text of a spec: nested containers, recipes, anchors and aliases."""
    return _Network(draw).text()


class _Network:
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.anchors: list[list[tuple[str, str]]] = [[]]  # name and kind, for each recipe that is open
        self.count = 0
        self.defines: list[str] = []
        is_odd = draw(st.integers(0, 5)) == 0  # one oddity is enough for a spec to be refused
        self.names = (*NAMES, *TAKEN) if is_odd else NAMES
        self.is_odd = is_odd

    def text(self) -> str:
        lines = []
        if self.draw(st.integers(0, 2)) == 0:
            lines.append(f"dtype: {self.draw(st.sampled_from(FLOATS))}")
        recipes = []
        for name in ("Block", "Other")[: self.draw(st.integers(0, 2))]:
            recipes.append(f"  {name}: {self.recipe(2)}")
            self.defines.append(name)
        if recipes:
            lines += ["define:", *recipes]
        return "\n".join([*lines, f"model: {self.module(3)}", ""])

    def recipe(self, depth: int) -> str:
        self.anchors.append([])
        written = self.module(depth)
        self.anchors.pop()
        return written

    def module(self, depth: int) -> str:
        chance = self.draw(st.integers(0, 9))
        known = [name for name, kind in self.anchors[-1] if kind == "module"]
        if known and chance < 2:
            return f"*{self.draw(st.sampled_from(known))}"
        if self.defines and chance == 2:
            define: str = self.draw(st.sampled_from(self.defines))
            return define
        written = self.container(depth) if depth and chance < 8 else self.leaf()
        return self.anchored(written, "module")

    def leaf(self) -> str:
        if self.is_odd and self.draw(st.booleans()):
            return self.draw(calls())
        leaf: str = self.draw(st.sampled_from(_SMALL))
        return leaf

    def anchored(self, written: str, kind: str) -> str:
        if self.draw(st.integers(0, 4)):
            return written
        self.count += 1
        self.anchors[-1].append((f"x{self.count}", kind))
        return f"&x{self.count} {written if written.startswith('{') else f'{{{written}: }}'}"

    def container(self, depth: int) -> str:
        kind = self.draw(
            st.sampled_from(["list", "list", "dict", "Module", "Module", "Repeat", "Residual", "stack"])
        )
        if kind == "Repeat":
            return f"{{Repeat: {{times: {self.draw(st.integers(0, 3))}, module: {self.recipe(depth - 1)}}}}}"
        if kind == "Residual":
            return f"{{Residual: {self.module(depth - 1)}}}"
        if kind == "stack":
            layer = self.module(depth - 1)
            norm = self.draw(st.sampled_from(["", ", norm: {LayerNorm: 4}"]))
            times = self.draw(st.integers(0, 3))
            return f"{{TransformerDecoder: {{decoder_layer: {layer}, num_layers: {times}{norm}}}}}"
        if kind == "list":
            name = self.draw(st.sampled_from(["Sequential", "ModuleList"]))
            return (
                f"{{{name}: {_list([self.module(depth - 1) for _ in range(self.draw(st.integers(0, 3)))])}}}"
            )
        if kind == "dict":
            name = self.draw(st.sampled_from(["ModuleDict", "Sequential", "ParameterDict", "ParameterList"]))
            if name == "ParameterList":
                return f"{{{name}: {_list([self.tensor(('Parameter', 'Tensor')) for _ in range(3)])}}}"
            held = ("Parameter", "Tensor") if name == "ParameterDict" else ()
            return f"{{{name}: {self.members(depth, held, not held)}}}"
        return f"{{Module: {self.members(depth, ('Parameter', 'Buffer', 'Tensor'), True)}}}"

    def members(self, depth: int, kinds: tuple[str, ...], modules: bool) -> str:
        names = self.draw(st.lists(st.sampled_from(self.names), unique=True, max_size=4))
        members = []
        for name in names:
            tensor = kinds and (not modules or self.draw(st.booleans()))
            members.append(f"{json.dumps(name)}: {self.tensor(kinds) if tensor else self.module(depth - 1)}")
        return f"{{{', '.join(members)}}}"

    def tensor(self, kinds: tuple[str, ...]) -> str:
        known = [name for name, kind in self.anchors[-1] if kind in kinds]
        if known and self.draw(st.integers(0, 2)) == 0:
            alias: str = self.draw(st.sampled_from(known))
            return f"*{alias}"
        kind = self.draw(st.sampled_from(kinds))
        written = self.draw(tensors(kind)) if self.is_odd else f"{{{kind}: {self.draw(_SHAPES)}}}"
        return self.anchored(written, kind)
