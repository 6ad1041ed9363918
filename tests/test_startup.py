"""What each command loads: nothing but what the typed MODEL needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.checked_torch import INSTALLED, IS_CHECKED, checked_against
from tests.conftest import CONFIGS

READERS = "paramtool.files.reading."
OF_PICKLES = (
    *(f"{READERS}pickle_{each}" for each in ("bytes", "machine", "opcodes", "stack")),
    *(
        f"{READERS}pickled_{each}"
        for each in (
            "arrays", "calls", "file", "modules", "storages", "tensors", "tree", "values",
        )
    ),
    *(f"{READERS}torch_{each}" for each in ("archive", "legacy", "script")),
    f"{READERS}state_dict", f"{READERS}stored_tensors", f"{READERS}zip_directory",
)  # fmt: skip
OF_OTHERS = tuple(
    f"{READERS}{each}"
    for each in (
        "distributed", "exported_program", "folder", "gguf", "numpy_array", "policy_archive", "sharded",
        "archived_piece", "tiles",
    )
)  # fmt: skip
OF_JSON = (f"{READERS}json_document", f"{READERS}snapshot", "paramtool.models.snapshot")
OF_SAFETENSORS = (f"{READERS}safetensors",)
OF_SPECS = (
    "yaml", "paramtool.language.document", "paramtool.language.yaml_reader",
    "paramtool.language.modules", "paramtool.initializers", "paramtool.plugins", "paramtool.models.spec",
    "paramtool.models.built", "paramtool.models.python_object",
)  # fmt: skip
OF_TORCH = (
    "torch", "paramtool.tensors", "paramtool.operations.gradients", "paramtool.operations.initialization",
)  # fmt: skip
HEAVY = ("pydantic", "rich.console", "rich.table")
NO_COMMAND = ("paramtool.models", "paramtool.files", "paramtool.operations", "paramtool.records")

NEVER = (*OF_TORCH, *HEAVY, "paramtool.files.writing")
OF_PAGES = "paramtool.render.html"
NOT_FOR_NAMES = ("numpy", "importlib.metadata", "paramtool.structure", "paramtool.network")
CHECKPOINT = (*NEVER, *OF_SPECS, *OF_OTHERS, *OF_JSON)
SAFETENSORS = (*CHECKPOINT, *OF_PICKLES)
CONVERSION = (*OF_TORCH, *HEAVY, *OF_SPECS, *OF_OTHERS, *OF_JSON, "paramtool.network", "paramtool.structure")
OF_ARCHIVES = ("paramtool.files.torch_format", "paramtool.files.state_pickle")
SPEC = (*NEVER, "numpy", *OF_OTHERS, *OF_JSON, *OF_PICKLES, *OF_SAFETENSORS, "paramtool.models.checkpoint")
SNAPSHOT = (*NEVER, *NOT_FOR_NAMES, *OF_SPECS, *OF_OTHERS, *OF_PICKLES, *OF_SAFETENSORS)

MAY_NOT_LOAD: dict[str, tuple[str, ...]] = {
    "--help": (*NEVER, *NOT_FOR_NAMES, *NO_COMMAND, *OF_SPECS),
    "--version": (*NEVER, *NOT_FOR_NAMES, *NO_COMMAND, *OF_SPECS),
    "inspect --help": (*NEVER, *NOT_FOR_NAMES, *OF_SPECS),
    "inspect w.safetensors": (*SAFETENSORS, *NOT_FOR_NAMES),
    "inspect w.safetensors --pattern w --depth 1": (*SAFETENSORS, *NOT_FOR_NAMES),
    "inspect w.safetensors --json": (*SAFETENSORS, *NOT_FOR_NAMES),
    "inspect w.safetensors --format html": (*SAFETENSORS, *NOT_FOR_NAMES),
    "inspect mlp.yaml --report r.html": (
        *OF_TORCH, *HEAVY, "numpy", *OF_OTHERS, *OF_JSON, *OF_PICKLES, *OF_SAFETENSORS,
    ),
    "w.safetensors": (*SAFETENSORS, *NOT_FOR_NAMES),
    "w.safetensors w.safetensors": (*SAFETENSORS, *NOT_FOR_NAMES),
    "w.pt w.safetensors mlp.yaml s.json": (*NEVER, "numpy"),
    "nets.py": (*NEVER, "numpy", *OF_OTHERS, *OF_JSON, *OF_PICKLES, *OF_SAFETENSORS),
    "shared w.safetensors --fail-on any": (*SAFETENSORS, *NOT_FOR_NAMES),
    "diff w.safetensors w.safetensors": (*SAFETENSORS, *NOT_FOR_NAMES),
    "check w.safetensors --parameters 8": (*SAFETENSORS, "numpy", "paramtool.structure"),
    "check w.safetensors --finite": (*SAFETENSORS, "paramtool.structure"),
    "inspect w.safetensors --stats": (*SAFETENSORS, "paramtool.structure", "paramtool.network"),
    "inspect w.pt": (*CHECKPOINT, *OF_SAFETENSORS, *NOT_FOR_NAMES),
    "shared w.pt": (*CHECKPOINT, *OF_SAFETENSORS, *NOT_FOR_NAMES),
    "diff w.pt w.safetensors": (*CHECKPOINT, *NOT_FOR_NAMES),
    "convert w.safetensors -o c.safetensors --force": (*CONVERSION, *OF_PICKLES, *OF_ARCHIVES),
    "convert w.safetensors -o c.pt --force": CONVERSION,
    "convert w.pt -o c.safetensors --force": (*CONVERSION, *OF_ARCHIVES),
    "convert --help": (*NEVER, *NOT_FOR_NAMES, *OF_SPECS, "paramtool.operations.conversion"),
    "inspect mlp.yaml": SPEC,
    "shared mlp.yaml": SPEC,
    "check mlp.yaml --parameters 19": SPEC,
    "diff mlp.yaml mlp.yaml": SPEC,
    "init mlp.yaml --dry-run": SPEC,
    "init mlp.yaml --dry-run --pattern bias --zeros": SPEC,
    "inspect s.json": SNAPSHOT,
    "shared s.json": SNAPSHOT,
    "diff s.json s.json": SNAPSHOT,
    "check s.json --parameters 19": (*NEVER, "numpy", *OF_SPECS, *OF_OTHERS, *OF_PICKLES, *OF_SAFETENSORS),
    "schema": (*NEVER, "numpy", "importlib.metadata", "yaml", *NO_COMMAND),
    "initializers": (*NEVER, "numpy", "yaml", "paramtool.models", "paramtool.files", "paramtool.structure"),
    "complete: inspect w.safetensors --module ": (*NEVER, *NOT_FOR_NAMES, *OF_PICKLES, *OF_SPECS),
    "complete: convert w.safetensors --module ": (*NEVER, *NOT_FOR_NAMES, *OF_PICKLES, *OF_SPECS),
    "complete: w.safetensors --module ": (*NEVER, *NOT_FOR_NAMES, *OF_PICKLES, *OF_SPECS),
    "complete: inspect --type ": (*NEVER, *NOT_FOR_NAMES, "yaml", *OF_PICKLES),
}  # fmt: skip
"""Each command, and the beginnings of what it may not load: a module of the name, or below it."""

RUN = """
import json, sys
from paramtool.cli import console
from paramtool.cli.main import _run
status = 0
try:
    console.prepare()
    status = _run(sys.argv[2:])
