"""Would it load?  Every answer is the one of torch's ``load_state_dict(strict=True)``."""

from __future__ import annotations

import random
import subprocess
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization

from paramtool import diff
from paramtool.errors import DoesNotLoad, ParamtoolError, Problems, UserCodeFailed
from paramtool.language.catalog import shipped
from paramtool.language.document import read_spec
from paramtool.loading.answer import Answer
from paramtool.loading.state_dict import is_norm, of_checkpoint, of_listing
from paramtool.models.open import open_checkpoint
from paramtool.models.spec import SpecModel
from paramtool.network import construction, load_answer
from paramtool.network.listing import parameters
from paramtool.network.load_answer import ask, is_ordinary, meta_state, saved, state_of
from paramtool.network.strict_load import load
from paramtool.network.twin import twin
from paramtool.place import Text
from paramtool.structure.table import TABLE
from tests.checked_torch import INSTALLED, checked_against
from tests.conftest import Run
from tests.test_every_module import FORMS

State = dict[str, Any]


class Extra(nn.Linear):
    """Has an extra state, which is a tensor or a dict."""

    def __init__(self, state: object) -> None:
        super().__init__(3, 2)
        self.state = state

    def get_extra_state(self) -> object:
        return self.state

    def set_extra_state(self, state: Any) -> None:
        self.state = state


class Renames(nn.Module):
    """Takes the names of an older version of itself, as many libraries do."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(3, 2)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        for part in ("weight", "bias"):
            if f"{prefix}fc.{part}" in state_dict:
                state_dict[f"{prefix}proj.{part}"] = state_dict.pop(f"{prefix}fc.{part}")
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Turns(nn.Module):
    """Turns what it loads, so that no tensor of the file is one of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 2))
        self._register_load_state_dict_pre_hook(self.turn)  # type: ignore[no-untyped-call]

    def turn(self, state_dict: Any, prefix: str, *_: object) -> None:
        if state_dict.get(f"{prefix}weight") is not None and state_dict[f"{prefix}weight"].shape == (2, 3):
            state_dict[f"{prefix}weight"] = state_dict[f"{prefix}weight"].t()


class Looks(Turns):
    """Looks at values while it loads."""

    def turn(self, state_dict: Any, prefix: str, *_: object) -> None:
        if state_dict[f"{prefix}weight"].sum().item() == 0:
            raise ValueError("all zero")


