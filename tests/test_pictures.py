"""The pictures are what a terminal and a page show today; ``make golden`` draws them anew."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT
from tests.model_files import write_lab
from tests.warm import warm_command
from tools import page_pictures, pictures

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


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


def test_a_picture_is_what_a_page_shows(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The pages' own code writes it; a number may move by what processors add up in other orders."""
    fresh, path = page_pictures.picture(tmp_path), pictures.FOLDER / f"{page_pictures.NAME}.svg"
    if request.config.getoption("--snapshot-update") and not (path.exists() and alike(path, fresh)):
        path.write_text(fresh, "utf-8")
    assert alike(path, fresh)


def alike(path: Path, fresh: str) -> bool:
    """Return whether a picture has the texts of another, and its numbers but for their last digit."""
    old = path.read_text("utf-8")
    if NUMBER.sub("0", old) != NUMBER.sub("0", fresh):
        return False
    pairs = zip(NUMBER.findall(old), NUMBER.findall(fresh), strict=True)
    return all(float(one) == pytest.approx(float(other), rel=0.01, abs=0.02) for one, other in pairs)


@pytest.mark.parametrize("name", [*pictures.COMMANDS, page_pictures.NAME])
def test_a_picture_needs_no_network(name: str) -> None:
    """It is valid XML, and nothing in it is fetched or run."""
    text = (pictures.FOLDER / f"{name}.svg").read_text("utf-8")
    kinds = {element.tag.partition("}")[2] for element in ElementTree.fromstring(text).iter()}
    assert not kinds & {"script", "image", "img", "use", "link", "iframe", "object", "a", "animate", "set"}
    found = {*re.findall(r"https?://[^\"' ]+", text)}
    assert found <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}
    assert not re.search(r"url\(h|@import|src=|href=|\bon\w+=", text)


def test_every_picture_is_made() -> None:
    """None is left from before."""
    assert {path.stem for path in pictures.FOLDER.glob("*.svg")} == {*pictures.COMMANDS, page_pictures.NAME}


def test_the_readme_shows_a_picture() -> None:
    """The first thing below the introduction is one that exists."""
    (first, *_) = re.findall(r"!\[[^]]+\]\((\S+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert (ROOT / first).is_file()
