"""A plan from the table of torch.nn equals the plan of the module that torch builds, or torch is asked."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from paramtool import structure
from paramtool.errors import ParamtoolError
from paramtool.language.catalog import shipped
from paramtool.language.document import Spec, read_spec
from paramtool.network import construction
from paramtool.operations.initialization.rule_application import initialize
from paramtool.operations.initialization.rule_plan import rule_notes
from paramtool.operations.rules.outline import Outline
from paramtool.place import Text
from paramtool.records.rule import Rule
from paramtool.structure.unsure import Unsure
from tests.conftest import CONFIGS, Run
from tests.test_structure import read, specs

pytestmark = pytest.mark.skipif(
    shipped().torch != torch.__version__.partition("+")[0],
    reason=f"the shipped catalogue is of torch {shipped().torch}",
)

NUMBERS = st.sampled_from(
    [0.0, 1.0, 0.02, -1.0, 2, 0, 1e-30, 1e30, 1e38, 1e39, 1e308, 65504.0, 70000.0, float("inf"),
     -float("inf"), float("nan"), True, 2**70, 10**400, "1", None]
)  # fmt: skip
LIKELY = st.sampled_from([0.0, 1.0, 0.02, -0.5, 2, 0.5])
ARGUMENTS = {
    "normal": ("mean", "std"), "uniform": ("a", "b"), "trunc_normal": ("mean", "std", "a", "b"),
    "constant": ("val",), "zeros": (), "ones": (), "eye": (), "dirac": ("groups",),
    "xavier_uniform": ("gain",), "xavier_normal": ("gain",), "kaiming_uniform": ("a", "mode", "nonlinearity"),
    "kaiming_normal": ("a", "mode", "nonlinearity"), "orthogonal": ("gain",), "sparse": ("sparsity", "std"),
    "add": ("value",), "mul": ("value",), "clamp": ("min", "max"), "put": ("index", "value"),
    "normall": (),
}  # fmt: skip
WORDS: dict[str, list[Any]] = {
    "mode": ["fan_in", "fan_out", "fan"],
    "nonlinearity": ["relu", "leaky_relu", "tanh", "selu", "conv2d", "sigmoid", "gelu", 3],
    "index": [0, -1, 3, (0, 0), (1, -1), (0, 0, 0), (), "x"],
    "groups": [1, 2, 3, 0, "1"],
}
SELECTORS: dict[str, list[Any]] = {
    "pattern": [".", "weight", "bias", "weight", "0", r"norm.*weight$", "nothing", "("],
    "exclude": ["bias", "0", "."],
    "type": ["Linear", "Module", "_NormBase", "Sequential", "Linaer"],
    "ndim": [1, 2, 3, 0],
    "module": ["0", "a", "head", "1.0"],
}


@st.composite
def rules(draw: st.DrawFn, names: list[str]) -> Rule:
    """Draw a rule for some of `names`, most of which make sense."""
    name = draw(st.sampled_from(sorted(ARGUMENTS)))
    is_odd = draw(st.integers(0, 3)) == 0
    drawn: dict[str, Any] = {}
    for each in ARGUMENTS[name]:
        if each in WORDS:
            drawn[each] = draw(st.sampled_from(WORDS[each] if is_odd else WORDS[each][:2]))
        elif each in ("val", "value", "sparsity", "std") or draw(st.booleans()):
            drawn[each] = draw(NUMBERS if is_odd else LIKELY)
    if is_odd and draw(st.integers(0, 9)) == 0:
        drawn["other"] = 1
    chosen: dict[str, Any] = {"pattern": re.escape(draw(st.sampled_from(names)))}
    if draw(st.integers(0, 2)) == 0:
        keys = draw(st.lists(st.sampled_from(sorted(SELECTORS)), max_size=2, unique=True))
        chosen |= {key: draw(st.sampled_from(SELECTORS[key])) for key in keys}
    return Rule(name, drawn, **chosen)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Spec, list[Rule]] | None:
    """Draw a spec that the table knows, with rules; None for another spec."""
    spec = read(draw(specs()))
    try:
        rows = structure.listing(spec, "m").rows if spec else ()
    except Unsure:
        return None
    names = [row.name for row in rows if row.is_parameter]
    if spec is None or not names:
        return None
    return spec, draw(st.lists(rules(names), min_size=1, max_size=4))


def ours(spec: Spec, given: list[Rule]) -> tuple[object, object] | None:
    """Return what the table reports or refuses, with the notes; None if torch must be asked."""
    try:
        outline = Outline(*structure.whole(spec, "m"))
        return outline.report(given, 3), outline.notes(given)
    except Unsure:
        return None
    except ParamtoolError as error:
        return type(error), str(error)


def theirs(spec: Spec, given: list[Rule]) -> tuple[object, object]:
    """Return what the plan of the built module reports or refuses, with the notes."""
    module = construction.structure(spec).module
    try:
        return initialize(module, given, seed=3, dry_run=True, model="m"), rule_notes(module, given)
    except ParamtoolError as error:
        return type(error), str(error)


def outcome(spec: Spec, given: list[Rule]) -> str:
    """Return how the two compare; fail if ours is wrong."""
    mine = ours(spec, given)
    if mine is None:
        return "asked"
    expected = theirs(spec, given)
    # NaN differs from itself, and is written alike
    assert mine == expected or (str(mine) == str(expected) and "nan" in repr(given)), given
    assert repr(getattr(mine[0], "rows", None)) == repr(getattr(expected[0], "rows", None))
    return "refused" if isinstance(mine[0], type) else "planned"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_configs_are_planned_as_by_torch(path: Path) -> None:
    """The models that come with the project, by their own rules and by usual ones."""
    spec = read_spec(Text(str(path), path.read_text("utf-8")), shipped())
    usual = [
        Rule("normal", {"std": 0.02}, pattern="weight"),
        Rule("mul", {"value": 2.0}, pattern="."),
        Rule("kaiming_normal", {"nonlinearity": "relu"}, ndim=2),
        Rule("put", {"index": 0, "value": 0.0}, type="Linear"),
    ]
    for some in ([*spec.rules], usual, usual[:2], [*spec.rules, *usual[2:]]):
        found = outcome(spec, some)
        assert found in ("planned", "refused")
    assert outcome(spec, [*spec.rules]) == "planned" or not spec.rules


@pytest.mark.parametrize("examples", [120, pytest.param(3_000, marks=pytest.mark.slow)])
def test_any_plan_is_that_of_torch(examples: int) -> None:
    """Random specs with random rules, bad ones among them: equal in reports and complaints, or asked."""
    found: Counter[str] = Counter()

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(cases())
    def compare(case: tuple[Spec, list[Rule]] | None) -> None:
        if case is None:
            return
        spec, drawn = case
        for some in (drawn, *([each] for each in drawn)):
            found[outcome(spec, some)] += 1

    compare()
    assert min(found["planned"], found["refused"]) > examples * 0.1
    assert found["asked"] < found.total() * 0.3


PADDED = """
model:
  Module:
    tokens: {Embedding: {num_embeddings: 5, embedding_dim: 3, padding_idx: -1}}
    bags: {Repeat: {times: 2, module: {EmbeddingBag: {num_embeddings: 5, embedding_dim: 3, padding_idx: 1}}}}
    layers:
      TransformerDecoder:
        - {Sequential: [{Embedding: {num_embeddings: 2, embedding_dim: 2, padding_idx: 0}}]}
        - 2
    whole: {LazyLinear: 3}
    parts: {ParameterList: [&t {Tensor: 3}, *t]}
    head: {Linear: {in_features: 3, out_features: 5, bias: false}}
