"""`paramtool grad`: input, loss and rules from the spec or the command line; what it prints; how it ends."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from paramtool.errors import ParamtoolError
from paramtool.language.catalog import shipped
from paramtool.language.option_inputs import read_inputs
from paramtool.network.spec_tensors import Arguments, make_inputs
from paramtool.render.formats import Format, render
from paramtool.render.names import together
from paramtool.render.screen import Screen
from tests.conftest import CONFIGS, Run

SHARED = str(CONFIGS / "shared.yaml")
MLP = str(CONFIGS / "mlp.yaml")
LAYER = "model: {Linear: [2, 1, false]}\n"


@pytest.fixture
def spec(tmp_path: Path) -> Any:
    """Write a spec and return its path."""

    def write(text: str) -> str:
        path = tmp_path / "model.yaml"
        path.write_text(text)
        return str(path)

    return write


def document(run: Run, *arguments: str) -> dict[str, Any]:
    result = run("grad", *arguments, "--json")
    assert result.status == 0, result.stderr
    read: dict[str, Any] = json.loads(result.stdout)
    return read


def made(*given: str, dtype: str | None = None, seed: int = 0) -> Arguments:
    return make_inputs(read_inputs(given, shipped().dtypes), dtype, seed)


# the notebook, and rules


@pytest.mark.parametrize(("steps", "gradient"), [("1", 6), ("2", 12)])
def test_rules_that_are_typed_apply_first(steps: str, gradient: int, run: Run) -> None:
    """With w = 3 the loss is 9 and the gradient 6, and 12 after a second pass."""
    found = document(run, SHARED, "--pattern", "weight", "--constant", "3", "--steps", steps)
    assert found["totals"]["loss"] == 9
    assert [row["gradient"] for row in found["rows"]] == [[[gradient]], [[gradient / 2]], [[gradient / 2]]]
    assert [row["kind"] for row in found["rows"]] == ["parameter", "use", "use"]


def test_rules_run_in_the_order_spec_recipe_typed(run: Run, spec: Any, tmp_path: Path) -> None:
    """The spec's init sets 2, the recipe adds 3, what is typed multiplies by 2: the ratio tells 10."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("- {pattern: weight, add: 3}\n")
    path = spec(LAYER + "input: {shape: [1, 2], fill: ones}\ninit: [{pattern: weight, constant: 2}]\n")
    (row,) = document(run, path, "--recipe", str(recipe), "-p", ".", "--mul", "2")["rows"]
    assert row["ratio"] == pytest.approx(math.sqrt(2) / (10 * math.sqrt(2)))


def test_a_plugin_from_a_file_fills_as_well(run: Run, spec: Any, tmp_path: Path) -> None:
    """--plugin and --with work as in init."""
    plugin = tmp_path / "seven.py"
    plugin.write_text("def seven(tensor):\n    tensor.fill_(7)\n")
    path = spec(LAYER + "input: {shape: [1, 2], fill: ones}\n")
    assert document(run, path, "--plugin", str(plugin), "-p", ".", "--with", "seven:")["totals"]["loss"] == 14


# inputs


