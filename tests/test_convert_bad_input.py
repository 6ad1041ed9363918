"""What `convert` refuses: one line, a status that is not 0, and nothing written."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import paramtool
from paramtool.api.target import Target
from paramtool.errors import ParamtoolError
from paramtool.files.writing.replacement import Replacement
from tests.conftest import CONFIGS, Run
from tests.gguf_file import gguf
from tests.processes import execute


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with one file."""
    monkeypatch.chdir(tmp_path)
    save_file({"a": torch.ones(4, 3), "b": torch.zeros(2)}, "in.safetensors")
    return tmp_path


def refused(run: Run, *arguments: str, status: int = 2) -> str:
    """Return the line that says what is wrong, and see that the folder is as it was."""
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    result = run("convert", *arguments)
    assert (result.status, result.stdout) == (status, "")
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
    return lines[0].removeprefix("error: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "convert needs a checkpoint to read; e.g. paramtool convert a.pt -o b.safetensors"),
        (
            "-o x.safetensors",
            "convert needs a checkpoint to read; e.g. paramtool convert a.pt -o b.safetensors",
        ),
        ("in.safetensors", "convert needs -o PATH; or --dry-run to see the plan"),
        ("in.safetensors --force", "--force requires --output"),
        (
            "in.safetensors -o x.gguf",
            "convert does not write .gguf files; end PATH in .safetensors or .pt, or",
        ),
        ("in.safetensors -o no/x.pt", "cannot write no/x.pt: the folder "),
        ("in.safetensors -o in.safetensors/x.pt", "cannot write in.safetensors/x.pt: "),
        ("in.safetensors -o /dev/null", "cannot write /dev/null: shards go into a folder, but it is not one"),
        ("absent.pt -o x.pt", "cannot read absent.pt: No such file or directory"),
        ("in.safetensors absent.pt -o x.pt", "cannot read absent.pt: No such file or directory"),
        ("in.safetensors:key -o x.pt", "cannot read in.safetensors:key: "),
        ("torch.nn:Linear -o x.pt", "torch.nn:Linear is a name in Python, not a checkpoint"),
        ("in.safetensors -o x.pt --metadata a=b", "a file of torch.save has no place for --metadata"),
        ("in.safetensors -o d --max-shard-size 0", "the size '0' is less than one byte"),
    ],
)
def test_a_wrong_command_is_one_line(arguments: str, message: str, run: Run) -> None:
    """With what to do instead."""
    assert message in refused(run, *arguments.split())


def test_a_spec_is_not_a_checkpoint(run: Run) -> None:
    """`init -o` writes what a spec describes."""
    line = refused(run, str(CONFIGS / "mlp.yaml"), "-o", "x.pt")
    assert "is not a checkpoint" in line or "not a checkpoint" in line


class TestTargets:
    """The output is neither an input nor, without ``--force``, something that is there."""

    @pytest.mark.parametrize("link", ["", "symbolic", "hard"])
    def test_the_output_is_an_input(self, link: str, run: Run) -> None:
        """By its own name, or by another one."""
        target = {"": "in.safetensors"}.get(link, "other.safetensors")
        if link == "symbolic":
            Path(target).symlink_to("in.safetensors")
        elif link == "hard":
            os.link("in.safetensors", target)
        line = refused(run, "in.safetensors", "-o", target, "--force")
        assert (
            line == f"cannot write {target}: it is a source; write somewhere else, and replace it afterwards"
        )

    @pytest.mark.parametrize("target", ["hf", "link"])
    def test_the_output_is_the_folder_of_the_input(self, target: str, run: Run) -> None:
        """A folder is not converted in its own place."""
        Path("hf").mkdir()
        Path("link").symlink_to("hf")
        save_file({"a": torch.ones(2)}, "hf/model.safetensors")
        line = refused(run, "hf", "-o", target, "--force", "--max-shard-size", "1GB")
        assert line.startswith(f"cannot write {target}: it holds a source")

    def test_an_existing_target_is_replaced_by_force(self, run: Run) -> None:
        """Without it, it stays."""
        Path("out.pt").write_bytes(b"precious")
        assert refused(run, "in.safetensors", "-o", "out.pt") == "out.pt already exists; --force replaces it"
        assert run("convert", "in.safetensors", "-o", "out.pt", "--force").status == 0
        assert sorted(torch.load("out.pt", weights_only=True)) == ["a", "b"]
        Path("folder").mkdir()
        Path("folder/model.safetensors").write_bytes(b"precious")
        line = refused(run, "in.safetensors", "-o", "folder")
        assert line == "folder/model.safetensors already exists; --force replaces it"

    def test_a_folder_is_no_file(self, run: Run) -> None:
        """Nor is a pipe."""
        Path("d.pt").mkdir()
        os.mkfifo("p.safetensors")
        assert "it is a folder, not a regular file" in refused(run, "in.safetensors", "-o", "d.pt", "--force")
        line = refused(run, "in.safetensors", "-o", "p.safetensors", "--force")
        assert "it is a pipe, not a regular file" in line


