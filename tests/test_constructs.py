"""The constructs of the language: containers, recipes, anchors, tensors, ties and plugins."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paramtool.errors import ParamtoolError, Problems
from paramtool.language.catalog import shipped
from paramtool.language.document import Spec, read_spec
from paramtool.language.yaml_reader import read
from paramtool.network import construction
from paramtool.network.residual import Residual
from paramtool.place import Text

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def spec(text: str) -> Spec:
    return read_spec(Text("m.yaml", text), shipped())


def structure(text: str) -> nn.Module:
    return construction.structure(spec(text)).module


def values(text: str) -> nn.Module:
    return construction.values(spec(text), rng="torch").module


def refused(text: str, build: Callable[[Spec], construction.Network] = construction.structure) -> str:
    """Return what is said against the spec `text` when it is read or built."""
    with pytest.raises(Problems) as caught:
        build(spec(text))
    return str(caught.value)


def names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters(remove_duplicate=False)]


def shapes(module: nn.Module) -> list[tuple[str, list[int]]]:
    return [(name, list(each.shape)) for name, each in module.named_parameters(remove_duplicate=False)]


def classes(module: nn.Module) -> list[tuple[str, str]]:
    return [(name, type(each).__name__) for name, each in module.named_modules(remove_duplicate=False)]


def groups(module: nn.Module) -> list[list[str]]:
    """Return the names of every Parameter that has several."""
    found: dict[int, list[str]] = {}
    for name, each in module.named_parameters(remove_duplicate=False):
        found.setdefault(id(each), []).append(name)
    return [group for group in found.values() if len(group) > 1]


def tensor(given: str) -> torch.Tensor:
    """Return the member `x` of a Module that `given` writes."""
    found = getattr(values(f"model: {{Module: {{x: {given}}}}}"), "x", None)
    assert isinstance(found, torch.Tensor)
    return found


# containers


def test_a_sequential_is_a_list_or_a_mapping_of_names() -> None:
    """Children of a Sequential are numbered in a list and keep their names in a mapping."""
    listed = structure("model: {Sequential: [{Linear: [4, 3]}, ReLU, {Linear: [3, 1]}]}")
    named = structure("model: {Sequential: {fc: {Linear: [4, 3]}, act: ReLU, head: {Linear: [3, 1]}}}")
    assert type(listed) is type(named) is nn.Sequential
    assert names(listed) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert names(named) == ["fc.weight", "fc.bias", "head.weight", "head.bias"]


def test_module_lists_and_dicts_hold_modules_by_number_and_by_name() -> None:
    """ModuleList takes a list, ModuleDict a mapping, and each refuses the other."""
    assert classes(structure("model: {ModuleList: [Tanh, ReLU]}")) == [
        ("", "ModuleList"),
        ("0", "Tanh"),
        ("1", "ReLU"),
    ]
    assert classes(structure("model: {ModuleDict: {b: Tanh, a: ReLU}}")) == [
        ("", "ModuleDict"),
        ("b", "Tanh"),
        ("a", "ReLU"),
    ]
    assert "ModuleList takes a list, got a mapping" in refused("model: {ModuleList: {a: ReLU}}")
    assert "ModuleDict takes a mapping of names to nodes" in refused("model: {ModuleDict: [ReLU]}")


def test_parameter_lists_and_dicts_hold_parameters() -> None:
    """ParameterList and ParameterDict name their parameters as torch does, a dict's in sorted order."""
    assert shapes(structure("model: {ParameterList: [{Parameter: [2, 3]}, {Parameter: 4}]}")) == [
        ("0", [2, 3]),
        ("1", [4]),
    ]
    assert shapes(structure("model: {ParameterDict: {b: {Parameter: [2]}, a: {Parameter: []}}}")) == [
        ("a", []),
        ("b", [2]),
    ]
    assert "ParameterList holds tensors, not modules" in refused("model: {ParameterList: [ReLU]}")


def test_a_module_writes_down_the_names_of_any_model() -> None:
    """Module holds modules and tensors under any names and in their order, without a forward."""
    text = """
model:
  Module:
    wte: {Embedding: [10, 4]}
    h: {ModuleList: [{Module: {attn: {Linear: [4, 4]}}}]}
    scale: {Parameter: [4]}
    mask: {Buffer: [2, 2]}
"""
    module = structure(text)
    assert type(module) is nn.Module
    assert names(module) == ["scale", "wte.weight", "h.0.attn.weight", "h.0.attn.bias"]
    assert [name for name, _ in module.named_buffers()] == ["mask"]


@pytest.mark.parametrize("name", ["training", "forward", "_parameters"])
@pytest.mark.parametrize("member", ["ReLU", "{Parameter: [2]}", "{Buffer: [2]}", "{Tensor: [2]}"])
def test_names_that_torch_has_itself_are_refused(name: str, member: str) -> None:
    """No member takes the name of an attribute that every module has, a plain Tensor neither."""
    said = refused(f"model: {{Module: {{{name}: {member}}}}}")
    assert said.startswith(f"m.yaml:1:18: error: torch refuses the name '{name}' in Module")


def test_names_that_no_torch_module_may_have_are_refused_when_read() -> None:
    """A name with a dot in it, or without a character, is refused before anything is built."""
    assert refused("model: {Module: {a.b: ReLU, '': Tanh}}").splitlines() == [
        "m.yaml:1:18: error: torch refuses the name 'a.b'; it must not be empty or contain a dot",
        "m.yaml:1:29: error: torch refuses the name ''; it must not be empty or contain a dot",
    ]


# Repeat and Residual


def test_repeat_makes_independent_copies_in_a_sequential() -> None:
    """The copies of a Repeat have their own parameters with their own values."""
    module = values("model: {Repeat: {times: 3, module: {Linear: [2, 2]}}}")
    assert type(module) is nn.Sequential
    assert names(module) == ["0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"]
    assert groups(module) == []
    assert not torch.equal(module.get_parameter("0.weight"), module.get_parameter("1.weight"))


def test_an_anchor_in_a_repeat_is_one_module_in_each_copy() -> None:
    """What is anchored inside a Repeat is shared within a copy and not between copies."""
    module = structure("model: {Repeat: {times: 2, module: {Sequential: [&a {Linear: [2, 2]}, ReLU, *a]}}}")
    assert groups(module) == [
        ["0.0.weight", "0.2.weight"],
        ["0.0.bias", "0.2.bias"],
        ["1.0.weight", "1.2.weight"],
        ["1.0.bias", "1.2.bias"],
    ]


