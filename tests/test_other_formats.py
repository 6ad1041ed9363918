"""NumPy's files, GGUF, .pt2 and Stable-Baselines3: what their own libraries read is what we show."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from paramtool.elements.files import FileElements
from paramtool.errors import ParamtoolError
from tests.checkpoint_values import assert_holds, nothing_run, opened
from tests.conftest import Run
from tests.gguf_file import ARRAY, STRING, gguf, text

# NumPy

ARRAYS: dict[str, Any] = {
    "w": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)),
    "scalar": np.array(7),
    "empty": np.zeros((0, 3), np.float16),
    "bool": np.array([True, False]),
    "c64": np.ones(2, np.complex64),
    "c128": np.ones((1, 2), np.complex128) * 1j,
    "u16": np.arange(5, dtype=np.uint16),
    "deep/name": np.arange(3, dtype=np.float32)[::-1],
}


def test_arrays_are_what_numpy_reads(tmp_path: Path) -> None:
    """Every dtype that torch has too, in either order of memory."""
    np.savez(tmp_path / "a.npz", **ARRAYS)
    with nothing_run():
        found = opened(tmp_path / "a.npz")
    assert_holds(found, {name: torch.from_numpy(each.copy()) for name, each in ARRAYS.items()})
    assert found.format == "NumPy archive"


@pytest.mark.parametrize(
    ("array", "dtype", "missing"),
    [
        (np.array([{}], dtype=object), "object", "pickled objects, which are not read"),
        (np.array(["ab"]), "<U2", "of a dtype that torch does not have"),
        (np.arange(3, dtype=">f4"), "float32", "in big-endian order"),
        (np.zeros(2, dtype=[("a", "f4"), ("'shape': (9,)", "i4")]), "structured", "of a structured dtype"),
        (np.array("2020", dtype="M8[s]"), "<M8[s]", "of a dtype that torch does not have"),
        (np.zeros(2, np.longdouble), "<f16", "of a dtype that torch does not have"),
    ],
)
def test_arrays_without_values_are_listed(
    array: Any, dtype: str, missing: str, run: Run, tmp_path: Path
) -> None:
    """Objects are not unpickled; what torch does not have is shown, and has no statistics."""
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    checkpoint = opened(tmp_path / "x.npy")
    (found,) = checkpoint.tensors
    assert (found.name, found.dtype, found.shape, found.missing) == ("x", dtype, array.shape, missing)
    assert checkpoint.notes == (f"without values: x ({missing})",)
    assert run("inspect", str(tmp_path / "x.npy"), "--stats").status == 0
    with pytest.raises(ParamtoolError, match="cannot read the values of 'x'"):
        next(FileElements(checkpoint).blocks("x"))


def test_compressed_arrays_are_listed(tmp_path: Path) -> None:
    """Their headers are inflated, and a bomb is not."""
    np.savez_compressed(tmp_path / "a.npz", w=np.zeros((300, 1000)))
    (found,) = opened(tmp_path / "a.npz").tensors
    assert (found.shape, found.nbytes, found.missing) == ((300, 1000), 2_400_000, "compressed in its archive")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("w.npy", b"\x93NUMPY\x02\0" + struct.pack("<I", 1 << 30) + b" " * (1 << 24))
    with pytest.raises(ParamtoolError, match="its header is cut off or too long"):
        opened(tmp_path / "b.npz")


HEADERS = {
    "code": "{'descr': __import__('os').system('id'), 'fortran_order': False, 'shape': (1,), }",
    "deep": "{'descr': " + "(" * 30_000,
    "huge": "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 2), }",
    "long number": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5000 + ",), }",
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
    "too short": "{'descr': '<f4', 'fortran_order': False, 'shape': (1000,), }",
    "no shape": "{'descr': '<f4', 'fortran_order': False}",
    "rank": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 65 + "), }",
    "long dtype": "{'descr': '<f" + "9" * 5000 + "', 'fortran_order': False, 'shape': (1,), }",
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_are_parsed_and_not_evaluated(case: str, tmp_path: Path) -> None:
    """NumPy evaluates the header as a literal of Python; here it is matched."""
    header = HEADERS[case].encode()
    path = tmp_path / "x.npy"
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + b"\0" * 8)
    with nothing_run(), pytest.raises(ParamtoolError, match="is not a valid NumPy array: "):
        opened(path)


def test_headers_of_other_writers(tmp_path: Path) -> None:
    """Keys in any order and version 3 are read as NumPy reads them."""
    path = tmp_path / "x.npy"
    header = b"{'shape': (2,), 'descr': '<f4', 'fortran_order': False}\n"
    path.write_bytes(b"\x93NUMPY\x03\0" + struct.pack("<I", len(header)) + header + struct.pack("<2f", 1, 2))
    assert np.load(path).tolist() == [1, 2]
    assert_holds(opened(path), {"x": torch.tensor([1.0, 2.0])})


# GGUF


def raw(tensor: Tensor, order: str = "<") -> bytes:
    """Return the bytes of a tensor in an order."""
    content = tensor.contiguous().view(torch.uint8).numpy()
    size = tensor.element_size()
    return content.tobytes() if order == "<" else content.reshape(-1, size)[:, ::-1].tobytes()


@pytest.mark.parametrize("version", [2, 3])
def test_gguf_lists_tensors_in_torchs_order(version: int, tmp_path: Path) -> None:
    """The first size of the file is the fastest; plain types have values, quantized ones a size."""
    plain = {
        "f32": (0, torch.arange(6.0).reshape(2, 3)), "f16": (1, torch.ones(4).half()),
        "i8": (24, torch.tensor([-1], dtype=torch.int8)),
        "i16": (25, torch.tensor([[1, 2]], dtype=torch.int16)),
        "i32": (26, torch.tensor([3], dtype=torch.int32)), "i64": (27, torch.tensor([[4]])),
        "f64": (28, torch.tensor([0.5], dtype=torch.float64)), "bf16": (30, torch.ones(2, 2).bfloat16()),
    }  # fmt: skip
    tensors = [(name, tuple(each.shape)[::-1], kind, raw(each)) for name, (kind, each) in plain.items()]
    tensors.append(("q", (64, 3), 2, b"\0" * 108))
    metadata = {
        "general.architecture": (STRING, text("llama", "<")),
        "llama.block_count": (4, struct.pack("<I", 32)),
        "llama.eps": (6, struct.pack("<f", 0.5)),
        "general.alignment": (4, struct.pack("<I", 64)),
        "flag": (7, b"\1"),
        "tokens": (ARRAY, struct.pack("<IQ", STRING, 2) + text("a", "<") + text("b", "<")),
        "scores": (ARRAY, struct.pack("<IQ3f", 6, 3, 1, 2, 3)),
        "nested": (ARRAY, struct.pack("<IQIQ2B", ARRAY, 1, 0, 2, 1, 2)),
    }
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(tensors, metadata, version=version, alignment=64))
    found = opened(path)
    assert_holds(found, {name: each for name, (_, each) in plain.items()})
    last = found.tensors[-1]
    assert (last.name, last.dtype, last.shape, last.nbytes) == ("q", "Q4_0", (3, 64), 108)
    assert last.missing == "quantized as Q4_0, which is not dequantized"
    assert found.format == f"GGUF version {version}"
    assert found.metadata == {
        "general.architecture": "llama", "llama.block_count": "32", "llama.eps": "0.5",
        "general.alignment": "64", "flag": "true",
    }  # fmt: skip
    assert [(each.name, each.type) for each in found.contents] == [
        ("tokens", "array of 2 string"),
        ("scores", "array of 3 float32"),
        ("nested", "array of 1 array"),
    ]


@pytest.mark.parametrize("magic", [b"GGUF", b"FUGG"])
def test_big_endian_gguf_is_listed(magic: bytes, tmp_path: Path) -> None:
    """Both ways of marking it; values of one byte have no order."""
    path = tmp_path / "m.gguf"
    one, two = torch.tensor([1, 2], dtype=torch.int8), torch.ones(2)
    path.write_bytes(gguf([("a", (2,), 24, raw(one)), ("b", (2,), 0, raw(two, ">"))], order=">", magic=magic))
    found = opened(path)
    assert_holds(found, {"a": one})
    assert found.tensors[1].missing == "in big-endian order"
    assert found.format == "GGUF version 3, big-endian"


GGUF_WRONG: dict[str, tuple[bytes, str]] = {
    "version 1": (gguf([], version=1), "it is of version 1; 2 and 3 are read"),
    "cut": (gguf([("a", (4,), 0, b"\0" * 16)])[:-20], "reaches beyond its end; it was cut off"),
    "cut header": (gguf([("a", (4,), 0, b"")])[:40], "it was cut off"),
    "unknown type": (gguf([("a", (4,), 4, b"")]), "is of the unknown type 4"),
    "half a block": (gguf([("a", (33,), 2, b"")]), "its rows are not whole blocks"),
    "twice": (gguf([("a", (1,), 24, b"0"), ("a", (1,), 24, b"0")]), "two of its tensors have one name"),
    "many": (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "more than"),
    "long text": (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 60), "a text of"),
    "huge": (gguf([("a", (1 << 40, 1 << 40), 0, b"")]), "no memory holds the shape"),
    "alignment": (gguf([], {"general.alignment": (4, struct.pack("<I", 0))}), "its alignment is 0"),
    "alignment of text": (
        gguf([], {"general.alignment": (STRING, text("x", "<"))}),
        "is not a valid GGUF file",
    ),
    "deep": (
        gguf([], {"a": (ARRAY, struct.pack("<IQ", ARRAY, 1) * 9 + struct.pack("<IQ", 0, 0))}),
        "an array of the unknown type 9",
    ),
    "array without end": (
        gguf([], {"a": (ARRAY, struct.pack("<IQ", 8, 1 << 50))}),
        "more than 2,097,152 texts",
    ),
    "dimensions": (b"GGUF" + struct.pack("<IQQQBI", 3, 1, 0, 1, 97, 9), "has 9 dimensions"),
}


@pytest.mark.parametrize("case", GGUF_WRONG)
def test_wrong_gguf_is_refused_in_a_line(case: str, run: Run, tmp_path: Path) -> None:
    """Whatever the header claims."""
    content, message = GGUF_WRONG[case]
    (tmp_path / "m.gguf").write_bytes(content)
    result = run("inspect", str(tmp_path / "m.gguf"))
    assert (result.status, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr


# torch.export


class Exported(nn.Module):
    """A module with ties, buffers of both kinds, a constant, a view and several dtypes."""

    short: Tensor
    scratch: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.tied = self.layer.weight
        self.norm = nn.BatchNorm1d(3)
        self.frozen = nn.Parameter(torch.ones(3, 2).t(), requires_grad=False)
        self.register_buffer("short", torch.ones(2).half())
        self.register_buffer("scratch", torch.ones(2, dtype=torch.int32), persistent=False)
        self.constant = torch.tensor([1.0, 2.0])

    def forward(self, x: Tensor) -> Tensor:
        """Use everything."""
        extra = self.short.sum() + self.scratch.sum() + self.constant.sum() + self.frozen.sum()
        found: Tensor = self.norm(self.layer(x)) * self.tied.sum() + extra
        return found


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, Path]:
    """Return a module, and the file that torch.export wrote."""
    module = Exported().eval()
    path = tmp_path_factory.mktemp("pt2") / "m.pt2"
    torch.export.save(torch.export.export(module, (torch.ones(2, 4),)), path)
    return module, path


@pytest.mark.filterwarnings("ignore")
def test_an_exported_program_has_its_state(exported: tuple[Exported, Path]) -> None:
    """Names, kinds, ties and values; equal to what torch.export.load has."""
    module, path = exported
    with nothing_run():
        found = opened(path)
    loaded = torch.export.load(path)
    buffers = dict(module.named_buffers())
    assert_holds(found, {**loaded.state_dict, "scratch": buffers["scratch"], "constant": module.constant})
    assert dict(found.tied) == {"layer.weight": "tied"} or dict(found.tied) == {"tied": "layer.weight"}
    kinds = {each.name: (each.kind, each.persistent, each.requires_grad) for each in found.tensors}
    assert kinds["frozen"] == ("parameter", None, False)
    assert kinds["norm.bias"] == ("parameter", None, True)
    assert kinds["short"] == ("buffer", True, False)
    assert kinds["scratch"] == ("buffer", False, False)
    assert kinds["constant"][0] == "stored"
    assert [each.name for each in found.contents] == ["models/model.json", "data/sample_inputs/model.pt"]


def test_an_exported_program_that_is_broken(
    exported: tuple[Exported, Path], run: Run, tmp_path: Path
) -> None:
    """A config with another shape, a member that is not there, JSON of any depth."""
    _, path = exported

    def said(change: Any, drop: str = "") -> str:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "x.pt2", "w") as new:
            for each in old.namelist():
                if not drop or not each.endswith(drop):
                    content = old.read(each)
                    new.writestr(each, change(content) if each.endswith("_weights_config.json") else content)
        result = run("inspect", str(tmp_path / "x.pt2"))
        assert (result.status, result.stdout, result.stderr.count("\n")) == (2, "", 1)
        return result.stderr

    assert "the archive does not have weight_0" in said(lambda content: content, "weights/weight_0")
    assert "reaches beyond its storage" in said(lambda text: text.replace(b'"as_int": 3', b'"as_int": 300'))
    assert "its shape is not one of numbers" in said(
        lambda text: text.replace(b'"as_int": 3', b'"as_int": -3')
    )
    assert "its shape is not one of numbers" in said(
        lambda text: text.replace(b'"as_int": 3', b'"as_expr": 3')
    )
    assert "nested too deeply" in said(lambda _: b'{"config":' + b"[" * 100_000)
    assert "is not a valid .pt2 archive" in said(lambda _: b'{"config": {"a": {}}}')
    assert "is not a mapping of names" in said(lambda _: b'{"config": [1]}')
    assert "comes twice in its JSON" in said(lambda _: b'{"config": {}, "config": {}}')
    assert "holds no exported program" in said(lambda content: content, "_weights_config.json")


def test_several_programs_are_shown_under_their_names(
    exported: tuple[Exported, Path], tmp_path: Path
) -> None:
    """A key chooses one of them."""
    _, path = exported
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "x.pt2", "w") as new:
        for each in old.namelist():
            new.writestr(each, old.read(each))
            if "/model" in each:
                new.writestr(each.replace("/model_", "/other_").replace("/model.", "/other."), old.read(each))
    names = set(opened(tmp_path / "x.pt2").by_name)
    assert {"model.norm.bias", "other.norm.bias", "other.scratch"} <= names
    assert "norm.bias" in opened(tmp_path / "x.pt2", "other").by_name
    with pytest.raises(ParamtoolError, match="has no program 'none'"):
        opened(tmp_path / "x.pt2", "none")


# Stable-Baselines3


def policy(path: Path, state: dict[str, Tensor], method: int = zipfile.ZIP_STORED) -> Path:
    """Write an archive in the form of Stable-Baselines3."""
    file = io.BytesIO()
    torch.save(state, file)
    moments = io.BytesIO()
    torch.save({"state": {0: {"exp_avg": torch.ones(2)}}}, moments)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("data", json.dumps({"policy_class": {":type:": "<class 'abc.ABCMeta'>"}}))
        archive.writestr("policy.pth", file.getvalue())
        archive.writestr("policy.optimizer.pth", moments.getvalue())
        archive.writestr("_stable_baselines3_version", "2.3.0")
    return path


def test_a_policy_is_opened_where_it_lies(run: Run, tmp_path: Path) -> None:
    """An archive inside of an archive: the policy is the model, the rest is contents."""
    state = {"net.0.weight": torch.arange(6.0).reshape(2, 3), "log_std": torch.zeros(2)}
    found = opened(policy(tmp_path / "ppo.zip", state))
    assert_holds(found, state)
    assert found.format == "Stable-Baselines3"
    assert [(each.name, each.value) for each in found.contents] == [
        ("data", None),
        ("policy.optimizer.pth", None),
        ("_stable_baselines3_version", "2.3.0"),
    ]
    moments = opened(tmp_path / "ppo.zip", "policy.optimizer").by_name
    assert any(name.endswith("exp_avg") for name in moments)
    assert run("inspect", str(tmp_path / "ppo.zip"), "--verify").status == 0


def test_a_compressed_policy_is_refused_with_what_to_do(run: Run, tmp_path: Path) -> None:
    """It is not inflated."""
    path = policy(tmp_path / "ppo.zip", {"w": torch.ones(2)}, zipfile.ZIP_DEFLATED)
    result = run("inspect", str(path))
    assert (result.status, result.stderr) == (
        2,
        f"error: cannot read {path}: policy.pth in it is compressed; unzip it, and name the file itself\n",
    )
