"""Files of torch.save, torch.jit.save and pickle, of every age: read as data, and torch agrees."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import io
import pathlib
import pickle
import sys
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.files.reading.pickled_file import read_pickled
from paramtool.tensors.elements import StoredTensors
from tests.conftest import Run

LEGACY = {"_use_new_zipfile_serialization": False}
WAYS = [
    {**way, "pickle_protocol": protocol}
    for way in ({}, LEGACY)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a test saves."""
    return tmp_path / "weights.pt"


@pytest.fixture
def gone() -> Iterator[types.ModuleType]:
    """Give a module of Python that no test has when it reads."""
    module = types.ModuleType("gone_by_then")
    sys.modules[module.__name__] = module
    yield module
    sys.modules.pop(module.__name__, None)


def vanish(module: types.ModuleType) -> None:
    """Make the classes of a module unknown to Python."""
    del sys.modules[module.__name__]


def define(module: types.ModuleType, name: str, *bases: type, **members: Any) -> Any:
    """Return a new class of a module."""
    made = type(name, bases, {**members, "__module__": module.__name__})
    setattr(module, name, made)
    return made


def values(checkpoint: Checkpoint, name: str) -> Tensor:
    """Return the elements of a tensor, read block by block."""
    stored = checkpoint.by_name[name]
    blocks = [block.clone() for block in StoredTensors(checkpoint).blocks(stored.name)]
    dtype = getattr(torch, stored.dtype)
    return torch.cat(blocks).reshape(stored.shape) if blocks else torch.empty(stored.shape, dtype=dtype)


def assert_same(checkpoint: Checkpoint, expected: dict[str, Tensor]) -> None:
    """See that names, order, shapes, dtypes, ties and values are those of torch."""
    own = [*checkpoint.by_name]
    first: dict[int, str] = {}
    names = [name for name, tensor in expected.items() if first.setdefault(id(tensor), name) == name]
    assert own == [*names, *(name for name in expected if name not in names)]
    for name, tensor in expected.items():
        stored = checkpoint.by_name[name]
        assert (stored.shape, f"torch.{stored.dtype}") == (tuple(tensor.shape), str(tensor.dtype)), name
        assert checkpoint.tied.get(name, name) == first[id(tensor)]
        assert torch.equal(values(checkpoint, name), tensor), name


def every_tensor() -> dict[str, Tensor]:
    """Return tensors of many dtypes, views and a tie."""
    base = torch.arange(24.0).reshape(4, 6)
    found = {
        f"as.{dtype}": torch.arange(5).to(getattr(torch, dtype))
        for dtype in ("float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
                      "complex64", "complex128")
    }  # fmt: skip
    found |= {"base": base, "t": base.t(), "row": base[1], "steps": base[::2, 1::3], "none": base[:0]}
    return found | {"tied": base}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_any_format_and_protocol_is_what_torch_loads(way: dict[str, Any], path: Path) -> None:
    """Zip archives and files as before 1.6, in each protocol: names, shapes, dtypes, ties and values."""
    torch.save(every_tensor(), path, **way)
    found = read_pickled(path)
    assert_same(found, torch.load(path, weights_only=False))
    is_old = "_use_new_zipfile_serialization" in way
    assert found.format == ("torch.save before 1.6" if is_old else "torch.save")


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("way", [{}, LEGACY], ids=["zip", "legacy"])
def test_dtypes_without_a_storage_class_are_read(dtype: str, way: dict[str, Any], path: Path) -> None:
    """Their storages are bytes, and the dtype is an argument."""
    tensor = torch.arange(6, dtype=torch.uint8).repeat(8).view(getattr(torch, dtype))
    torch.save({"w": tensor, "part": tensor[2:5]}, path, **way)
    found = read_pickled(path)
    for name, expected in (("w", tensor), ("part", tensor[2:5])):
        assert torch.equal(values(found, name).view(torch.uint8), expected.contiguous().view(torch.uint8))


