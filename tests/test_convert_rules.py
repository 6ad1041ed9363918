"""The rules of `convert`: in the order typed, and each must match something."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from paramtool.api.conversion_rules import read_rules
from paramtool.cli.conversion_options import split
from paramtool.errors import DoesNotMatch
from paramtool.files.reading.checkpoint import Stored
from paramtool.operations.conversion.items import Item
from tests.conftest import Run

NAMES = ("module.a.weight", "module.a.bias", "module.b.weight", "module.norm.weight", "step")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with one file, whose tensors differ."""
    monkeypatch.chdir(tmp_path)
    save_file({name: torch.full((2,), float(number)) for number, name in enumerate(NAMES)}, "in.safetensors")
    return tmp_path


def items(*names: str) -> list[Item]:
    """Return an item for each name."""
    return [
        Item(0, name, Stored(name, "float32", (), 4, Path("x"), 0), name, "float32", object())
        for name in names
    ]


def applied(names: tuple[str, ...], *rules: tuple[str, ...]) -> list[str]:
    """Return what rules leave of the names."""
    found = items(*names)
    for rule in read_rules(rules):
        rule.apply([each for each in found if each.left_out is None], lambda *_: True)
    return [each.name for each in found if each.left_out is None]


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ([("pattern", "weight")], ["module.a.weight", "module.b.weight", "module.norm.weight"]),
        ([("pattern", "a"), ("pattern", "step"), ("exclude", "w")], ["module.a.bias", "step"]),
        ([("name", "step")], ["step"]),
        ([("module", "module.a")], ["module.a.weight", "module.a.bias"]),
        ([("pattern", "a.b"), ("dtype", "float16"), ("pattern", "step")], ["module.a.bias", "step"]),
        ([("rename", r"^module\.(.)\.", r"\1_"), ("pattern", "^a_")], ["a_weight", "a_bias"]),
        ([("strip-prefix", "module."), ("module", "b")], ["b.weight"]),
        ([("strip-prefix", "module"), ("module", "b")], ["b.weight"]),
        ([("dtype", "step=int8"), ("exclude", "step"), ("pattern", "norm")], ["module.norm.weight"]),
        ([("tie", "module.a.bias", "step"), ("exclude", "a|b|norm")], ["step"]),
        ([("exclude", "step"), ("rename", "module", "step"), ("pattern", r"step\.b")], ["step.b.weight"]),
    ],
)
def test_rules_act_in_their_order(rules: list[tuple[str, ...]], left: list[str]) -> None:
    """Selectors between two renames are one selection; those after a rename see the new names."""
    assert applied(NAMES, *rules) == left


def test_swaps_and_cycles_are_renames_at_once() -> None:
    """One rename acts on all names together."""
    assert applied(("a", "b", "c"), ("rename", "^a$|^b$|^c$", "x_\\g<0>")) == ["x_a", "x_b", "x_c"]
    assert applied(("a.b", "b.a"), ("rename", r"^(.)\.(.)$", r"\2.\1")) == ["b.a", "a.b"]


def test_a_collision_names_both() -> None:
    """Renamed onto each other, or onto a name that stays."""
    with pytest.raises(DoesNotMatch, match=r"gives 'a1' and 'a2' the same name 'a'"):
        applied(("a1", "a2"), ("rename", r"\d", ""))
    with pytest.raises(DoesNotMatch, match=r"gives 'a' and 'b' the same name 'b'"):
        applied(("a", "b"), ("rename", "^a$", "b"))
    assert applied(("a", "b"), ("exclude", "^b$"), ("rename", "^a$", "b")) == ["b"]