class Forgives(nn.Module):
    """Lets a buffer be missing by a hook after loading."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(2))
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_load_state_dict_post_hook(self.forgive)  # type: ignore[no-untyped-call]

    @staticmethod
    def forgive(_: nn.Module, keys: Any) -> None:
        keys.missing_keys[:] = [key for key in keys.missing_keys if not key.endswith("table")]


def tied() -> nn.Module:
    """Return two names of one weight."""
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    return nn.Sequential(first, second)


def without_a_part() -> nn.Module:
    """Return a module with an empty place, whose keys torch takes without a word."""
    module = nn.Sequential(nn.Linear(3, 2))
    module.register_module("down", None)
    return module


def halved() -> nn.Module:
    """Return a module with a parametrization that has no hook."""
    module = nn.Linear(2, 2)
    register_parametrization(module, "weight", nn.Identity())
    return module


def compiled() -> nn.Module:
    module: nn.Module = torch.compile(nn.Sequential(nn.Linear(3, 2)))  # type: ignore[assignment]
    return module


def scalar() -> nn.Module:
    """Return a scalar, which torch 0.3 saved with one dimension, and a vector of one element."""
    return nn.ParameterDict({"s": nn.Parameter(torch.tensor(1.0)), "v": nn.Parameter(torch.ones(1))})


def instance_norms() -> nn.Module:
    return nn.Sequential(nn.InstanceNorm1d(2), nn.InstanceNorm1d(2, affine=True, track_running_stats=True))


def old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(nn.Linear(3, 2))


SPECIAL: dict[str, Callable[[], nn.Module]] = {
    "extra tensor": lambda: nn.Sequential(Extra(torch.ones(3)), nn.Linear(2, 1)),
    "extra dict": lambda: Extra({"amax": torch.ones(2)}),
    "renames": lambda: nn.Sequential(Renames(), nn.BatchNorm1d(2)),
    "turns": Turns,
    "forgives": Forgives,
    "tied": tied,
    "an empty place": without_a_part,
    "scalar": scalar,
    "weight_norm": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 2))),
    "old weight_norm": lambda: nn.Sequential(old_weight_norm()),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 2)),
    "old spectral_norm": lambda: nn.utils.spectral_norm(nn.Linear(3, 2)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(3, 2)),
    "parametrized": halved,
    "lazy": lambda: nn.Sequential(nn.LazyConv2d(3, 2), nn.LazyBatchNorm2d(), nn.LazyLinear(2)),
    "instance": instance_norms,
    "compiled": compiled,
    "twice": lambda: nn.Sequential(*[nn.BatchNorm1d(2)] * 2),
}  # fmt: skip
MODULES: dict[str, Callable[[], nn.Module]] = {
    **{f"{name} {index}": form[1] for name, forms in FORMS.items() for index, form in enumerate(forms)},
    **SPECIAL,
}
OLD_NAMES = {
    "0.parametrizations.weight.original0": "0.weight_g", "0.parametrizations.weight.original1": "0.weight_v",
    "0.proj.weight": "0.fc.weight", "0.proj.bias": "0.fc.bias",
}  # fmt: skip


def reshaped(value: object, chance: random.Random) -> object:
    """Return a tensor of another shape; what has none as it is."""
    if not isinstance(value, Tensor) or nn.parameter.is_lazy(value):
        return value
    shape = tuple(value.shape)
    return torch.ones(chance.choice([(), (1,), (2,), (0,), (*shape, 1), shape[::-1]]))


def renamed(name: str, kind: str) -> str:
    """Return a key as an older version, a DataParallel or another place would have it."""
    if kind == "old":
        return OLD_NAMES.get(name, name)
    return f"module.{name}" if kind == "prefix" else name.replace("0.", "1.", 1)


MORE = ("more", "0.more", "down.x", "0", "_extra_state", "0._extra_state", "epoch")
KINDS = (
    "drop",
    "drop",
    "old",
    "prefix",
    "moved",
    "no counts",
    "more",
    "object",
    "reshape",
    "reshape",
    "order",
)


def changed(state: State, kind: str, chance: random.Random) -> State:
    """Return a state_dict that differs from `state` in one way."""
    found: State = OrderedDict(state)
    name = chance.choice(list(found)) if found else "weight"
    if kind == "drop":
        found.pop(name, None)
    elif kind in ("old", "prefix", "moved"):
        found = OrderedDict((renamed(key, kind), value) for key, value in found.items())
    elif kind == "no counts":
        found = OrderedDict(item for item in found.items() if "num_batches" not in item[0])
    elif kind in ("more", "object"):
        key = chance.choice((*MORE, name) if kind == "object" else MORE)
        found[key] = {"n": 1} if kind == "object" else torch.ones(1)
    elif found:
        value = found.pop(name)
        found[name] = reshaped(value, chance) if kind == "reshape" else value
    return found


def mutated(state: State, chance: random.Random) -> State:
    """Return a state_dict that differs from `state` in a few ways, some of which torch takes."""
    versions = OrderedDict((path, dict(said)) for path, said in getattr(state, "_metadata", {}).items())
    for _ in range(chance.randrange(4)):
        state = changed(state, chance.choice(KINDS), chance)
        if versions and chance.randrange(4) == 0:
            versions[chance.choice(list(versions))] = {"version": chance.choice([1, 2, 3])}
    found = OrderedDict(state)
    if chance.randrange(3):
        found._metadata = versions  # type: ignore[attr-defined]
    return found


def torchs(module: nn.Module, state: State) -> Answer:
    """Return torch's answer; `module` is loaded."""
    keys: list[Any] = []
    module.register_load_state_dict_post_hook(  # type: ignore[no-untyped-call]
        lambda _, found: keys.append((tuple(found.missing_keys), tuple(found.unexpected_keys)))
    )
    try:
        module.load_state_dict(state, strict=True)
    except (RuntimeError, AttributeError) as error:  # the other one: a dict for a lazy tensor
        missing, unexpected = keys[-1] if keys else ((), ())
        return Answer(missing, unexpected, others=(str(error),))
    return Answer()