def test_the_numbers_of_an_old_file_are_those_of_torch(run: Run, path: Path) -> None:
    """Statistics of a file before 1.6 come from the bytes behind its pickles."""
    torch.save({"model": {"w": torch.arange(4.0)}, "epoch": 3}, path, **LEGACY)
    result = run("inspect", str(path), "--stats")
    assert (result.status, "1.5" in result.stdout) == (0, True)


def test_views_of_torch_before_0_4_are_read(path: Path) -> None:
    """A storage may be a view of another: its persistent id says where it begins."""
    torch.save({"w": torch.arange(6.0)}, path, **LEGACY)
    content = path.read_bytes()
    at = content.index(b"Ntq\x07Q")  # the end of a persistent id without a view
    view = b"X\x01\0\0\0vK\x02K\x04\x87"
    content = content[:at] + view + content[at + 1 :]
    path.write_bytes(content.replace(b"K\x06\x85", b"K\x04\x85", 1))  # the shape
    assert values(read_pickled(path), "w").tolist() == [2, 3, 4, 5]


def test_a_file_that_was_cut_off_is_told(path: Path) -> None:
    """The counts before the storages say how long the file is."""
    torch.save({"w": torch.ones(100)}, path, **LEGACY)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ParamtoolError, match="and the file ends sooner; it was cut off"):
        read_pickled(path)


# whole modules


class Block(nn.Module):
    """Has everything that a module may have."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.register_buffer("table", torch.arange(3.0), persistent=False)
        self.register_parameter("none", None)
        self.again = self.norm
        self.note = "text"

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layers make of `x`."""
        made: Tensor = self.second(self.first(self.norm(x))) * self.scale + self.table
        return made


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_a_whole_module_is_its_state_dict(way: dict[str, Any], path: Path, gone: types.ModuleType) -> None:
    """The names are torch's though the class is gone; kinds, persistence and classes stand there too."""
    kind = define(gone, "Net", Block, __init__=Block.__init__)
    module = nn.Sequential(kind(), nn.Linear(3, 2))
    norm = nn.BatchNorm1d(3)
    torch.save(module, path, **way)
    vanish(gone)
    found = read_pickled(path)
    hidden = [name for name, each in found.by_name.items() if each.persistent is False]
    assert hidden == ["0.table"]
    shown = dict(module.state_dict())
    kept = [each for each in found.tensors if each.persistent is not False]
    assert [each.name for each in kept] == [name for name in shown if name not in found.tied]
    assert found.tied == {
        "0.second.weight": "0.first.weight",
        **{f"0.again.{name}": f"0.norm.{name}" for name in norm.state_dict()},
    }
    for name, tensor in shown.items():
        assert torch.equal(values(found, name), tensor)
    kinds = {name: (each.kind, each.requires_grad, each.type) for name, each in found.by_name.items()}
    assert kinds["0.scale"] == ("parameter", False, "Net")
    assert kinds["0.norm.running_mean"] == ("buffer", None, "BatchNorm1d")
    assert found.modules == {
        name: type(each).__name__ for name, each in module.named_modules(remove_duplicate=False)
    }


def test_modules_in_a_dict_are_chosen_like_state_dicts(path: Path) -> None:
    """As YOLO saves them: a module, its average or None, and numbers."""
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    torch.save({"epoch": 7, "model": module, "ema": None, "optimizer": optimizer}, path)
    found = read_pickled(path)
    assert [*found.by_name] == [*module.state_dict()]
    assert found.modules == {"": "Sequential", "0": "Linear", "1": "BatchNorm1d"}
    parts = {part.name: (part.type, part.value) for part in found.contents}
    assert parts["epoch"] == ("int", "7")
    assert parts["ema"] == ("None", "None")
    assert parts["optimizer"][0] == "torch.optim.sgd.SGD"
    torch.save({"enc": module, "dec": nn.Linear(1, 1)}, path)
    found = read_pickled(path)
    assert [*found.by_name] == [*(f"enc.{name}" for name in module.state_dict()), "dec.weight", "dec.bias"]
    assert found.modules["enc.1"] == "BatchNorm1d"


