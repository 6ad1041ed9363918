"""``copy``: values of any checkpoint that paramtool reads, by the same or a mapped name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from paramtool.errors import ParamtoolError
from paramtool.operations.initialization.rule_application import initialize
from paramtool.records.rule import Rule
from tests.conftest import Run

WEIGHT = torch.arange(12.0).view(3, 4)
BIAS = torch.tensor([0.5, torch.nan, -torch.inf])
TENSORS = {"0.weight": WEIGHT, "0.bias": BIAS}
SPEC = "model: {Sequential: [{Linear: [4, 3]}]}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a spec, and the same tensors in every kind of checkpoint."""
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_text(SPEC)
    save_file(TENSORS, "w.safetensors")
    torch.save(TENSORS, "w.pt")
    torch.save({"model": {}, "old": {}, "ema": TENSORS}, "two.pt")
    torch.save({"0.weight": WEIGHT.T.contiguous().T, "0.bias": BIAS}, "strided.pt")
    save_file({"0.bias": BIAS, "x": WEIGHT}, "tied.safetensors", metadata={"0.weight": "x"})
    for kind in ("safetensors", "bin"):
        where = Path(f"shards_{kind}")
        where.mkdir()
        shards = {name: f"model-{name}.{kind}" for name in TENSORS}
        for name, file in shards.items():
            (save_file if kind == "safetensors" else torch.save)({name: TENSORS[name]}, where / file)
        stem = "model" if kind == "safetensors" else "pytorch_model"
        (where / f"{stem}.{kind}.index.json").write_text(json.dumps({"weight_map": shards}))
    return tmp_path


def copied(file: str, module: nn.Module, rng: str = "streams", **more: str) -> nn.Module:
    initialize(module, [Rule("copy", {"file": file, **more}, pattern=".")], rng=rng)
    return module


def is_equal(module: nn.Module, expected: dict[str, Tensor] = TENSORS) -> bool:
    return all(
        torch.equal(module.get_parameter(name).detach().nan_to_num(7), each.nan_to_num(7))
        for name, each in expected.items()
    )


@pytest.mark.parametrize("rng", ["streams", "torch"])
@pytest.mark.parametrize(
    "file",
    [
        "w.safetensors", "w.pt", "two.pt:ema", "strided.pt", "tied.safetensors", "shards_safetensors",
        "shards_bin", "shards_safetensors/model.safetensors.index.json",
    ],
)  # fmt: skip
def test_any_checkpoint_is_copied_from(run: Run, file: str, rng: str) -> None:
    """What MODEL may be is a source as well: of every kind the same values come, NaN and all."""
    assert is_equal(copied(file, nn.Sequential(nn.Linear(4, 3)), rng))
    result = run("init", "model.yaml", "-p", ".", "--with", f"copy:file={file}", "-o", "new.safetensors")
    assert result.status == 0, result.stderr
    found = load_file("new.safetensors")
    assert all(torch.equal(found[name].nan_to_num(7), each.nan_to_num(7)) for name, each in TENSORS.items())


def test_a_copy_keeps_the_layout_and_casts_to_the_dtype() -> None:
    """A transposed parameter of another dtype has the elements of its name."""
    module = nn.Sequential(nn.Linear(4, 3)).to(torch.bfloat16)
    module[0].weight = nn.Parameter(torch.zeros(4, 3, dtype=torch.bfloat16).T)
    for file in ("w.pt", "strided.pt"):
        copied(file, module)
        assert is_equal(module, {name: each.bfloat16() for name, each in TENSORS.items()})
        assert module[0].weight.stride() == (1, 3)


def test_a_file_that_is_written_anew_is_read_anew() -> None:
    """What was open before is not believed where a file, or one of a folder, is another."""
    module = nn.Sequential(nn.Linear(4, 3))
    for file, path in (
        ("w.pt", "w.pt"),
        ("shards_bin", "shards_bin/model-0.weight.bin"),
        ("shards_bin/pytorch_model.bin.index.json", "shards_bin/model-0.weight.bin"),
    ):
        for dtype, value in ((torch.float32, 1.0), (torch.float64, 2.0)):
            torch.save({"0.weight": torch.full((3, 4), value, dtype=dtype)}, path)
            initialize(module, [Rule("copy", {"file": file}, pattern="weight")])
            assert is_equal(module, {"0.weight": torch.full((3, 4), value)})


@pytest.mark.parametrize("dry", [True, False], ids=["plan", "act"])
@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("two.pt", "two.pt has no tensor '0.weight'"),
        ("two.pt:emma", "it has no 'emma'; did you mean 'ema'?"),
        ("w.safetensors:ema", "w.safetensors is a safetensors file, without a 'ema'"),
        ("cut.pt", "cut.pt"),
        ("cut.safetensors", "cut.safetensors is not a valid safetensors file: "),
        ("bare.bin", "bare.bin has no tensor '0.weight'"),
        ("nn:Linear", "cannot read nn:Linear: No such file or directory"),
        (".", ". has several checkpoints: "),
        ("nowhere.pt", "cannot read nowhere.pt: "),
        ("nul\0.pt", "cannot"),
        ("complex.pt", "'0.weight' in complex.pt is complex64, which it cannot hold without loss"),
        ("tall.pt", "it is [3, 4], but '0.weight' in tall.pt is [4, 3]"),
    ],
)
def test_what_cannot_be_copied_from_is_refused_as_a_model_is(file: str, said: str, dry: bool) -> None:
    """The error is that of the reader, of the rule that names the file, and nothing is touched."""
    for kind in ("pt", "safetensors"):
        Path(f"cut.{kind}").write_bytes(Path(f"w.{kind}").read_bytes()[:-30])
    torch.save({"model": {}, "ema": {}}, "two.pt")
    Path("bare.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'touch owned'\ntR.")
    torch.save({"0.weight": WEIGHT.to(torch.complex64)}, "complex.pt")
    torch.save({"0.weight": WEIGHT.T}, "tall.pt")
    module = nn.Sequential(nn.Linear(4, 3))
    before = {name: each.clone() for name, each in module.state_dict().items()}
    with pytest.raises(ParamtoolError) as caught:
        initialize(
            module,
            [Rule("zeros", pattern="bias"), Rule("copy", {"file": file}, pattern="weight")],
            dry_run=dry,
        )
    assert caught.value.message.startswith(f"copy(file={file}) cannot fill '0.weight': ")
    assert said in str(caught.value)
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
    assert not Path("owned").exists()


def test_a_checkpoint_is_opened_once_for_all_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule for a thousand tensors reads the header of a file once."""
    from paramtool.initializers.functions import copying

    count, opened = 0, vars(copying)["open_checkpoint"]

    def counted(name: str) -> object:
        nonlocal count
        count += 1
        return opened(name)

    monkeypatch.setattr(copying, "open_checkpoint", counted)
    save_file({f"{number}.weight": torch.full((2, 2), number) for number in range(50)}, "many.safetensors")
    module = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(50)))
    copied("many.safetensors", module)
    assert [float(each.detach().mean()) for each in module.parameters()] == list(range(50))
    assert count == 1