@pytest.mark.parametrize("name", MODULES)
def test_the_answer_is_that_of_torch(name: str) -> None:
    """Of any module and any state_dict: whether it loads, and the keys that are missing or unexpected."""
    chance = random.Random(name)
    make = MODULES[name]
    for _ in range(40 if name in SPECIAL else 6):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = mutated(make().state_dict(), chance)
            module = make()
            before = {key: id(each) for key, each in module.state_dict(keep_vars=True).items()}
            mine = ask(module, state_of(state))
            report = diff(state, module)
            assert before == {key: id(each) for key, each in module.state_dict(keep_vars=True).items()}
            expected = torchs(make(), state)
        said = (list(state), getattr(state, "_metadata", None), expected)
        assert mine.failure is None or "no attribute 'shape'" in mine.failure, said
        assert (mine.answer.loads, report.totals.loads) == (expected.loads, expected.loads), said
        if mine.has_run or is_ordinary(module):
            assert set(mine.answer.missing) == set(expected.missing), said
            assert set(mine.answer.unexpected) == set(expected.unexpected), said
        if is_ordinary(module):
            assert mine.answer.missing == expected.missing, said  # in torch's order
            asked = load_answer._answer(twin(module, "meta"), meta_state(state_of(state)))
            assert (asked.answer.loads, set(asked.answer.sizes)) == (
                expected.loads,
                set(mine.answer.sizes),
            ), said


@pytest.mark.parametrize("name", [name for name in FORMS if name in TABLE])
def test_a_spec_answers_as_its_module(name: str) -> None:
    """What is answered without torch is torch's answer: what a spec saves, and what it loads."""
    chance = random.Random(name)
    for arguments, _ in FORMS[name]:
        try:
            model = SpecModel(read_spec(Text("m.yaml", f"model: {{{name}: {arguments}}}\n"), shipped()))
        except Problems:
            continue
        if not model._is_certain():
            continue
        for _ in range(6):
            module = construction.structure(model.spec).module
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mine, its = model.state_dict(), saved(module)
                assert (mine.entries, mine.metadata) == (its.entries, its.metadata)
                state = mutated(module.state_dict(), chance)
                assert model.load_answer(state_of(state)).loads == torchs(module, state).loads, list(state)


def test_keys_come_in_the_order_of_torch() -> None:
    """A module's own buffers come before the parameters of its children, also under a second name."""
    norm = nn.BatchNorm1d(2)
    norm.register_parameter("late", nn.Parameter(torch.ones(1)))
    inner = nn.Sequential(norm, nn.Linear(2, 2))
    inner.register_buffer("scratch", torch.ones(1), persistent=False)
    net = nn.Sequential(nn.MultiheadAttention(2, 1), inner)
    net.register_module("again", inner)
    net.register_buffer("mask", torch.ones(1))
    listed = parameters(net)
    assert [each.name for each in of_listing(listed, listed.rows).entries] == list(net.state_dict())
    assert ask(net, state_of({})).answer.missing == torchs(net, {}).missing


def test_versions_are_those_of_torch() -> None:
    """The small table of versions names every class of torch.nn whose version is not 1."""
    kinds = [each for each in vars(nn).values() if isinstance(each, type) and issubclass(each, nn.Module)]
    assert {each.__name__: each._version for each in kinds} == {
        each.__name__: 2 if is_norm(each.__name__) else 1 for each in kinds
    }