def test_an_anchor_of_an_outer_repeat_is_one_module_in_its_inner_one() -> None:
    """Copies of an inner Repeat share what the outer copy that they lie in has anchored."""
    inner = "{Repeat: {times: 2, module: {Residual: *a}}}"
    module = structure(f"model: {{Repeat: {{times: 2, module: {{Sequential: [&a {{PReLU: }}, {inner}]}}}}}}")
    assert groups(module) == [
        ["0.0.weight", "0.1.0.module.weight", "0.1.1.module.weight"],
        ["1.0.weight", "1.1.0.module.weight", "1.1.1.module.weight"],
    ]


def test_an_anchor_around_a_repeat_is_one_module_in_all_copies() -> None:
    """What is anchored outside of a Repeat is that one module in each of its copies."""
    module = structure("model: {Sequential: [&a PReLU, {Repeat: {times: 2, module: {Sequential: [*a]}}}]}")
    assert groups(module) == [["0.weight", "1.0.0.weight", "1.1.0.weight"]]


def test_an_alias_as_the_module_of_a_repeat_is_refused() -> None:
    """Repeat promises independent copies, and an alias is one module."""
    said = refused("model: {Sequential: [&a PReLU, {Repeat: {times: 2, module: *a}}]}")
    assert "Repeat makes independent copies, and an alias is one module" in said


def test_an_alias_of_an_anchor_within_a_recipe_is_refused_outside() -> None:
    """An alias outside of a recipe could name the module of any copy, so it names none."""
    copies = "{Repeat: {times: 2, module: {Sequential: [&a PReLU]}}}"
    assert "the anchor 'a' is inside a recipe" in refused(f"model: {{Sequential: [{copies}, *a]}}")
    assert "the anchor 'a' is inside a recipe" in refused(
        "define: {block: {Sequential: [&a PReLU]}}\nmodel: {Sequential: [block, *a]}"
    )


def test_repeat_takes_a_whole_number_of_times() -> None:
    """No times makes an empty Sequential; less, a fraction, a flag or nothing is refused."""
    assert classes(structure("model: {Repeat: {times: 0, module: ReLU}}")) == [("", "Sequential")]
    for times in ("-1", "1.5", "true", "two", "[2]", ""):
        said = refused(f"model: {{Repeat: {{times: {times}, module: ReLU}}}}")
        assert said.startswith("m.yaml:1:25: error: 'times' of Repeat must be an int of 0 or more, got ")
    assert "Repeat lacks 'module'" in refused("model: {Repeat: {times: 2}}")
    assert "Repeat lacks 'times' and 'module'" in refused("model: {Repeat: 2}")


def test_repeat_is_bounded_before_it_is_built() -> None:
    """A trillion modules are refused by their number, without building one."""
    said = refused("model: {Repeat: {times: 1000000, module: {Repeat: {times: 1000000, module: ReLU}}}}")
    assert "modules; at most 131,072" in said


def test_residual_adds_its_input_to_what_its_module_makes() -> None:
    """Residual computes x + f(x), and f is called `module`."""
    module = values("model: {Residual: {Linear: [3, 3]}}")
    x = torch.rand(2, 3)
    assert isinstance(module, Residual)
    assert names(module) == ["module.weight", "module.bias"]
    assert torch.equal(module(x), x + nn.functional.linear(x, *module.parameters()))
    assert "Residual lacks its module" in refused("model: {Residual: }")


# tensors


