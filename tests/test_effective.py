"""Parametrized tensors: rules give the forward what they say, through the module, or are refused."""

from __future__ import annotations

import copy
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from paramtool import ParamtoolError, Rule, initialize
from paramtool.operations.initialization.weights_file import save
from tests.conftest import Run

NORMAL = Rule("normal", {"std": 0.5}, pattern="weight")


class Exponential(nn.Module):
    """Keep a weight above 0."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp()

    def right_inverse(self, x: Tensor) -> Tensor:
        return x.log()


class Symmetric(nn.Module):
    """Keep a weight symmetric; nobody says from what."""

    def forward(self, x: Tensor) -> Tensor:
        return x.triu() + x.triu(1).T


def exponential(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        nn.init.ones_(module.get_parameter("weight"))
    return parametrize.register_parametrization(module, "weight", Exponential())


def symmetric(module: nn.Module) -> nn.Module:
    return parametrize.register_parametrization(module, "weight", Symmetric())


def state(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())


@pytest.mark.parametrize("rng", ["streams", "torch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_the_forward_uses_what_the_rules_say(rng: str, dtype: torch.dtype) -> None:
    """A weight norm changes no value: the forward multiplies by what a plain module of the name has."""
    plain = nn.Sequential(nn.Linear(4, 3, bias=False, dtype=dtype))
    normed = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 3, bias=False, dtype=dtype)))
    rules = [NORMAL, Rule("mul", {"value": 2.0}, pattern="weight")]
    for module in (plain, normed):
        report = initialize(module, rules, rng=rng, seed=3)
        assert [row.name for row in report.rows] == ["0.weight"]
    close = 4 * torch.finfo(dtype).eps
    expected = plain(torch.eye(4, dtype=dtype))
    torch.testing.assert_close(normed(torch.eye(4, dtype=dtype)), expected, rtol=close, atol=close)


@pytest.mark.parametrize("pattern", ["weight", "^weight$", "original1", "original", "parametrizations"])
def test_a_pattern_finds_the_effective_name_and_those_that_are_stored(pattern: str) -> None:
    """Whichever is found, the tensor of the forward is filled once, and its row says through what."""
    module = parametrizations.weight_norm(nn.Linear(4, 3))
    report = initialize(module, [Rule("normal", {}, pattern=pattern), Rule("mul", {"value": 2}, ndim=2)])
    (row,) = report.rows
    assert row.names == (
        "weight",
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    )
    assert (row.rule, row.note) == ("normal(), mul(value=2)", "assigned through WeightNorm")
    assert row.shape == (3, 4)
    assert row.mean == pytest.approx(float(module.weight.detach().mean()), rel=1e-5)
    assert row.std == pytest.approx(float(module.weight.detach().std()), rel=1e-5)
    assert report.totals.tensors + report.totals.untouched == 2


def test_the_other_selectors_see_the_module_that_owns_it() -> None:
    """type is the class that was parametrized, exclude finds every name, ndim is of the effective one."""
    module = parametrizations.weight_norm(nn.Linear(4, 3))
    ones = [Rule("ones", {}, type="Linear", exclude="bias", ndim=2)]
    assert [row.name for row in initialize(module, ones, dry_run=True).rows] == ["weight"]
    spared = [Rule("ones", {}, exclude="original0")]
    assert [row.name for row in initialize(module, spared, dry_run=True).rows] == ["bias"]


def test_parameters_stay_the_objects_that_optimizers_hold() -> None:
    """An assignment changes the elements of the stored parameters, and whether they are frozen stays."""
    module = parametrizations.weight_norm(nn.Linear(4, 3))
    module.get_parameter("parametrizations.weight.original0").requires_grad_(False)
    before = dict(module.named_parameters())
    initialize(module, [NORMAL])
    after = dict(module.named_parameters())
    assert all(after[name] is each for name, each in before.items())
    assert [each.requires_grad for each in after.values()] == ["original0" not in name for name in after]


def test_arithmetic_acts_on_what_the_forward_uses() -> None:
    """add changes the effective weight, not the stored one."""
    module = exponential(nn.Linear(2, 2))
    initialize(module, [Rule("add", {"value": 2.0}, pattern="weight")])
    torch.testing.assert_close(module.weight, torch.full((2, 2), 3.0))


@pytest.mark.parametrize(
    ("parametrized", "rule", "said"),
    [
        (parametrizations.spectral_norm, NORMAL, "its parametrization SpectralNorm cannot represent"),
        (parametrizations.orthogonal, NORMAL, "its parametrization Orthogonal cannot represent"),
        (parametrizations.weight_norm, Rule("zeros"), "its parametrization WeightNorm cannot represent"),
        (exponential, NORMAL, "its parametrization Exponential cannot represent"),
        (symmetric, NORMAL, "its parametrization Symmetric has no right inverse"),
    ],
    ids=["spectral", "orthogonal", "weight", "exponential", "symmetric"],
)
@pytest.mark.parametrize("dry", [True, False], ids=["plan", "act"])
def test_what_a_parametrization_cannot_represent_is_refused(
    parametrized: Callable[[nn.Module], nn.Module], rule: Rule, said: str, dry: bool
) -> None:
    """The error names rule and tensor, a plan finds it too, and nothing of the model has changed."""
    module = nn.Sequential(nn.Linear(3, 3), parametrized(nn.Linear(3, 3)))
    before = state(module)
    with pytest.raises(ParamtoolError, match=rf"cannot fill '1\.weight': {said}"):
        initialize(module, [Rule("ones", {}, pattern="bias"), rule], dry_run=dry)
    for name, each in module.state_dict().items():
        assert torch.equal(each, before[name]), name


@pytest.mark.parametrize(
    "parametrized", [parametrizations.orthogonal, parametrizations.spectral_norm], ids=["orthogonal", "norm"]
)
def test_what_a_parametrization_can_represent_is_assigned(
    parametrized: Callable[[nn.Module], nn.Module],
) -> None:
    """An orthogonal matrix is one for the orthogonal parametrization, and has the spectral norm 1."""
    module = parametrized(nn.Linear(5, 5))
    initialize(module, [Rule("orthogonal", {}, pattern="weight")])
    weight = module.weight
    assert isinstance(weight, Tensor)
    torch.testing.assert_close(weight @ weight.T, torch.eye(5), rtol=0, atol=1e-5)


def test_a_plan_moves_no_power_iteration() -> None:
    """Spectral norm, which goes on with its iteration at each use, is looked at on a copy."""
    module = parametrizations.spectral_norm(nn.Linear(5, 5))
    before = state(module)
    report = initialize(module, [Rule("orthogonal", {}, pattern="weight")], dry_run=True)
    assert report.rows[0].note == "assigned through SpectralNorm"
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())


def test_a_module_that_is_used_twice_is_assigned_once() -> None:
    """Two paths of one parametrized module are names of one tensor."""
    layer = parametrizations.weight_norm(nn.Linear(3, 3))
    module = nn.Sequential(layer, layer)
    (row,) = initialize(module, [Rule("add", {"value": 1.0}, pattern="1.weight")]).rows
    assert row.names[:2] == ("0.weight", "1.weight")
    assert row.mean == pytest.approx((row.mean_before or 0) + 1)


def test_a_stored_tensor_that_is_tied_elsewhere_is_refused() -> None:
    """To fill either of the two would give the other a value that nobody asked for."""
    module = nn.ModuleDict({"a": exponential(nn.Linear(2, 2)), "b": nn.Linear(2, 2)})
    module["b"].weight = module.get_parameter("a.parametrizations.weight.original")
    for pattern in ("a.weight", "b.weight"):
        with pytest.raises(ParamtoolError, match="it is tied to a tensor that another one is computed from"):
            initialize(module, [Rule("ones", {}, pattern=pattern)])
    initialize(module, [Rule("ones", {}, pattern="bias")])


def old_weight_norm(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(module)


def pruned(module: nn.Module) -> nn.Module:
    prune.l1_unstructured(module, "weight", 0.5)  # type: ignore[no-untyped-call]
    return module


@pytest.mark.parametrize(
    ("hooked", "name"),
    [
        (old_weight_norm, "weight_norm"),
        (nn.utils.spectral_norm, "spectral_norm"),
        (pruned, "prune"),
    ],
    ids=["weight_norm", "spectral_norm", "prune"],
)
def test_what_a_hook_computes_from_is_refused(hooked: Callable[[nn.Module], nn.Module], name: str) -> None:
    """Old-style norms and pruning compute the weight before each forward, and have no inverse."""
    module = hooked(nn.Linear(3, 3))
    with pytest.raises(ParamtoolError, match=rf"torch\.nn\.utils\.{name} computes 'weight' from it"):
        initialize(module, [NORMAL])
    report = initialize(module, [Rule("ones", {}, pattern="bias")])
    assert [row.mean for row in report.rows] == [1]


def test_a_parametrization_that_fails_is_told() -> None:
    """What cannot be computed is an error of the rule that names it, and no obstacle to another."""

    class Broken(Exponential):
        def forward(self, _: Tensor) -> Tensor:
            raise ValueError("no luck")

    module = exponential(nn.Linear(2, 2))
    module.get_submodule("parametrizations.weight.0").__class__ = Broken
    with pytest.raises(ParamtoolError, match="cannot fill 'weight': it cannot be computed: no luck"):
        initialize(module, [Rule("ones")])
    initialize(module, [Rule("ones", {}, pattern="bias")])


def test_without_values_only_a_plan_is_made() -> None:
    """On the meta device a plan names the law, and to act is refused."""
    with torch.device("meta"):
        module = parametrizations.weight_norm(nn.Linear(4, 3))
    (row,) = initialize(module, [NORMAL], dry_run=True).rows
    assert (row.expected_std, row.note) == (0.5, "assigned through WeightNorm, if that can represent it")
    for each in (module, nn.Linear(2, 2, device="meta")):
        with pytest.raises(ParamtoolError, match="'weight': it is on the meta device and has no values"):
            initialize(each, [NORMAL])


PLUGIN = """\
import torch
from torch import nn