@pytest.mark.parametrize("name", SPECIAL)
def test_a_file_says_what_its_state_dict_holds(name: str, tmp_path: Path) -> None:
    """Keys, shapes, dtypes, ties and versions are read from a file without torch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = SPECIAL[name]()
    if any(map(nn.parameter.is_lazy, module.parameters())):
        pytest.skip("a lazy module has no shapes to save")
    torch.save(module.state_dict(), tmp_path / "w.pt")
    found, expected = of_checkpoint(open_checkpoint(str(tmp_path / "w.pt"))), saved(module)
    assert sorted(each.name for each in found.entries) == sorted(each.name for each in expected.entries)
    assert {(each.name, each.shape, each.dtype, each.tensor) for each in found.entries} == {
        (each.name, each.shape, each.dtype, each.tensor) for each in expected.entries
    }
    assert found.objects == expected.objects
    assert {path: found.version(path) for path in expected.metadata} == {
        path: expected.version(path) for path in expected.metadata
    }


@pytest.mark.parametrize("name", ["renames", "turns", "weight_norm", "lazy", "scalar", "extra tensor"])
def test_hooks_decide_where_values_go(name: str, tmp_path: Path) -> None:
    """The values that a module has afterwards are those of torch's own loading."""
    torch.manual_seed(0)
    source = SPECIAL[name]()
    state: State = source.state_dict()
    if name == "lazy":
        state = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Linear(4, 2)).state_dict()
    if name == "turns":
        state = OrderedDict(weight=torch.randn(2, 3))
    if name == "scalar":
        state["s"] = torch.full((1,), 7.0)
    state = OrderedDict((OLD_NAMES.get(key, key), value) for key, value in state.items())
    torch.save(state, tmp_path / "w.pt")
    found, expected = SPECIAL[name](), SPECIAL[name]()
    assert load(found, open_checkpoint(str(tmp_path / "w.pt"))) == []
    expected.load_state_dict(state)
    mine, its = found.state_dict(), expected.state_dict()
    assert list(mine) == list(its)
    assert all(torch.equal(mine[key], its[key]) for key in its)


def test_an_old_batch_norm_keeps_its_count(tmp_path: Path) -> None:
    """A file of torch 0.3 has no num_batches_tracked; one that says version 2 must have it."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    module.get_buffer("1.num_batches_tracked").fill_(5)
    state = module.state_dict()
    del state["1.num_batches_tracked"]
    torch.save(OrderedDict(state), tmp_path / "old.pt")
    load(module, open_checkpoint(str(tmp_path / "old.pt")))
    assert int(module.get_buffer("1.num_batches_tracked")) == 5
    torch.save(state, tmp_path / "new.pt")
    with pytest.raises(DoesNotLoad, match=r"lacks '1.num_batches_tracked' \[\]"):
        load(module, open_checkpoint(str(tmp_path / "new.pt")))


class Versioned(nn.Linear):
    """Refuses a state_dict without its version, as torchvision's MNASNet does."""

    _version = 2

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local: Any, *others: Any) -> None:
        if local.get("version") is None:
            raise ValueError("which version?")
        super()._load_from_state_dict(state_dict, prefix, local, *others)


def test_code_that_refuses_whatever_the_values_are_refuses() -> None:
    """A failure that values would not mend is an answer, and not a reason to compare names alone."""
    module = Versioned(2, 3)
    assert diff(module.state_dict(), Versioned(2, 3)).totals.loads
    found = diff(dict(module.state_dict()), Versioned(2, 3)).totals
    assert (found.loads, found.reasons) == (False, ("ValueError: which version?",))


def test_code_that_looks_at_values_gets_them(tmp_path: Path) -> None:
    """Where loading needs values, structure alone is refused, and with values torch loads."""
    torch.save({"weight": torch.ones(3, 2)}, tmp_path / "w.pt")
    checkpoint = open_checkpoint(str(tmp_path / "w.pt"))
    with torch.device("meta"), pytest.raises(UserCodeFailed, match="loading into Looks needs values"):
        load(Looks(), checkpoint)
    module = Looks()
    load(module, checkpoint)
    assert module.weight.tolist() == [[1, 1]] * 3
    torch.save({"weight": torch.zeros(3, 2)}, tmp_path / "w.pt")
    with pytest.raises(UserCodeFailed, match="ValueError: all zero"):
        load(module, open_checkpoint(str(tmp_path / "w.pt")))


