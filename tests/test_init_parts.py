"""``init -o FOLDER`` by several processes: the bytes of one process, complete or not at all."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

import paramtool
from paramtool import BadArgument, ParamtoolError, Rule
from paramtool.api.target import Target
from paramtool.files.writing.part import Part
from paramtool.files.writing.part_locks import PartLocks
from tests.conftest import Run

SPEC = """\
model:
  Module:
    wte: {Embedding: [50, 30]}
    h: {Repeat: {times: 3, module: {Linear: [30, 30]}}}
    norm: {BatchNorm1d: 30}
    head: {Linear: {in_features: 30, out_features: 50, bias: false}}
tie: {head.weight: wte.weight}
seed: 3
"""
RULES = ("--pattern", "weight", "--exclude", "norm", "--orthogonal", "--name", "h.0.bias", "--normal", "0.02")
INIT = ("init", "model.yaml", *RULES, "--max-shard-size", "4KB", "-o")
HIDDEN = ".paramtool-parts"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a spec, outside of torchrun."""
    (tmp_path / "model.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def content(folder: Path | str) -> dict[str, bytes]:
    """Return the bytes of every file, hidden ones too; locks, which are empty, apart."""
    files = [path for path in Path(folder).rglob("*") if path.is_file() and not path.name.endswith("lock")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_parts_in_any_order_write_the_bytes_of_one_process(count: int, run: Run) -> None:
    """Until the last part there is no index; then the files are those of one process, and nothing else."""
    assert run(*INIT, "one").status == 0
    order = random.Random(count).sample(range(1, count + 1), count)
    writers = set()
    for number in order:
        assert "model.safetensors.index.json" not in (content("parts") if Path("parts").exists() else {})
        done = run(*INIT, "parts", "--part", f"{number}/{count}")
        assert done.status == 0, done.stderr
        assert f"part {number}/{count}: " in done.stdout
        writers.add("nothing to write" not in done.stdout)
    assert content("parts") == content("one")
    assert writers == ({True, False} if count > len(content("one")) - 1 else {True})
    assert run("inspect", "parts").status == 0


def test_a_model_of_one_file_has_one_writer(run: Run) -> None:
    """What fits into one file is written by part 1, and part 2 has nothing to do."""
    arguments = ("init", "model.yaml", *RULES, "--max-shard-size", "1GB", "-o")
    run(*arguments, "one")
    assert "still missing: model.safetensors" in run(*arguments, "parts", "--part", "2/2").stdout
    assert not Path("parts").exists()
    assert "complete" in run(*arguments, "parts", "--part", "1/2").stdout
    assert "nothing to write; the folder is complete" in run(*arguments, "parts", "--part", "2/2").stdout
    assert content("parts") == content("one")


def test_rows_are_those_of_the_part_and_totals_say_which() -> None:
    """Together the parts have every row once, with the statistics and digests of one process."""
    whole = paramtool.initialize("model.yaml", rules(), output=Target(Path("one"), 4000))
    rows = []
    for number in (1, 2, 3):
        report = part_of("model.yaml", number, 3)
        assert report.totals.part == f"{number}/3"
        assert bool(report.totals.missing) == (number < 3)
        rows += report.rows
    assert sorted(rows, key=lambda row: row.name) == sorted(whole.rows, key=lambda row: row.name)
    assert report.totals.files[-1] == str(Path("parts") / "model.safetensors.index.json")
    assert (whole.totals.part, whole.totals.missing) == (None, ())


def rules() -> list[Rule]:
    """Return rules of which one sees the whole tensor."""
    return [Rule("orthogonal", pattern="weight", ndim=2), Rule("normal", {"std": 0.1}, pattern="bias")]


def part_of(
    model: str | nn.Module,
    number: int,
    count: int,
    given: Sequence[Rule] | None = None,
    *,
    force: bool = False,
) -> paramtool.records.initialization.Initialization:
    """Write one part by the function."""
    target = Target(Path("parts"), 4000, force=force, part=(number, count))
    return paramtool.initialize(model, rules() if given is None else given, output=target)


def test_values_in_memory_are_compared_by_their_bytes() -> None:
    """Parts of one module in memory are those of one process; another module's are refused."""
    torch.manual_seed(0)
    module = nn.Sequential(*(nn.Linear(30, 30) for _ in range(4)))
    other = nn.Sequential(*(nn.Linear(30, 30) for _ in range(4)))
    keep = [Rule("zeros", name="0.bias")]
    paramtool.initialize(module, keep, output=Target(Path("one"), 4000))
    part_of(module, 2, 2, keep)
    with pytest.raises(ParamtoolError, match="holds parts of another run: other values"):
        part_of(other, 1, 2, keep)
    part_of(module, 1, 2, keep)
    assert content("parts") == content("one")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (("--seed", "4"), "seed 3, not 4"),
        (("--zeros",), "other rules"),
        (("--max-shard-size", "5KB"), "max_shard_size 4000, not 5000"),
        (("--set", "model.Module.norm.BatchNorm1d=20"), "other tensors"),
    ],
)
def test_parts_of_another_run_are_refused(changed: tuple[str, ...], what: str, run: Run) -> None:
    """Nothing changes, and the message says what differs and what to delete."""
    assert run(*INIT, "parts", "--part", "1/2").status == 0
    before = content("parts")
    extra = ("--pattern", "bias", *changed) if changed == ("--zeros",) else changed
    done = run(*INIT, "parts", "--part", "2/2", *extra)
    assert (done.status, done.stdout) == (2, "")
    assert f"parts holds parts of another run: {what}; to start again: rm -r parts/{HIDDEN}\n" in done.stderr
    assert content("parts") == before
    refused = run("inspect", "parts")
    assert refused.status == 2
    assert "cannot read parts: parts of it are still missing" in refused.stderr