tie: {head.weight: tokens.weight}
"""


@pytest.mark.parametrize(
    "rule",
    [
        Rule("normal", {"std": 0.5}, pattern="."),
        Rule("zeros", {}, pattern="."),
        Rule("put", {"index": 4, "value": 1.0}, pattern="tokens|head"),
        Rule("ones", {}, pattern="parts.0"),
        Rule("xavier_normal", {}, pattern="parts"),
    ],
    ids=str,
)
def test_padding_ties_and_overlap_are_noted_alike(rule: Rule) -> None:
    """Rows that padding keeps, names of one tensor, and tensors over one memory."""
    spec = read(PADDED.replace("    whole: {LazyLinear: 3}\n", ""))
    assert spec is not None
    assert outcome(spec, [rule]) != "asked"
    assert outcome(spec, [rule, Rule("mul", {"value": 2.0}, pattern=".")]) != "asked"


@pytest.mark.parametrize("text", [PADDED, "model: {Linear: [2, 2]}\n"], ids=["lazy", "certain"])
@pytest.mark.parametrize("options", ["--copy", "--rng torch --normal 1"])
def test_what_is_not_certain_asks_torch(run: Run, tmp_path: Path, text: str, options: str) -> None:
    """A lazy module, an initializer that reads files, and the loop of a script take torch."""
    (tmp_path / "m.yaml").write_text(text)
    typed = ["--with", "copy:file=none.pt"] if options == "--copy" else options.split()
    result = run("init", str(tmp_path / "m.yaml"), "-n", "-p", "weight", *typed)
    assert result.status == (2 if options == "--copy" or "Lazy" in text else 0), result.stderr