MODULE = """\
import torch
from torch import nn
class Scaled(nn.Linear):
    def get_extra_state(self): return {"amax": torch.ones(5), "step": 3}
    def set_extra_state(self, state): raise ValueError("never called without its object")
def scaled(): return nn.Sequential(Scaled(4, 3), nn.Linear(3, 1))
def plain(): return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
"""


def test_extra_state(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict loading demands an extra state, and refuses one that nobody takes: both are exit 1."""
    (tmp_path / "scaled_nets.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    state = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1)).state_dict()
    torch.save(state, "plain.pt")
    torch.save({**state, "0._extra_state": {"amax": torch.ones(5), "step": 3}}, "extra.pt")
    result = run("diff", "extra.pt", "scaled_nets:scaled")
    assert (result.status, "works" in result.stdout) == (0, True)
    result = run("diff", "plain.pt", "scaled_nets:scaled")
    assert (result.status, "fails: missing key 0._extra_state" in result.stdout) == (1, True)
    assert run("diff", "scaled_nets:scaled", "scaled_nets:plain").status == 1
    result = run("inspect", "scaled_nets:scaled", "--weights", "extra.pt", "--stats")
    assert (result.status, result.stderr) == (
        0, "note: 0._extra_state of extra.pt is not a tensor, and is not set\n",
    )  # fmt: skip
    result = run("inspect", "scaled_nets:scaled", "--weights", "plain.pt")
    assert (result.status, result.stderr) == (2, "error: plain.pt lacks '0._extra_state'\n")
    result = run("inspect", "scaled_nets:plain", "--weights", "extra.pt")
    assert result.stderr == "error: extra.pt has '0._extra_state', which the model does not have\n"


def test_no_torch_where_the_table_is_certain(tmp_path: Path) -> None:
    """A file against a spec of BatchNorms is answered without torch."""
    (tmp_path / "m.yaml").write_text("model: {Sequential: [{Conv2d: [3, 4, 3]}, {BatchNorm2d: 4}]}\n")
    state = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()
    torch.save({key: each for key, each in state.items() if "num" not in key}, tmp_path / "old.pt")
    code = checked_against(INSTALLED) + (
        "import sys; from paramtool import diff; report = diff('old.pt', 'm.yaml');"
        " print(report.totals.loads, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True False\n"


@pytest.mark.parametrize("arrays", [("weight",), ("bias",), ("weight", "bias"), ("weight", "bias", "more")])
def test_arrays_of_numpy_do_not_load(arrays: tuple[str, ...], tmp_path: Path) -> None:
    """Torch refuses an array in the place of a tensor; so does every way to ask."""
    state: dict[str, Any] = dict(nn.Linear(4, 3).state_dict())
    if "more" in arrays:
        state["more"] = torch.ones(1)
    state = {name: each.numpy() if name in arrays else each for name, each in state.items()}
    torch.save(state, tmp_path / "a.pt")
    torch.save(nn.Linear(4, 3).state_dict(), tmp_path / "b.pt")
    expected = torchs(nn.Linear(4, 3), state)
    assert not expected.loads
    for other in (nn.Linear(4, 3), tmp_path / "b.pt"):
        found = diff(tmp_path / "a.pt", other).totals
        assert not found.loads
        refused = {each for each in found.reasons if each.endswith(" is not a tensor")}
        assert refused == {f"{name} is not a tensor" for name in arrays if name != "more"}
        assert set(expected.unexpected) == {name for name in arrays if name == "more"}
        assert diff(tmp_path / "b.pt", other).totals.loads
    with pytest.raises(ParamtoolError, match="does not load"):
        load(nn.Linear(4, 3), open_checkpoint(str(tmp_path / "a.pt")))
