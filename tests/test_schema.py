"""The JSON Schema that is printed says what the reader of specs says."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from paramtool import language as spec
from paramtool.errors import ParamtoolError
from paramtool.initializers.registry.table import BUILT_IN
from paramtool.language.catalog import FILE, shipped
from paramtool.language.classes import LISTS, NAMED
from paramtool.language.document import KEYS, read_spec
from paramtool.language.json_schema import json_schema
from paramtool.language.modules import CONSTRUCTS
from paramtool.language.nodes import Mapping, Node, Sequence
from paramtool.language.signature import Argument
from paramtool.language.yaml_reader import read
from paramtool.network import signatures
from paramtool.place import Text
from tests.conftest import CONFIGS, Run

SCHEMA_TEXT = files(spec).joinpath("schema.json").read_text("utf-8")
SCHEMA: dict[str, Any] = json.loads(SCHEMA_TEXT)

is_current_torch = pytest.mark.skipif(
    shipped().torch != version("torch").partition("+")[0],
    reason=f"the shipped catalogue is of torch {shipped().torch}",
)


@cache
def validator() -> Draft7Validator:
    return Draft7Validator(SCHEMA)


def reader_takes(document: object) -> bool:
    """Tell whether the reader takes the document; JSON is YAML."""
    try:
        read_spec(Text("m.yaml", json.dumps(document)), shipped())
    except ParamtoolError:
        return False
    return True


def test_the_command_prints_the_shipped_schema(run: Run) -> None:
    """`paramtool schema` prints the file in the package, and nothing else."""
    result = run("schema")
    assert (result.status, result.stdout, result.stderr) == (0, SCHEMA_TEXT, "")


def test_the_schema_is_a_schema() -> None:
    """It is a valid JSON Schema of draft 7, which editors know."""
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(SCHEMA)
    references = {value for key, value in _pairs(SCHEMA) if key == "$ref"}
    assert references == {reference for reference in references if reference.startswith("#/definitions/")}
    names = {reference.removeprefix("#/definitions/") for reference in references}
    assert names <= set(SCHEMA["definitions"])


def _pairs(value: object) -> list[tuple[str, Any]]:
    """Return every key with its value, however deep."""
    if isinstance(value, dict):
        return [*value.items(), *(pair for each in value.values() for pair in _pairs(each))]
    return [pair for each in value for pair in _pairs(each)] if isinstance(value, list) else []


@is_current_torch
def test_the_shipped_files_are_current() -> None:
    """Catalogue and schema are what ``make schema`` would write today."""
    found = signatures.catalog()
    assert files(spec).joinpath(FILE).read_text("utf-8") == found.to_json()
    assert json.dumps(json_schema(found), indent=1) + "\n" == SCHEMA_TEXT


def test_the_schema_has_every_name() -> None:
    """Every module class, construct, initializer and key of a spec is in it, and completes."""
    module = SCHEMA["definitions"]["module"]["properties"]
    assert set(shipped().modules) <= set(module)
    assert set(CONSTRUCTS) - {"Parameter", "Buffer", "Tensor"} <= set(module)
    assert set(module) | {"Parameter", "Buffer", "Tensor"} == set(
        SCHEMA["definitions"]["member"]["properties"]
    )
    rule = SCHEMA["properties"]["init"]["items"]["properties"]
    assert {*BUILT_IN, "pattern", "name", "module", "exclude", "type", "ndim"} == set(rule)
    assert list(SCHEMA["properties"]) == list(KEYS)


def test_every_class_has_its_arguments() -> None:
    """The definition of a class names its arguments, requires the right ones and shows its signature."""
    for name in sorted(set(shipped().modules) - {*LISTS, *NAMED}):
        signature = shipped().module(name)
        assert signature is not None
        definition = SCHEMA["definitions"][name]
        assert definition["description"] == str(signature)
        assert list(definition["properties"]) == [each.name for each in signature.arguments]
        assert definition.get("required", []) == [each.name for each in signature.arguments if each.required]
        assert definition["additionalProperties"] is False


@pytest.mark.parametrize("config", sorted(path.name for path in CONFIGS.glob("*.yaml")))
def test_every_config_validates(config: str) -> None:
    """The configs are valid, read as YAML 1.2, as editors read them: PyYAML takes 1e-5 for a string."""
    document = plain(read(Text(config, (CONFIGS / config).read_text("utf-8"))))
    assert [error.message for error in validator().iter_errors(document)] == []


def plain(node: Node) -> object:
    """Return what a YAML library makes of the node."""
    if isinstance(node, Mapping):
        return {key.raw: plain(value) for key, value in node.entries}
    return [plain(item) for item in node.items] if isinstance(node, Sequence) else node.value


LINEAR = {"Linear": [1, 1]}

TAKEN_MODELS: tuple[Any, ...] = (
    "ReLU",
    {"ReLU": None},
    {"ReLU": {}},
    {"ReLU": True},
    {"ReLU": {"inplace": True}},
    {"Linear": {"in_features": 4, "out_features": 3, "bias": False, "dtype": "float16"}},
    {"Linear": [4, 3]},
    {"Linear": [4, 3, True]},
    {"Conv2d": [1, 6, 5]},
    {"Conv2d": {"in_channels": 1, "out_channels": 6, "kernel_size": [5, 3], "padding": "same"}},
    {"LayerNorm": 4},
    {"Dropout": 0.5},
    {"Dropout": 0},
    {"PReLU": None},
    {"Sequential": [LINEAR, "ReLU"]},
    {"Sequential": {"first": LINEAR, "2": "ReLU"}},
    {"Sequential": None},
    "Sequential",
    {"Sequential": "ReLU"},
    {"ModuleList": [LINEAR]},
    {"ModuleDict": {"a": "ReLU"}},
    {"Module": {"a": {"Parameter": [1, 2]}, "b": {"Tensor": 3}, "c": LINEAR}},
    {"Module": {"a": {"Parameter": {"shape": [2], "fill": 0.5, "requires_grad": False}}}},
    {"Module": {"a": {"Parameter": {"values": [[1, 2], [3, 4]]}}}},
    {"Module": {"a": {"Buffer": {"shape": [1], "persistent": False, "dtype": "int64"}}}},
    {"ParameterList": [{"Parameter": [1]}]},
    {"ParameterDict": {"a": {"Tensor": [1]}}},
    {"Repeat": {"times": 2, "module": LINEAR}},
    {"Repeat": {"times": 0, "module": "ReLU"}},
    {"Residual": LINEAR},
    {"TransformerEncoder": {"encoder_layer": {"TransformerEncoderLayer": [4, 2]}, "num_layers": 2}},
    {"TransformerEncoder": [{"TransformerEncoderLayer": [4, 2]}, 2]},
)

REFUSED_MODELS: tuple[Any, ...] = (
    None,
    1,
    [],
    {},
    ["ReLU"],
    {"ReLU": None, "Tanh": None},
    {"Linear": {"in_features": 4}},
    {"Linear": [4]},
    {"Linear": 4},
    {"Linear": None},
    {"Linear": [4, 3, True, "float32"]},
    {"Linear": [4, "3"]},
    {"Linear": [4, 3.5]},
    {"Linear": {"in_features": 4, "out_features": 3, "biass": False}},
    {"Linear": {"in_features": 4, "out_features": 3, "bias": 0}},
    {"Linear": {"in_features": 4, "out_features": 3, "bias": "no"}},
    {"Linear": {"in_features": 4, "out_features": 3, "dtype": "float"}},
    {"Linear": {"in_features": 4, "out_features": 3, "device": "cpu"}},
    {"Conv2d": {"in_channels": 1, "out_channels": 6, "kernel_size": [5, 3, 1]}},
    {"Conv2d": {"in_channels": 1, "out_channels": 6, "kernel_size": 5, "padding": [1]}},
    {"ReLU": "yes"},
    {"Sequential": 1},
    {"Sequential": [None]},
    {"Sequential": [["ReLU"]]},
    {"Sequential": {"a.b": "ReLU"}},
    {"Sequential": {"": "ReLU"}},
    {"ModuleList": {"a": "ReLU"}},
    {"ModuleDict": ["ReLU"]},
    {"Module": ["ReLU"]},
    {"Module": {"a": 1}},
    {"Module": {"a": {"Parameter": None}}},
    {"Module": {"a": {"Parameter": [-1]}}},
    {"Module": {"a": {"Parameter": {"shape": [2], "fill": "zeroes"}}}},
    {"Module": {"a": {"Parameter": {"shape": [2], "persistent": True}}}},
    {"Module": {"a": {"Buffer": {"shape": [2], "requires_grad": True}}}},
    {"Repeat": {"times": -1, "module": "ReLU"}},
    {"Repeat": {"times": 1.5, "module": "ReLU"}},
    {"Repeat": {"times": True, "module": "ReLU"}},
    {"Repeat": {"times": 2}},
    {"Repeat": {"times": 2, "module": "ReLU", "name": "x"}},
    {"Repeat": [2, "ReLU"]},
    {"Residual": None},
    {"Residual": ["ReLU"]},
    {"TransformerEncoder": {"encoder_layer": 3, "num_layers": 2}},
)

TAKEN_KEYS: tuple[Any, ...] = (
    {"seed": 3},
    {"dtype": "bfloat16"},
    {"loss": "mean"},
    {"define": {"Block": LINEAR}},
    {"freeze": "weight"},
    {"freeze": ["weight", "bias"]},
    {"input": [2, 4]},
    {"input": [[2, 4], [2]]},
    {"input": {"shape": [2, 4], "fill": "rand", "dtype": "float64"}},
    {"input": {"shape": [2], "fill": "randint", "low": 1, "high": 3}},
    {"input": {"x": [2, 4], "y": {"shape": [1]}}},
    {"init": []},
    {"init": [{"pattern": "weight", "normal": {"std": 0.01}}, {"pattern": "bias", "constant": 0}]},
    {"init": [{"type": "Linear", "ndim": 2, "exclude": "x", "xavier_uniform": None}]},
    {"init": [{"normal": 0.01}, {"uniform": [0, 1]}, {"clamp": {"min": 0}}, {"add": 1}]},
    {"expect": {}},
    {"expect": {"parameters": 10, "bytes": "124M", "trainable": {"min": 1, "max": "2k"}}},
    {"expect": {"shared": [["a", "b"]], "finite": True, "init": "complete", "dtype": "float32"}},
)

REFUSED_KEYS: tuple[Any, ...] = (
    {"modle": "ReLU"},
    {"seed": -1},
    {"seed": 1.5},
    {"seed": True},
    {"seed": "0"},
    {"dtype": "int8"},
    {"dtype": "float"},
    {"loss": "max"},
    {"define": []},
    {"define": {"Block": None}},
    {"tie": []},
    {"tie": {"a": None}},
    {"freeze": {"weight": True}},
    {"freeze": True},
    {"input": "rand"},
    {"input": [-1]},
    {"input": [[2], "3"]},
    {"input": {"shape": [2], "fill": "zeroes"}},
    {"input": {"shape": [2], "requires_grad": True}},
    {"input": {"shape": [2], "dtype": "x"}},
    {"init": {}},
    {"init": ["zeros"]},
    {"init": [{"normal": {"sdt": 0.01}}]},
    {"init": [{"normal": {"std": "a"}}]},
    {"init": [{"constant": None}]},
    {"init": [{"ndim": "a", "zeros": None}]},
    {"expect": []},
    {"expect": {"parameter": 10}},
    {"expect": {"parameters": "10X"}},
    {"expect": {"parameters": 1.5}},
    {"expect": {"parameters": {"most": 1}}},
    {"expect": {"finite": 1}},
    {"expect": {"shared": ["a"]}},
    {"expect": {"init": "done"}},
)

TAKEN = [{"model": model} for model in TAKEN_MODELS] + [{"model": "ReLU", **keys} for keys in TAKEN_KEYS]
REFUSED = [
    *({"model": model} for model in REFUSED_MODELS),
    *({"model": "ReLU", **keys} for keys in REFUSED_KEYS),
    *({}, [], None, "ReLU", [{"model": "ReLU"}], {"seed": 1}),
]


@pytest.mark.parametrize("document", TAKEN, ids=json.dumps)
def test_a_right_spec_is_right_for_both(document: object) -> None:
    """What the reader takes, the schema takes."""
    assert reader_takes(document)
    assert [error.message for error in validator().iter_errors(document)] == []


@pytest.mark.parametrize("document", REFUSED, ids=json.dumps)
def test_a_wrong_spec_is_wrong_for_both(document: object) -> None:
    """What the reader refuses, the schema refuses."""
    assert not reader_takes(document)
    assert not validator().is_valid(document)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"in_features": 4, "out_features": "3"}, ["model", "Linear", "out_features"]),
        ([4, "3"], ["model", "Linear", 1]),
        ({"in_features": 4, "out": 3}, ["model", "Linear"]),
    ],
)
def test_an_editor_marks_the_argument(arguments: object, path: list[str | int]) -> None:
    """An error is at the argument that is wrong, not at the whole model."""
    errors = list(validator().iter_errors({"model": {"Linear": arguments}}))
    assert list(errors[0].absolute_path) == path


def is_plain(argument: Argument) -> bool:
    """Tell whether the argument takes neither a module nor a tensor nor just anything."""
    return not any(argument.parsed_type.allows(atom) for atom in ("module", "tensor", "any"))


PLAIN = sorted(
    name
    for name in set(shipped().modules) - {*LISTS, *NAMED}
    if (signature := shipped().module(name)) and all(map(is_plain, signature.arguments))
)
WORDS = ("zeros", "reflect", "mean", "tanh", "x", "1", "float16", "int8")
LISTED = ([1], [1, 2], [1, 2, 3], [0.5], [True], ["a"], [[1, 2], [3, 4]], [1, None])
VALUES = st.sampled_from((-1, 0, 1, 2, 0.5, 1e-3, True, False, None, *WORDS, *LISTED, {}, {"a": 1}))


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a class with arguments, some of which are wrong."""
    name = draw(st.sampled_from(PLAIN))
    signature = shipped().module(name)
    assert signature is not None
    if signature.positional and draw(st.integers(0, 2)) == 0:
        most = len(signature.positional) + 1
        return {name: draw(st.lists(VALUES, min_size=1, max_size=min(5, most)) | VALUES)}
    names = [each.name for each in signature.arguments if each.required or draw(st.integers(0, 3)) == 0]
    names += draw(st.sampled_from(([], [], [], ["zzz"])))
    return {name: {each: draw(VALUES) for each in names}}


@given(calls())
@settings(max_examples=200, deadline=None)
def test_reader_and_schema_agree(call: dict[str, Any]) -> None:
    """Over every class of torch, with right and wrong arguments, both say the same."""
    document = {"model": call}
    assert validator().is_valid(document) == reader_takes(document)
