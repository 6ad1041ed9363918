"""Structure without torch equals the module that torch builds, or is unsure: never a second opinion."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from paramtool import structure
from paramtool.errors import ParamtoolError, Problems
from paramtool.language.catalog import shipped
from paramtool.language.document import Spec, read_spec
from paramtool.network import construction
from paramtool.network.construction import places as places_of
from paramtool.network.layout import layout_of
from paramtool.network.listing import parameters
from paramtool.operations.sharing.groups import share
from paramtool.place import Place, Text
from paramtool.records.layout import Layout
from paramtool.records.parameter import Listing
from paramtool.structure import facts
from paramtool.structure.facts import shipped_facts
from paramtool.structure.plain_layers import PLAIN_LAYERS
from paramtool.structure.table import TABLE, make
from paramtool.structure.unsure import Unsure
from tests.conftest import CONFIGS
from tests.spec_strategies import CALLED, PATTERNS, call_of, networks
from tests.test_every_module import FORMS

pytestmark = pytest.mark.skipif(
    shipped().torch != torch.__version__.partition("+")[0],
    reason=f"the shipped catalogue is of torch {shipped().torch}",
)

Answer = tuple[Listing, Layout, list[tuple[str, Place]]]


def read(text: str) -> Spec | None:
    """Return the spec, or None for one that the language refuses."""
    try:
        return read_spec(Text("m.yaml", text), shipped())
    except Problems:
        return None


def ours(spec: Spec) -> Answer | None:
    """Return the answer of the table, or None if it is unsure."""
    try:
        listed = structure.listing(spec, "m")
        return listed, renumbered(structure.layout(spec, "m")), list(structure.places(spec).items())
    except Unsure:
        return None


def theirs(spec: Spec) -> Answer | None:
    """Return the answer of torch, or None if it refuses or warns."""
    try:
        built = construction.structure(spec)
    except (ParamtoolError, Problems):
        return None
    if built.notes:
        return None
    module = built.module
    layout = renumbered(layout_of(module, model="m"))
    return parameters(module, model="m"), layout, list(places_of(spec).items())


def renumbered(layout: Layout) -> Layout:
    """Return `layout` with the spaces of its extents numbered in their order."""
    numbers: dict[object, int] = {}
    extents = {
        name: replace(each, space=numbers.setdefault(each.space, len(numbers)))
        for name, each in layout.extents.items()
    }
    return replace(layout, extents=extents)


def outcome(text: str) -> str:
    """Return how the two answers compare; fail if ours is wrong."""
    spec = read(text)
    if spec is None:
        return "refused by the language"
    mine, torchs = ours(spec), theirs(spec)
    if mine is None:
        return "unsure, as torch refuses or warns" if torchs is None else "unsure, and torch builds"
    assert torchs is not None, text
    assert mine == torchs, text
    assert share(mine[1]) == share(torchs[1]), text
    return "equal"


def differ(examples: int, drawn: st.SearchStrategy[str]) -> Counter[str]:
    """Compare the answers on random specs; return how often they were equal, unsure and refused."""
    found: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn)
    def compare(text: str) -> None:
        found[outcome(text)] += 1

    compare()
    return found


@st.composite
def specs(draw: st.DrawFn) -> str:
    """Draw a network with ties between its names and patterns to freeze, most of which fit."""
    text = draw(networks())
    spec = read(text)
    try:
        rows = [row for row in structure.listing(spec, "m").rows if row.is_parameter] if spec else []
    except Unsure:
        rows = []
    if not rows:
        return text
    ties: dict[str, str] = {}
    for row in draw(st.lists(st.sampled_from(rows), max_size=3)):
        like = [each for each in rows if each.shape == row.shape and each.name not in ties and each != row]
        ties[row.name] = draw(st.sampled_from(like or rows)).name
    if ties:
        text += f"tie: {{{', '.join(f'{name!r}: {target!r}' for name, target in ties.items())}}}\n"
    patterns = draw(st.lists(st.sampled_from([*PATTERNS, rows[0].name, rows[-1].name]), max_size=2))
    found = [
        each for each in patterns if any(each in row.name for row in rows) or draw(st.integers(0, 9)) == 0
    ]
    return text + (f"freeze: {found!r}\n" if found else "")


@pytest.mark.parametrize("examples", [6, pytest.param(60, marks=pytest.mark.slow)])
def test_any_arguments_of_any_class_give_what_torch_builds(examples: int) -> None:
    """Random arguments of every class, odd ones among them: equal, or unsure."""
    found: Counter[str] = Counter()
    for name in CALLED:
        has_tensors = name in TABLE and name not in PLAIN_LAYERS
        of_class = differ(examples if has_tensors else 1, call_of(name).map(lambda call: f"model: {call}\n"))
        found += of_class
        assert of_class["equal"] or not has_tensors or examples < 10, name
    assert found["equal"] > found.total() * 0.4
    assert found["unsure, and torch builds"] < found.total() * 0.1


@pytest.mark.parametrize("examples", [150, pytest.param(3_000, marks=pytest.mark.slow)])
def test_any_network_is_what_torch_builds(examples: int) -> None:
    """Random specs with recipes, aliases, ties and frozen parameters: equal, or unsure."""
    found = differ(examples, specs())
    assert found["equal"] > examples * 0.4
    assert found["unsure, and torch builds"] < examples * 0.1


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_needs_no_torch(path: Path) -> None:
    """The models that come with the project are answered from the table, and as torch does."""
    assert outcome(path.read_text("utf-8")) == "equal"


def test_torch_is_not_imported() -> None:
    """The answers for all configs come without torch."""
    names = [str(path) for path in sorted(CONFIGS.glob("*.yaml"))]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(names)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{len(names)} False\n"


WITHOUT = """
import sys
from paramtool.models.open import open_model
from paramtool import structure
specs = [open_model(name).spec for name in {!r}]
found = [(structure.listing(each, "m"), structure.layout(each), structure.places(each)) for each in specs]
print(len(found), "torch" in sys.modules)
"""


def test_the_facts_are_those_of_the_installed_torch() -> None:
    """Bases, taken names and classes without tensors are those of torch, before anything patches it."""
    code = "from paramtool.network.class_facts import class_facts\n"
    code += "from paramtool.structure.facts import shipped_facts\n"
    code += "assert class_facts() == shipped_facts()"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    assert shipped_facts().torch == shipped().torch


def test_every_class_is_in_the_table_or_asked_of_torch() -> None:
    """All of torch.nn is covered but lazy classes, and those that warn or choose hardware."""
    known = {*TABLE, *shipped_facts().plain, *shipped_facts().taken}
    asked = {name for name in shipped().modules if name not in known and not name.startswith("Lazy")}
    assert asked == {"Container", "DataParallel", "NLLLoss2d"}
    assert known - set(shipped().modules) == {"NonDynamicallyQuantizableLinear"}


def test_a_maker_takes_arguments_that_torch_has() -> None:
    """What a maker takes beyond those of its class has a default."""
    for name, maker in TABLE.items():
        signature = shipped().module({"NonDynamicallyQuantizableLinear": "Linear"}.get(name, name))
        assert signature is not None
        _, *taken = inspect.signature(maker).parameters.values()
        own = [each for each in taken if signature.argument(each.name) is None]
        assert [each.name for each in own if each.default is each.empty] == []


@pytest.mark.parametrize("name", [name for name in FORMS if name in TABLE])
def test_common_arguments_give_what_torch_builds(name: str) -> None:
    """The arguments that other tests try of each class: equal, or unsure."""
    for arguments, _ in FORMS[name]:
        assert outcome(f"model: {{{name}: {arguments}}}\n") != "refused by the language"


CERTAIN = {
    "layers above two ways": "{LSTM: {input_size: 2, hidden_size: 5, num_layers: 3, bidirectional: true,"
    " proj_size: 3}}",
    "keys and values of other sizes": "{MultiheadAttention: {embed_dim: 4, num_heads: 2, kdim: 3,"
    " add_bias_kv: true}}",
    "a ParameterDict in the order of its keys": "{ParameterDict: {b: {Parameter: 2}, a: {Parameter: 1}}}",
    "parameters over one tensor": "{Module: {a: {ParameterList: [&t {Tensor: 3}, *t]},"
    " b: {Module: {c: *t}}}}",
    "a tensor as buffer and as weight": "{Module: {t: &t {Tensor: 3}, loss: {NLLLoss: {weight: *t}}}}",
    "a layer copied, its inside shared": "{TransformerDecoder: [{Sequential: [&x {Linear: [2, 2]}, *x]}, 2]}",
    "a tensor shared in a copied layer": "{TransformerDecoder: [{Module: {a: &p {Parameter: 2}, b: *p}}, 2]}",
    "an activation of every layer": "{Transformer: {d_model: 4, nhead: 2, num_encoder_layers: 1,"
    " num_decoder_layers: 1, batch_first: true, activation: {GELU: }}}",
    "an encoder that says nothing": "{TransformerEncoder: [{TransformerEncoderLayer: {d_model: 4, nhead: 2,"
    " batch_first: true}}, 3, {LayerNorm: 4}]}",
    "an encoder of anything": "{TransformerEncoder: {encoder_layer: ReLU, num_layers: 1,"
    " enable_nested_tensor: false}}",
    "a size that makes no tensor": "{BatchNorm1d: {num_features: -3, affine: false,"
    " track_running_stats: false}}",
    "an empty parameter": "{Module: {empty: {Parameter: [0, 3]}, scalar: {Parameter: []}}}",
}

ASKED = {
    "a warning of an encoder": "{TransformerEncoder: [{TransformerEncoderLayer: [4, 2]}, 1]}",
    "an eps that differs from itself": "{TransformerEncoder: [{TransformerEncoderLayer: {d_model: 4,"
    " nhead: 2, batch_first: true, layer_norm_eps: .nan}}, 1]}",
    "an odd number of heads": "{TransformerEncoder: [{TransformerEncoderLayer: {d_model: 4, nhead: 1,"
    " batch_first: true}}, 1]}",
    "a warning of dropout": "{LSTM: {input_size: 2, hidden_size: 3, dropout: 0.5}}",
    "a warning of a loss": "{MSELoss: {reduce: true}}",
    "a warning of zero elements": "{Linear: [0, 3]}",
    "a deprecated class": "{NLLLoss2d: }",
    "a deprecated container": "{Container: {a: ReLU}}",
    "hardware": "{DataParallel: [{Linear: [2, 3]}]}",
    "no shapes yet": "{LazyLinear: 3}",
    "a name that is taken": "{Module: {forward: ReLU}}",
    "a method of a container": "{ModuleDict: {keys: ReLU}}",
    "a tensor of integers that wants a gradient": "{Module: {a: {Parameter: {shape: 2, dtype: int64}}}}",
    "integers in a ParameterList": "{ParameterList: [{Tensor: {shape: 2, dtype: int64}}]}",
    "more bytes than there are": "{Linear: [4611686018427387904, 2]}",
    "a division by zero": "{AdaptiveLogSoftmaxWithLoss: [4, 9, [3], 0]}",
    "a tail without features": "{AdaptiveLogSoftmaxWithLoss: [2, 9, [3, 5]]}",
    "a deep copy": f"{{TransformerDecoder: [{'{Sequential: [' * 30}ReLU{']}' * 30}, 1]}}",
}


@pytest.mark.parametrize("name", CERTAIN)
def test_it_is_certain_of(name: str) -> None:
    """What looks odd and is well known is answered from the table, and as torch does."""
    assert outcome(f"model: {CERTAIN[name]}\n") == "equal"


@pytest.mark.parametrize("name", ASKED)
def test_it_leaves_to_torch(name: str) -> None:
    """Torch answers whatever it refuses, warns about or decides by the machine."""
    spec = read(f"model: {ASKED[name]}\n")
    assert spec is not None
    with pytest.raises(Unsure):
        structure.listing(spec, "m")


@pytest.mark.parametrize(
    "statement",
    [
        "tie: {0.weight: 9.weight}",
        "tie: {0.weight: 0.weight}",
        "tie: {0.weight: 1.weight}",
        "freeze: nothing",
    ],
)
def test_statements_that_do_not_fit_are_left_to_torch(statement: str) -> None:
    """Ties and patterns without a match keep their errors, which torch's path structure."""
    text = f"model: {{Sequential: [{{Linear: [2, 3]}}, {{Linear: [3, 2]}}]}}\n{statement}\n"
    assert outcome(text) == "unsure, as torch refuses or warns"