except SystemExit as end:  # so Typer ends a completion
    status = int(end.code or 0)
sys.stdout.flush()
with open(sys.argv[1], "w") as file:
    json.dump([status, sorted(sys.modules)], file)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one file of each kind."""
    path = tmp_path_factory.mktemp("kinds")
    weights = {"0.weight": torch.ones(3, 2), "0.bias": torch.ones(2)}
    save_file(weights, path / "w.safetensors")
    torch.save(weights, path / "w.pt")
    (path / "nets.py").write_text("from torch import nn\nnet = nn.Linear(2, 2)\n")
    (path / "mlp.yaml").write_text((CONFIGS / "mlp.yaml").read_text())
    text = subprocess.run(
        [sys.executable, "-m", "paramtool", "inspect", "mlp.yaml", "--json"],
        cwd=path, capture_output=True, check=True,
    ).stdout  # fmt: skip
    (path / "s.json").write_bytes(text)
    return path


def loaded(folder: Path, command: str) -> tuple[int, list[str], str]:
    """Return the exit status, all modules that are loaded at the end, and stdout.

    A torch of another version would be asked for the structure of a spec: here it passes for the checked one.
    """
    words = command.split()
    environment = dict(os.environ)
    if words[0] == "complete:":
        typed = f"paramtool {command.removeprefix('complete: ')}"
        environment |= {
            "_PARAMTOOL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words)),
            "_TYPER_COMPLETE_ARGS": typed,
        }  # fmt: skip
        words = []
    modules = folder / "modules.json"
    as_checked = "" if IS_CHECKED or "mlp.yaml" not in words else checked_against(INSTALLED)
    done = subprocess.run(
        [sys.executable, "-c", as_checked + RUN, str(modules), *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    status, names = json.loads(modules.read_text())
    modules.unlink()
    return status, names, done.stdout


@pytest.mark.parametrize("command", MAY_NOT_LOAD)
def test_commands_load_what_they_need(folder: Path, command: str) -> None:
    """A command answers, and what has nothing to do with its MODEL is not loaded."""
    status, names, printed = loaded(folder, command)
    assert (status in (0, 1), bool(printed)) == (True, True)
    refused = MAY_NOT_LOAD[command]
    if "html" not in command:
        refused = (*refused, OF_PAGES)
    assert [each for each in names if any(each == one or each.startswith(f"{one}.") for one in refused)] == []


@pytest.mark.parametrize("kind", ["w.safetensors", "w.pt", "s.json"])
def test_readers_load_for_their_own_format(folder: Path, kind: str) -> None:
    """The names above are those of modules: each is loaded by a file that needs it."""
    _, names, _ = loaded(folder, f"inspect {kind}")
    needed = {"w.safetensors": OF_SAFETENSORS, "w.pt": (f"{READERS}pickled_file",), "s.json": OF_JSON}[kind]
    assert set(needed) <= set(names)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "mlp.yaml", "s.json"])
def test_a_model_alone_costs_what_inspect_costs(folder: Path, name: str) -> None:
    """`paramtool FILE` loads what `paramtool inspect FILE` loads, and prints the same."""
    assert loaded(folder, name) == loaded(folder, f"inspect {name}")


def test_forbidden_names_are_modules() -> None:
    """A renamed module does not slip through."""
    from importlib.util import find_spec

    named = {OF_PAGES, *(each for names in MAY_NOT_LOAD.values() for each in names)}
    assert [each for each in sorted(named) if find_spec(each) is None] == []