@pytest.mark.parametrize("kind", ["Parameter", "Buffer", "Tensor"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("[2, 3]", torch.zeros(2, 3)),
        ("3", torch.zeros(3)),
        ("[]", torch.zeros(())),
        ("[0, 3]", torch.zeros(0, 3)),
        ("{shape: [2, 3]}", torch.zeros(2, 3)),
        ("{shape: 2, fill: zeros}", torch.zeros(2)),
        ("{shape: 2, fill: ones}", torch.ones(2)),
        ("{shape: [2], fill: 1}", torch.ones(2)),
        ("{shape: [2], fill: -2.5e-1}", torch.full((2,), -0.25)),
        ("{shape: [2], fill: -.inf}", torch.full((2,), -torch.inf)),
        ("{shape: [2, 3], fill: arange}", torch.arange(6.0).reshape(2, 3)),
        ("{shape: [2], fill: 3, dtype: float64}", torch.full((2,), 3, dtype=torch.float64)),
        ("{values: [[1, 2.5], [-3, 1e-3]]}", torch.tensor([[1, 2.5], [-3, 1e-3]])),
        ("{values: 1.5}", torch.tensor(1.5)),
        ("{values: [1, 2], dtype: bfloat16}", torch.tensor([1, 2], dtype=torch.bfloat16)),
        ("{shape: [2], fill: ones, dtype: complex64}", torch.ones(2, dtype=torch.complex64)),
    ],
)
def test_tensors_are_filled_as_they_are_written(kind: str, given: str, expected: torch.Tensor) -> None:
    """A shape alone is of zeros; fills, values and dtypes are those that torch makes of them."""
    found = tensor(f"{{{kind}: {given}}}")
    assert torch.equal(found.detach(), expected)
    assert found.dtype == expected.dtype
    assert isinstance(found, nn.Parameter) == (kind == "Parameter")


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("fill: rand", lambda: torch.rand(4, 5)),
        ("fill: randn", lambda: torch.randn(4, 5)),
        ("fill: randn, dtype: float64", lambda: torch.randn(4, 5, dtype=torch.float64)),
        ("fill: randint, high: 7", lambda: torch.randint(7, (4, 5))),
        ("fill: randint, low: -3, high: -1", lambda: torch.randint(-3, -1, (4, 5))),
        ("fill: randint, high: 7, dtype: float32", lambda: torch.randint(7, (4, 5), dtype=torch.float32)),
    ],
)
def test_random_fills_are_torchs_own_after_the_seed(fill: str, expected: Callable[[], torch.Tensor]) -> None:
    """Random tensors are bit for bit what torch draws after manual_seed of the spec's seed."""
    found = tensor(f"{{Buffer: {{shape: [4, 5], {fill}}}}}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = expected()
    assert torch.equal(found, drawn)
    assert found.dtype == drawn.dtype


@pytest.mark.parametrize(
    ("given", "requires_grad"),
    [
        ("{Parameter: [2]}", True),
        ("{Parameter: {shape: [2], requires_grad: true}}", True),
        ("{Parameter: {shape: [2], requires_grad: false}}", False),
        ("{Parameter: {values: [1, 2], dtype: int64, requires_grad: false}}", False),
        ("{Tensor: [2]}", False),
        ("{Tensor: {shape: [2], requires_grad: true}}", True),
        ("{Buffer: [2]}", False),
    ],
)
def test_requires_grad_is_torchs_default_or_as_written(given: str, requires_grad: bool) -> None:
    """A Parameter requires a gradient and a Tensor none, unless the spec says otherwise."""
    assert tensor(given).requires_grad is requires_grad


def test_a_buffer_is_saved_unless_it_is_not_persistent() -> None:
    """`persistent: false` keeps a buffer out of the state that is saved, as in torch."""
    module = structure("model: {Module: {a: {Buffer: [2]}, b: {Buffer: {shape: [2], persistent: false}}}}")
    assert [name for name, _ in module.named_buffers()] == ["a", "b"]
    assert list(module.state_dict()) == ["a"]


def test_a_tensor_is_a_plain_attribute() -> None:
    """A Tensor is no parameter and no buffer, and is not saved."""
    module = values("model: {Module: {x: {Tensor: {shape: [20, 20], fill: rand, requires_grad: true}}}}")
    assert list(module.parameters()) == list(module.buffers()) == list(module.state_dict()) == []
    assert isinstance(vars(module)["x"], torch.Tensor)


@pytest.mark.parametrize("kind", ["Parameter", "Buffer", "Tensor"])
@pytest.mark.parametrize(
    "given",
    [
        "[2, 3]",
        "{values: [[1, 2.5, 3], [4, 5, 6]], dtype: float32}",
        *(f"{{shape: [2, 3], fill: {fill}}}" for fill in ("ones", "0.5", "rand", "randn", "arange")),
        "{shape: [2, 3], fill: randint, low: 1, high: 9, dtype: float32}",
    ],
)
def test_tensors_of_a_structure_are_on_the_meta_device(kind: str, given: str) -> None:
    """A structure has the shape and dtype of every tensor that is written, and none of its elements."""
    found = getattr(structure(f"model: {{Module: {{x: {{{kind}: {given}}}}}}}"), "x", None)
    assert isinstance(found, torch.Tensor)
    assert (found.is_meta, list(found.shape), found.dtype) == (True, [2, 3], torch.float32)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{Parameter: }", "Parameter lacks a shape"),
        ("Parameter", "Parameter lacks a shape"),
        ("{Parameter: {fill: ones}}", "Parameter lacks a shape"),
        ("{Parameter: [-1]}", "a shape must be a list of sizes, got -1"),
        ("{Parameter: [2.0]}", "a shape must be a list of sizes, got 2.0"),
        ("{Parameter: [true]}", "a shape must be a list of sizes, got true"),
        ("{Parameter: {shape: [2], fil: ones}}", "Parameter has no key 'fil'; did you mean 'fill'?"),
        ("{Parameter: {shape: [2], fill: rnad}}", "did you mean 'rand'?"),
        ("{Parameter: {shape: [2], persistent: true}}", "Parameter has no key 'persistent'"),
        ("{Buffer: {shape: [2], requires_grad: true}}", "Buffer has no key 'requires_grad'"),
        ("{Buffer: {shape: [2], persistent: no}}", "'persistent' must be true or false, got the string 'no'"),
        ("{Tensor: {shape: [2], dtype: float23}}", "did you mean 'float32'?"),
        ("{Tensor: {shape: [2], fill: randint}}", "randint needs 'high' above 'low'"),
        ("{Tensor: {shape: [2], fill: randint, low: 3, high: 3}}", "randint needs 'high' above 'low'"),
        ("{Tensor: {shape: [2], high: 3}}", "'high' requires 'fill: randint'"),
        ("{Tensor: {values: [[1, 2], [3]]}}", "the lists in 'values' differ in length"),
        ("{Tensor: {values: [a]}}", "'values' must hold numbers in lists, got the string 'a'"),
        ("{Tensor: {values: [1], shape: [1]}}", "'values' must stand alone"),
        ("{Tensor: {shape: [4294967296, 4294967296]}}", "a shape with more than 2^63 elements"),
        (
            "{Parameter: {shape: [2], dtype: int64}}",
            "torch refuses Parameter: Only Tensors of floating point",
        ),
    ],
)
def test_tensors_that_cannot_be_are_refused(given: str, said: str) -> None:
    """What is wrong with a tensor is said at its place."""
    error = refused(f"model: {{Module: {{x: {given}}}}}")
    assert error.startswith("m.yaml:1:")
    assert said in error


def test_a_tensor_where_a_module_goes_is_refused() -> None:
    """Sequential and ModuleList hold modules; a tensor goes into a Module, under its name."""
    said = "Parameter is a tensor, not a module; put it in a Module, as a named member"
    for text in ("model: {Sequential: [{Parameter: [2]}]}", "model: {Parameter: [2]}"):
        assert said in refused(text)


# define


def test_a_define_is_a_new_module_at_each_use() -> None:
    """A defined name is like a class: two uses share nothing."""
    module = values("define: {fc: {Linear: [2, 2]}}\nmodel: {Sequential: [fc, {fc: }]}")
    assert names(module) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert groups(module) == []
    assert not torch.equal(module.get_parameter("0.weight"), module.get_parameter("1.weight"))


def test_a_define_of_a_container_shows_its_name_as_the_class() -> None:
    """The class of a defined container or Residual is called as the define, one class for all uses."""
    module = structure(
        "define: {Block: {Residual: MLP}, MLP: {Sequential: [fc, ReLU]}, fc: {Linear: [2, 2]}}\n"
        "model: {Sequential: [Block, Block, fc]}"
    )
    assert classes(module)[1:6] == [
        ("0", "Block"),
        ("0.module", "MLP"),
        ("0.module.0", "Linear"),
        ("0.module.1", "ReLU"),
        ("1", "Block"),
    ]
    assert isinstance(module, nn.Sequential)
    assert type(module[0]) is type(module[1])
    assert isinstance(module[0], Residual)
    assert type(module[2]) is nn.Linear


