"""A file is replaced as a whole, or stays as it was."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from paramtool.errors import ParamtoolError
from paramtool.files.writing.destination import lock, temporary_path
from paramtool.files.writing.replacement import Replacement, write_file

OLD, NEW = b"old" * 1000, b"new" * 2000


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("force", [False, True])
def test_a_new_file_has_the_bytes_and_nothing_is_beside_it(tmp_path: Path, force: bool) -> None:
    """What was written is there, and the temporary file is not."""
    write_file(tmp_path / "a", NEW, force=force)
    assert (tmp_path / "a").read_bytes() == NEW
    assert _names(tmp_path) == ["a"]


def test_a_file_that_is_there_stays_without_force(tmp_path: Path) -> None:
    """An existing file is refused before anything is written, and the hint names what replaces it."""
    target = tmp_path / "a"
    target.write_bytes(OLD)
    with pytest.raises(ParamtoolError, match="already exists") as caught:
        write_file(target, NEW)
    assert (caught.value.status, caught.value.hint) == (2, "a Target with force=True replaces it")
    assert target.read_bytes() == OLD
    assert _names(tmp_path) == ["a"]


def test_a_file_that_appears_meanwhile_stays_without_force(tmp_path: Path) -> None:
    """A file that another program put there while we wrote is not replaced."""
    target = tmp_path / "a"
    file = Replacement(target)
    file.open()
    file.write_at(0, NEW)
    target.write_bytes(OLD)
    with pytest.raises(ParamtoolError, match="already exists"):
        file.place()
    with pytest.raises(ParamtoolError, match="already exists"):
        file._appear(temporary_path(target).parent / _names(tmp_path)[0])
    file.discard()
    assert target.read_bytes() == OLD
    assert _names(tmp_path) == ["a"]


def test_a_file_system_without_hard_links_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a link is not permitted the file is renamed."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_file(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW
    assert _names(tmp_path) == ["a"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_force_keeps_the_mode(tmp_path: Path, mode: int) -> None:
    """A replaced file has the mode of the one before."""
    target = tmp_path / "a"
    target.write_bytes(OLD)
    target.chmod(mode)
    write_file(target, NEW, force=True)
    assert target.read_bytes() == NEW
    assert stat.S_IMODE(target.stat().st_mode) == mode


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    """A new file is neither private nor open beyond what the user set."""
    before = os.umask(umask)
    try:
        write_file(tmp_path / "a", NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed_and_stays(tmp_path: Path, there: bool) -> None:
    """Writing to a symbolic link replaces, or creates, the file that it names."""
    (tmp_path / "store").mkdir()
    behind = tmp_path / "store" / "b"
    if there:
        behind.write_bytes(OLD)
    link = tmp_path / "a"
    link.symlink_to("store/b")
    write_file(link, NEW, force=there)
    assert link.is_symlink()
    assert behind.read_bytes() == NEW
    assert _names(behind.parent) == ["b"]


def test_a_loop_of_links_is_told(tmp_path: Path) -> None:
    """Links that lead nowhere end in an error that names the path."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ParamtoolError, match="symbolic links"):
        write_file(tmp_path / "a", NEW, force=True)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as each:
        each.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"), [(Path.mkdir, "a folder"), (os.mkfifo, "a pipe"), (_socket, "a socket")]
)
def test_what_is_no_regular_file_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], kind: str
) -> None:
    """Folders, pipes and sockets are refused, with force too."""
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    target = Path("a")
    make(target)
    before = target.stat()
    with pytest.raises(ParamtoolError, match=f"it is {kind}"):
        write_file(target, NEW, force=True)
    assert target.stat() == before


