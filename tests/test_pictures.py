"""The pictures are what a terminal shows today; ``make golden`` draws them anew."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT
from tests.model_files import write_lab
from tests.warm import warm_command
from tools import pictures


@pytest.mark.filterwarnings("ignore:.*forkpty:DeprecationWarning")
def test_a_picture_is_what_a_terminal_shows(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Drawing each anew gives the same file."""
    write_lab(tmp_path)
    with warm_command(tmp_path / "warm") as tools:
        for name in pictures.COMMANDS:
            fresh, path = pictures.picture(name, tmp_path, [tools]), pictures.FOLDER / f"{name}.svg"
            if request.config.getoption("--snapshot-update"):
                path.write_text(fresh, "utf-8")
            assert path.read_text("utf-8") == fresh
    assert {path.stem for path in pictures.FOLDER.glob("*.svg")} == set(pictures.COMMANDS)


@pytest.mark.parametrize("name", pictures.COMMANDS)
def test_a_picture_needs_no_network(name: str) -> None:
    """It is valid XML, and nothing in it is fetched or run."""
    text = (pictures.FOLDER / f"{name}.svg").read_text("utf-8")
    kinds = {element.tag.partition("}")[2] for element in ElementTree.fromstring(text).iter()}
    assert kinds <= {"svg", "style", "defs", "clipPath", "rect", "g", "circle", "text"}
    assert re.findall(r"https?://[^\"' ]+", text) == ["http://www.w3.org/2000/svg"]
    assert "url(http" not in text


def test_the_readme_shows_a_picture() -> None:
    """The first thing below the introduction is one that exists."""
    (first, *_) = re.findall(r"!\[[^]]+\]\((\S+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert (ROOT / first).is_file()