@pytest.mark.parametrize(
    ("given", "shape", "dtype"),
    [
        ("2,4", (2, 4), torch.float32),
        (" 2, 4 ", (2, 4), torch.float32),
        ("3", (3,), torch.float32),
        ("2,0", (2, 0), torch.float32),
        ("2,4,randn", (2, 4), torch.float32),
        ("2,3,randint=5", (2, 3), torch.int64),
        ("2,3,randint=5,dtype=int32", (2, 3), torch.int32),
        ("2,3,dtype=bfloat16", (2, 3), torch.bfloat16),
        ("[2, 4]", (2, 4), torch.float32),
        ("{shape: [2, 4], fill: arange}", (2, 4), torch.float32),
        ("{values: [[1, 2]]}", (1, 2), torch.int64),
    ],
)
def test_an_input_is_typed_as_sizes_and_a_fill(
    given: str, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    """Sizes with commas, then the fill and the dtype; or what a spec would say."""
    (tensor,) = made(given).positional
    assert (tuple(tensor.shape), tensor.dtype) == (shape, dtype)


def test_inputs_hold_what_their_fill_says() -> None:
    """The fills, their bounds and the default, which is rand."""
    ones, arange, low, number, rand = made(
        "3,ones", "4,arange", "99,randint=5:7", "2,fill=0.5", "999"
    ).positional
    assert ones.tolist() == [1, 1, 1]
    assert arange.tolist() == [0, 1, 2, 3]
    assert set(low.tolist()) == {5, 6}
    assert number.tolist() == [0.5, 0.5]
    assert 0 <= float(rand.min()) < 0.01
    assert 0.99 < float(rand.max()) < 1


def test_inputs_have_streams_of_their_own() -> None:
    """Each is drawn by its place or name and the seed; another input or dtype changes nothing."""
    before = torch.get_rng_state()
    one = made("5,randn").positional[0]
    first, second = made("5,randn", "5,randn").positional
    assert torch.equal(one, first)
    assert not torch.equal(first, second)
    assert not torch.equal(one, made("5,randn", seed=1).positional[0])
    assert torch.equal(one.bfloat16(), made("5,randn", dtype="bfloat16").positional[0])
    assert torch.equal(made("a=5", "b=5").named["b"], made("b=5").named["b"])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "unknown ''"),
        ("x", "unknown 'x'"),
        ("2;4", "unknown '2;4'"),
        ("2,-4", "unknown '-4'"),
        ("randn,2", "an input starts with its sizes"),
        ("2,rnadn", "unknown 'rnadn'; did you mean 'randn'?"),
        ("2,randn,ones", "'fill' appears twice"),
        ("2,randint", "randint needs 'high' above 'low'"),
        ("2,randint=x", "'high' must be an int"),
        ("2,randint=5:5", "randint needs 'high' above 'low'"),
        ("2,dtype=flaot32", "unknown dtype the string 'flaot32'; did you mean 'float32'?"),
        ("2,rand,dtype=int64", "'rand' draws fractions, but int64 has none"),
        ("{shpe: [2]}", "input has no key 'shpe'; did you mean 'shape'?"),
        ("{shape: [2", "not valid YAML"),
        ("99999999999999999999,2", "does not fit in 64 bits"),
    ],
)
def test_an_input_that_is_wrong_is_told(given: str, message: str, run: Run) -> None:
    """Every mistake in --input is status 2 with what is wrong, at the option."""
    result = run("grad", MLP, "--input", given)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("--input")
    assert message in result.stderr


def test_several_inputs_come_by_place_and_by_name(run: Run, spec: Any) -> None:
    """A decoder layer gets two tensors by place; one of them by name; a wrong name is torch's word."""
    path = spec("model: {TransformerDecoderLayer: [4, 2, 8]}\nloss: projection\n")
    by_place = document(run, path, "-i", "3,1,4", "-i", "2,1,4", "--seed", "1")
    assert by_place["totals"]["outputs"][0]["shape"] == [3, 1, 4]
    assert document(run, path, "-i", "3,1,4", "-i", "memory=2,1,4")["totals"]["verdicts"]["ok"] == 18
    result = run("grad", path, "-i", "3,1,4", "-i", "memroy=2,1,4")
    assert result.status == 2
    assert "unexpected keyword argument 'memroy'" in result.stderr


def test_the_spec_may_have_no_dtype_of_its_input(run: Run, spec: Any) -> None:
    """An input follows the spec's dtype; norms of bfloat16 are computed in float64."""
    path = spec(LAYER + "dtype: bfloat16\ninput: [40000, 2]\n")
    (row,) = document(run, path)["rows"]
    assert row["dtype"] == "bfloat16"
    assert row["abs_max"] == pytest.approx(20_000, rel=0.02)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64])
def test_an_input_of_another_dtype_is_told_which_to_give(
    dtype: torch.dtype, run: Run, tmp_path: Path
) -> None:
    """The hint names the dtype of the parameters, for an input that is typed and for a file."""
    path = tmp_path / "x.pt"
    torch.save(torch.ones(2, 4, dtype=dtype), path)
    hint = "give the input as float32: dtype=float32 in the input; for a file, save tensor.to(torch.float32)"
    assert hint in run("grad", MLP, "--input", str(path)).stderr
    assert run("grad", MLP, "--input", "2,4,dtype=float32").status == 0
    torch.save(torch.ones(2, 4, dtype=dtype).to(torch.float32), path)
    assert run("grad", MLP, "--input", str(path)).status == 0


def test_a_lazy_model_takes_its_shapes_from_a_typed_input(run: Run, spec: Any) -> None:
    """--input settles lazy modules as the spec's own input does."""
    path = spec("model: {Sequential: [{LazyLinear: 3}, {LazyLinear: 1}]}\n")
    found = document(run, path, "--input", "2,5")
    assert [row["shape"] for row in found["rows"]] == [[3, 5], [3], [1, 3], [1]]


# how it ends


DEAD = """
model: {Sequential: [{Linear: [2, 2]}, ReLU, {Linear: [2, 1]}]}
input: {shape: [1, 2], fill: ones}
init: [{pattern: 0.bias, constant: -100}]
"""


