"""A rule acts on memory: what overlaps with a filled tensor changes too, in the table and in the file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

import paramtool
from paramtool import Rule
from paramtool.network.fill_record import Recording
from paramtool.operations.initialization.rule_plan import plan

SEED = 3


class Net(nn.Module):
    """Four matrices over memory of their own, of each other, or of one flat buffer.

    Args:
        kinds: how each but the first is made: `own`, or `tie`, `data`, `transpose` of an earlier one, or
            `flat` with an offset, in a buffer that all such share.
    """

    def __init__(self, kinds: list[tuple[str, int]], *, keeps_flat: bool = False) -> None:
        super().__init__()
        self.w0 = nn.Linear(4, 4)
        flat = torch.arange(40.0)
        for index, (kind, which) in enumerate(kinds, 1):
            layer = nn.Linear(4, 4, bias=False)
            earlier: Tensor = getattr(self, f"w{which % index}").weight
            if kind == "tie":
                layer.weight = earlier
            elif kind == "data":
                layer.weight.data = earlier.data
            elif kind == "transpose":
                layer.weight = nn.Parameter(earlier.data.t())
            elif kind == "flat":
                layer.weight = nn.Parameter(flat[which : which + 16].view(4, 4))
            self.add_module(f"w{index}", layer)
        if keeps_flat:
            self.register_buffer("flat", flat)


KINDS = st.tuples(st.sampled_from(["own", "tie", "data", "transpose", "flat", "flat"]), st.integers(0, 24))
NAMES = ["w0.weight", "w0.bias", "w1.weight", "w2.weight", "w3.weight"]
FILLS: list[tuple[str, dict[str, float]]] = [
    ("normal", {"std": 0.5}), ("constant", {"val": 2.0}), ("add", {"value": 1.0}), ("mul", {"value": 0.5}),
    ("orthogonal", {}), ("uniform", {}),
]  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    """Draw some rules, each for some of the names."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        names = draw(st.lists(st.sampled_from([*NAMES[:1], *NAMES[2:]]), min_size=1, max_size=3, unique=True))
        initializer, arguments = draw(st.sampled_from(FILLS))
        found.append(Rule(initializer, arguments, pattern=f"^({'|'.join(names)})$"))
    return found


