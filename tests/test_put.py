"""``put``: one element, or one row, as ``weight[0, 0] = 42`` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from paramtool.errors import ParamtoolError, Problems
from paramtool.operations.initialization.rule_application import initialize
from paramtool.records.rule import Rule
from paramtool.tensors import streams
from tests.conftest import Run

SPEC = """\
model: {Sequential: [{Linear: [4, 3]}, ReLU, {Linear: [3, 1]}]}
init:
  - {pattern: 0.weight, constant: 1}
  - {pattern: 0.weight, put: {index: [0, 0], value: 42}}
"""
PUT = [[42.0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a spec, and blocks so small that tensors have several."""
    (tmp_path / "model.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    monkeypatch.setattr(streams, "BLOCK", 5)
    return tmp_path


def put(index: object, value: object = 42, pattern: str = ".") -> Rule:
    return Rule("put", {"index": index, "value": value}, pattern=pattern)


def holding(tensor: Tensor) -> nn.ParameterDict:
    return nn.ParameterDict({"w": nn.Parameter(tensor, requires_grad=tensor.is_floating_point())})


def row(run: Run, *options: str) -> dict[str, Any]:
    """Return the one row that `init` writes."""
    result = run("init", "model.yaml", "--json", *options)
    assert result.status == 0, result.stderr
    (found,) = json.loads(result.stdout)["rows"]
    return dict(found)


# what is set


def test_one_element_is_set_as_the_notebook_sets_it(run: Run) -> None:
    """In a spec, and typed in both forms, `weight[0, 0] = 42` changes this element alone."""
    assert row(run, "--values")["values"] == PUT
    for typed in (["--put", "0,0=42"], ["--put=[0,0]=42"], ["--with", "put:index=[0,0],value=42"]):
        found = row(run, "-p", "0.weight", "--ones", "-p", "0.weight", *typed, "--values")
        assert (found["rule"], found["values"]) == ("ones(), put(index=[0, 0], value=42)", PUT), typed


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_an_index_is_torchs(data: st.DataObject) -> None:
    """Any index that torch takes of integers sets what torch sets, in every layout and with either --rng."""
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    count = data.draw(st.integers(1, len(shape)))
    index = tuple(data.draw(st.integers(-size, size - 1)) for size in shape[:count])
    rng = data.draw(st.sampled_from(["streams", "torch"]))
    tensor = torch.randn(*shape)
    if data.draw(st.booleans()):
        tensor = tensor.mT.contiguous().mT if tensor.ndim > 1 else tensor.repeat_interleave(2)[::2]
    expected = tensor.clone()
    expected[index] = 42
    module = holding(tensor.clone(memory_format=torch.preserve_format))
    initialize(module, [put(index)], rng=rng)
    assert torch.equal(module["w"].detach(), expected)
    if count == 1:
        single = holding(tensor)
        initialize(single, [put(index[0])])
        assert torch.equal(single["w"].detach(), expected)


@pytest.mark.parametrize("rng", ["streams", "torch"])
@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float16, torch.bfloat16, torch.float8_e5m2, torch.complex64, torch.complex128],
    ids=str,
)
def test_every_other_element_keeps_its_bits(dtype: torch.dtype, rng: str) -> None:
    """The value is cast as torch casts it, and no other element goes through another precision."""
    tensor = torch.randn(3, 4, dtype=torch.float64).to(dtype)
    module = holding(tensor.clone())
    initialize(module, [put([1, -1], 1 / 3)], rng=rng)
    tensor[1, -1] = 1 / 3
    assert torch.equal(module["w"].detach().view(torch.uint8), tensor.view(torch.uint8))


def test_a_parametrized_weight_has_the_element_that_was_put() -> None:
    """The forward uses the value; what has other elements then cannot be represented, and is refused."""
    module = parametrizations.weight_norm(nn.Linear(4, 3))
    expected = module.weight.detach().clone()
    expected[2, 1] = 42
    initialize(module, [put([2, 1], pattern="weight")])
    torch.testing.assert_close(module.weight.detach(), expected)
    rigid = parametrizations.orthogonal(nn.Linear(3, 3))
    with pytest.raises(ParamtoolError, match="its parametrization Orthogonal cannot represent"):
        initialize(rigid, [put(0, pattern="weight")])


@pytest.mark.parametrize("whole", [False, True], ids=["blocks", "whole"])
def test_a_file_has_what_memory_has(run: Run, whole: bool) -> None:
    """-o fills block by block, or a tensor whole where a rule needs that, and both set the same elements."""
    first = "--orthogonal" if whole else "--mul=2"
    typed = f"-p 0.w {first} -p 0.w --put=-2=7 -p 0.w --put 2,3=42 -p 0.w --add 1"
    rules = typed.split()
    expected = torch.tensor(row(run, *rules, "--values")["values"])
    assert row(run, *rules, "-o", "w.safetensors")["max"] == expected.max()
    found = load_file("w.safetensors")["0.weight"]
    assert torch.equal(found, expected)
    assert found[1].tolist() == [8, 8, 8, 8]
    assert found[2, 3] == 43


def test_what_the_constructor_drew_is_left_in_a_file(run: Run, folder: Path) -> None:
    """Of a tensor that only `put` touches, all else is what a file without rules has."""
    (folder / "model.yaml").write_text("model: {Linear: [4, 3]}\n")
    row(run, "-p", "weight", "--put", "1,2=42", "-o", "w.safetensors")
    row(run, "-p", "bias", "--zeros", "-o", "plain.safetensors")
    expected = load_file("plain.safetensors")["weight"]
    expected[1, 2] = 42
    assert torch.equal(load_file("w.safetensors")["weight"], expected)