class Script(nn.Module):
    """What TorchScript compiles."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        self.other = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.ones(2))
        self.register_buffer("offset", torch.arange(2.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layers make of `x`."""
        made: Tensor = (self.layers(x) + self.other(x)) * self.scale + self.offset
        return made


@pytest.mark.parametrize("way", ["script", "trace"])
@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_its_state_dict(way: str, run: Run, path: Path) -> None:
    """Names, kinds and values are those that torch.jit.load gives, and the code is not run."""
    module = Script().eval()
    jit: Any = torch.jit
    made = jit.script(module) if way == "script" else jit.trace(module, torch.ones(2, 3))
    torch.jit.save(made, path)
    found = read_pickled(path)
    loaded = jit.load(path)
    assert_same(found, dict(loaded.state_dict()))
    parameters = {name for name, _ in loaded.named_parameters()}
    assert {each.name for each in found.tensors if each.kind == "parameter"} == parameters
    assert {each.kind for each in found.tensors} == {"parameter", "buffer"}
    assert found.format == "TorchScript"
    assert run("inspect", str(path), "--stats").status == 0


# what is no tensor


class Color(enum.Enum):
    """A key."""

    red = "r"


def opaque(gone: types.ModuleType) -> dict[str, Any]:
    """Return what training scripts put beside a state_dict."""
    config = define(gone, "Config", dict)(lr=0.1)
    return {
        "args": argparse.Namespace(lr=0.1, out="x"),
        "best": np.float64(0.5),
        "classes": np.arange(3),
        "path": pathlib.PurePosixPath("runs/x"),
        "log": collections.defaultdict(list, a=[1]),
        "when": datetime.timedelta(1),
        "now": datetime.datetime(2026, 1, 1),
        "config": config,
        "loss": nn.functional.cross_entropy,
        "set": {1, 2},
        "frozen": frozenset((1, 2)),
        "keys": {Color.red: 1, (1, "a"): 2, None: 3, 1.5: 4},
        "counts": collections.Counter("aab"),
        "deque": collections.deque([1, 2], 3),
        "big": 2**2000,
        "bytes": b"x" * 300,
        "array": bytearray(b"abc"),
        "long": "x" * 70_000,
        "complex": 1j,
        "slots": types.SimpleNamespace(a=1),
        "best_acc": torch.tensor(0.25),
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "size": torch.Size([2, 3]),
        "epoch": 3,
    }


VALUES = {
    "best": ("numpy.float64", "0.5"),
    "path": (f"{pathlib.PurePosixPath.__module__}.PurePosixPath", "runs/x"),
    "epoch": ("int", "3"),
    "args": ("argparse.Namespace", None),
    "best_acc": ("torch.Tensor", "0.25"),
    "dtype": ("torch.dtype", "torch.float16"),
    "size": ("tuple", "(2, 3)"),
    "classes": ("numpy.ndarray", None),
    "counts": ("collections.Counter", None),
    "config": ("gone_by_then.Config", None),
    "bytes": ("bytes", "x" * 59 + "…"),
}


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_anything_may_lie_beside_a_state_dict(
    way: dict[str, Any], path: Path, gone: types.ModuleType
) -> None:
    """Objects of any class are data: the weights are listed, and each other entry is told."""
    beside = opaque(gone)
    module = nn.Linear(3, 2)
    torch.save({"state_dict": module.state_dict(), **beside}, path, **way)
    vanish(gone)
    found = read_pickled(path)
    assert_same(found, dict(module.state_dict()))
    parts = {part.name: (part.type, part.value) for part in found.contents}
    assert [*parts] == [*beside]
    assert {name: parts[name] for name in VALUES} == VALUES


