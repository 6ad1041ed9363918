"""README and docs show what the tool prints; ``make golden`` writes it anew."""

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

from paramtool.cli.command_group import SUMMARIES
from tests.conftest import CONFIGS, ROOT
from tests.model_files import write_models
from tests.warm import warm_command

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = {path.relative_to(ROOT).as_posix(): path for path in [README, *sorted(DOCS.rglob("*.md"))]}
BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<text>.*?)```\n", re.DOTALL)
NAMED = re.compile(r"# ([\w-]+\.yaml)\n")
NOT_RUN = ("pip ", "make ")
WRITES = re.compile(r" -o | > ")  # and is followed by commands that read


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tools: Path) -> Path:
    """Return a folder as a reader has it: configs, the first spec as model.yaml, and a file of each kind."""
    found = tmp_path_factory.mktemp("models")
    shutil.copytree(CONFIGS, found / "configs")
    first = next(block for block in BLOCK.finditer(README.read_text("utf-8")) if block["language"] == "yaml")
    (found / "model.yaml").write_text(first["text"], "utf-8")
    write_models(found)
    rest = "paramtool inspect configs/resnet18.yaml --buffers --json > resnet18.json"
    rest += "; paramtool init -p weight --xavier-normal -p bias --zeros -o weights.safetensors"
    printed(rest, found, tools)
    return found


@pytest.fixture
def folder(tmp_path: Path, models: Path) -> Path:
    """Return a copy of that folder, to write to."""
    shutil.copytree(models, tmp_path, dirs_exist_ok=True, symlinks=True)
    return tmp_path


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with the command line, which starts in no time."""
    with warm_command(tmp_path_factory.mktemp("warm")) as found:
        yield found


def printed(command: str, folder: Path, tools: Path) -> str:
    """Return what `command` prints, stdout and stderr as they come."""
    path = f"{tools}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONIOENCODING": "utf-8"}
    for variable in ("PARAMTOOL_MODEL", "COLUMNS", "FORCE_COLOR"):
        environment.pop(variable, None)
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


def sessions(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each console block as it is, and its commands: one, or several with what each prints."""
    for block in BLOCK.finditer(text):
        commands = re.findall(r"^\$ (.*)$", block["text"], re.MULTILINE)
        if block["language"] == "console" and not commands[0].startswith(NOT_RUN):
            yield block[0], commands


def write_named(text: str, folder: Path) -> None:
    """Write each block of YAML whose first line is a comment with its file's name."""
    for block in BLOCK.finditer(text):
        if block["language"] == "yaml" and (name := NAMED.match(block["text"])):
            (folder / name[1]).write_text(block["text"], "utf-8")


@pytest.mark.parametrize(
    "page", [page for page, path in PAGES.items() if any(sessions(path.read_text("utf-8")))]
)
def test_a_page_shows_what_the_commands_print(
    page: str, folder: Path, tools: Path, request: pytest.FixtureRequest
) -> None:
    """Every command of a page prints what stands below it, in a folder of the page's own."""
    text = fresh = PAGES[page].read_text("utf-8")
    write_named(text, folder)
    found = list(sessions(text))
    outputs = iter(printed_by([each for _, commands in found for each in commands], folder, tools))
    for block, commands in found:
        session = "".join(f"$ {command}\n{next(outputs)}" for command in commands)
        fresh = fresh.replace(block, f"```console\n{session}```\n")
    if request.config.getoption("--snapshot-update"):
        PAGES[page].write_text(fresh, "utf-8")
    else:
        assert fresh == text


def table_commands(page: str, heading: str) -> list[str]:
    """Return the command at the end of each row of the table below a heading."""
    section = PAGES[page].read_text("utf-8").partition(f"# {heading}\n")[2].partition("\n## ")[0]
    commands = re.findall(r"\| `(paramtool [^`]+)` \|$", section, re.MULTILINE)
    assert len(commands) == section.count("\n| ") - 1
    return commands


def test_what_a_notebook_does_is_a_line(folder: Path, tools: Path) -> None:
    """Each command in the table of what a notebook does is done, without a word of error."""
    commands = table_commands("docs/tutorial.md", "What a notebook does, in one line")
    shown = printed_by([f"{each}; echo $?" for each in commands], folder, tools)
    for command, output in zip(commands, shown, strict=True):
        assert (output.splitlines()[-1], "error" in output) == ("0", False), command


def test_every_kind_of_model_is_opened(folder: Path, tools: Path) -> None:
    """Each line in the list of what MODEL may be shows at least one tensor, or the files to choose from."""
    commands = table_commands("docs/checkpoints.md", "Any MODEL")
    assert len(commands) > 15
    shown = printed_by([f"{each}; echo $?" for each in commands], folder, tools)
    for command, output in zip(commands, shown, strict=True):
        *lines, status = output.splitlines()
        assert (status, "error" in output) == ("0", False), (command, output)
        assert re.search(r"^ [1-9][\d,]* (elements?|parameters?|checkpoints)\b", "\n".join(lines), re.M), (
            command
        )


def test_every_command_of_a_job_runs(folder: Path, tools: Path) -> None:
    """What the jobs and hooks in docs/ci.md run ends with 0 after the page's own commands."""
    text = PAGES["docs/ci.md"].read_text("utf-8")
    blocks = [block["text"] for block in BLOCK.finditer(text) if block["language"] == "yaml"]
    words = re.compile(r"^[ -]*(?:(?:run|entry): )?(paramtool (?!check$).*)$", re.MULTILINE)
    commands = [command for block in blocks for command in words.findall(block)]
    assert len(commands) == 4
    printed(next(sessions(text))[1][0], folder, tools)
    for command in commands:
        output = printed(f"{command}; echo $?", folder, tools)
        assert output.splitlines()[-1] == "0", (command, output)
    assert 'errors="0"' in (folder / "parameters.xml").read_text("utf-8")


def test_a_job_without_torch_installs_everything_else() -> None:
    """The line in docs/ci.md names each dependency but torch, and paramtool without its dependencies."""
    text = (ROOT / "pyproject.toml").read_text("utf-8").partition("\ndependencies = [")[2].partition("]")[0]
    needed = re.findall(r'"([a-z]+)', text)
    assert needed[0] == "torch"
    line = f"pip install {' '.join(needed[1:])} && pip install --no-deps paramtool\n"
    assert PAGES["docs/ci.md"].read_text("utf-8").count(line) == 3


def test_the_python_of_a_page_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of each page runs as it stands, from its first block to its last."""
    monkeypatch.chdir(folder)
    ran = 0
    for page, path in PAGES.items():
        names: dict[str, object] = {}
        for block in BLOCK.finditer(path.read_text("utf-8")):
            if block["language"] == "python":
                exec(compile(block["text"], page, "exec"), names)
                ran += 1
    assert ran > 1


def test_every_config_that_a_page_names_exists() -> None:
    """A config that a page names is in configs/."""
    named = {
        each
        for path in PAGES.values()
        for each in re.findall(r"configs/(\w+\.yaml)", path.read_text("utf-8"))
    }
    assert named <= {path.name for path in CONFIGS.glob("*.yaml")}


@pytest.mark.parametrize("page", PAGES)
def test_a_link_between_pages_leads_somewhere(page: str) -> None:
    """Each link of a page that is no address is a file of the project."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page].read_text("utf-8")):
        assert (PAGES[page].parent / target).exists(), target


def test_every_page_is_in_a_table_of_contents() -> None:
    """A page that no toctree names would be built, and found by nobody."""
    named = {DOCS / "index.md"}
    for path in DOCS.rglob("*.md"):
        for tree in re.findall(r"```{toctree}\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
            lines = [line for line in tree.splitlines() if line and not line.startswith(":")]
            named |= {path.parent / f"{line}.md" for line in lines}
    assert named == set(DOCS.rglob("*.md"))


def test_model_yaml_is_the_same_on_every_page() -> None:
    """Commands without MODEL are about one spec, wherever it is shown."""
    blocks = [match for path in PAGES.values() for match in BLOCK.finditer(path.read_text("utf-8"))]
    shown = {
        match["text"]
        for match in blocks
        if match["language"] == "yaml" and match["text"].startswith("model:")
    }
    assert len(shown) == 1


def test_the_readme_is_short() -> None:
    """It is read in a minute; the rest is in docs/."""
    assert len(README.read_text("utf-8").splitlines()) <= 150


@pytest.mark.parametrize("command", SUMMARIES)
def test_every_command_has_a_page_with_its_help(command: str) -> None:
    """The page is in docs/commands, and explains every option: it shows what ``--help-all`` prints."""
    text = PAGES[f"docs/commands/{command}.md"].read_text("utf-8")
    assert f"\n$ paramtool {command} --help-all\n" in text


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Sphinx finds every link, target and docstring in order; it is not needed for anything else."""
    pytest.importorskip("sphinx", reason="`make docs` installs Sphinx")
    options = ("-W", "--keep-going", "-n", "-q", "-b", "html")
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "site" / "commands" / "inspect.html").exists()