def test_chains_of_ties_end_in_one_parameter() -> None:
    """Ties may be written in any order."""
    layers = ", ".join(["{Linear: [2, 2]}"] * 4)
    ties = "{0.weight: 2.weight, 3.bias: 1.bias, 2.weight: 3.weight}"
    assert outcome(f"model: {{Sequential: [{layers}]}}\ntie: {ties}\n") == "equal"


@pytest.mark.parametrize("size", [None, True, 2.0, "2", (2,), -1, 0, 2**63, 10**30])
def test_a_size_is_a_positive_integer(size: object) -> None:
    """Whatever the reader may let through, the table takes integers only, and none that overflows."""
    with pytest.raises(Unsure):
        make("Linear", {"in_features": size, "out_features": 2}, "float32")


@pytest.mark.parametrize(
    "arguments", [{}, {"in_features": 2}, {"in_features": 2, "out_features": 2, "device": "cpu"}]
)
def test_arguments_are_those_of_the_class(arguments: dict[str, object]) -> None:
    """Arguments that are missing or unknown are left to torch."""
    with pytest.raises(Unsure):
        make("Linear", arguments, "float32")


def test_another_torch_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table speaks for one version only."""
    spec = read("model: {Linear: [2, 3]}\n")
    assert spec is not None
    monkeypatch.setattr(facts, "installed_source", lambda: SimpleNamespace(version="2.99.0"))
    with pytest.raises(Unsure, match="another version of torch"):
        structure.listing(spec, "m")


def test_another_default_dtype_is_asked() -> None:
    """If the process has set another default dtype, torch answers."""
    spec = read("model: {Linear: [2, 3]}\n")
    assert spec is not None
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(Unsure, match="another default dtype"):
            structure.listing(spec, "m")
    finally:
        torch.set_default_dtype(torch.float32)