def test_an_anchor_in_a_define_is_one_module_in_each_use() -> None:
    """What is anchored inside a define is shared within a use and not between uses."""
    module = structure("define: {two: {Sequential: [&a PReLU, *a]}}\nmodel: {Sequential: [two, two]}")
    assert groups(module) == [["0.0.weight", "0.1.weight"], ["1.0.weight", "1.1.weight"]]


def test_a_define_that_uses_itself_is_refused() -> None:
    """A recipe within itself would never end, directly or through others."""
    assert refused("define: {b: {Sequential: [b]}}\nmodel: b") == (
        "m.yaml:1:27: error: the define 'b' uses itself (b → b)"
    )
    assert "(b → c → b)" in refused("define: {b: {Sequential: [c]}, c: {Residual: b}}\nmodel: b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("define: {Linear: ReLU}\nmodel: Tanh", "'Linear' is already a name in torch.nn or the language"),
        ("define: {Repeat: ReLU}\nmodel: Tanh", "'Repeat' is already a name in torch.nn or the language"),
        ("define: {b: ReLU}\nmodel: {b: [1]}", "'b' is a define and takes no arguments"),
        ("define: {block: ReLU}\nmodel: blok", "unknown module 'blok'; did you mean 'block'?"),
        ("define: {b: Liner}\nmodel: ReLU", "unknown module 'Liner'; did you mean 'Linear'?"),
        ("define: {p: {Parameter: [2]}}\nmodel: ReLU", "Parameter is a tensor, not a module"),
        ("define: [b]\nmodel: ReLU", "'define' must be a mapping of names to modules, got a list"),
        (
            "define: {a: &x ReLU, b: *x}\nmodel: ReLU",
            "the define 'b' is a recipe, and an alias is one module",
        ),
    ],
)
def test_defines_that_cannot_be_are_refused(text: str, said: str) -> None:
    """What is wrong with a define is said even where nothing uses it."""
    assert said in refused(text)


@pytest.mark.parametrize("recipe", ["{{Residual: {}}}", "{{DataParallel: {{module: {}}}}}", "{}"])
def test_defines_nest_no_deeper_than_modules_may(recipe: str) -> None:
    """Thousands of defines, each within the next, are refused where they get too deep."""
    chain = "".join(f"  d{index}: {recipe.format(f'd{index + 1}')}\n" for index in range(2000))
    said = refused(f"define:\n{chain}  d2000: ReLU\nmodel: d0")
    assert "modules and defines nested deeper than 100 levels" in said.splitlines()[0]


# anchors


def test_an_anchor_and_its_aliases_are_one_module() -> None:
    """`[&a {Linear: [1, 1]}, *a]` is Sequential(linear, linear)."""
    module = structure("model: {Sequential: [&a {Linear: [1, 1]}, *a]}")
    assert isinstance(module, nn.Sequential)
    assert module[0] is module[1]
    assert groups(module) == [["0.weight", "1.weight"], ["0.bias", "1.bias"]]


def test_a_module_is_shared_across_containers_of_any_kind() -> None:
    """An alias reaches into lists, mappings, Residual and the arguments of other modules."""
    text = """
model:
  Module:
    a: &shared {Linear: [4, 4]}
    b: {ModuleList: [*shared, ReLU]}
    c: {ModuleDict: {d: {Residual: *shared}}}
    e: {DataParallel: {module: *shared}}
"""
    module = structure(text)
    owners = ["a", "b.0", "c.d.module", "e.module"]
    assert groups(module) == [[f"{owner}.{name}" for owner in owners] for name in ("weight", "bias")]


def test_an_anchored_bare_name_is_one_module_too() -> None:
    """`[&a PReLU, *a]` is one PReLU, and two plain `PReLU` are two."""
    assert groups(structure("model: {Sequential: [&a PReLU, *a]}")) == [["0.weight", "1.weight"]]
    assert groups(structure("model: {Sequential: [PReLU, PReLU]}")) == []


def test_anchored_arguments_are_only_text() -> None:
    """An anchor on arguments repeats what is written; the modules that take them are their own."""
    module = structure("model: {Sequential: [{Linear: &size [3, 3]}, {Linear: *size}]}")
    assert shapes(module) == [("0.weight", [3, 3]), ("0.bias", [3]), ("1.weight", [3, 3]), ("1.bias", [3])]
    assert groups(module) == []


def test_an_anchored_parameter_under_two_names_is_one_parameter() -> None:
    """A Parameter with an anchor is one object wherever its aliases stand."""
    module = structure(
        "model: {Module: {a: &p {Parameter: [2]}, b: *p, l: {ParameterList: [*p]},"
        " d: {ParameterDict: {x: *p}}}}"
    )
    assert groups(module) == [["a", "b", "l.0", "d.x"]]


def test_an_anchored_buffer_under_two_names_is_one_tensor() -> None:
    """A Buffer with an anchor is one tensor, and a buffer under each name."""
    module = structure("model: {Module: {a: &b {Buffer: [2]}, c: {Module: {d: *b}}}}")
    buffers = dict(module.named_buffers(remove_duplicate=False))
    assert list(buffers) == ["a", "c.d"]
    assert buffers["a"] is buffers["c.d"]


def test_an_alias_of_a_tensor_where_a_module_goes_is_refused() -> None:
    """An alias is held to what may stand in its place."""
    said = refused("model: {Module: {a: &p {Parameter: [2]}, b: {Sequential: [*p]}}}")
    assert "'*p' is a tensor, but a module is expected here" in said


# tie


def linears(ties: str, sizes: str = "[2, 2]", count: int = 4) -> str:
    return f"model: {{Sequential: [{', '.join([f'{{Linear: {sizes}}}'] * count)}]}}\ntie: {ties}"


def test_tie_makes_two_names_one_parameter() -> None:
    """A tied name stands for the other's Parameter, with the other's values."""
    text = "model: {Module: {wte: {Embedding: [10, 4]}, lm_head: {Linear: [4, 10]}}}\n"
    module = values(text + "tie: {lm_head.weight: wte.weight}")
    assert groups(module) == [["wte.weight", "lm_head.weight"]]
    assert names(module) == ["wte.weight", "lm_head.weight", "lm_head.bias"]
    assert torch.equal(module.get_parameter("lm_head.weight"), values(text).get_parameter("wte.weight"))


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["3.weight: 2.weight", "2.weight: 1.weight", "1.weight: 0.weight"]))
)
def test_a_chain_of_ties_is_one_parameter_in_any_order(order: tuple[str, ...]) -> None:
    """Ties of ties end in one parameter, in whatever order they are written."""
    module = values(linears(f"{{{', '.join(order)}}}"))
    assert groups(module) == [["0.weight", "1.weight", "2.weight", "3.weight"]]
    untied = values(linears("{}"))
    assert torch.equal(module.get_parameter("3.weight"), untied.get_parameter("0.weight"))