@given(st.permutations(["a", "b", "c", "d.e", "f.g"]), st.data())
def test_any_permutation_is_a_rename(names: list[str], data: st.DataObject) -> None:
    """RenameAs takes a map of names with swaps and cycles, and refuses one that is not injective."""
    from paramtool.operations.conversion.rules import RenameAs

    new = data.draw(st.lists(st.sampled_from(names), min_size=len(names), max_size=len(names)))
    rule = RenameAs(dict(zip(names, new, strict=True)), "--rename-from A B")
    found = items(*names)
    if len(set(new)) < len(new):
        with pytest.raises(DoesNotMatch, match="the same name"):
            rule.apply(found, lambda *_: True)
    else:
        rule.apply(found, lambda *_: True)
        assert [each.name for each in found] == new


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--pattern nothing", "--pattern nothing matches no name"),
        ("--exclude nothing", "--exclude nothing matches no name"),
        ("--pattern a --pattern nothing", "--pattern nothing matches no name"),
        ("--name stop", "--name stop matches no name; did you mean 'step'?"),
        ("--module module.c", "--module module.c matches no name"),
        ("--rename nothing x", "--rename nothing x matches no name"),
        ("--strip-prefix model", "no name has the prefix 'model'"),
        ("--dtype nothing=float16", "--dtype nothing=float16 matches no name"),
        ("--tie step stop", "--tie step stop: no tensor is named 'stop'; did you mean 'step'?"),
        ("--exclude .", "nothing is left after --exclude ."),
        ("--rename-from in.safetensors in.safetensors", "nothing was renamed"),
    ],
)
def test_a_rule_that_matches_nothing_is_the_answer_no(options: str, message: str, run: Run) -> None:
    """Exit status 1, one line, nothing written."""
    result = run("convert", "in.safetensors", "-o", "out.safetensors", *options.split())
    assert (result.status, Path("out.safetensors").exists()) == (1, False)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--rename [ x", "'[' is not a regular expression"),
        (r"--rename a \2", r"the replacement '\2' does not fit 'a': invalid group reference 2"),
        (r"--rename a \g<x>", r"the replacement '\g<x>' does not fit 'a': unknown group name 'x'"),
        ("--rename .* x", "the same name"),
        ("--rename ^step$ =", ""),
        ("--dtype bfloat15", "there is no dtype 'bfloat15'; did you mean 'bfloat16'?"),
        ("--dtype int8", "--dtype .=int8 casts every tensor"),
        ("--dtype =int8", "the pattern is empty"),
        ("--dtype", "--dtype needs a value"),
        ("--rename a", "--rename needs two values"),
        ("--untie=1", "--untie needs no value"),
        ("--metadata x", "--metadata takes KEY=VALUE, got 'x'"),
        ("--metadata a=b --metadata a=c", "--metadata a appears twice"),
        ("--metadata note=step", "the name of a tensor, which readers take for a tie"),
        ("--fail-on all", "--fail-on takes overflow, underflow, nan, got 'all'"),
        ("--max-shard-size 5GB", "--max-shard-size makes a folder of shards, but out.safetensors ends in"),
        ("--format tree", "convert has no format tree"),
        ("--tie step step", "both are one name"),
        ("--rename ^.*(a+)+$ x --rename " + "(a+)+" * 300 + " y", "a pattern of 1,500 characters"),
    ],
)
def test_a_wrong_rule_is_one_line(options: str, message: str, run: Run) -> None:
    """Exit status 2, with what to do instead; nothing written."""
    result = run("convert", "in.safetensors", "-o", "out.safetensors", *options.split())
    if not message:
        assert result.status == 0
        return
    assert (result.status, Path("out.safetensors").exists()) == (2, False)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_name_may_not_vanish(run: Run) -> None:
    """Torch has no empty names."""
    result = run("convert", "in.safetensors", "-n", "--rename", "^step$", "")
    assert (result.status, result.stderr) == (
        2,
        "error: --rename '^step$' '' leaves nothing of the name 'step'\n",
    )


def test_dtypes_apply_in_their_order_and_once(run: Run) -> None:
    """The last that applies counts, and the cast is one from the source: no number is rounded twice."""
    value = 1 + 2**-9 + 2**-20  # rounds up in float16, but to the even one of two by way of bfloat16
    save_file(
        {"a": torch.tensor([value]), "norm": torch.tensor([value]), "n": torch.tensor([3])}, "x.safetensors"
    )
    options = ("--dtype", "bfloat16", "--dtype", "float16", "--dtype", "norm=float64", "--dtype", "^n$=int8")
    assert run("convert", "x.safetensors", "-o", "y.safetensors", *options).status == 0
    found = load_file("y.safetensors")
    assert found["a"].equal(torch.tensor([value]).half())
    assert found["norm"].equal(torch.tensor([value]).double())
    assert found["n"].dtype == torch.int8


def test_a_plain_dtype_leaves_whole_numbers(run: Run) -> None:
    """As ``module.to(dtype)`` does."""
    save_file(
        {"w": torch.ones(2), "ids": torch.arange(300), "mask": torch.ones(2, dtype=torch.bool)},
        "x.safetensors",
    )
    assert run("convert", "x.safetensors", "-o", "y.safetensors", "--dtype", "float16").status == 0
    found = load_file("y.safetensors")
    assert [each.dtype for _, each in sorted(found.items())] == [torch.int64, torch.bool, torch.float16]


def test_rename_from_takes_the_map_that_diff_finds(run: Run) -> None:
    """The names of A become those of B."""
    old = {"module.0.weight": torch.randn(3, 4), "module.0.bias": torch.randn(3)}
    save_file(old, "old.safetensors")
    save_file(
        {name.replace("module.0", "layers.first"): each for name, each in old.items()}, "new.safetensors"
    )
    options = ("--rename-from", "old.safetensors", "new.safetensors")
    assert run("convert", "old.safetensors", "-o", "out.safetensors", *options).status == 0
    assert sorted(load_file("out.safetensors")) == ["layers.first.bias", "layers.first.weight"]


@pytest.mark.parametrize(
    ("typed", "rules", "rest"),
    [
        ("a -pw -o b --rename x y", [("pattern", "w"), ("rename", "x", "y")], ["a", "-o", "b"]),
        ("-p=w --pattern=v --untie c", [("pattern", "w"), ("pattern", "v"), ("untie",)], ["c"]),
        ("--tie -a -b -- --tie", [("tie", "-a", "-b")], ["--", "--tie"]),
        ("-m x --strip-prefix=m.", [("module", "x"), ("strip-prefix", "m.")], []),
    ],
)
def test_options_of_rules_are_taken_in_order(typed: str, rules: list[object], rest: list[str]) -> None:
    """All others stay."""
    assert split(typed.split()) == (rules, rest)


@pytest.mark.parametrize("word", ["bf16", "torch.bfloat16", "BF16", "bfloat16"])
def test_dtypes_have_other_words(word: str, run: Run) -> None:
    """Those that every command takes."""
    result = run("convert", "in.safetensors", "--dry-run", "--dtype", word, "--format", "csv")
    assert (result.status, "bfloat16" in result.stdout) == (0, True)
