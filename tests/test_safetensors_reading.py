"""What the safetensors package opens, we open, with the same names, shapes, dtypes and bytes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file

from paramtool.errors import ParamtoolError
from tests.checkpoint_values import opened
from tests.conftest import Run


def write(path: Path, header: str, data: bytes = b"") -> Path:
    """Write a file with that header."""
    content = header.encode()
    path.write_bytes(len(content).to_bytes(8, "little") + content + data)
    return path


def described(dtype: str = "F32", shape: str = "[2]", size: int = 8, more: str = "") -> str:
    """Return the header of one tensor."""
    return f'{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{size}]{more}}}}}'


HEADERS: dict[str, tuple[str, int]] = {
    "null metadata": ('{"__metadata__":null}', 0),
    "null metadata and a tensor": ('{"__metadata__": null ,' + described()[1:], 8),
    "no tensors": ("{}", 0),
    "another field": (described(more=',"x":{"a":[1,{"b":-1.5e3}]}'), 8),
    "another field twice": (described(more=',"x":1,"x":2'), 8),
    "a list": ('{"w":["F32",[2],[0,8]]}', 8),
    "a space before": (" \n" + described(), 8),
    "spaces after": (described() + " \n ", 8),
    "minus zero": (described(shape="[-0,2]", size=0), 0),
    "minus zero as an offset": (described(size=0, shape="[0]").replace("[0,0]", "[-0,0]"), 0),
    "a fraction": (described(shape="[2.0]"), 8),
    "an exponent": (described(shape="[2e0]"), 8),
    "a field twice": (described(more=',"shape":[2]'), 8),
    "a field lacks": ('{"w":{"dtype":"F32","shape":[2]}}', 8),
    "metadata of another kind": ('{"__metadata__":3}', 0),
    "a null in the metadata": ('{"__metadata__":{"a":null}}', 0),
    "zeros after": (described() + "\0", 8),
    "more data": (described(), 9),
    "F4": (described("F4", "[2,8]"), 8),
    "F4 of odd rows": (described("F4", "[2,3]", 3), 3),
    "F4 without elements": (described("F4", "[3,0]", 0), 0),
    "F4 scalar": (described("F4", "[]", 0), 0),
    "E8M0": (described("F8_E8M0", "[8]"), 8),
    "C64": (described("C64", "[1]"), 8),
    "a name with a zero": (described().replace('"w"', '"a\\u0000b"'), 8),
    "half a surrogate": (described().replace('"w"', '"\\ud800"'), 8),
    "a name with a line break": (described().replace('"w"', '"a\nb"'), 8),
    "NaN": (described(more=',"x":NaN'), 8),
    "nested 100 deep": (described(more=',"x":' + "[" * 100 + "]" * 100), 8),
}


@pytest.mark.parametrize("case", HEADERS)
def test_the_package_and_we_agree(case: str, tmp_path: Path) -> None:
    """Both open it and have the same, or both refuse."""
    header, size = HEADERS[case]
    path = write(tmp_path / "w.safetensors", header, bytes(range(size)))
    assert_agrees(path)


def assert_agrees(path: Path) -> bool:
    """Fail where the package opens what we refuse, or has something else; return whether it opens it."""
    try:
        expected = load_file(path)
    except Exception:
        return False
    found = opened(path)
    assert {each.name: (each.dtype, each.shape) for each in found.tensors} == {
        name: (str(each.dtype).removeprefix("torch."), tuple(each.shape)) for name, each in expected.items()
    }
    with path.open("rb") as file:
        for each in found.tensors:
            file.seek(each.position)
            raw = expected[each.name].reshape(-1).view(torch.uint8)
            assert file.read(each.nbytes) == bytes(raw.tolist())
    return True


REFUSED = {
    "a key twice": ('{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},' * 2)[:-1] + "}",
    "metadata twice": '{"__metadata__":{"a":"b","a":"c"}}',
    "nested 2,000 deep": '{"a":{"shape":' + "[" * 2000 + "]" * 2000 + "}}",
    "nested 90,000 deep": '{"a":{"shape":' + "[" * 90_000 + "}}",
    "nested 900 deep": '{"a":{"x":' + '{"y":' * 900 + "1" + "}" * 902,
    "a list of 2,000 lists": '{"a":' + "[" * 2000 + "]" * 2000 + "}",
    "deep metadata": '{"__metadata__":{"a":' + "[" * 2000 + "]" * 2000 + "}}",
    "minus zero": described(shape="[-0,2]", size=0),
    "65 dimensions": described(shape="[" + ",".join("1" * 65) + "]", size=4),
    "a long number": described(shape="[" + "1" * 3000 + "]"),
    "a number that Python does not parse": '{"w":' + "9" * 50_000 + "}",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_hostile_is_refused_in_a_line(case: str, run: Run, tmp_path: Path) -> None:
    """Keys that come twice and headers of any depth end with 2, and never with a traceback."""
    result = run("inspect", str(write(tmp_path / "w.safetensors", REFUSED[case], b"0000")))
    assert (result.status, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "is not a valid safetensors file: " in result.stderr


def test_six_bit_floats_are_listed_without_values(run: Run, tmp_path: Path) -> None:
    """torch has no such dtype; the file is shown, and says why it has no statistics."""
    header = (
        '{"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]},'
        '"b":{"dtype":"F6_E3M2","shape":[2,4],"data_offsets":[3,9]}}'
    )
    path = write(tmp_path / "w.safetensors", header, b"0" * 9)
    found = [(each.dtype, each.shape, each.nbytes, each.missing) for each in opened(path).tensors]
    assert found == [
        ("float6_e2m3", (4,), 3, "of the dtype F6_E2M3, which torch does not have"),
        ("float6_e3m2", (2, 4), 6, "of the dtype F6_E3M2, which torch does not have"),
    ]
    assert run("inspect", str(path), "--stats").status == 0
    assert opened(path).notes[0] == "without values: a (of the dtype F6_E2M3, which torch does not have)"
    for shape in ("[1]", "[3]"):
        with pytest.raises(ParamtoolError, match="bits, which are not whole bytes"):
            opened(write(tmp_path / "x.safetensors", described("F6_E2M3", shape, 1), b"0"))


def test_every_dtype_that_the_package_writes(tmp_path: Path) -> None:
    """torch's dtype and shape come back."""
    tensors = {}
    for name in dir(torch):
        dtype = getattr(torch, name)
        if isinstance(dtype, torch.dtype):
            try:
                tensor = torch.zeros(16, dtype=torch.uint8).view(dtype).reshape(2, -1)
                save_file({"w": tensor}, tmp_path / "x.safetensors")
                load_file(tmp_path / "x.safetensors")
            except Exception:
                continue
            tensors[str(dtype)] = tensor
    save_file(tensors, tmp_path / "w.safetensors")
    assert {"torch.float4_e2m1fn_x2", "torch.float8_e8m0fnu", "torch.float64"} <= tensors.keys()
    assert assert_agrees(tmp_path / "w.safetensors")