def test_a_constructor_that_fills_otherwise_is_another_run(run: Run, folder: Path) -> None:
    """The names and shapes agree, the values do not."""
    init = ("init", "model.yaml", "--name", "a", "--zeros", "--max-shard-size", "8", "-o", "parts", "--part")
    spec = "model:\n  Module:\n    a: {Parameter: {shape: [2]}}\n    b: {Parameter: {shape: [2], fill: 1}}\n"
    (folder / "model.yaml").write_text(spec)
    assert run(*init, "1/2").status == 0
    (folder / "model.yaml").write_text(spec.replace("fill: 1", "fill: 2"))
    assert "another run: other values" in run(*init, "2/2").stderr


def test_what_an_idle_run_left_is_taken_over(run: Run, folder: Path) -> None:
    """A plan to which no part has written anything stands in nobody's way."""
    hidden = folder / "parts" / HIDDEN
    hidden.mkdir(parents=True)
    (hidden / "plan.json").write_text('{"seed": 7}')
    (hidden / "part-1-of-2.lock").write_text("")
    for number in (1, 2):
        assert run(*INIT, "parts", "--part", f"{number}/2").status == 0
    run(*INIT, "one")
    assert content("parts") == content("one")


def test_one_part_runs_once_at_a_time(run: Run, folder: Path) -> None:
    """The lock of a living process refuses; the file that a dead one left does not."""
    hidden = folder / "parts" / HIDDEN
    hidden.mkdir(parents=True)
    locks = PartLocks(hidden, Part(1, 2))
    assert locks.take()
    done = run(*INIT, "parts", "--part", "1/2")
    assert "error: cannot write parts: part 1/2 is being written by another process" in done.stderr
    assert done.status == 2
    locks.let_go()
    assert run(*INIT, "parts", "--part", "1/2").status == 0