def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    """The null device survives, also behind a link."""
    (tmp_path / "a").symlink_to(os.devnull)
    for target in (Path(os.devnull), tmp_path / "a"):
        with pytest.raises(ParamtoolError, match="it is a device"):
            write_file(target, NEW, force=True)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """A folder that is missing, or is a file, is named."""
    with pytest.raises(ParamtoolError, match=r"the folder .*missing does not exist"):
        write_file(tmp_path / "missing" / "a", NEW)
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(ParamtoolError, match=r"cannot write .*file/a"):
        write_file(tmp_path / "file" / "a", NEW)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    """An unwritable folder is an error about the file that was asked for."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ParamtoolError, match=r"cannot write .*: Permission denied"):
            write_file(tmp_path / "a", NEW)
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """More than the disk has free is refused on entering, with both figures."""
    size = shutil.disk_usage(tmp_path).total * 2
    with pytest.raises(ParamtoolError, match=r"it needs [\d.]+ .B, but only [\d.]+ .B are free"):
        Replacement(tmp_path / "a", size=size).open()
    assert _names(tmp_path) == []


LIMITED = """
import resource, sys
from pathlib import Path
from paramtool.errors import ParamtoolError
from paramtool.files.writing.replacement import Replacement
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with Replacement(Path(sys.argv[1]), size=int(sys.argv[2]), force=True) as file:
        print("open")
        file.write_at(0, bytes(200_000))
except ParamtoolError as error:
    print(error.message)
"""


@pytest.mark.parametrize(("size", "opened"), [(0, True), (200_000, False)])
def test_a_file_too_large_leaves_the_old_one(tmp_path: Path, size: int, opened: bool) -> None:
    """What the system refuses to write is told, on entering where the size is known, and changes nothing."""
    target = tmp_path / "a"
    target.write_bytes(OLD)
    command = [sys.executable, "-c", LIMITED, str(target), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["open"] * opened + [f"cannot write {target}: File too large"]
    assert target.read_bytes() == OLD
    assert _names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    """Whatever ends the writing early, the old file is whole and nothing is beside it."""
    target = tmp_path / "a"
    target.write_bytes(OLD)
    with pytest.raises(error), Replacement(target, size=len(NEW), force=True) as file:
        file.write_at(0, NEW[:100])
        raise error
    assert target.read_bytes() == OLD
    assert _names(tmp_path) == ["a"]


def test_an_interrupt_leaves_what_was_there(tmp_path: Path) -> None:
    """A true SIGINT in the middle removes the temporary file."""
    with pytest.raises(KeyboardInterrupt), Replacement(tmp_path / "a", size=len(NEW)) as file:
        file.write_at(0, NEW[:100])
        signal.raise_signal(signal.SIGINT)
    assert _names(tmp_path) == []


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call that writes less than it was given is called again with the rest."""
    write: Callable[[int, memoryview, int], int] = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, position: write(file, data[:7], position))
    write_file(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    """A temporary file is removed by the next run of its target if no process holds it."""
    target = tmp_path / "a"
    dead, alive, other = temporary_path(target), temporary_path(target), temporary_path(tmp_path / "b")
    for path in (dead, alive, other):
        path.write_bytes(OLD)
    descriptor = os.open(alive, os.O_RDWR)
    try:
        assert lock(descriptor)
        write_file(target, NEW)
        assert set(_names(tmp_path)) == {"a", alive.name, other.name}
    finally:
        os.close(descriptor)


def test_two_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Of two that write the same target at once the last one stays, whole."""
    target = tmp_path / "a"
    with Replacement(target, size=len(OLD), force=True) as first:
        with Replacement(target, size=len(NEW), force=True) as second:
            first.write_at(0, OLD)
            second.write_at(0, NEW)
        assert target.read_bytes() == NEW
    assert target.read_bytes() == OLD
    assert _names(tmp_path) == ["a"]


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    """The temporary name fits beside the longest name that the file system takes."""
    write_file(tmp_path / ("ü" * 127), NEW)
    assert _names(tmp_path) == ["ü" * 127]


def test_the_files_package_leaves_torch_out() -> None:
    """Writing a file needs no torch."""
    code = "import sys, paramtool.files.writing.weights; print({'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
