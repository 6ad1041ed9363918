"""A copy of the source, or a zip archive of it, works where no metadata of any distribution is to be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

import paramtool
from paramtool.initializers.registry.table import TABLE
from tests.conftest import ROOT

SPEC = "model: {Sequential: [{Linear: [4, 3]}]}\n"
HIDDEN = """
from importlib.metadata import Distribution
Distribution.discover = classmethod(lambda cls, **_: iter(()))
"""
"""What Python runs first: from then on no distribution is found, torch's neither."""

INSPECT = ("inspect", "--json")
INIT = ("init", "--pattern", "weight", "--normal", "0.01", "--dry-run", "--json")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a folder with a copy of the source, as a project that vendors it has one."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "paramtool", tmp_path / "vendored" / "paramtool", ignore=ignored)
    return tmp_path / "vendored"


@pytest.fixture
def archive(source: Path, tmp_path: Path) -> Path:
    """Return a zip archive that Python runs."""
    target = tmp_path / "paramtool.pyz"
    zipapp.create_archive(source, target, main="paramtool.__main__:main")
    shutil.rmtree(source)
    return target


def python(folder: Path, *words: str, path: tuple[Path, ...] = ()) -> str:
    """Return what Python prints, in a folder with a spec, with all metadata hidden."""
    (folder / "sitecustomize.py").write_text(HIDDEN)
    (folder / "model.yaml").write_text(SPEC)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PARAMTOOL")},
        "PYTHONPATH": os.pathsep.join(map(str, (folder, *path))),
    }
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(rows: str) -> None:
    """Hold the rows of `inspect` or of `init` to the spec."""
    first = json.loads(rows)["rows"][0]
    assert (first["name"], first["shape"]) == ("0.weight", [3, 4])
    assert first.get("rule", "normal(std=0.01)") == "normal(std=0.01)"


def test_a_copy_of_the_source_works_without_metadata(source: Path, tmp_path: Path) -> None:
    """Every command that names initializers does, and nothing comes from another copy."""
    code = f"""
import contextlib, io, json, sys
from importlib.metadata import entry_points
assert not entry_points(group="paramtool.initializers")
import paramtool
from paramtool.cli.main import _run
said = [paramtool.__file__]
for words in {[("--version",), ("initializers", "--json"), INSPECT, INIT]!r}:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert _run(list(words)) == 0, words
    said.append(out.getvalue())
print(json.dumps(said))
"""
    file, version, listed, inspected, initialized = json.loads(python(tmp_path, "-c", code, path=(source,)))
    assert Path(file).is_relative_to(source)
    assert version == f"paramtool {paramtool.__version__}\n"
    assert {each["name"] for each in json.loads(listed)["rows"]} == {each.name for each in TABLE}
    check(inspected)
    check(initialized)


def test_a_zip_archive_runs(archive: Path, tmp_path: Path) -> None:
    """Resources, and the docstrings of initializers, are read where they are."""
    program = str(archive)
    assert python(tmp_path, program, "--version") == f"paramtool {paramtool.__version__}\n"
    explained = python(tmp_path, program, "initializers", "xavier_uniform")
    assert "b = gain·√(6/(fan_in + fan_out))" in explained
    assert json.loads(python(tmp_path, program, "schema"))["required"] == ["model"]
    check(python(tmp_path, program, *INSPECT))
    check(python(tmp_path, program, *INIT))


def test_the_version_is_that_of_the_project() -> None:
    """The number stands in one place, where the build reads it."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'dynamic = ["version"]' in text
    assert '[tool.hatch.version]\npath = "src/paramtool/__init__.py"\n' in text
    assert "paramtool.initializers" not in text.partition("[tool.")[0]  # no entry points of our own