def test_a_broken_file_of_a_part_is_still_missing(run: Run, folder: Path) -> None:
    """A file that was cut off is not put in place; its part runs again."""
    run(*INIT, "one")
    run(*INIT, "parts", "--part", "1/2")
    cut = sorted((folder / "parts" / HIDDEN).glob("model-*"))[0]
    os.truncate(cut, 100)
    assert f"still missing: {cut.name}" in run(*INIT, "parts", "--part", "2/2").stdout
    assert "the folder is complete" in run(*INIT, "parts", "--part", "1/2").stdout
    assert content("parts") == content("one")


def test_a_failing_part_leaves_the_others(run: Run, folder: Path) -> None:
    """A plugin that raises on one tensor ends its part; alone it leaves nothing."""
    (folder / "odd.py").write_text(
        "import os\n\n"
        "def odd(tensor, parameter):\n"
        "    if parameter.startswith('h.1') and os.path.exists('fail'):\n"
        "        raise ValueError('no')\n"
        "    return tensor.fill_(2)\n"
    )
    init: tuple[str, ...] = (
        "init",
        "model.yaml",
        "--plugin",
        "odd.py",
        "--pattern",
        "weight",
        "--with",
        "odd",
    )
    init += ("--max-shard-size", "4KB", "-o", "parts", "--part")
    (folder / "fail").touch()
    ended = [run(*init, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(each.status for each in ended) == [0, 0, 2]
    failed = 1 + next(number for number, each in enumerate(ended) if each.status == 2)
    assert "model.safetensors.index.json" not in content("parts")
    (folder / "fail").unlink()
    assert "the folder is complete" in run(*init, f"{failed}/3").stdout
    assert run("inspect", "parts").status == 0
    (folder / "fail").touch()
    assert run(*init[:-2], "new", "--part", f"{failed}/3").status == 2
    assert not (folder / "new").exists()


def test_force_replaces_the_old_weights_when_all_parts_are_there(run: Run) -> None:
    """Until then readers find the old ones; without --force nothing starts."""
    run(*INIT, "one", "--seed", "9")
    run(*INIT, "parts")
    old = content("parts")
    again = (*INIT, "parts", "--seed", "9", "--part")
    assert "already exists; --force replaces it" in run(*again, "1/2").stderr
    assert content("parts") == old
    run(*again, "1/2", "--force")
    assert {name: data for name, data in content("parts").items() if HIDDEN not in name} == old
    run(*again, "2/2", "--force")
    assert content("parts") == content("one")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o x --max-shard-size 4KB --part 0/3", "there is no part 0/3; parts go from 1/3 to 3/3"),
        ("-o x --max-shard-size 4KB --part 4/3", "there is no part 4/3; parts go from 1/3 to 3/3"),
        ("-o x --max-shard-size 4KB --part 1/0", "there is no part 1/0; there must be at least one part"),
        ("-o x --max-shard-size 4KB --part 2", "--part '2' is not K/N; e.g. --part 3/16, or --part torchrun"),
        ("-o x --max-shard-size 4KB --part -1/2", "--part '-1/2' is not K/N"),
        ("-o x --max-shard-size 4KB --part torchrun", "--part torchrun requires RANK and WORLD_SIZE"),
        ("-o x --max-shard-size 4KB --part 1/2 --rng torch", "--part cannot be used with --rng torch: there"),
        (
            "-o x.safetensors --part 1/2",
            "--part requires --max-shard-size: a single file has a single writer",
        ),
        ("--part 1/2", "--part requires --output"),
    ],
)
def test_a_part_that_there_cannot_be_is_refused(arguments: str, message: str, run: Run, folder: Path) -> None:
    """One line, exit status 2, and no file."""
    done = run("init", "model.yaml", *RULES, *arguments.split())
    assert (done.status, done.stdout) == (2, "")
    assert f"error: {message}" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["model.yaml"]