@pytest.mark.parametrize(
    ("fail_on", "status", "said"),
    [
        ("zero", 1, "error: --fail-on: '0.weight' (zero), '0.bias' (zero), '2.weight' (zero)\n"),
        (
            "none, zero,nonfinite",
            1,
            "error: --fail-on: '0.weight' (zero), '0.bias' (zero), '2.weight' (zero)\n",
        ),
        ("none,nonfinite", 0, ""),
        ("nan", 0, ""),
    ],
)
def test_fail_on_sets_the_status(fail_on: str, status: int, said: str, run: Run, spec: Any) -> None:
    """A dead layer fails where zero counts; the table is printed all the same."""
    result = run("grad", spec(DEAD), "--fail-on", fail_on)
    assert (result.status, result.stderr) == (status, said)
    assert "zero" in result.stdout


def test_fail_on_does_not_count_what_is_frozen(run: Run, spec: Any) -> None:
    """A frozen parameter gets no gradient because somebody wanted so."""
    path = spec("model: {Linear: [2, 1]}\ninput: {shape: [1, 2]}\nfreeze: bias\n")
    result = run("grad", path, "--fail-on", "none")
    assert result.status == 0
    assert "requires_grad" in result.stdout
    assert "1 ok, 1 frozen" in result.stdout


