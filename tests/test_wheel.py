"""The wheel that users install: built, installed into an empty environment, and run from an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytest.importorskip("hatchling", reason="hatchling builds the wheel")
pytest.importorskip("pip", reason="pip installs the wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.iterdir()
    return built


def run(*arguments: str, python: str = sys.executable, cwd: Path, **more: str) -> str:
    """Return what Python prints, stdout and stderr together."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, *arguments],
        cwd=cwd,
        env={**environment, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_wheel_holds_the_package_and_its_licence(wheel: Path) -> None:
    """Every file of the package is in it, data and marker included; tests and configs are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        licence = next(name for name in names if name.endswith("/licenses/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    source = ROOT / "src"
    files = {path for path in (source / "paramtool").rglob("*") if path.is_file()}
    expected = {path.relative_to(source).as_posix() for path in files if path.suffix != ".pyc"}
    manual = {name.rpartition("/share/man/man1/")[2] for name in names if ".data/" in name}
    assert manual == {path.name for path in (ROOT / "man").iterdir()}
    assert {name for name in names if ".dist-info/" not in name and ".data/" not in name} == expected
    assert {"paramtool/py.typed", "paramtool/language/catalog.json"} <= expected


def test_the_installed_wheel_runs_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """The command is there and answers; nothing of this checkout is imported."""
    new, empty = tmp_path / "new", tmp_path / "empty"
    empty.mkdir()
    run("-m", "venv", "--without-pip", str(new), cwd=empty)
    python = str(new / "bin" / "python")
    site = Path(
        run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))", python=python, cwd=empty).strip()
    )
    install = ("--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check")
    run("-m", "pip", "--python", python, "install", *install, str(wheel), cwd=empty)
    here = [path for path in sys.path if path.endswith("-packages") and Path(path).is_dir()]
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in here), "utf-8")
    assert Path(
        run("-c", "import paramtool; print(paramtool.__file__)", python=python, cwd=empty)
    ).is_relative_to(site)
    command = str(new / "bin" / "paramtool")
    version = run(command, "--version", python=python, cwd=empty)
    assert version == f"paramtool {wheel.name.split('-')[1]}\n"
    spec = empty / "model.yaml"
    spec.write_text("model: {Liner: [4, 3]}\n", "utf-8")
    done = subprocess.run([command, "inspect"], cwd=empty, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown module 'Liner'" in done.stderr
    assert "did you mean 'Linear'" in done.stderr


def test_what_is_said_of_the_package_is_complete(wheel: Path) -> None:
    """Licence, Python versions, typing and the command are in the metadata, and no address."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(name).decode()
    head = text.partition("\n\n")[0].splitlines()
    assert {"License-Expression: Apache-2.0", "License-File: LICENSE", "Requires-Python: >=3.10"} <= set(head)
    assert {f"Classifier: Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)} <= set(
        head
    )
    assert {"Classifier: Operating System :: POSIX", "Classifier: Typing :: Typed"} <= set(head)
    needed = {
        line.split(": ")[1].split(">")[0]
        for line in head
        if line.startswith("Requires-Dist") and ";" not in line
    }
    assert needed == {"torch", "typer", "rich", "pyyaml", "numpy"}
    assert not [line for line in head if line.startswith(("Project-URL", "Home-page"))]