def test_tied_weights_of_a_recurrent_layer_are_what_it_computes_with() -> None:
    """An LSTM computes with the parameter that it is tied to."""
    module = values("model: {LSTM: [2, 2]}\ntie: {bias_hh_l0: bias_ih_l0}")
    assert groups(module) == [["bias_ih_l0", "bias_hh_l0"]]
    module(torch.ones(1, 2))[0].sum().backward()
    alone = values("model: {LSTM: [2, 2]}")
    with torch.no_grad():
        alone.get_parameter("bias_hh_l0").copy_(alone.get_parameter("bias_ih_l0"))
    assert torch.equal(module(torch.ones(1, 2))[0], alone(torch.ones(1, 2))[0])
    alone(torch.ones(1, 2))[0].sum().backward()
    gradient, each = module.get_parameter("bias_ih_l0").grad, alone.get_parameter("bias_ih_l0").grad
    assert gradient is not None and each is not None
    assert torch.allclose(gradient, 2 * each)


@pytest.mark.parametrize(
    ("ties", "said"),
    [
        ("{0.weight: 0.weight}", "m.yaml:2:7: error: '0.weight' is tied in a circle"),
        (
            "{0.weight: 1.weight, 1.weight: 0.weight}",
            "m.yaml:2:27: error: '1.weight' is tied in a circle",
        ),
        ("{0.weight: 0.bias}", "cannot tie '0.weight' [2, 2] to '0.bias' [2]: different shapes"),
        ("{0.weight: 1.wieght}", "no parameter '1.wieght' to tie; did you mean '1.weight'?"),
        ("{0.wieght: 1.weight}", "no parameter '0.wieght' to tie; did you mean '0.weight'?"),
        ("{head.weight: 1.weight}", "m.yaml:2:7: error: no parameter 'head.weight' to tie"),
        ("{0: 1}", "no parameter '0' to tie"),
        ("{0.weight: }", "the name of a parameter must be a string, got nothing"),
        ("[0.weight, 1.weight]", "'tie' must be a mapping of names, got a list"),
    ],
)
def test_ties_that_cannot_be_are_refused(ties: str, said: str) -> None:
    """Circles, other shapes and names of nothing are refused at the tie."""
    assert said in refused(linears(ties))


def test_a_tie_across_dtypes_is_refused() -> None:
    """One parameter has one dtype."""
    text = "model: {Module: {a: {Parameter: [2]}, b: {Parameter: {shape: [2], dtype: float64}}}}\ntie: {a: b}"
    assert refused(text) == (
        "m.yaml:2:7: error: cannot tie 'a' torch.float32 to 'b' torch.float64: different dtypes"
    )


def test_a_tie_of_a_lazy_parameter_needs_an_input() -> None:
    """A lazy parameter has no shape to compare; with an input it is tied as any other."""
    text = "model: {Sequential: [{LazyLinear: 2}, {Linear: [2, 2]}]}\ntie: {1.weight: 0.weight}\n"
    assert "a lazy parameter has no shape to tie; give the spec an 'input'" in refused(text)
    assert groups(structure(text + "input: [3, 2]")) == [["0.weight", "1.weight"]]


# freeze, dtype, seed


def frozen(module: nn.Module) -> list[str]:
    return [name for name, each in module.named_parameters(remove_duplicate=False) if not each.requires_grad]


def test_freeze_takes_patterns() -> None:
    """Every parameter with a pattern in its name is frozen, and no other."""
    text = "model: {Sequential: {stem: {Linear: [2, 2]}, head: {Linear: [2, 2]}}}\nfreeze: "
    assert frozen(structure(text + "^stem")) == ["stem.weight", "stem.bias"]
    assert frozen(structure(text + "['bias$', 'd.w']")) == ["stem.bias", "head.weight", "head.bias"]
    assert frozen(structure(text + "[]")) == []


def test_freeze_finds_a_tied_parameter_by_any_of_its_names() -> None:
    """A pattern for one name of a tied parameter freezes it under all of them."""
    assert frozen(structure(linears("{1.weight: 0.weight}") + "\nfreeze: 1.weight")) == [
        "0.weight",
        "1.weight",
    ]
    assert frozen(structure("model: {Sequential: [&a PReLU, *a]}\nfreeze: ^1")) == ["0.weight", "1.weight"]


def test_freeze_reaches_lazy_parameters() -> None:
    """A parameter without a shape is frozen as well, and stays so when it has one."""
    assert frozen(structure("model: {LazyLinear: 3}\nfreeze: weight")) == ["weight"]
    assert frozen(structure("model: {LazyLinear: 3}\nfreeze: weight\ninput: [2, 4]")) == ["weight"]


def test_a_freeze_of_nothing_is_refused() -> None:
    """A pattern that finds no parameter, or is no pattern, is an error at its place."""
    assert refused("model: {Linear: [2, 2]}\nfreeze: [bias, wieght]") == (
        "m.yaml:2:16: error: 'wieght' matches no parameter to freeze"
    )
    assert "'(' is not a regular expression" in refused("model: {Linear: [2, 2]}\nfreeze: '('")


def test_dtype_is_that_of_all_that_names_no_other() -> None:
    """`dtype` is the default for modules and tensors; an explicit dtype and integers stay theirs."""
    text = """
dtype: bfloat16
model:
  Module:
    a: {Linear: [2, 2]}
    b: {Linear: {in_features: 2, out_features: 2, dtype: float64}}
    c: {Parameter: {shape: [2], fill: rand}}
    d: {Parameter: {shape: [2], fill: 0.5, dtype: float32}}
    e: {Buffer: {shape: [2], fill: randint, high: 3}}
    f: {Repeat: {times: 1, module: {LazyLinear: 3}}}
"""
    for build in (structure, values):
        module = build(text)
        tensors = (*module.named_parameters(), *module.named_buffers())
        assert [(name, str(each.dtype).removeprefix("torch.")) for name, each in tensors] == [
            ("c", "bfloat16"),
            ("d", "float32"),
            ("a.weight", "bfloat16"),
            ("a.bias", "bfloat16"),
            ("b.weight", "float64"),
            ("b.bias", "float64"),
            ("f.0.weight", "bfloat16"),
            ("f.0.bias", "bfloat16"),
            ("e", "int64"),
        ]
    assert torch.get_default_dtype() == torch.float32
    assert "'dtype' must be one of" in refused("model: ReLU\ndtype: int8")