def state(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of every tensor by every name."""
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers()]
    return {name: each.detach().clone() for name, each in named}


def built(kinds: list[tuple[str, int]], keeps_flat: bool) -> Net:
    """Build it with the same values each time: a deep copy would part what shares memory."""
    torch.manual_seed(0)
    return Net(kinds, keeps_flat=keeps_flat)


def by_hand(module: nn.Module, given: list[Rule]) -> None:
    """Run the rules one by one, each on a module of its own, so that nothing is planned ahead."""
    for rule in given:
        for name, parameter in module.named_parameters():
            names = [
                other for other, each in module.named_parameters(remove_duplicate=False) if each is parameter
            ]
            if rule.pattern and any(re.search(rule.pattern, each) for each in names):
                alone = nn.Module()
                parts = name.split(".")
                alone.add_module(parts[0], nn.Module())
                setattr(alone.get_submodule(parts[0]), parts[1], nn.Parameter(parameter.detach()))
                paramtool.initialize(alone, [Rule(rule.initializer, rule.arguments, pattern="")], seed=SEED)


@settings(max_examples=60, deadline=None)
@given(st.lists(KINDS, min_size=3, max_size=3), rules(), st.booleans())
def test_memory_the_table_and_the_file_agree(
    tmp_path_factory: pytest.TempPathFactory,
    kinds: list[tuple[str, int]],
    given: list[Rule],
    keeps_flat: bool,
) -> None:
    """Rules in order on live memory, the report, and what is written, to the bit, over random sharing."""
    module, twin, third = (built(kinds, keeps_flat) for _ in range(3))
    before = state(module)
    report = paramtool.initialize(module, given, seed=SEED, digests=True)
    by_hand(twin, given)
    after = state(module)
    assert all(torch.equal(each, state(twin)[name]) for name, each in after.items())

    rows = {name: row for row in report.rows for name in row.names}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if not torch.equal(before[name], after[name]):
            assert name in rows, "changed, and not in the table"
            assert rows[name].mean == pytest.approx(parameter.double().mean().item(), abs=1e-6)
            assert rows[name].mean_before == pytest.approx(before[name].double().mean().item(), abs=1e-6)
    tensors = {id(parameter) for parameter in module.parameters()}
    assert report.totals.tensors + report.totals.untouched == len(tensors)

    target = tmp_path_factory.mktemp("file") / "w.safetensors"
    written = paramtool.initialize(third, given, seed=SEED, output=target, digests=True)
    stored = load_file(target)
    assert all(torch.equal(each, after[name]) for name, each in stored.items())
    assert [row.name for row in written.rows] == [row.name for row in report.rows]
    loaded = Net(kinds, keeps_flat=keeps_flat)
    loaded.load_state_dict(stored, strict=False)  # of tied names there is one
    assert all(torch.equal(each, after[name]) for name, each in state(loaded).items())


@pytest.mark.parametrize("kind", ["data", "tie", "transpose", "own"])
def test_an_object_is_the_same_in_memory_and_in_its_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init` and `init -o` of a factory agree, where the meta device builds it too."""
    (tmp_path / f"sharing_{kind}.py").write_text(
        f"from test_rules_on_memory import Net\ndef net(): return Net([({kind!r}, 0)] * 3)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    target = tmp_path / "w.safetensors"
    rule = Rule("normal", {"std": 0.5}, pattern="w0.weight")
    written = paramtool.initialize(f"sharing_{kind}:net", [rule], output=target, digests=True)
    shown = paramtool.initialize(f"sharing_{kind}:net", [rule], digests=True)
    planned = paramtool.initialize(f"sharing_{kind}:net", [rule], dry_run=True)
    assert [(row.name, row.sha256) for row in written.rows] == [(row.name, row.sha256) for row in shown.rows]
    assert [(row.name, row.note) for row in planned.rows] == [(row.name, row.note) for row in shown.rows]
    assert len(shown.rows) == (4 if kind in {"data", "transpose"} else 1)


def test_the_plan_names_what_changes_too() -> None:
    """Both sides of an overlap say so, a law that a later fill overwrites is not promised."""
    first, second = Rule("normal", {"std": 0.02}, pattern="w0.w"), Rule("zeros", pattern="w1.w")
    one, other = paramtool.initialize(Net([("data", 0)]), [first], dry_run=True).rows
    assert one.note == "shares memory with w1.weight, which changes too"
    assert (other.name, other.rule) == ("w1.weight", "")
    assert other.note == "shares memory with w0.weight, and changes with it"
    one, other = paramtool.initialize(Net([("data", 0)]), [first, second]).rows
    assert (one.expected_std, other.expected_std, one.std, other.std) == (None, 0, 0, 0)
    one, other = paramtool.initialize(Net([("data", 0)]), [second, first]).rows
    assert (one.expected_std, other.expected_std) == (0.02, None)
    assert one.std == other.std == pytest.approx(0.02, rel=0.5)


def test_an_expanded_tensor_is_refused() -> None:
    """Torch writes no tensor whose elements share one place, and says so in the middle of a loop."""
    module = nn.ParameterList([nn.Parameter(torch.zeros(1, 3).expand(4, 3))])
    with pytest.raises(paramtool.ParamtoolError, match="share one place in memory"):
        paramtool.initialize(module, [Rule("zeros", pattern="")])


def test_parts_that_do_not_overlap_stay() -> None:
    """Of three views of one buffer, a rule changes those that have elements in common with it."""
    module = Net([("flat", 0), ("flat", 8), ("flat", 24)])
    rows = paramtool.initialize(module, [Rule("zeros", pattern="w1")]).rows
    assert [row.name for row in rows] == ["w1.weight", "w2.weight"]
    assert module.get_parameter("w2.weight").count_nonzero() == 8
    assert module.get_parameter("w3.weight").count_nonzero() == 16


def test_what_is_computed_from_common_memory_changes_too() -> None:
    """A tied weight that gets weight_norm is computed from the memory of the other one."""
    module = Net([("tie", 0)])
    nn.utils.parametrizations.weight_norm(module.get_submodule("w1"))
    rows = paramtool.initialize(module, [Rule("normal", {"std": 0.5}, pattern="w0.weight")]).rows
    assert [row.name for row in rows] == ["w0.weight", "w1.weight"]
    weight: Tensor = module.get_submodule("w1").weight  # type: ignore[assignment]
    assert rows[1].mean == pytest.approx(weight.mean().item(), abs=1e-6)


def test_streams_of_common_memory_are_those_of_the_first_name() -> None:
    """Constructors that lay one tensor over another have the values of the first one's name."""
    with Recording() as recording:
        module = Net([("data", 0)])
    with Recording() as alone:
        expected = Net([])
    recording.redraw(module, 0)
    alone.redraw(expected, 0)
    assert torch.equal(module.get_parameter("w1.weight"), expected.get_parameter("w0.weight"))


def test_what_shares_memory_counts_as_filled() -> None:
    """`check` asks that every parameter is filled: memory that a rule covers is."""
    targets = plan(Net([("data", 0), ("flat", 0), ("flat", 8)]), [Rule("zeros", pattern="w[02].weight")])
    covered = {target.name for target in targets if target.is_covered}
    assert covered == {"w1.weight"}


def test_a_seed_in_python_is_that_of_the_constructors_too(tmp_path: Path) -> None:
    """What is opened by its name is built with the seed that the rules have."""
    (tmp_path / "m.yaml").write_text("model: {Linear: [4, 3]}\nseed: 11\n")
    for rng in ("torch", "streams"):
        options = {"seed": 7, "rng": rng, "name": "m"}
        rule = Rule("add", {"value": 0.0}, pattern="weight")
        report = paramtool.initialize(tmp_path / "m.yaml", [rule], values=True, **options)  # type: ignore[arg-type]
        target = tmp_path / f"{rng}.safetensors"
        paramtool.initialize(tmp_path / "m.yaml", [rule], output=target, **options)  # type: ignore[arg-type]
        stored = load_file(target)
        assert report.model == "m"
        assert torch.equal(stored["weight"], torch.tensor(report.rows[0].values.values))  # type: ignore[union-attr]
    torch.manual_seed(7)
    expected = nn.Linear(4, 3)
    assert torch.equal(load_file(tmp_path / "torch.safetensors")["bias"], expected.bias)


SCRIPT = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)
        self.b = nn.LSTM(3, 2)
        self.c = nn.Embedding(5, 4)
def net(): return Net()
"""
SPEC = """
model: {Module: {a: {Linear: [4, 3]}, b: {LSTM: [3, 2]}, c: {Embedding: [5, 4]}}}
seed: 11
"""


@pytest.mark.parametrize("kind", ["spec", "factory", "class", "instance"])
@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("has_rules", [False, True])
def test_rng_torch_is_the_whole_script(
    kind: str, writes: bool, has_rules: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed, constructors, rules, bit for bit: what no rule touches has the script's values too."""
    seed = 11 if kind == "spec" else 5
    name = f"script_{kind}_{writes}_{has_rules}"
    (tmp_path / f"{name}.py").write_text(SCRIPT + ("model = Net()\n" if kind == "instance" else ""))
    (tmp_path / "m.yaml").write_text(SPEC)
    monkeypatch.syspath_prepend(str(tmp_path))
    given = [Rule("normal", {"std": 0.5}, pattern="weight"), Rule("uniform", pattern="^c")][: 2 * has_rules]

    torch.manual_seed(seed)
    space: dict[str, object] = {"__name__": "script"}
    exec(SCRIPT, space)
    expected = space["net"]()  # type: ignore[operator]
    if has_rules:
        for each, parameter in expected.named_parameters():
            if "weight" in each:
                nn.init.normal_(parameter, std=0.5)
        nn.init.uniform_(expected.c.weight)

    what = {"spec": str(tmp_path / "m.yaml"), "factory": f"{name}:net", "class": f"{name}:Net",
            "instance": f"{name}:model"}[kind]  # fmt: skip
    model = paramtool.open(what) if kind == "spec" else paramtool.open(what, seed=seed)
    if writes:
        paramtool.initialize(model, given, rng="torch", output=tmp_path / "w.safetensors")
        found = load_file(tmp_path / "w.safetensors")
    else:
        if has_rules:
            paramtool.initialize(model, given, rng="torch")
        found = state(model.network(rng="torch").module)
    assert found.keys() == expected.state_dict().keys()
    for each, tensor in expected.state_dict().items():
        assert torch.equal(found[each], tensor), each
