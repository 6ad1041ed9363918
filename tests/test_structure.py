"""Structure without torch is what torch builds, or it says that it is unsure: never a second opinion."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from paramtool.errors import ParamtoolError, Problems
from paramtool.language.catalog import shipped
from paramtool.language.document import Spec, read_spec
from paramtool.network import network
from paramtool.network.class_facts import class_facts
from paramtool.network.layout import layout_of
from paramtool.network.listing import parameters
from paramtool.network.places import places as places_of
from paramtool.operations.sharing.grouping import share
from paramtool.place import Place, Text
from paramtool.records.layout import Layout
from paramtool.records.parameter import Listing
from paramtool.structure import reports
from paramtool.structure.facts import shipped_facts
from paramtool.structure.table import TABLE, make
from paramtool.structure.unsure import Unsure
from tests.conftest import CONFIGS
from tests.spec_strategies import CALLED, PATTERNS, calls, networks
from tests.specs import open_spec

pytestmark = pytest.mark.skipif(
    shipped_facts().torch != torch.__version__.partition("+")[0],
    reason=f"the table was checked against torch {shipped_facts().torch}",
)

Answer = tuple[Listing, Layout, list[tuple[str, Place]]]


def read(text: str) -> Spec | None:
    """Return the spec, or None for one that the language refuses."""
    try:
        return read_spec(Text("m.yaml", text), shipped())
    except Problems:
        return None


def ours(spec: Spec) -> Answer | None:
    """Return what the table says, or None where it is unsure."""
    try:
        listed = reports.listing(spec, "m")
        return listed, renumbered(reports.layout(spec, "m")), list(reports.places(spec).items())
    except Unsure:
        return None


def theirs(spec: Spec) -> Answer | None:
    """Return what torch builds, or None where it refuses or warns."""
    try:
        built = network.structure(spec)
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
    """Return how the two answers compare; raise where ours is wrong."""
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
    """Draw a network with ties between its names and patterns to freeze."""
    text = draw(networks())
    spec = read(text)
    try:
        names = [row.name for row in reports.listing(spec, "m").rows if row.is_parameter] if spec else []
    except Unsure:
        names = []
    if names and draw(st.booleans()):
        pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from([*names, "x.y"])), max_size=3))
        ties = {f"{name!r}": f"{target!r}" for name, target in pairs}
        text += f"tie: {{{', '.join(f'{name}: {target}' for name, target in ties.items())}}}\n"
    if draw(st.integers(0, 2)) == 0:
        patterns = draw(st.lists(st.sampled_from([repr(each) for each in PATTERNS]), min_size=1, max_size=2))
        text += f"freeze: [{', '.join(patterns)}]\n"
    return text


@pytest.mark.parametrize("examples", [400, pytest.param(12_000, marks=pytest.mark.slow)])
def test_any_arguments_of_any_class_give_what_torch_builds(examples: int) -> None:
    """Random arguments of every class, odd ones among them: equal, or unsure."""
    found = differ(examples, calls().map(lambda call: f"model: {call}\n"))
    print(found)
    assert found["equal"] > found["unsure, and torch builds"] * 3


@pytest.mark.parametrize("examples", [300, pytest.param(6_000, marks=pytest.mark.slow)])
def test_any_network_is_what_torch_builds(examples: int) -> None:
    """Random specs with recipes, aliases, ties and frozen parameters: equal, or unsure."""
    found = differ(examples, specs())
    print(found)
    assert found["equal"] > found["unsure, and torch builds"] * 3