def test_fail_on_names_only_a_few(run: Run, spec: Any) -> None:
    """Of many failures the first five are named."""
    text = DEAD.replace("{Linear: [2, 2]}", "{Linear: [2, 2]}, {Linear: [2, 2]}, {Linear: [2, 2]}")
    result = run("grad", spec(text.replace("0.bias", "2.bias")), "--fail-on", "zero")
    assert result.stderr.endswith("'2.weight' (zero) and 2 more\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([MLP, "--fail-on", "nil"], "--fail-on: unknown verdict 'nil'"),
        ([MLP, "--fail-on", ""], "--fail-on: unknown verdict ''"),
        ([MLP, "--steps", "0"], "Invalid value for '--steps'"),
        ([MLP, "--loss", "suum"], "bce_with_logits, got 'suum'; type: paramtool"),
        ([MLP, "--format", "github"], "grad has no format github"),
        ([MLP, "--pattern", "weight"], "no initializer follows it"),
        ([MLP, "--pattern", "wieght", "--zeros"], "matches no parameter"),
        ([MLP, "--input", "2,5"], "'0' (Linear) with weight [3, 4], bias [3] fails on [2, 5] float32: mat1"),
        ([str(CONFIGS / "gpt2.yaml"), "--input", "2,4"], "the model (Module) has no forward"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_printed(arguments: list[str], message: str, run: Run) -> None:
    """Bad options, a model that cannot run and an input that does not fit: no result, no traceback."""
    result = run("grad", *arguments)
    assert result.status == (1 if "matches no" in message else 2)
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_model_without_input_says_how_to_give_it(run: Run, spec: Any) -> None:
    """Both ways are named."""
    result = run("grad", spec(LAYER))
    assert result.status == 2
    assert "has no input to run on; 'input: {shape: [2, 2]}' in the spec, or --input 2,2" in result.stderr


def test_batch_norm_with_a_batch_of_one_is_told_and_eval_helps(run: Run, spec: Any) -> None:
    """Train mode, the default, refuses; --eval runs."""
    path = spec("model: {Sequential: [{Linear: [2, 3]}, {BatchNorm1d: 3}]}\ninput: [1, 2]\n")
    result = run("grad", path)
    assert result.status == 2
    assert "'1' (BatchNorm1d)" in result.stderr
    assert "use a batch of 2 or more, or --eval" in result.stderr
    assert document(run, path, "--eval")["totals"]["training"] is False


def test_a_degenerate_loss_is_noted_on_stderr(run: Run, spec: Any) -> None:
    """The note names the loss to try, which then has none."""
    path = spec("model: {Sequential: [{Linear: [4, 3]}, {Softmax: {dim: -1}}]}\ninput: [2, 4]\n")
    assert "note: the sum of the output of softmax hardly depends" in run("grad", path).stderr
    assert run("grad", path, "--loss", "projection").stderr == ""


# what it prints


def test_every_format_has_all_rows_in_full(run: Run) -> None:
    """CSV, JSON lines and JSON say the same, to the last digit; uses and modules are rows of their kind."""
    arguments = ("grad", MLP, "--by-use", "--layers", "--format")
    rows = document(run, MLP, "--by-use", "--layers")["rows"]
    lines = [json.loads(line) for line in run(*arguments, "jsonl").stdout.splitlines()]
    table = list(csv.DictReader(io.StringIO(run(*arguments, "csv").stdout)))
    assert lines == rows
    assert [row["kind"] for row in rows] == ["parameter", "use"] * 4 + ["module"] * 3
    for row, cells in zip(rows, table, strict=True):
        assert list(row) == list(cells)
        assert cells["norm"] == ("" if row["norm"] is None else json.dumps(row["norm"]))
        assert cells["output_std"] == ("" if row["output_std"] is None else json.dumps(row["output_std"]))
    assert run(*arguments, "tsv").stdout.count("\n") == len(rows) + 1


def test_numbers_that_are_none_are_written_as_words_in_json(run: Run, spec: Any) -> None:
    """NaN and infinity, in rows and totals, are strings, so that every reader takes the document."""
    path = spec(
        "model: {Module: {}}\n".replace("{Module: {}}", "{Linear: [1, 1, false]}")
        + "input: {values: [[.nan]]}\n"
    )
    result = run("grad", path, "--json", "--fail-on", "nonfinite")
    assert result.status == 1
    found = json.loads(result.stdout, parse_constant=pytest.fail)
    assert (found["totals"]["loss"], found["rows"][0]["norm"]) == ("NaN", "NaN")
    assert found["rows"][0]["verdict"] == "nan"


def test_large_gradients_are_printed_only_when_asked(run: Run, spec: Any) -> None:
    """A gradient in a cell has at most four elements; --values prints up to a hundred below."""
    path = spec("model: {Sequential: [{Linear: [10, 9]}, {Linear: [9, 12]}]}\ninput: [1, 10]\n")
    assert "gradient of" not in run("grad", path).stdout
    asked = run("grad", path, "--values").stdout
    assert "gradient of 0.weight" in asked
    assert "gradient of 1.weight" not in asked
    assert "gradient of 0.bias" not in run("grad", MLP, "--no-values").stdout


def test_a_branch_has_the_norm_of_all_gradients_below_it(run: Run, spec: Any) -> None:
    """Gradients of 3 and 4 are one vector of 5, in the module as in the whole model."""
    path = spec("model: {Sequential: [{Linear: [1, 1]}]}\ninput: {values: [[3.0], [0.0], [0.0], [0.0]]}\n")
    root, branch, *leaves = run("grad", path, "--format", "tree", "--by-use").stdout.splitlines()[:6]
    assert (root, branch) == ("Sequential  (2 parameters, norm 5)", "└── 0: Linear  (2 parameters, norm 5)")
    assert [leaf.partition("norm ")[2][0] for leaf in leaves] == ["3", "3", "4", "4"]
    assert "0, call 1  linear  share 1  cosine 1" in leaves[1]


@pytest.mark.parametrize("width", [60, 200])
def test_a_terminal_shows_branches_and_bars(width: int) -> None:
    """On a terminal of any width, every name and path is there whole."""
    from paramtool.operations.gradients.backpropagation import gradients

    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 4)
    report = gradients(torch.nn.Sequential(layer, torch.nn.Tanh(), layer), [torch.rand(3, 4)], layers=True)
    shown = "".join(render(report, Format.table, Screen(width=width)))
    assert "0.weight" in shown
    assert "├" in shown
    assert "█" in shown
    table = shown.partition("read outputs")[0]
    assert all(len(line) <= width for line in table.splitlines())
    plain = "".join(render(report, Format.table, Screen(unicode=False)))
    assert plain.isascii()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["1.w"], "1.w"),
        (["1.w", "2.w", "3.w"], "{1..3}.w"),
        (["a.1.w", "a.2.w"], "a.{1..2}.w"),
        (["1.w", "3.w"], "1.w, 3.w"),
        (["01.w", "02.w"], "01.w, 02.w"),
        (["1.w", "2.v"], "1.w, 2.v"),
        (["1.w", "2.w.x"], "1.w, 2.w.x"),
        (["b.w", "c.w"], "b.w, c.w"),
        ([], ""),
    ],
)
def test_names_that_count_up_are_folded(names: list[str], expected: str) -> None:
    """The other names of a block that is used six times are one line."""
    assert together(names) == expected


def test_read_inputs_refuses_a_name_twice() -> None:
    """One keyword has one value."""
    with pytest.raises(ParamtoolError, match="'a' appears twice"):
        read_inputs(["a=2", "a=3"], shipped().dtypes)


@pytest.mark.parametrize(
    ("given", "options", "place"),
    [
        ("{shape: [1000000000000, 2]}", (), "{model}:2:8"),
        ("[{shape: [1, 2]}, {shape: [500000000000, 2], dtype: float64}]", (), "{model}:2:9"),
        ("{shape: [1, 2]}", ("--input", "1000000000000,2"), "--input 1000000000000,2"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(
    given: str, options: tuple[str, ...], place: str, run: Run, spec: Any
) -> None:
    """An input beyond this machine's memory is refused before the first is drawn, at its place."""
    model = spec(f"{LAYER}input: {given}\n")
    result = run("grad", model, *options)
    assert (result.status, result.stdout) == (2, "")
    first = result.stderr.splitlines()[0]
    before = re.escape(f"{place.format(model=model)}: error: the inputs need 8,000 GB, but only ")
    assert re.fullmatch(rf"{before}[0-9,]+ GB are free", first)
    if not options:
        assert run("check", model, "--gradients", "reach-all").status == 2