def changed(value: Any, dice: random.Random) -> Any:
    """Return a header's value with something else in one place."""
    odd = [0, -1, 1.0, None, True, "F32", "F4", [], {}, [2], [0, 8], {"a": 1}, 2**63, 2**64, "", 8, 16]
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(list(value))
        inner = {**value, key: changed(value[key], dice)}
        if dice.random() < 0.1:
            inner[dice.choice(["x", "shape", "__metadata__"])] = dice.choice(odd)
        if dice.random() < 0.05:
            del inner[key]
        return inner
    if isinstance(value, list) and value and dice.random() < 0.7:
        at = dice.randrange(len(value))
        return [*value[:at], changed(value[at], dice), *value[at + 1 :]]
    return dice.choice(odd)


@pytest.mark.parametrize("times", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_headers_with_something_else_in_a_place(times: int, tmp_path: Path) -> None:
    """Whatever the package opens we open alike; what only one of us opens is no tensor of torch's."""
    dice = random.Random(0)
    good = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F4", "shape": [2, 8], "data_offsets": [8, 16]},
        "c": {"dtype": "I8", "shape": [0, 3], "data_offsets": [16, 16]},
    }
    opens = 0
    for _ in range(times):
        header = json.dumps(changed(good, dice))
        path = write(tmp_path / "w.safetensors", header, bytes(16))
        try:
            opens += assert_agrees(path)
        except ParamtoolError as error:
            assert "no memory holds its shape" in str(error), header
    assert opens > times // 20
    assert safetensors.__version__