@pytest.mark.parametrize("part", [(0, 2), (3, 2), (1,), "12", (True, 2), 1])
def test_a_target_refuses_a_part_that_there_cannot_be(part: object) -> None:
    """The function refuses what the option does, and a part of one file."""
    with pytest.raises(BadArgument, match="part must be a pair"):
        paramtool.initialize("model.yaml", rules(), output=Target(Path("x"), 4000, part=part))  # type: ignore[arg-type]
    with pytest.raises(BadArgument, match="requires max_shard_size"):
        paramtool.initialize("model.yaml", rules(), output=Target(Path("x"), part=(1, 2)))
    with pytest.raises(BadArgument, match="convert writes all files by one process"):
        paramtool.convert("model.yaml", output=Target(Path("x"), 4000, part=(1, 2)))


def test_a_dry_run_names_the_files_of_the_part(run: Run) -> None:
    """It writes nothing, and says what the part would."""
    done = run(*INIT, "parts", "--part", "1/2", "--dry-run")
    assert "note: without --dry-run part 1/2 writes " in done.stderr
    assert " to parts: model-00001-of-000" in done.stderr
    assert not Path("parts").exists()


def test_the_environment_counts_only_where_it_is_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What inherits RANK, such as a command that only one process starts, writes everything."""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = run(*INIT, "one")
    assert (done.status, "torchrun" in done.stderr) == (0, False)
    assert "model.safetensors.index.json" in content("one")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert "note: torchrun has 2 processes" in run(*INIT, "two").stderr
    assert content("two") == content("one")
    assert "part 2/2: wrote" in run(*INIT, "parts", "--part", "torchrun").stdout
    monkeypatch.setenv("RANK", "0")
    assert "the folder is complete" in run(*INIT, "parts", "--part", "torchrun").stdout
    assert content("parts") == content("one")
    monkeypatch.setenv("RANK", "2")
    assert run(*INIT, "parts", "--part", "torchrun").status == 2


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run two processes."""
    pytest.importorskip("torch.distributed.run")
    if not torch.distributed.is_available():
        pytest.skip("this torch has no torch.distributed")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_torchrun_writes_the_folder(run: Run) -> None:
    """Two processes at once, each its own files."""
    run(*INIT, "one")
    done = torchrun("-m", "paramtool", *INIT, "parts", "--part", "torchrun")
    assert done.returncode == 0, done.stderr
    assert content("parts") == content("one")


READER = """\
import sys
import torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.state_dict import get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
import paramtool

dist.init_process_group("gloo")
with torch.device("meta"):
    module = nn.Sequential(nn.Linear(30, 101), nn.Linear(101, 37))
mesh = init_device_mesh("cpu", (2,))
for each in module:
    fully_shard(each, mesh=mesh)
module.to_empty(device="cpu")
state = get_model_state_dict(module)
dcp.load(state, storage_reader=HuggingFaceStorageReader(sys.argv[1]))
read = {name: tensor.full_tensor().clone() for name, tensor in state.items()}
paramtool.initialize(module, [paramtool.Rule("normal", {"std": 0.02}, pattern=".")], seed=0)
now = get_model_state_dict(module)
same = all(torch.equal(read[name], tensor.full_tensor()) for name, tensor in now.items())
dist.destroy_process_group()
sys.exit(0 if same and len(read) == 4 else 1)
"""


@pytest.mark.slow
def test_dcp_reads_the_folder_into_a_sharded_model(run: Run, folder: Path) -> None:
    """What HuggingFaceStorageReader reads into FSDP2 on two processes is what `initialize` fills there."""
    (folder / "model.yaml").write_text(
        "model:\n  Sequential:\n    - Linear: [30, 101]\n    - Linear: [101, 37]\n"
    )
    (folder / "reader.py").write_text(READER)
    init = (
        "init",
        "model.yaml",
        "--pattern",
        ".",
        "--normal",
        "0.02",
        "--max-shard-size",
        "9KB",
        "-o",
        "parts",
    )
    for number in (2, 1):
        assert run(*init, "--part", f"{number}/2").status == 0
    done = torchrun("reader.py", "parts")
    assert done.returncode == 0, done.stderr