def test_the_default_dtype_comes_back_after_a_spec_that_fails() -> None:
    """A refused spec leaves nothing of its dtype behind."""
    assert "torch refuses Conv2d" in refused("model: {Conv2d: [1, 2, 3, 1, 0, 1, 5]}\ndtype: float64")
    assert torch.get_default_dtype() == torch.float32


def test_seed_decides_the_values_and_leaves_the_generator_alone() -> None:
    """The same seed makes the same values, another seed others, 0 where none is given."""
    text = "model: {Linear: [4, 4]}"
    before = torch.get_rng_state()
    none, zero, one, again = (values(f"{text}{seed}") for seed in ("", "\nseed: 0", "\nseed: 1", "\nseed: 1"))
    weights = [each.get_parameter("weight") for each in (none, zero, one, again)]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[2], weights[3])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)
    assert "'seed' must be an int of 0 or more" in refused(f"{text}\nseed: -1")


# modules as arguments, and what torch says


def test_modules_are_arguments_of_modules() -> None:
    """A layer that is copied into an encoder is named as torch names it."""
    module = structure(
        "model: {TransformerEncoder: {encoder_layer: {TransformerEncoderLayer: [4, 2, 8]}, num_layers: 2,"
        " norm: {LayerNorm: 4}}}"
    )
    assert {name.split(".")[0] for name in names(module)} == {"layers", "norm"}
    assert "layers.1.self_attn.in_proj_weight" in names(module)


def test_an_activation_is_torchs_word_or_a_module() -> None:
    """`relu` is the function that torch knows by that name; `{GELU: …}` is a module in its place."""
    text = "model: {TransformerEncoderLayer: {d_model: 4, nhead: 2, dim_feedforward: 8, activation: %s}}"
    assert "activation" not in dict(structure(text % "gelu").named_children())
    module = dict(structure(text % "{GELU: {approximate: tanh}}").named_children())["activation"]
    assert repr(module) == "GELU(approximate='tanh')"


def test_an_alias_as_an_argument_is_that_module() -> None:
    """A distance that is anchored elsewhere is the same module in the loss."""
    module = structure(
        "model: {Module: {d: &d {PairwiseDistance: {p: 1}},"
        " loss: {TripletMarginWithDistanceLoss: {distance_function: *d}}}}"
    )
    assert module.get_submodule("d") is module.get_submodule("loss.distance_function")


def test_what_torch_refuses_is_told_at_its_node_and_all_of_it_in_one_run() -> None:
    """Every node that torch refuses is an error at its own place, with the accepted signature."""
    text = """
model:
  Sequential:
    - Conv2d: [3, 8, 3, 1, 0, 1, 2]
    - Linear: [4, 3]
    - {Dropout: 1.5}
"""
    first, second = refused(text).splitlines()
    assert first.startswith(
        "m.yaml:4:7: error: torch refuses Conv2d: in_channels must be divisible by groups; it is Conv2d("
    )
    assert second.startswith("m.yaml:6:8: error: torch refuses Dropout: dropout probability")


def test_what_torch_warns_of_is_a_note_at_its_node() -> None:
    """A warning while building is a note with the place of the module, and built all the same."""
    built = construction.structure(spec("model: {Sequential: [{Container: {a: ReLU}}]}"))
    assert classes(built.module)[1:] == [("0", "Container"), ("0.a", "ReLU")]
    (note,) = built.notes
    assert note.startswith("m.yaml:1:23: torch warns: `nn.Container` is deprecated")


def test_lazy_modules_are_settled_by_one_pass_over_the_input() -> None:
    """With an input every lazy module on its way has its shapes; the seed decides the values."""
    text = "model: {Sequential: [{LazyConv2d: [8, 3]}, Flatten, {LazyLinear: 2}]}\n"
    lazy = construction.structure(spec(text))
    assert lazy.notes == ("2 lazy modules have no shapes; give the spec an 'input' to settle them",)
    settled = values(text + "input: [1, 3, 8, 8]")
    assert classes(settled)[1:] == [("0", "Conv2d"), ("1", "Flatten"), ("2", "Linear")]
    assert shapes(settled) == [
        ("0.weight", [8, 3, 3, 3]),
        ("0.bias", [8]),
        ("2.weight", [2, 288]),
        ("2.bias", [2]),
    ]
    again = values(text + "input: [1, 3, 8, 8]")
    assert torch.equal(settled.get_parameter("2.weight"), again.get_parameter("2.weight"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: {Module: {a: {LazyLinear: 3}}}\ninput: [2, 4]", "Module [Module] is missing the required"),
        ("model: {Sequential: [{LazyLinear: 3}]}\ninput: [[2, 4], [2, 4]]", "takes 2 positional arguments"),
        ("model: {LazyConv1d: [3, 3]}\ninput: [2]", "Expected 2D (unbatched) or 3D (batched) input"),
    ],
)
def test_a_pass_that_cannot_settle_is_a_note(text: str, said: str) -> None:
    """Where the forward pass fails the model stays lazy, and a note says why."""
    (note,) = construction.values(spec(text)).notes
    assert note.startswith("the forward pass that would settle lazy modules failed: ")
    assert said in note


# plugins