def test_a_part_is_shown_by_its_key(path: Path) -> None:
    """Tensors of a part are listed by their names in it; of a part without tensors the values are told."""
    optimizer = {"state": {0: {"m": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    content = {"state_dict": {"w": torch.ones(1)}, "optimizer_states": [optimizer], "epoch": 3}
    torch.save({**content, "args": argparse.Namespace(lr=0.1, out="x")}, path)
    assert [*read_pickled(path, "optimizer_states.0").by_name] == ["state.0.m"]
    assert [*read_pickled(path, "optimizer_states.0.state.0.m").by_name] == ["m"]
    shown = [(part.name, part.value) for part in read_pickled(path, "args").contents]
    assert shown == [("args.lr", "0.1"), ("args.out", "x")]
    assert [(part.name, part.value) for part in read_pickled(path, "epoch").contents] == [("epoch", "3")]
    with pytest.raises(ParamtoolError, match="it has no 'optimizer'") as caught:
        read_pickled(path, "optimizer")
    assert caught.value.hint == "did you mean 'optimizer_states'?"


def test_moments_are_never_among_the_parameters(path: Path) -> None:
    """Beside loose tensors, in a list, and under any key: an optimizer is known by its parts."""
    moments = {"state": {0: {"m": torch.ones(2)}}, "param_groups": []}
    one = torch.ones(1)
    for content, names in (
        ({"w": one, "trainer": moments, "rng_state": one.byte()}, ["w"]),
        ({"a": {"w": one}, "b": {"w": one}, "opt": moments}, ["a.w", "b.w"]),
        ([{"w": one}, moments], ["w"]),
        (moments, ["state.0.m"]),
        ({"student": {"w": one}, "teacher": {"w": one}}, ["student.w", "teacher.w"]),
        ({"w": [one, (one, {"x": one})]}, ["0", "1.0", "1.1.x"]),
        (one, ["tensor"]),
        ({"a\nb": one, "ü.x": one[:0], 3: one[:0]}, ["a\nb", "ü.x", "3"]),
        ({0: one, "0": one[:0]}, ["0", "0 (2)"]),
        ([one, one], ["0", "1"]),
    ):
        torch.save(content, path)
        assert [*read_pickled(path).by_name] == names, content


def test_a_dict_that_holds_itself_is_listed_once(path: Path) -> None:
    """The way back to what leads here is not gone."""
    loop: dict[str, Any] = {"w": torch.ones(3), "list": [torch.ones(2)]}
    loop["self"] = loop
    loop["list"].append(loop["list"])
    torch.save(loop, path)
    assert [*read_pickled(path).by_name] == ["w", "list.0"]


def test_a_file_without_tensors_tells_what_it_holds(run: Run, path: Path) -> None:
    """The state of a scheduler has none, and is no error."""
    torch.save({"last_epoch": 3, "base_lrs": [0.1]}, path)
    found = read_pickled(path)
    assert (found.tensors, [(part.name, part.value) for part in found.contents]) == (
        (),
        [("last_epoch", "3"), ("base_lrs", "[0.1]")],
    )
    assert run("inspect", str(path)).status == 0


# tensors of every kind


@pytest.mark.parametrize("way", [{}, LEGACY], ids=["zip", "legacy"])
@pytest.mark.filterwarnings("ignore")
def test_lazy_and_subclassed_tensors_are_listed(way: dict[str, Any], path: Path) -> None:
    """A lazy parameter has no shape yet; a subclass with the memory of a tensor has its values."""
    tensor = torch.arange(3.0)
    marked = torch.arange(2.0)
    marked.note = "kept"  # type: ignore[attr-defined]
    lazy = nn.LazyLinear(3).state_dict(keep_vars=True)
    torch.save({"marked": marked, "p": nn.Parameter(tensor), **lazy}, path, **way)
    found = read_pickled(path)
    assert values(found, "marked").tolist() == [0, 1]
    assert (found.by_name["p"].kind, found.by_name["p"].requires_grad) == ("parameter", True)
    assert found.by_name["weight"].missing == "uninitialized: its shape is not known yet"


def rewritten(path: Path, method: int = zipfile.ZIP_STORED, **members: bytes) -> None:
    """Write an archive again, with some members replaced; its pickle and its byte order are stored."""
    with zipfile.ZipFile(path) as source:
        content = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w") as target:
        for name, data in content.items():
            last = name.rpartition("/")[2]
            way = zipfile.ZIP_STORED if last in ("data.pkl", "byteorder") else method
            target.writestr(name, members.get(last, data), way)


def test_numbers_of_a_big_endian_machine_are_not_read(path: Path) -> None:
    """Names and shapes are there, and single bytes have no order."""
    torch.save({"w": torch.ones(2), "b": torch.ones(2, dtype=torch.int8)}, path)
    rewritten(path, byteorder=b"big")
    found = read_pickled(path)
    assert found.by_name["w"].missing == "written by a big-endian machine"
    assert values(found, "b").tolist() == [1, 1]


def test_compressed_elements_are_not_read(path: Path) -> None:
    """A reader that takes them where they lie gives wrong numbers, as torch.load(mmap=True) does."""
    torch.save({"w": torch.ones(200)}, path)
    rewritten(path, zipfile.ZIP_DEFLATED)
    (stored,) = read_pickled(path).tensors
    assert (stored.shape, stored.missing) == ((200,), "compressed in its archive")


@pytest.fixture
def two_ranks() -> Iterator[Any]:
    """Give a mesh of two ranks, of which this process is the first."""
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    distributed.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield init_device_mesh("cpu", (2,))
    distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore")
def test_a_part_of_a_distributed_tensor_is_not_the_tensor(path: Path, two_ranks: Any) -> None:
    """It has the shape of the whole and no values; one that is whole on each rank is read."""
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    whole = torch.arange(8.0).reshape(4, 2)
    content = {
        "part": distribute_tensor(whole, two_ranks, [Shard(0)]),
        "whole": distribute_tensor(whole, two_ranks, [Replicate()]),
    }
    torch.save(content, path)
    found = read_pickled(path)
    assert [each.shape for each in found.tensors] == [(4, 2), (4, 2)]
    assert (
        found.by_name["part"].missing == "a part of a distributed tensor; save it with full_state_dict=True"
    )
    assert values(found, "whole").tolist() == whole.tolist()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_bare_pickle_of_arrays_is_listed(protocol: int, path: Path) -> None:
    """NumPy's arrays have their bytes in the pickle: from protocol 3 on they are read in their place."""
    arrays = {"f": np.arange(6.0).reshape(2, 3), "t": np.asfortranarray(np.arange(6).reshape(2, 3)),
              "h": np.arange(3, dtype=np.float16), "b": np.array([True]), "s": np.array(5)}  # fmt: skip
    path.write_bytes(pickle.dumps({"model": arrays, "names": np.array(["a"], dtype=object)}, protocol))
    found = read_pickled(path)
    assert [*found.by_name] == [*arrays]
    for name, array in arrays.items():
        stored = found.by_name[name]
        assert (stored.shape, stored.dtype) == (array.shape, str(array.dtype))
        if protocol == 2:
            assert stored.missing == "in a text of the pickle"
        else:
            assert values(found, name).tolist() == array.tolist()


@pytest.mark.parametrize("protocol", range(3, 6))
def test_a_bare_pickle_of_tensors_is_read(protocol: int, path: Path) -> None:
    """Each storage is a small file of torch before 1.6 inside the pickle."""
    base = torch.arange(40_000.0).reshape(200, 200)
    content = {
        "w": base,
        "t": base.t(),
        "row": base[3],
        "i": torch.arange(3),
        "p": nn.Parameter(torch.ones(1)),
    }
    path.write_bytes(pickle.dumps(content, protocol))
    assert_same(read_pickled(path), {name: tensor.detach() for name, tensor in content.items()})


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_of_plain_data_is_read(protocol: int, path: Path) -> None:
    """INT, LONG, FLOAT, STRING, UNICODE, GET, PUT, DICT, LIST, OBJ and what came after them."""
    shared = ["ä\n", b"\xff", 1.5, -1, 2**40, -(2**100), True, None, (), (1,), {1: 2}, {3}]
    content = {"a": shared, "b": shared, "n": argparse.Namespace(x=1), "c": 1 + 2j}
    (path.with_suffix(".pkl")).write_bytes(pickle.dumps(content, protocol))
    found = read_pickled(path.with_suffix(".pkl"))
    assert [part.name for part in found.contents] == [*content]
    assert read_pickled(path.with_suffix(".pkl"), "a").contents[4].value == str(2**40)
    assert read_pickled(path.with_suffix(".pkl"), "a").contents[5].value == str(-(2**100))


# anything


def mutants(good: bytes, count: int, head: int) -> Iterator[bytes]:
    """Yield `count` files with bytes changed, lost and doubled."""
    import random

    dice = random.Random(0)
    for _ in range(count):
        content = bytearray(good)
        for _ in range(dice.choice((1, 1, 2, 5))):
            at = dice.randrange(min(head, len(content)) if dice.random() < 0.9 else len(content))
            what = dice.randrange(4)
            if what == 0:
                content[at] = dice.randrange(256)
            elif what == 1:
                content[at] ^= 1 << dice.randrange(8)
            elif what == 2:
                del content[at : at + dice.choice((1, 2, 8))]
            else:
                content[at:at] = content[at : at + dice.choice((1, 4, 30))]
        yield bytes(content)


def legacy_file() -> bytes:
    """Return a good file of torch before 1.6."""
    file = io.BytesIO()
    args = argparse.Namespace(lr=0.1)
    torch.save({"model": {"w": torch.ones(3, 2), "t": torch.ones(2, 2).t()}, "args": args}, file, **LEGACY)
    return file.getvalue()


def module_file() -> bytes:
    """Return a good file of a whole module."""
    file = io.BytesIO()
    torch.save({"model": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), "x": np.ones(3)}, file, **LEGACY)
    return file.getvalue()


def bare_file() -> bytes:
    """Return a good pickle of tensors and arrays."""
    return pickle.dumps({"w": torch.ones(3), "a": np.ones(2), "n": argparse.Namespace(x={1, 2})})


def arrays_file() -> bytes:
    """Return a good pickle of arrays."""
    return pickle.dumps({"w": np.ones((2, 3)), "b": np.float32(1)}, 5)


def script_file() -> bytes:
    """Return a good archive of TorchScript."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), file)
    return file.getvalue()


MAKERS = {"legacy": (legacy_file, 900), "module": (module_file, 3000), "bare": (bare_file, 2000),
          "arrays": (arrays_file, 600), "script": (script_file, 5000)}  # fmt: skip
FORBIDDEN = ("import", "exec", "compile", "os.system", "subprocess.Popen", "pickle.find_class")


class Audit:
    """Takes the events that Python's audit hooks see while a file is read; a hook cannot be taken away."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.listens = False
        sys.addaudithook(self._take)

    def _take(self, event: str, _: Any) -> None:
        if self.listens and event in FORBIDDEN:
            self.seen.append(event)


@pytest.fixture(scope="module")
def audit() -> Audit:
    """Return what listens."""
    return Audit()


@pytest.mark.parametrize("case", MAKERS)
@pytest.mark.parametrize("count", [150, pytest.param(20_000, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")
def test_mutants_end_well(case: str, count: int, path: Path, audit: Audit) -> None:
    """Whatever is wrong with a file: it is read, or refused in a line of ours, and nothing is imported."""
    make, head = MAKERS[case]
    good = make()
    outcomes = set()
    path.write_bytes(good)
    read_pickled(path)
    for content in mutants(good, count, head):
        path.write_bytes(content)
        audit.listens = True
        outcomes.add(ends_well(lambda: read_pickled(path)))
        audit.listens = False
        assert audit.seen == []
    assert outcomes == {True, False}


def ends_well(read: Callable[[], object]) -> bool:
    """Tell whether something can be read; let no error through but ours."""
    try:
        read()
    except ParamtoolError as error:
        assert "\n" not in str(error)
        return False
    return True