class Normed(nn.Linear):
    def __init__(self, size: int) -> None:
        super().__init__(size, size)
        nn.utils.parametrizations.weight_norm(self)
"""


def test_modules_of_other_people_are_saved_from_memory(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-o stores the originals, from which the forward computes the weight that was asked for."""
    info = tmp_path / "site" / "normed-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: normed\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[paramtool.modules]\nNormed = normed_layers:Normed\n")
    (tmp_path / "site" / "normed_layers.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "normed_layers", raising=False)
    spec, target = tmp_path / "model.yaml", tmp_path / "w.safetensors"
    spec.write_text("model: {Sequential: [{Normed: 6}, {Linear: [6, 6]}]}\nseed: 5\n")
    result = run("init", str(spec), "-p", "weight", "--normal", "0.5", "-o", str(target), "--json")
    assert result.status == 0, result.stderr
    rows = {row["name"]: row for row in json.loads(result.stdout)["rows"]}
    assert list(rows) == ["0.weight", "1.weight"]
    module = nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 6)), nn.Linear(6, 6))
    module.load_state_dict(load_file(target))
    plain = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    initialize(plain, [NORMAL], seed=5)
    torch.testing.assert_close(module[0].weight, plain[0].weight)
    assert torch.equal(module.get_parameter("1.weight"), plain.get_parameter("1.weight"))
    with pytest.raises(ValueError, match="initialized before it is saved"):
        save(module, target, [NORMAL])