Install: TypeAlias = "Callable[..., None]"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution: its modules' code by name, and the entry points that it offers."""

    def install(distribution: str, code: dict[str, str], **entry_points: str) -> None:
        folder = tmp_path / distribution
        info = folder / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[paramtool.modules]", *lines]))
        for name, text in code.items():
            (folder / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(folder)

    return install


GATE = """
import torch
from torch import nn

class Gate(nn.Module):
    def __init__(self, width, *, bias=True, inner=None, scale=None):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.inner = inner
        self.scale = scale
"""


def test_a_plugin_is_built_with_its_arguments(install: Install) -> None:
    """A module of an installed distribution is built by its name, on meta and with values."""
    install("gates", {"pt_gates": GATE}, Gate="pt_gates:Gate")
    for arguments in ("3", "[3]", "{width: 3}"):
        assert shapes(structure(f"model: {{Gate: {arguments}}}")) == [("weight", [3]), ("bias", [3])]
    module = structure(
        "model: {Gate: {width: 3, bias: false, inner: {Linear: [2, 1]}, scale: [1, [2.5, a]]}}"
    )
    assert shapes(module) == [("weight", [3]), ("inner.weight", [1, 2]), ("inner.bias", [1])]
    assert module.scale == (1, (2.5, "a"))
    assert all(each.is_meta for each in module.parameters())
    weight = values("model: {Gate: 3}").get_parameter("weight")
    assert torch.equal(weight.detach(), tensor("{Tensor: {shape: [3], fill: rand}}"))


def test_a_plugin_stands_wherever_a_module_does(install: Install) -> None:
    """Plugins are defined, repeated, anchored and given as arguments like torch's own modules."""
    install("gates", {"pt_gates": GATE}, Gate="pt_gates:Gate")
    module = structure(
        "define: {g: {Gate: {width: 2, inner: {Gate: {width: 1, bias: false}}, bias: false}}}\n"
        "model: {Sequential: [g, {Repeat: {times: 2, module: {Gate: 1}}}, &a {Gate: 1}, *a]}\nfreeze: inner"
    )
    assert names(module)[:3] == ["0.weight", "0.inner.weight", "1.0.weight"]
    assert groups(module) == [["2.weight", "3.weight"], ["2.bias", "3.bias"]]
    assert frozen(module) == ["0.inner.weight"]


def test_a_broken_plugin_hurts_only_who_names_it(install: Install) -> None:
    """A plugin that cannot be imported is an error at its node which names the distribution."""
    install("gates", {"pt_gates": GATE}, Gate="pt_gates:Gate")
    install("broken-gates", {"pt_broken": "1 / 0"}, Broken="pt_broken:Broken", Lost="pt_gates:Lost")
    assert names(structure("model: {Gate: 1}")) == ["weight", "bias"]
    assert refused("model: {Sequential: [ReLU, {Broken: 1}]}") == (
        "m.yaml:1:29: error: the plugin 'Broken' of broken-gates cannot be imported:"
        " ZeroDivisionError: division by zero"
    )
    assert "the plugin 'Lost' of broken-gates cannot be imported: AttributeError" in refused("model: Lost")


def test_reading_a_spec_imports_no_plugin(install: Install) -> None:
    """Reading imports nothing that a spec names, and building only what it names."""
    install("gates", {"pt_gates": GATE}, Gate="pt_gates:Gate")
    structure("model: {Linear: [2, 2]}")
    read_only = spec("model: {Gate: 3}")
    assert "pt_gates" not in sys.modules
    construction.structure(read_only)
    assert "pt_gates" in sys.modules


def test_a_plugin_that_makes_no_module_is_an_error_at_its_node(install: Install) -> None:
    """What a plugin makes is checked, and what it raises is told with its place."""
    code = (
        "def number():\n    return 3\n\ndef fails(width):\n    raise ValueError('too\\nwide')\n\nword = 'a'\n"
    )
    install("odd", {"pt_odd": code}, Number="pt_odd:number", Fails="pt_odd:fails", Word="pt_odd:word")
    said = refused("model: {Sequential: [Number, {Fails: 3}, Fails, Word]}").splitlines()
    assert said[0].startswith("m.yaml:1:22: error: ")
    assert "the plugin 'Number' made int, which is not a torch.nn.Module" in said[0]
    assert said[1].startswith("m.yaml:1:31: error: the plugin Fails fails: too")
    assert said[2].startswith("m.yaml:1:42: error: the plugin Fails fails: fails() missing 1 required")
    assert said[3] == "m.yaml:1:49: error: the plugin 'Word' of odd is not a class"


def test_two_distributions_with_one_name_are_an_error_naming_both(install: Install) -> None:
    """Which of two plugins is meant is not guessed."""
    install("gates", {"pt_gates": GATE}, Gate="pt_gates:Gate")
    install("other-gates", {"pt_other": GATE}, Gate="pt_other:Gate")
    assert refused("model: {Gate: 1}") == (
        "m.yaml:1:9: error: 'Gate' is offered by gates and other-gates; uninstall one of them"
    )
    assert names(structure("model: PReLU")) == ["weight"]


def test_an_unknown_module_may_be_a_plugin_misspelt(install: Install) -> None:
    """Suggestions know the names of plugins, and torch's own names are no plugin's."""
    install("gates", {"pt_gates": GATE}, Gater="pt_gates:Gate", Linear="pt_gates:Gate")
    assert "unknown module 'Gatr'; did you mean 'Gater'?" in refused("model: Gatr")
    assert type(structure("model: {Linear: [2, 2]}")) is nn.Linear


# properties

TOKENS = (
    *("model:", "define:", "tie:", "init:", " ", "\n", "\n  ", "\n- ", "- ", ": ", ", ", "? ", "|", ">", "#"),
    *(
        "{",
        "}",
        "[",
        "]",
        "'",
        '"',
        "\\",
        "&a ",
        "*a",
        "<<",
        "!!int ",
        "!x ",
        "%YAML 1.1\n",
        "---\n",
        "...\n",
    ),
    *(
        "Linear",
        "ReLU",
        "Sequential",
        "Repeat",
        "times",
        "module",
        "Parameter",
        "~",
        "1e-3",
        "010",
        "0x",
        "0o8",
    ),
    *("0b_", "2024-13-45", ".nan", "1e999", "9" * 25, "9" * 120, "\t", "@", "`", "é", "😀", "\x00", "\x85"),
    *("\u2028", "\ufeff", "\ud800", "\x1b["),
)
FRAGMENTS = st.lists(st.sampled_from(TOKENS), max_size=25).map("".join)
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


@given(st.one_of(FRAGMENTS, ANY_TEXT))
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Reading YAML raises nothing but this project's own error, whatever the text is."""
    with contextlib.suppress(ParamtoolError):
        read(Text("m.yaml", text))


@given(FRAGMENTS)
@settings(max_examples=300, deadline=None)
def test_any_model_is_built_or_refused(text: str) -> None:
    """Reading and building a spec raises nothing but this project's own error."""
    with contextlib.suppress(ParamtoolError):
        structure(f"model: {text}")


LEAVES: st.SearchStrategy[Json] = st.one_of(
    st.sampled_from(["ReLU", "PReLU"]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)).map(lambda sizes: {"Linear": list(sizes)}),
    st.integers(1, 3).map(lambda size: {"LayerNorm": size}),
)


