"""How the table of each command looks on terminals of many kinds, kept in files (``make golden``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from rich.cells import cell_len
from safetensors.torch import save_file
from syrupy.assertion import SnapshotAssertion

from paramtool.render.formats import Format, render
from paramtool.render.screen import Screen
from paramtool.render.tones import plain
from tests.test_golden import CHANGES, RESIDUAL, Shown, golden, show

__all__ = ["golden", "show"]  # fixtures

CASES = {
    "inspect": "inspect configs/gpt2.yaml",
    "stats": "inspect WEIGHTS --stats",
    "depth": "inspect WEIGHTS --stats --depth 2",
    "top": "inspect configs/gpt2.yaml --top 4",
    "columns": "inspect configs/gpt2.yaml --columns shape,name,numel,nbytes,dtype,type,tied_to",
    "plan": "init configs/gpt2.yaml --pattern weight --normal 0.02 --pattern bias --zeros --dry-run",
    "shared": "shared configs/albert_like.yaml",
    "grad": "grad configs/shared.yaml --pattern weight --constant 3 --layers",
    "diff": f"diff configs/gpt2.yaml configs/gpt2.yaml {CHANGES}",
    "values": "diff WEIGHTS OTHER --values",
    "check": "check configs/gpt2.yaml --names ^h --dtype bfloat16",
    "initializers": "initializers",
    "tree": "inspect configs/gpt2.yaml --format tree",
}
SCREENS = {
    "80 columns": Screen(80),
    "80 columns, ASCII": Screen(80, unicode=False),
    "80 columns, colours": Screen(80, color=True),
    "120 columns": Screen(120),
    "200 columns": Screen(200),
    "44 columns": Screen(44),
    "a file with colours": Screen(color=True),
}

each_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write two checkpoints whose values and statistics are exact."""
    folder = tmp_path_factory.mktemp("look")
    shapes = {"embed.weight": (50, 8), "norm.weight": (8,), "norm.bias": (8,)}
    for index in range(2):
        layer = f"encoder.layers.{index}.self_attention"
        shapes |= {f"{layer}.in_projection.weight": (24, 8), f"{layer}.in_projection.bias": (24,)}
    state = {name: torch.full(shape, 0.5) for name, shape in shapes.items()}
    state["embed.weight"][::2] = -0.25
    save_file(state, folder / "w.safetensors")
    changed = {name: values + (name == "norm.bias") for name, values in state.items()}
    save_file(changed, folder / "v.safetensors")
    return {"WEIGHTS": str(folder / "w.safetensors"), "OTHER": str(folder / "v.safetensors")}


def shown_case(case: str, weights: dict[str, str], show: Callable[..., Shown]) -> Shown:
    """Return a command that ran; the models have short names, so that no line depends on the folder."""
    found = show(*(weights.get(each, each) for each in CASES[case].split()))
    report = found.report
    if case == "values":
        report = replace(report, totals=replace(report.totals, a="w.safetensors", b="v.safetensors"))
    return replace(found, report=report)


@each_case
def test_screens_look_the_same(
    case: str, weights: dict[str, str], golden: SnapshotAssertion, show: Callable[..., Shown]
) -> None:
    """On every kind of terminal each command looks as it was last looked at."""
    found = shown_case(case, weights, show)
    texts = [
        f"=== {name}\n{''.join(render(found.report, found.format, screen))}"
        for name, screen in SCREENS.items()
    ]
    assert RESIDUAL.sub("about 0", "\n".join(texts).replace("\x1b", "␛")) == golden


@each_case
@pytest.mark.parametrize("width", [70, 80, 100, 120, 200])
def test_every_command_has_a_table_that_fits(
    case: str, width: int, weights: dict[str, str], show: Callable[..., Shown]
) -> None:
    """From 70 columns on there is a header and a rule, and no line is wider than the terminal."""
    found = shown_case(case, weights, show)
    if found.format is Format.tree and width < 80:
        pytest.skip("the deepest leaf of a tree needs its indent")
    lines = "".join(render(found.report, found.format, Screen(width))).splitlines()
    assert max(map(cell_len, lines)) <= width
    if found.format is Format.table:
        assert set(lines[1].strip()) == {"─"}


@each_case
def test_colours_add_nothing_but_colours(
    case: str, weights: dict[str, str], show: Callable[..., Shown]
) -> None:
    """Without its codes a coloured text is the plain one, and every coloured part is ended."""
    found = shown_case(case, weights, show)
    for width in (None, 80, 200):
        text = "".join(render(found.report, found.format, Screen(width, color=True)))
        assert plain(text) == "".join(render(found.report, found.format, Screen(width)))
        assert "\x1b[" in text
        assert all(line.count("\x1b[") == 2 * line.count("\x1b[0m") for line in text.splitlines())


def test_statistics_are_shown_at_80_columns(weights: dict[str, str], show: Callable[..., Shown]) -> None:
    """What --stats is for is there, and what is not is named."""
    text = shown_case("stats", weights, show).at(80).stdout
    assert {"name", "mean", "std", "min", "max"} <= set(text.splitlines()[0].split())
    assert " not shown: " in text and "widen, or --columns\n" in text