@pytest.mark.parametrize("target", ["out.safetensors", "out.pt", "out"])
def test_a_full_disk_leaves_nothing(target: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while writing names the target."""

    def write_at(self: Replacement, position: int, data: object) -> None:
        del position, data
        raise ParamtoolError(f"cannot write {self.target}: {os.strerror(errno.ENOSPC)}")

    monkeypatch.setattr(Replacement, "write_at", write_at)
    assert "No space left on device" in refused(run, "in.safetensors", "-o", target)


def test_a_limit_on_files_is_an_error_too(folder: Path) -> None:
    """The system refuses in the middle of the data; the old file stays."""
    torch.save({"w": torch.ones(300_000)}, "large.pt")
    Path("out.pt").write_bytes(b"old")
    script = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000))
from paramtool.cli.main import _run
sys.exit(_run(["convert", "large.pt", "-o", "out.pt", "--force"]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: cannot write out.pt: File too large\n"
    assert (folder / "out.pt").read_bytes() == b"old"
    assert sorted(path.name for path in folder.iterdir()) == ["in.safetensors", "large.pt", "out.pt"]


def _while_reading(act: Callable[[], object]) -> Target:
    """Return a target during whose first block something is done."""
    done: list[object] = []

    @contextmanager
    def progress(_: int | None) -> Any:

        def advance(_: int) -> None:
            if not done:
                done.append(act())

        yield advance

    return Target(Path("out.safetensors"), jobs=1, progress=progress)


def test_a_source_that_changes_is_refused() -> None:
    """Touched, replaced, grown or cut off while it is read."""
    for path in ("in.safetensors", "new.safetensors"):  # of tensors that are too large to be read together
        save_file({name: torch.ones(20_000) for name in "abc"}, path)
    content = Path("in.safetensors").read_bytes()
    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: Path("in.safetensors").write_bytes(content), "in.safetensors changed while it was read"),
        (
            lambda: Path("new.safetensors").replace("in.safetensors"),
            "in.safetensors changed while it was read",
        ),
        (lambda: os.truncate("in.safetensors", 100), "in.safetensors ends too early"),
        (lambda: Path("in.safetensors").unlink(), "cannot read in.safetensors"),
    ]
    for act, message in changes:
        Path("in.safetensors").write_bytes(content)
        with pytest.raises(ParamtoolError, match=message):
            paramtool.convert("in.safetensors", _while_reading(act))
        assert not Path("out.safetensors").exists()
        assert not list(Path().glob(".paramtool-*"))


class TestTensors:
    """What cannot be read, cast or stored."""

    def test_without_values(self, run: Run) -> None:
        """On the meta device, quantized or of another kind: each is named, and how to go on."""
        torch.save({"m": torch.empty(2, device="meta"), "w": torch.ones(2)}, "m.pt")
        line = refused(run, "m.pt", "-o", "x.pt")
        assert line == "cannot convert 'm': it is without values, on the meta device; --exclude leaves it out"
        assert run("convert", "m.pt", "-o", "x.pt", "--exclude", "m").status == 0
        blocks = bytes(2 * 34)
        Path("q.gguf").write_bytes(gguf([("q", [64], 8, blocks), ("w", [2], 0, bytes(8))]))
        assert "cannot convert 'q': it is without values, " in refused(run, "q.gguf", "-o", "x.pt", "--force")

    @pytest.mark.parametrize(("dtype", "target"), [("complex128", "x.safetensors"), ("complex128", "folder")])
    def test_a_dtype_that_safetensors_lacks(self, dtype: str, target: str, run: Run) -> None:
        """A cast or another format helps."""
        torch.save({"w": torch.ones(2, dtype=getattr(torch, dtype))}, "c.pt")
        line = refused(run, "c.pt", "-o", target)
        assert line.startswith(f"safetensors has no dtype {dtype}, which 'w' has; --dtype w=… casts it")
        assert run("convert", "c.pt", "-o", "y.safetensors", "--dtype", "w=complex64").status == 0
        assert load_file("y.safetensors")["w"].dtype == torch.complex64

    def test_packed_dtypes_are_refused(self, run: Run) -> None:
        """Two elements in a byte are not read."""
        header = b'{"w":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}'
        Path("f4.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(2))
        line = refused(run, "f4.safetensors", "-o", "x.pt", "--dtype", "float16")
        assert line.startswith("cannot convert 'w': it is without values, of a packed dtype")

    @pytest.mark.parametrize("name", ["__metadata__", "bad\ud800"])
    def test_names_that_safetensors_cannot_hold(self, name: str, run: Run) -> None:
        """A file of torch.save holds them, and --rename gives others."""
        torch.save({name: torch.ones(2)}, "n.pt")
        assert refused(run, "n.pt", "-o", "x.safetensors").startswith("safetensors ")
        assert run("convert", "n.pt", "-o", "x.pt").status == 0
        assert list(torch.load("x.pt", weights_only=True)) == [name]
        assert run("convert", "n.pt", "-o", "x.safetensors", "--rename", ".*_.*|^bad.$", "good").status == 0

    def test_hostile_names_are_harmless_on_a_terminal(self, run: Run) -> None:
        """Control characters are shown as what they are."""
        torch.save({"\x1b[31m": torch.ones(2)}, "n.pt")
        result = run("convert", "n.pt", "-o", "x.safetensors")
        assert (result.status, "\x1b" in result.stdout) == (0, False)

    def test_empty_tensors_and_scalars(self, run: Run) -> None:
        """They have no elements, or one."""
        save_file({"none": torch.ones(0, 3), "one": torch.tensor(2.0)}, "e.safetensors")
        for target in ("x.safetensors", "x.pt"):
            options = ("--dtype", "float16", "--digests", "--json")
            assert run("convert", "e.safetensors", "-o", target, *options).status == 0
        found = torch.load("x.pt", weights_only=True)
        assert (found["none"].shape, found["one"].item()) == ((0, 3), 2.0)


def test_thousands_of_tensors_are_quick(folder: Path) -> None:
    """Time and memory go by their number."""
    save_file({f"h.{number}.w": torch.ones(2) for number in range(3_000)}, "many.safetensors")
    ended = execute("convert", "many.safetensors", "-o", "out.pt", "--rename", "^h", "m", cwd=folder)
    assert ended.status == 0
    assert "m.{0..2999}.w" in ended.stdout
    assert len(torch.load("out.pt", weights_only=True)) == 3_000