# the plan


def test_a_later_fill_shadows_it_and_it_shadows_none(run: Run) -> None:
    """The element that is set acts on what an earlier rule left, and is skipped where a fill follows."""
    found = row(run, "-n", "-p", "0.weight", "--normal", "1")
    assert found["skipped"] == "constant(val=1), put(index=[0, 0], value=42)"
    assert row(run, "-n")["skipped"] is None


def test_a_plan_expects_nothing_of_the_whole_tensor() -> None:
    """The moments of one element are not those of the tensor, even where it is the only rule."""
    (found,) = initialize(nn.Linear(2, 2, bias=False), [put(0)], dry_run=True).rows
    assert (found.expected_mean, found.expected_std) == (None, None)


def test_a_tensor_with_an_element_set_is_not_filled(run: Run) -> None:
    """`check --init complete` still asks for the other elements."""
    spec = "model: {Sequential: [{Linear: {in_features: 2, out_features: 2, bias: false}}]}\n"
    rule = "init: [{pattern: ., put: {index: 0, value: 1}}]\n"
    Path("model.yaml").write_text(spec + rule)
    assert run("check", "model.yaml", "--init", "complete").status == 1
    Path("model.yaml").write_text(spec + rule.replace("[{", "[{pattern: ., zeros: }, {"))
    assert run("check", "model.yaml", "--init", "complete").status == 0


def test_a_padding_row_is_pointed_out_where_it_is_set() -> None:
    """Another row, or a zero, leaves the padding as it is."""
    module = nn.Embedding(4, 3, padding_idx=1)
    for index, value, note in (
        (1, 42, "row 1 is padding_idx, filled as well"),
        ([1, 2], 42, "row 1 is padding_idx, filled as well"),
        (1, 0, None),
        (0, 42, None),
        (2, 42, None),
        ([0, 2], 42, None),
    ):
        assert initialize(module, [put(index, value)], dry_run=True).rows[0].note == note


@pytest.mark.parametrize("dry", [(), ("-n",)], ids=["act", "plan"])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("0,4=1", "put(index=[0, 4], value=1) cannot fill '0.weight': the index [0, 4] is outside"),
        ("-4=1", "the index [-4] is outside its shape [3, 4]"),
        ("0,0,0=1", "cannot fill '0.weight': the index [0, 0, 0] is longer than its shape [3, 4]"),
        ("[]=1", "the index is empty; 'constant' sets every element"),
        ("42", "--put takes INDEX=VALUE, got '42'"),
        ("=42", "'index' of put must be int | [int], got nothing"),
        ("0=", "'value' of put must be a float, got nothing"),
        ("0.5=1", "'index' of put must be int | [int], got 0.5"),
        ("0,a=1", "'index' of put must be int | [int], got a list"),
        ("[0,0=1", "not valid YAML: while parsing a flow sequence"),
        ("0,0]=1", "'0]' closes a list that was never opened"),
        ("0=1e39", "value cannot be converted to type float without overflow"),
    ],
)  # fmt: skip
def test_an_index_that_is_none_of_the_tensor_is_refused(
    run: Run, typed: str, said: str, dry: tuple[str, ...]
) -> None:
    """The plan names the tensor, its shape and the index, and nothing is written."""
    for more in ((), ("-o", "w.safetensors")):
        result = run("init", "model.yaml", "-p", "0.weight", "--put", typed, *dry, *more)
        assert (result.status, result.stdout) == (2, "")
        assert said in result.stderr
    assert not Path("w.safetensors").exists()


def test_nothing_is_touched_where_one_tensor_has_no_such_element() -> None:
    """A pattern that catches a smaller tensor as well is refused for all."""
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    before = {name: each.clone() for name, each in module.state_dict().items()}
    with pytest.raises(Problems, match=r"'1\.weight': the index \[2, 0\] is outside its shape \[1, 3\]"):
        initialize(module, [put([2, 0], pattern="weight")])
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())


@pytest.mark.parametrize(
    ("tensor", "index", "value", "said"),
    [
        (torch.tensor(1.0), 0, 1, r"the index \[0\] is longer than its shape \[\]"),
        (torch.ones(0, 2), 0, 1, r"the index \[0\] is outside its shape \[0, 2\]"),
        (torch.ones(2).half(), 0, 1e5, "the largest value of its dtype is 65504"),
        (torch.ones(2, dtype=torch.int8), 0, 1, "its dtype is int8, not floating point"),
        (torch.ones(2), 0.5, 1, "object"),
        (torch.ones(2), 0, "a", "invalid combination"),
    ],
)
def test_what_python_gives_is_refused_as_well(
    tensor: Tensor, index: object, value: object, said: str
) -> None:
    """A tensor that has no such element, or cannot hold the value, is left as it is."""
    with pytest.raises(ParamtoolError, match=said):
        initialize(holding(tensor), [put(index, value)])


def test_it_is_explained_as_one_types_it(run: Run) -> None:
    """The list in the example is in quotes, which a shell would take for a pattern of files."""
    text = run("initializers", "put").stdout
    assert "    --pattern weight --put INDEX=VALUE\n" in text
    assert "    --pattern weight --with 'put:index=[0,0],value=0.1'\n" in text
    assert "    - {pattern: weight, put: {index: [0,0], value: 0.1}}\n" in text
