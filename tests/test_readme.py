"""The README shows what the tool prints; ``make golden`` writes it anew."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from tests.conftest import CONFIGS, ROOT
from tests.model_files import write_models
from tests.warm import warm_command

README = ROOT / "README.md"
BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<text>.*?)```\n", re.DOTALL)
NOT_RUN = ("pip ", "make ")
WRITES = re.compile(r" -o | > ")  # and is followed by commands that read


@pytest.fixture
def folder(tmp_path: Path, models: Path) -> Path:
    """Return a folder as the README's reader has it: the configs, and the first spec as model.yaml."""
    shutil.copytree(CONFIGS, tmp_path / "configs")
    first = next(block for block in BLOCK.finditer(README.read_text("utf-8")) if block["language"] == "yaml")
    (tmp_path / "model.yaml").write_text(first["text"], "utf-8")
    shutil.copytree(models, tmp_path, dirs_exist_ok=True, symlinks=True)
    return tmp_path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a file for each kind of MODEL."""
    found = tmp_path_factory.mktemp("models")
    write_models(found)
    return found


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with the command line, which starts in no time."""
    with warm_command(tmp_path_factory.mktemp("warm")) as found:
        yield found


def printed(command: str, folder: Path, tools: Path) -> str:
    """Return what `command` prints, stdout and stderr as they come."""
    path = f"{tools}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONIOENCODING": "utf-8"}
    environment.pop("PARAMTOOL_MODEL", None)
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    ).stdout


def printed_by(commands: list[str], folder: Path, tools: Path) -> list[str]:
    """Return what each command prints; those that write nothing run side by side."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        running: list[Future[str]] = []
        for command in commands:
            if WRITES.search(command):
                wait(running)
            running.append(pool.submit(printed, command, folder, tools))
            if WRITES.search(command):
                wait(running)
        return [each.result() for each in running]


def sessions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each console block as it is, and its command."""
    for block in BLOCK.finditer(text):
        command = block["text"].removeprefix("$ ").partition("\n")[0]
        if block["language"] == "console" and not command.startswith(NOT_RUN):
            yield block[0], command


def test_the_readme_shows_what_the_commands_print(
    folder: Path, tools: Path, request: pytest.FixtureRequest
) -> None:
    """Every command in the README prints what stands below it."""
    text = README.read_text("utf-8")
    found = list(sessions(text))
    assert len(found) > 8
    fresh = text
    outputs = printed_by([each for _, each in found], folder, tools)
    for (block, command), output in zip(found, outputs, strict=True):
        fresh = fresh.replace(block, f"```console\n$ {command}\n{output}```\n")
    if request.config.getoption("--snapshot-update"):
        README.write_text(fresh, "utf-8")
    else:
        assert fresh == text


def test_what_a_notebook_does_is_a_line(folder: Path, tools: Path) -> None:
    """Each command in the table of what a notebook does is done, without a word of error."""
    section = README.read_text("utf-8").partition("## What a notebook does")[2].partition("\n## ")[0]
    commands = re.findall(r"\| `(paramtool [^`]+)` \|$", section, re.MULTILINE)
    assert len(commands) == section.count("\n| ") - 1
    for command in commands:
        lines = printed(f"{command}; echo $?", folder, tools).splitlines()
        assert (lines[-1], "error" in "".join(lines)) == ("0", False), command


def test_every_kind_of_model_is_opened(folder: Path, tools: Path) -> None:
    """Each line in the list of what MODEL may be shows at least one tensor, or the files to choose from."""
    section = README.read_text("utf-8").partition("## Any MODEL")[2].partition("\n## ")[0]
    commands = re.findall(r"\| `(paramtool [^`]+)` \|$", section, re.MULTILINE)
    assert len(commands) == section.count("\n| ") - 1 > 15
    rest = "paramtool inspect configs/mlp.yaml --json > resnet18.json"
    rest += "; paramtool init -p . --ones -o weights.safetensors"
    printed(rest, folder, tools)
    shown = printed_by([f"{each}; echo $?" for each in commands], folder, tools)
    for command, output in zip(commands, shown, strict=True):
        *lines, status = output.splitlines()
        assert (status, "error" in output) == ("0", False), (command, output)
        assert re.search(r"^ [1-9][\d,]* (elements?|parameters?|checkpoints)\b", "\n".join(lines), re.M), (
            command
        )


def test_the_readme_python_runs() -> None:
    """The Python in the README runs as it stands."""
    code = [
        block["text"] for block in BLOCK.finditer(README.read_text("utf-8")) if block["language"] == "python"
    ]
    assert code
    for text in code:
        exec(compile(text, "README.md", "exec"), {})


def test_every_config_in_the_readme_exists() -> None:
    """A config that the README names is in configs/."""
    named = set(re.findall(r"configs/(\w+\.yaml)", README.read_text("utf-8")))
    assert named <= {path.name for path in CONFIGS.glob("*.yaml")}