def around(nodes: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    children = st.lists(nodes, max_size=3)
    named = st.dictionaries(st.sampled_from(["a", "b", "fc", "x y", "0"]), nodes, max_size=3)
    recipes = nodes.map(lambda each: {"Residual": each} if str(each).startswith("*") else each)
    copies = st.fixed_dictionaries({"times": st.integers(0, 3), "module": recipes})
    return st.one_of(
        children.map(lambda each: {"Sequential": each}),
        named.map(lambda each: {"Sequential": each}),
        children.map(lambda each: {"ModuleList": each}),
        named.map(lambda each: {"ModuleDict": each}),
        copies.map(lambda each: {"Repeat": each}),
        nodes.map(lambda each: {"Residual": each}),
    )


TREES = st.recursive(LEAVES, around, max_leaves=8)
SHARING_TREES = st.recursive(st.one_of(st.sampled_from(["*a", "*b"]), LEAVES), around, max_leaves=8)


def by_hand(node: Json, shared: dict[str, nn.Module] | None = None) -> nn.Module:
    """Build in plain Python what `node` writes; `shared` holds the modules that aliases name."""

    def build(child: Json) -> nn.Module:
        return by_hand(child, shared)

    match node:
        case {"Linear": [int(inputs), int(outputs)]}:
            return nn.Linear(inputs, outputs)
        case {"LayerNorm": int(size)}:
            return nn.LayerNorm(size)
        case {"Sequential": list(children)}:
            return nn.Sequential(*map(build, children))
        case {"Sequential": dict(children)}:
            return nn.Sequential(OrderedDict((name, build(child)) for name, child in children.items()))
        case {"ModuleList": list(children)}:
            return nn.ModuleList(map(build, children))
        case {"ModuleDict": dict(children)}:
            return nn.ModuleDict({name: build(child) for name, child in children.items()})
        case {"Repeat": {"times": int(times), "module": module}}:
            return nn.Sequential(*(build(module) for _ in range(times)))
        case {"Residual": module}:
            return Residual(build(module))
        case "*a" | "*b" if shared is not None:
            return shared[str(node)]
        case _:
            return nn.PReLU() if node == "PReLU" else nn.ReLU()


@given(TREES)
@settings(max_examples=150, deadline=None)
def test_nested_containers_have_the_names_of_plain_python(tree: Json) -> None:
    """Names, shapes and classes of any nesting are those of the same nesting in Python."""
    built, expected = structure(json.dumps({"model": tree})), by_hand(tree)
    assert shapes(built) == shapes(expected)
    assert classes(built) == classes(expected)


@given(TREES)
@settings(max_examples=50, deadline=None)
def test_nested_containers_have_the_values_of_plain_python(tree: Json) -> None:
    """Values of any nesting are those of the same nesting in Python after manual_seed."""
    built = values(json.dumps({"model": tree, "seed": 7}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = by_hand(tree)
    assert all(map(torch.equal, built.parameters(), expected.parameters()))


@given(TREES, st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_a_repeat_has_that_many_times_the_parameters(tree: Json, times: int) -> None:
    """`times: n` has n times the parameters of one, and no two of its copies share any."""
    one = list(structure(json.dumps({"model": tree})).parameters())
    copies = structure(json.dumps({"model": {"Repeat": {"times": times, "module": tree}}}))
    assert len(list(copies.parameters())) == times * len(one)
    assert sum(each.numel() for each in copies.parameters()) == times * sum(each.numel() for each in one)
    assert groups(copies) == []


@given(SHARING_TREES)
@settings(max_examples=150, deadline=None)
def test_aliases_anywhere_share_what_a_variable_would_share_in_python(tree: Json) -> None:
    """Aliases in any nesting, copies of a Repeat included, are one module under the names of Python."""
    aliases = json.dumps(tree).replace('"*a"', "*a").replace('"*b"', "*b")
    built = structure(f"model: {{Sequential: [&a PReLU, &b {{Linear: [2, 1]}}, {aliases}]}}")
    shared: dict[str, nn.Module] = {"*a": nn.PReLU(), "*b": nn.Linear(2, 1)}
    expected = nn.Sequential(*shared.values(), by_hand(tree, shared))
    assert shapes(built) == shapes(expected)
    assert groups(built) == groups(expected)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ("{shape: [3], fill: rand, dtype: int64}", "'rand' draws fractions, but int64 has none"),
        ("{shape: [3], fill: 0.5, dtype: int8}", "'fill' has fractions, but int8 has none"),
        ("{values: [[1, 2.5]], dtype: int64}", "'values' has fractions, but int64 has none"),
        ("{values: [.nan], dtype: bool}", "'values' has fractions, but bool has none"),
    ],
)
def test_fractions_in_an_integer_dtype_are_refused(tensor: str, message: str) -> None:
    """Torch would cut a fraction off without a word, so the spec does not get that far."""
    with pytest.raises(ParamtoolError, match=re.escape(message)):
        read_spec(Text("m.yaml", f"model: {{Module: {{b: {{Buffer: {tensor}}}}}}}"), shipped())


def test_whole_values_of_a_parameter_are_floating_point() -> None:
    """The values of a Parameter are of the default dtype, however they are written."""
    spec = read_spec(Text("m.yaml", "model: {Module: {w: {Parameter: {values: [1, 2]}}}}"), shipped())
    weight = construction.values(spec).module.get_parameter("w")
    assert weight.dtype == torch.float32
    assert weight.tolist() == [1.0, 2.0]


def test_a_thousand_layers_of_an_lstm_are_the_most() -> None:
    """Torch takes quadratic time for recurrent layers, so their number has a limit of its own."""
    text = "model: {LSTM: {input_size: 1, hidden_size: 1, num_layers: 1001}}"
    with pytest.raises(ParamtoolError, match="1,001 layers in one LSTM; at most 1,000"):
        read_spec(Text("m.yaml", text), shipped())
