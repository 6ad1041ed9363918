"""`convert`: what is written is what other readers load, and the report says what was done."""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.state_dict_loader import load as dcp_load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save

import paramtool
from tests.conftest import Run
from tests.gguf_file import gguf
from tests.processes import watch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Tied(nn.Module):
    """An embedding, a norm with buffers, and a head that is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(10, 4)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.wte.weight


def model() -> Tied:
    torch.manual_seed(0)
    return Tied()


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    """Return whether names, dtypes, shapes and bits agree."""
    return found.keys() == expected.keys() and all(
        each.dtype == expected[name].dtype
        and each.shape == expected[name].shape
        and each.contiguous()
        .flatten()
        .view(torch.uint8)
        .equal(expected[name].contiguous().flatten().view(torch.uint8))
        for name, each in found.items()
    )


@pytest.mark.parametrize("target", ["out.safetensors", "out.pt", "out.pth", "out.ckpt", "out.bin"])
def test_a_file_loads_into_the_module(target: str, run: Run) -> None:
    """``load_file`` or ``torch.load``, then ``load_state_dict``, gives what was saved; .pt keeps ties."""
    state = model().state_dict()
    torch.save(state, "in.pt")
    assert run("convert", "in.pt", "-o", target).status == 0
    if target.endswith(".safetensors"):
        found = load_file(target)
    else:
        found = torch.load(target, weights_only=True)
        mapped = torch.load(target, weights_only=True, mmap=True)
        assert same(mapped, state)
        assert found["head.weight"].data_ptr() == found["wte.weight"].data_ptr()
        assert isinstance(found, OrderedDict)
        assert found._metadata["norm"] == {"version": 2}  # type: ignore[attr-defined]
        assert zipfile.ZipFile(target).testzip() is None
    assert same(found, state)
    Tied().load_state_dict(found)


def test_a_training_checkpoint_gives_its_model_and_says_what_it_leaves(run: Run) -> None:
    """The optimizer and the epoch are named in a note; ``file.pt:key`` chooses another part."""
    module = model()
    optimizer = torch.optim.SGD(module.parameters(), momentum=0.9)
    module.wte.weight.grad = torch.ones(10, 4)
    optimizer.step()
    ema = {f"e.{name}": each + 1 for name, each in module.state_dict().items()}
    torch.save(
        {"model": module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "ema": ema}, "t.pt"
    )
    result = run("convert", "t.pt", "-o", "m.safetensors")
    assert result.status == 0
    assert "also in t.pt: " in result.stderr
    assert "optimizer 160 B" in result.stderr
    assert "epoch=3" in result.stderr
    assert same(load_file("m.safetensors"), module.state_dict())
    assert run("convert", "t.pt:ema", "-o", "e.safetensors").status == 0
    assert same(load_file("e.safetensors"), ema)


def test_a_checkpoint_without_tensors_is_an_error(run: Run) -> None:
    """It is never an empty file."""
    torch.save({"epoch": 3}, "e.pt")
    result = run("convert", "e.pt", "-o", "out.safetensors")
    assert (result.status, Path("out.safetensors").exists()) == (2, False)
    save_file({}, "none.safetensors")
    result = run("convert", "none.safetensors", "-o", "out.safetensors")
    assert (result.status, Path("out.safetensors").exists()) == (2, False)
    assert result.stderr == "error: none.safetensors has no tensors to convert\n"


def test_shards_have_the_index_that_hugging_face_reads(run: Run) -> None:
    """The index is as transformers writes it, and DCP's reader loads the folder."""
    state = {f"layers.{number}.weight": torch.randn(8, 4) for number in range(4)}
    save_file(state, "in.safetensors")
    assert run("convert", "in.safetensors", "-o", "out", "--max-shard-size", "300").status == 0
    index = json.loads(Path("out/model.safetensors.index.json").read_text())
    first, second = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    assert index == {
        "metadata": {"total_size": 512},
        "weight_map": {f"layers.{number}.weight": first if number < 2 else second for number in range(4)},
    }
    found = load_file(f"out/{first}") | load_file(f"out/{second}")
    assert same(found, state)
    with safe_open(f"out/{first}", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    loaded = {name: torch.zeros_like(each) for name, each in state.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp_load(loaded, storage_reader=HuggingFaceStorageReader("out"), no_dist=True)
    assert same(loaded, state)


def test_a_folder_without_a_limit_has_one_file(run: Run) -> None:
    """It is the one that readers of folders look for first."""
    save_file({"a": torch.ones(2)}, "in.safetensors")
    assert run("convert", "in.safetensors", "-o", "out").status == 0
    assert [each.name for each in Path("out").iterdir()] == ["model.safetensors"]


def _sources(state: dict[str, Tensor]) -> dict[str, Any]:
    """Write one state_dict in every format that can hold it, and return what to type for each."""
    torch.save(state, "zip.pt")
    torch.save(state, "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": state, "step": 1}, "train.ckpt")
    save_file(state, "file.safetensors")
    arrays: dict[str, Any] = {name: each.numpy() for name, each in state.items()}
    np.savez("arrays.npz", **arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp_save({"model": state}, checkpoint_id="dcp", no_dist=True)
    Path("w.gguf").write_bytes(
        gguf([(name, [*reversed(each.shape)], 0, each.numpy().tobytes()) for name, each in state.items()])
    )
    module = nn.Module()
    for name, each in state.items():
        module.register_buffer(name, each)
    torch.save(module, "module.pt")
    paths = (
        "zip.pt",
        "legacy.pt",
        "train.ckpt",
        "file.safetensors",
        "arrays.npz",
        "dcp",
        "w.gguf",
        "module.pt",
    )
    return {path: path for path in paths}


def test_every_format_is_a_source(run: Run) -> None:
    """All that open give the same tensors."""
    state = {"one": torch.randn(3, 5), "two": torch.randn(4)}
    for source in _sources(state):
        result = run("convert", source, "-o", "out.safetensors", "--force", "--pattern", "one|two")
        assert result.status == 0, (source, result.stderr)
        assert same(load_file("out.safetensors"), state), source
    assert run("convert", "out.safetensors", "-o", "again.pt").status == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(nn.Linear(2, 2))
        torch.jit.save(script, "script.pt")
    assert run("convert", "script.pt", "-o", "s.safetensors").status == 0
    assert same(load_file("s.safetensors"), script.state_dict())


def test_views_are_stored_as_they_are_seen(run: Run) -> None:
    """A transposed or sliced view of a storage is written whole, in row-major order."""
    whole = torch.arange(24.0).view(4, 6)
    state = {"turned": whole.t(), "slice": whole[1:, ::2], "row": whole[0]}
    torch.save(state, "v.pt")
    for target in ("v.safetensors", "w.pt"):
        result = run("convert", "v.pt", "-o", target)
        assert "overlap in memory" in result.stderr
        found = load_file(target) if target.endswith("s") else torch.load(target, weights_only=True)
        assert same(found, {name: each.contiguous() for name, each in state.items()})


class TestTies:
    """Each name that the source stores stays a name that ``load_file`` returns."""

    def test_stored_names_stay_stored(self, run: Run) -> None:
        """A note says what that costs, and how to avoid it."""
        torch.save(model().state_dict(), "in.pt")
        result = run("convert", "in.pt", "-o", "out.safetensors")
        assert result.stderr == (
            "note: 'head.weight' is stored again (160 B): it is tied to 'wte.weight', but load_file returns"
            " only names that are stored; --tie wte.weight head.weight stores it once, with the tie in the"
            " metadata\n"
        )

    def test_tie_stores_once_as_save_model_does(self, run: Run) -> None:
        """``load_model`` reads both that and what `convert` makes of a file of ``save_model``."""
        module = model()
        torch.save(module.state_dict(), "in.pt")
        assert (
            run("convert", "in.pt", "-o", "once.safetensors", "--tie", "wte.weight", "head.weight").status
            == 0
        )
        save_model(module, "saved.safetensors")
        assert run("convert", "saved.safetensors", "-o", "again.safetensors").status == 0
        for path, first in (("once", "wte.weight"), ("again", "head.weight")):
            found = load_file(f"{path}.safetensors")
            assert [name for name in found if name in ("wte.weight", "head.weight")] == [first]
            loaded = Tied()
            load_model(loaded, f"{path}.safetensors", strict=True)
            assert same(loaded.state_dict(), module.state_dict())

    def test_a_mapped_name_becomes_a_tie_of_an_archive_and_a_tensor_by_untie(self, run: Run) -> None:
        """``.pt`` has ties; ``--untie`` stores each name by itself in both formats."""
        module = model()
        save_model(module, "in.safetensors")
        assert run("convert", "in.safetensors", "-o", "out.pt").status == 0
        found = torch.load("out.pt", weights_only=True)
        assert found["head.weight"].data_ptr() == found["wte.weight"].data_ptr()
        assert run("convert", "in.safetensors", "-o", "apart.pt", "--untie").status == 0
        found = torch.load("apart.pt", weights_only=True)
        assert found["head.weight"].data_ptr() != found["wte.weight"].data_ptr()
        result = run("convert", "in.safetensors", "-o", "all.safetensors", "--untie")
        assert (result.status, result.stderr) == (0, "")
        assert same(load_file("all.safetensors"), dict(module.state_dict()))

    def test_three_names_are_tied_one_after_the_other(self, run: Run) -> None:
        """A to B, and B to C; and what a file maps to another may become the one that is stored."""
        save_file({name: torch.zeros(2) for name in "abc"}, "in.safetensors")
        ties = ("--tie", "a", "b", "--tie", "b", "c")
        assert run("convert", "in.safetensors", "-o", "out.safetensors", *ties).status == 0
        assert list(load_file("out.safetensors")) == ["a"]
        turned = ("--tie", "c", "a", "--tie", "c", "b")
        assert run("convert", "out.safetensors", "-o", "turned.safetensors", *turned).status == 0
        assert list(load_file("turned.safetensors")) == ["c"]
        with safe_open("turned.safetensors", "pt") as file:
            assert file.metadata() == {"format": "pt", "a": "c", "b": "c"}

    def test_only_equal_tensors_are_tied(self, run: Run) -> None:
        """Different values, shapes and dtypes are refused."""
        save_file(
            {"a": torch.zeros(2), "b": torch.ones(2), "c": torch.zeros(3), "d": torch.zeros(2)},
            "in.safetensors",
        )
        for name, why in (("b", "their values differ"), ("c", "their shapes differ, (2,) and (3,)")):
            result = run("convert", "in.safetensors", "-o", "x.pt", "--tie", "a", name)
            assert (result.status, result.stderr) == (2, f"error: --tie a {name}: {why}\n")
        assert run("convert", "in.safetensors", "-o", "x.pt", "--tie", "a", "d").status == 0
        found = torch.load("x.pt", weights_only=True)
        assert found["a"].data_ptr() == found["d"].data_ptr()

    def test_a_tied_tensor_is_cast_by_any_of_its_names(self, run: Run) -> None:
        """The tie stays."""
        torch.save(model().state_dict(), "in.pt")
        assert run("convert", "in.pt", "-o", "out.pt", "--dtype", "head=float16").status == 0
        found = torch.load("out.pt", weights_only=True)
        assert found["wte.weight"].dtype == torch.float16
        assert found["head.weight"].data_ptr() == found["wte.weight"].data_ptr()

    def test_the_name_that_is_left_has_the_tensor(self, run: Run) -> None:
        """If the first name is excluded, the other is stored."""
        save_model(model(), "in.safetensors")
        assert run("convert", "in.safetensors", "-o", "out.safetensors", "--exclude", "^head").status == 0
        assert "wte.weight" in load_file("out.safetensors")


class TestSeveral:
    """Sources are merged; a name that comes twice must be one tensor."""

    def test_equal_values_are_stored_once(self, run: Run) -> None:
        """NaN is equal to NaN: bytes decide."""
        save_file({"a": torch.tensor([1.0, float("nan")]), "b": torch.ones(1)}, "x.safetensors")
        torch.save({"a": torch.tensor([1.0, float("nan")]), "c": torch.zeros(1)}, "y.pt")
        result = run("convert", "x.safetensors", "y.pt", "-o", "out.safetensors", "--format", "csv")
        assert result.status == 0
        assert "equal in x.safetensors" in result.stdout
        assert sorted(load_file("out.safetensors")) == ["a", "b", "c"]
        shown = run("convert", "x.safetensors", "y.pt", "x.safetensors", "--dry-run").stdout
        assert shown.count(" a  ") == 3

    @pytest.mark.parametrize(("prefer", "value"), [("first", 1.0), ("last", 2.0)])
    def test_different_values_need_a_preference(self, prefer: str, value: float, run: Run) -> None:
        """The error names both sources and both ways out."""
        save_file({"a": torch.tensor([1.0])}, "x.safetensors")
        save_file({"a": torch.tensor([2.0])}, "y.safetensors")
        command = ("convert", "x.safetensors", "y.safetensors", "-o", "out.safetensors")
        result = run(*command)
        assert (result.status, result.stderr) == (
            2,
            "error: 'a' is in x.safetensors and y.safetensors: different values;"
            " --prefer last or --prefer first chooses one\n",
        )
        assert run(*command, "--prefer", prefer).status == 0
        assert load_file("out.safetensors")["a"].item() == value


def test_metadata_is_kept_added_and_left_out(run: Run) -> None:
    """``format`` stays, which Hugging Face tools read."""
    save_file({"a": torch.ones(1)}, "in.safetensors", metadata={"note": "x", "format": "pt"})
    cases: dict[tuple[str, ...], dict[str, str]] = {
        (): {"note": "x", "format": "pt"},
        ("--metadata", "note=y", "--metadata", "k=v=w"): {"note": "y", "k": "v=w", "format": "pt"},
        ("--no-metadata",): {"format": "pt"},
        ("--no-metadata", "--metadata", "k=v"): {"k": "v", "format": "pt"},
    }
    for options, expected in cases.items():
        assert run("convert", "in.safetensors", "-o", "out.safetensors", "--force", *options).status == 0
        with safe_open("out.safetensors", "pt") as file:
            assert file.metadata() == expected


def test_the_report_has_the_map_of_names_and_digests(run: Run) -> None:
    """JSON says what each name was, its dtypes, its file and the SHA-256 of its bytes."""
    save_file({"module.a": torch.tensor([1.0, 2.0]), "step": torch.tensor(3)}, "in.safetensors")
    result = run(
        "convert", "in.safetensors", "-o", "out.safetensors", "--strip-prefix", "module",
        "--dtype", "float16", "--exclude", "step", "--digests", "--json",
    )  # fmt: skip
    found = json.loads(result.stdout)
    digest = hashlib.sha256(torch.tensor([1.0, 2.0]).half().numpy().tobytes()).hexdigest()
    common = {"source": None, "tied_to": None}
    none = dict.fromkeys(("overflowed", "vanished", "nan", "sha256", "file", "was", "was_dtype"))
    assert found["rows"] == [
        common | {
            "name": "a", "was": "module.a", "shape": [2], "was_dtype": "float32", "dtype": "float16",
            "nbytes": 4, "left_out": None, "file": "out.safetensors", "overflowed": 0, "vanished": 0,
            "nan": 0, "sha256": digest,
        },
        common | none | {
            "name": "step", "shape": [], "dtype": "int64", "nbytes": 8, "left_out": "--exclude step",
        },
    ]  # fmt: skip
    totals = found["totals"]
    assert {key: totals[key] for key in ("tensors", "renamed", "cast", "left_out", "nbytes")} == {
        "tensors": 1, "renamed": 1, "cast": 1, "left_out": 1, "nbytes": 4,
    }  # fmt: skip
    assert totals["files"] == ["out.safetensors"]


@pytest.mark.parametrize("format", ["table", "json", "jsonl", "csv", "tsv", "markdown"])
def test_every_format(format: str, run: Run) -> None:
    """The plan is written in each."""
    save_file({"a": torch.ones(1)}, "in.safetensors")
    result = run("convert", "in.safetensors", "--dry-run", "--format", format)
    assert result.status == 0
    assert "float32" in result.stdout


def test_numbered_blocks_fold_with_their_old_names(run: Run) -> None:
    """Renamed layers are one line of the table."""
    save_file({f"m.h.{number}.w": torch.ones(2) for number in range(4)}, "in.safetensors")
    result = run("convert", "in.safetensors", "--dry-run", "--rename", r"^m\.h", "layers")
    assert "layers.{0..3}.w" in result.stdout
    assert "m.h.{0..3}.w" in result.stdout
    assert (
        "layers.2.w" in run("convert", "in.safetensors", "-n", "--rename", r"^m\.h", "layers", "--all").stdout
    )


def test_a_plan_writes_nothing_and_reads_no_elements(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--dry-run`` says where it would go, and refuses what the run would refuse."""
    save_file({"a": torch.ones(1)}, "in.safetensors")
    monkeypatch.setattr("paramtool.elements.files.opened", None)
    result = run("convert", "in.safetensors", "-o", "out.safetensors", "--dry-run")
    assert (result.status, Path("out.safetensors").exists()) == (0, False)
    assert result.stderr == "note: without --dry-run this writes 4 B to out.safetensors\n"
    Path("out.safetensors").touch()
    assert run("convert", "in.safetensors", "-o", "out.safetensors", "--dry-run").status == 2


class TestLosses:
    """A narrowing cast says how many elements overflow or vanish."""

    VALUES = torch.tensor([1e6, -1e30, 1e-12, 1.0, 0.0, float("inf"), float("nan")])

    def test_they_are_counted(self, run: Run) -> None:
        """In the rows, and in the sentence below the table."""
        save_file({"w": self.VALUES}, "in.safetensors")
        result = run("convert", "in.safetensors", "-o", "out.safetensors", "--dtype", "float16")
        assert "elements lost by the cast: 2 overflowed, 1 became zero, 1 NaN" in result.stdout
        report = paramtool.convert("in.safetensors", "o.safetensors", [("dtype", "float16")])
        assert [(row.overflowed, row.vanished, row.nan) for row in report.rows] == [(2, 1, 1)]

    @pytest.mark.parametrize("options", [(), ("--dry-run",)])
    def test_fail_on_writes_nothing(self, options: tuple[str, ...], run: Run) -> None:
        """Exit status 1 and one line per tensor and sort of loss; in a dry run too."""
        save_file({"w": self.VALUES}, "in.safetensors")
        command = ("convert", "in.safetensors", "-o", "out.safetensors", "--dtype", "float16", *options)
        result = run(*command, "--fail-on", "overflow,nan")
        assert (result.status, Path("out.safetensors").exists()) == (1, False)
        assert "error: 'w': 2 elements are too large for float16\n" in result.stderr
        assert "error: 'w': 1 element is NaN\n" in result.stderr
        assert "zero" not in result.stderr
        assert list(Path().iterdir()) == [Path("in.safetensors")]

    def test_nan_is_looked_for_where_nothing_is_cast(self, run: Run) -> None:
        """Only if asked for."""
        save_file({"w": self.VALUES}, "in.safetensors")
        report = paramtool.convert("in.safetensors", "a.safetensors")
        assert (report.rows[0].nan, report.rows[0].overflowed, report.totals.nan) == (None, 0, None)
        assert run("convert", "in.safetensors", "-o", "b.safetensors", "--fail-on", "nan").status == 1


def test_torch_is_not_imported(folder: Path) -> None:
    """Neither for safetensors nor for the files of torch itself."""
    torch.save(model().state_dict(), "in.pt")
    for target in ("out.safetensors", "out.pt"):
        seen = watch("convert", "in.pt", "-o", target, "--dtype", "bfloat16", folder=folder)
        assert (seen.status, seen.torch) == (0, False)


@pytest.mark.parametrize("target", ["out.safetensors", "out.pt"])
def test_memory_does_not_grow_with_the_file(target: str, folder: Path) -> None:
    """A file of 120 MB takes what one of a few bytes takes, and some blocks."""
    save_file({"w": torch.zeros(2)}, "small.safetensors")
    save_file({name: torch.zeros(10_000_000) for name in "abc"}, "large.safetensors")
    small, large = (
        watch("convert", f"{size}.safetensors", "-o", target, "--force", "--dtype", "float16", folder=folder)
        for size in ("small", "large")
    )
    assert (small.status, large.status) == (0, 0)
    assert large.megabytes < small.megabytes + 30


def test_python_users_get_the_same(folder: Path) -> None:
    """A report, notes by a callback, and errors that say what is wrong with an argument."""
    torch.save({"model": model().state_dict(), "epoch": 1}, "in.pt")
    notes: list[str] = []
    report = paramtool.convert(
        "in.pt", folder / "out.pt", [("pattern", "norm"), ("dtype", "torch.float16")], tell=notes.append
    )
    assert (report.command, report.totals.tensors, report.totals.cast) == ("convert", 5, 4)
    assert notes == ["also in in.pt: epoch=1 (left out)"]
    for arguments, message in (
        ({"sources": []}, "there is nothing to convert"),
        ({"sources": "in.pt"}, "convert needs an output"),
        ({"sources": "in.pt", "dry_run": True, "rules": [("cast", "float16")]}, "there is no rule 'cast'"),
        ({"sources": "in.pt", "dry_run": True, "rules": ["dtype"]}, "a rule is a tuple of words"),
        ({"sources": "in.pt", "dry_run": True, "rules": [("tie", "a")]}, "the rule 'tie' takes 2 words"),
        ({"sources": "in.pt", "dry_run": True, "prefer": "x"}, "prefer must be first or last"),
        ({"sources": "in.pt", "dry_run": True, "fail_on": ["x"]}, "fail_on takes overflow, underflow, nan"),
    ):
        with pytest.raises(paramtool.BadArgument, match=message):
            paramtool.convert(**arguments)
