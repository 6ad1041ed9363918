"""Paths of annotations and of JUnit's cases are those in the repository, wherever the command runs."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from paramtool.render.repository import repository_path
from tests.conftest import Run
from tests.test_check import properties

BROKEN = "model: {Linear: [4, 3]}\nexpect:\n  parameters: 16\n"


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a repository, with a model two folders down; the current folder is outside."""
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "repo"
    (root / ".git").mkdir(parents=True)
    _write(root / "models" / "small")
    return root


def _write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(BROKEN)


def test_the_root_is_the_top_level_of_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From above, from the root, from a folder inside and by the whole path, it is one path."""
    whole = repository / "models" / "small" / "model.yaml"
    assert repository_path("repo/models/small/model.yaml") == "models/small/model.yaml"
    assert repository_path(str(whole)) == "models/small/model.yaml"
    monkeypatch.chdir(repository / "models")
    assert repository_path("small/model.yaml") == "models/small/model.yaml"
    assert repository_path("../models/./small/../small/model.yaml") == "models/small/model.yaml"
    monkeypatch.chdir(repository / "models" / "small")
    assert repository_path("model.yaml") == "models/small/model.yaml"


def test_a_worktree_has_a_file_in_place_of_the_folder(repository: Path) -> None:
    """So does a submodule: git takes the innermost."""
    _write(repository / "vendor" / "zoo")
    (repository / "vendor" / ".git").write_text("gitdir: ../.git/modules/vendor\n")
    assert repository_path("repo/vendor/zoo/model.yaml") == "zoo/model.yaml"


def test_a_link_is_a_file_of_the_folder_that_it_is_in(repository: Path, tmp_path: Path) -> None:
    """A link to a folder leads to the folder that git knows; a link to a file is what git knows."""
    (repository / "short").symlink_to(repository / "models" / "small")
    (repository / "linked.yaml").symlink_to(repository / "models" / "small" / "model.yaml")
    (tmp_path / "elsewhere").symlink_to(repository)
    assert repository_path("repo/short/model.yaml") == "models/small/model.yaml"
    assert repository_path("elsewhere/linked.yaml") == "linked.yaml"


def test_a_job_of_github_has_a_workspace(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository checked out below it, a submodule, a download without git, and a file outside."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(repository.parent))
    _write(repository / "vendor")
    (repository / "vendor" / ".git").write_text("gitdir: elsewhere\n")
    assert repository_path("repo/models/small/model.yaml") == "models/small/model.yaml"
    assert repository_path("repo/vendor/model.yaml") == "vendor/model.yaml"
    _write(repository.parent / "download")
    assert repository_path("download/model.yaml") == "download/model.yaml"
    monkeypatch.chdir("download")
    assert repository_path("model.yaml") == "download/model.yaml"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(repository / "models"))
    assert repository_path("../repo/vendor/model.yaml") == "model.yaml"


@pytest.mark.parametrize("name", ["gone.yaml", "<stdin>", "", ".", "a\0b", "\ud800", "x" * 5_000, "/"])
def test_what_is_no_file_keeps_its_name(name: str) -> None:
    """Whatever a message calls it."""
    assert repository_path(name) == name


def test_annotations_and_cases_have_such_paths(
    repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken expectation, an error of a spec and a difference are shown beside the lines they are about."""
    monkeypatch.chdir(repository / "models" / "small")
    Path("bad.yaml").write_text("model: {Liner: [4, 3]}\n")
    lines = run("check", "model.yaml", "bad.yaml", "-f", "github").stdout.splitlines()[:-1]
    assert [properties(line)["file"] for line in lines] == [
        "models/small/model.yaml", "models/small/bad.yaml",
    ]  # fmt: skip
    root = ElementTree.fromstring(run("check", "model.yaml", "bad.yaml", "-f", "junit").stdout)
    assert [case.get("file") for case in root.iter("testcase")] == [
        "models/small/model.yaml", "models/small/bad.yaml",
    ]  # fmt: skip
    Path("other.yaml").write_text("model: {Linear: [4, 5]}\n")
    first = run("diff", "model.yaml", "other.yaml", "-f", "github").stdout.splitlines()[0]
    assert "file=models/small/other.yaml," in first
