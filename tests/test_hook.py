"""The hook for pre-commit: its files, its entry, and its environment, which has no torch."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from tests.conftest import CONFIGS, ROOT
from tests.processes import execute

SPEC = "model: {Linear: [4, 3]}\nexpect:\n  parameters: 15\n"
OF_TORCH = ("torch", "functorch", "nvidia", "triton", "paramtool", "_paramtool", "__editable__", "distutils")
"""How the files begin that the hook's environment does without, or has of its own."""


def hook() -> dict[str, Any]:
    """Return the one hook of the repository."""
    (found,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    return dict(found)


def test_the_hook_runs_on_the_files_it_is_given(tmp_path: Path) -> None:
    """The entry, then the names of changed files: silent if all is well, else what is broken."""
    pattern = re.compile(hook()["files"])
    assert [bool(pattern.search(each)) for each in ("model.yaml", "a/model.yml", "remodel.yaml")] == [
        True, True, False,
    ]  # fmt: skip
    program, *arguments = shlex.split(hook()["entry"])
    assert (program, hook()["id"], hook()["language"]) == ("paramtool", "paramtool-check", "python")
    for name, text in {"good": SPEC, "plain": "model: ReLU\n", "broken": SPEC.replace("15", "16")}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    ended = execute(*arguments, "good.yaml", "plain.yaml", cwd=tmp_path)
    assert (ended.status, ended.stdout, ended.stderr) == (0, "", "")
    ended = execute(*arguments, "good.yaml", "broken.yaml", cwd=tmp_path)
    assert ended.status == 1
    assert "broken.yaml:3:3" in ended.stdout
    assert "good.yaml" not in ended.stdout


def test_what_stands_for_torch_is_empty_and_new_enough() -> None:
    """It meets the requirement of the package, and has no file that could be imported."""
    (folder,) = hook()["additional_dependencies"]
    text = (ROOT / folder / "pyproject.toml").read_text("utf-8")
    required = re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert required is not None
    assert f'name = "torch"\nversion = "{required[1]}+absent"\n' in text
    assert [path.name for path in (ROOT / folder).iterdir()] == ["pyproject.toml"]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Return how a command ended that knows nothing of this checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the hook as pre-commit does, without a network: what it depends on is there but for torch."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    pytest.importorskip("pip", reason="pip installs it")
    new = tmp_path_factory.mktemp("hook") / "py_env"
    assert run(sys.executable, "-m", "venv", "--without-pip", str(new), cwd=ROOT).returncode == 0
    python = str(new / "bin" / "python")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", code, cwd=new).stdout.strip())
    for each in [file for path in sys.path if path.endswith("-packages") for file in Path(path).iterdir()]:
        is_wanted = not each.name.startswith(OF_TORCH) and each.suffix != ".pth"
        if is_wanted and not (site / each.name).exists():
            (site / each.name).symlink_to(each)
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--disable-pip-version-check",
    )
    offline = ("--no-index", "--no-build-isolation", "--no-compile")
    done = run(*pip, *offline, ".", *hook()["additional_dependencies"], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return new / "bin"


@pytest.mark.slow
def test_the_hook_works_where_torch_is_not_installed(environment: Path, tmp_path: Path) -> None:
    """Names, shapes, ties and stored values are answered there, and what needs torch says so in a line."""
    python, program = str(environment / "python"), str(environment / "paramtool")
    missing = run(python, "-c", "import torch", cwd=tmp_path)
    assert "No module named 'torch'" in missing.stderr
    gpt2 = str(CONFIGS / "gpt2.yaml")
    state = nn.Linear(4, 3).state_dict()
    torch.save(state, tmp_path / "w.pt")
    save_file(state, tmp_path / "w.safetensors")
    (tmp_path / "model.yaml").write_text(SPEC)
    (tmp_path / "gpt2.json").write_text(
        run(program, "inspect", gpt2, "--buffers", "--json", cwd=tmp_path).stdout
    )
    assert json.loads((tmp_path / "gpt2.json").read_text())["totals"]["parameters"] == 124_439_808
    for words in (
        [*shlex.split(hook()["entry"])[1:], "model.yaml"],
        ["check", gpt2, "--same-as", "gpt2.json"],
        ["check", "w.pt", "w.safetensors", "--finite"],
        ["diff", "gpt2.json", gpt2],
        ["diff", "w.pt", "w.safetensors", "--values"],
        ["diff", "w.pt", "model.yaml"],
        ["inspect", "w.pt", "--stats"],
        ["shared", gpt2],
        ["shared", "gpt2.json"],
        ["shared", "w.safetensors", "--by-value"],
    ):
        done = run(program, *words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), words
    for words in (["grad", "model.yaml"], ["init", "model.yaml", "-p", ".", "--zeros"]):
        done = run(program, *words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "error: this needs torch, which is not installed; pip install torch\n"
