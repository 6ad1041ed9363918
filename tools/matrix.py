"""Run the tests on every Python and torch: ``make matrix PYTHONS="python3.10 python3.13" TORCHES=2.14.1``.

Without names it takes every Python 3.10 to 3.14 that it finds, and the torch of constraints.txt.  A torch
that nobody named is installed only if it is small: a build for graphics processors takes gigabytes.
Where there is none, the tests that need no torch run without it.  Environments are kept in .matrix/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".matrix"
CONSTRAINTS = ROOT / "constraints.txt"
MINORS = range(10, 15)
LARGE = ("nvidia-", "cuda-", "triton")
"""How the packages begin that a build for graphics processors brings."""


@dataclass(frozen=True)
class Cell:
    """One Python with one torch, or without."""

    python: str
    version: str
    torch: str | None

    @property
    def name(self) -> str:
        return f"python {self.version}, {f'torch {self.torch}' if self.torch else 'no torch'}"

    @property
    def folder(self) -> Path:
        return FOLDER / f"{self.version}-{self.torch or 'none'}"


def main() -> int:
    """Make each environment and run the tests in it; return 1 if they fail in any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pythons", nargs="*", default=[], help="interpreters; else all that are found")
    parser.add_argument("--torches", nargs="*", default=[], help="versions, of any size; or 'none'")
    parser.add_argument("tests", nargs="*", default=["-m", "not slow"], help="what pytest is given, after --")
    given = parser.parse_args()
    results = []
    for python in given.pythons or found():
        version = version_of(python)
        if version is None:
            print(f"{python} is not a Python", file=sys.stderr)
            return 2
        for torch in given.torches or [small_torch(python)]:
            cell = Cell(python, version, None if torch in ("none", None) else torch)
            print(f"\n== {cell.name}", flush=True)
            began = time.monotonic()
            passed = prepare(cell) and test(cell, given.tests)
            results.append(passed)
            print(f"== {cell.name}: {'passed' if passed else 'failed'}, {time.monotonic() - began:.0f} s")
    return 0 if results and all(results) else 1


def found() -> Iterator[str]:
    """Yield one interpreter for each minor version, from PATH and from pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in MINORS:
        name = f"python3.{minor}"
        candidates = [shutil.which(name), *sorted(map(str, pyenv.glob(f"3.{minor}.*/bin/{name}")))]
        working = next((each for each in candidates if each and version_of(each)), None)
        if working:
            yield working


def version_of(python: str) -> str | None:
    """Return the version of an interpreter such as ``3.12.1``, or None if it does not run."""
    code = "import platform; print(platform.python_version())"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def small_torch(python: str) -> str | None:
    """Return the torch of constraints.txt if this Python can have a small build of it, else None."""
    wanted = next(line for line in CONSTRAINTS.read_text("utf-8").splitlines() if line.startswith("torch=="))
    command = ["install", "--dry-run", "--quiet", "--ignore-installed", "--only-binary", ":all:"]
    environment = make(Path(python), FOLDER / f"{version_of(python)}-none")
    done = pip(environment, *command, "--report", "-", wanted, quiet=True)
    if done.returncode != 0:
        return None
    needed = [each["metadata"]["name"].lower() for each in json.loads(done.stdout)["install"]]
    return None if any(name.startswith(LARGE) for name in needed) else wanted.partition("==")[2]


def make(python: Path, folder: Path) -> Path:
    """Return the interpreter of the environment in `folder`, made where it is not there yet."""
    inside = folder / "bin" / "python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip(inside, "install", "--quiet", "--upgrade", "pip")
    return inside


def pip(python: Path, *arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the pip of an environment; its output is kept if it is `quiet`."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=quiet, text=True, check=False)


def prepare(cell: Cell) -> bool:
    """Install what the tests need; return whether that worked."""
    python = make(Path(cell.python), cell.folder)
    lines = CONSTRAINTS.read_text("utf-8").splitlines()
    versions = cell.folder / "requirements.txt"
    kept = [f"torch=={cell.torch}"] if cell.torch else []
    versions.write_text(
        "\n".join([*kept, *(line for line in lines if not line.startswith("torch=="))]), "utf-8"
    )
    return all(
        pip(python, "install", "--quiet", *arguments).returncode == 0
        for arguments in (["-r", str(versions)], ["--no-deps", "-e", "."])
    )


def test(cell: Cell, arguments: Sequence[str]) -> bool:
    """Run pytest in the environment; return whether every test passed."""
    tools = (cell.folder / "bin").resolve()
    command = [str(tools / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
