"""The scripts in examples/ do what their page shows, and torch reads the same from what they save."""

from __future__ import annotations

import re
import shutil
import stat
import sys
import warnings
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed.checkpoint.state_dict_loader import load

import paramtool
from tests.conftest import ROOT
from tests.test_pages import printed, sessions
from tests.warm import warm_command

PAGE = ROOT / "examples" / "README.md"
SCRIPT = "sharded_transformer.py"
FOUR = "--nproc-per-node 4"
HOLDS = re.compile(r"rank 0 of \d holds [\d,]+ of")


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Type what the page shows into a copy of its folder; return that and the page with what was printed.

    The page has four processes.  With two, the part of it where others write shards is passed over.
    """
    pytest.importorskip("torch.distributed.run")
    folder = tmp_path_factory.mktemp("examples") / "examples"
    shutil.copytree(PAGE.parent, folder)
    text = PAGE.read_text("utf-8").replace(FOUR, f"--nproc-per-node {request.param}", 1)
    with warm_command(tmp_path_factory.mktemp("warm")) as tools:
        add_torchrun(tools)
        for block, commands in sessions(text):
            if request.param == 4 or "--part torchrun" not in block:
                shown = "".join(f"$ {each}\n{printed(each, folder, tools)}" for each in commands)
                text = text.replace(block, f"```console\n{shown}```\n")
    return folder, text


def add_torchrun(tools: Path) -> None:
    """Write a torchrun that starts the Python of the tests, and has the threads it would else warn about."""
    launcher = tools / "torchrun"
    launch = f'exec {sys.executable} -m torch.distributed.run --standalone "$@"'
    launcher.write_text(f"#!/bin/sh\nOMP_NUM_THREADS=1 {launch}\n")
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def script(page: tuple[Path, str]) -> ModuleType:
    """Return the script as a module."""
    spec = spec_from_file_location("sharded_transformer", page[0] / SCRIPT)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_what_is_printed(page: tuple[Path, str], request: pytest.FixtureRequest) -> None:
    """With four processes every line, and with two every line but what the first one holds."""
    text = PAGE.read_text("utf-8")
    if FOUR not in page[1]:
        assert "rank 0 of 2 holds 82,688 of 165,248 parameters" in page[1]
        assert HOLDS.sub("", page[1].replace("--nproc-per-node 2", FOUR, 1)) == HOLDS.sub("", text)
    elif request.config.getoption("--snapshot-update"):
        PAGE.write_text(page[1], "utf-8")
    else:
        assert page[1] == text


def test_torch_loads_what_one_process_would_fill(page: tuple[Path, str], script: ModuleType) -> None:
    """`start` has the bytes that `initialize` gives a plain module here."""
    module = script.Transformer()
    expected = script.Transformer()
    paramtool.initialize(expected, script.RULES, seed=0)
    state = module.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load({"model": state}, checkpoint_id=page[0] / "start", no_dist=True)
    assert all(torch.equal(state[name], each) for name, each in expected.state_dict().items())


def test_torch_loads_what_paramtool_converts(page: tuple[Path, str], script: ModuleType) -> None:
    """After the step too: the file that `convert` writes has the tensors that `dcp.load` reads."""
    state = script.Transformer().state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load({"model": state}, checkpoint_id=page[0] / "step1", no_dist=True)
    written = page[0] / "step1.safetensors"
    paramtool.convert([str(page[0] / "step1")], written)
    found = load_file(written)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], each) for name, each in state.items())
