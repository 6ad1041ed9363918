"""``NAME:key=value,…`` as it is typed after ``--with``: lists and quoted texts are values of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramtool.errors import ParamtoolError
from paramtool.language.option_values import read_pairs
from paramtool.language.values import plain
from paramtool.place import Place, Text
from tests.conftest import Run

PLACE = Place(Text("--with", "", is_option=True), 1, 1)


def pairs(written: str) -> dict[str, Any]:
    return {key: plain(node) for key, node in read_pairs(written, PLACE)}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("mean=0,std=0.01", {"mean": 0, "std": 0.01}),
        (" mean = 0 , std = 1e-3 ", {"mean": 0, "std": 0.001}),
        ("a=[0.9,0.999],b=1", {"a": (0.9, 0.999), "b": 1}),
        ("a=[[1, 2],[3]],b=[]", {"a": ((1, 2), (3,)), "b": ()}),
        ("a=[x,'b]c',\"d,e\"],f=true", {"a": ("x", "b]c", "d,e"), "f": True}),
        ("a='x,y',b=\"1\"", {"a": "x,y", "b": "1"}),
        ("a='it''s, so',b=\"say \\\"a,b\\\"\"", {"a": "it's, so", "b": 'say "a,b"'}),
        ("a=it's,b=isn't", {"a": "it's", "b": "isn't"}),
        ("file=old.safetensors,name=model.{name}", {"file": "old.safetensors", "name": "model.{name}"}),
        ("name={name}.weight,file=a[1].pt", {"name": "{name}.weight", "file": "a[1].pt"}),
        ("a=,b=null", {"a": None, "b": None}),
        ("a=b=c", {"a": "b=c"}),
        ("a=[b=c,d]", {"a": ("b=c", "d")}),
    ],
)
def test_a_value_ends_at_the_comma_behind_it(written: str, read: dict[str, Any]) -> None:
    """A comma within brackets or quotes is part of the value, which is read as a spec's is."""
    assert pairs(written) == read


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("a=[1,2", "'[1,2' opens a list that is never closed; write a list as [0.9,0.999]"),
        ("a=[[1,2],b=3", "'[[1,2],b=3' opens a list that is never closed"),
        ("a=1,2]", "expected key=value, got '2]'; e.g. --with normal:mean=0,std=0.01"),
        ("a=[1]],b=3", "'[1]]' closes a list that was never opened"),
        ("a=1]", "'1]' closes a list that was never opened"),
        ("a=[1]x", "not valid YAML: "),
        ("a='x,b=1", "not valid YAML: while scanning a quoted scalar"),
        ("a=1,", "expected key=value, got ''"),
        ("a,b=1", "expected key=value, got 'a'"),
        ("a=*b", "no anchor 'b' above"),
        ("a=" + "[" * 200 + "]" * 200, "nested deeper than 100 levels"),
    ],
)
def test_a_value_that_is_not_whole_is_told(written: str, said: str) -> None:
    """A bracket or a quote without its partner is an error at the option."""
    with pytest.raises(ParamtoolError) as caught:
        pairs(written)
    assert f"--with: error: {said}" in str(caught.value)


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("éΣ日"), max_size=8)
SCALARS = st.integers(-(2**40), 2**40) | st.booleans() | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)


@given(st.dictionaries(st.from_regex(r"[a-z_]\w{0,5}", fullmatch=True), VALUES, min_size=1, max_size=4))
def test_what_json_writes_is_read_as_it_was(values: dict[str, Any]) -> None:
    """Any nested list of numbers and texts goes through, whatever brackets, commas and quotes are in it."""
    written = ",".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    assert pairs(written) == values


@given(st.text("a=,[]'\"{} \\:1", max_size=30))
def test_no_text_escapes_as_another_error(written: str) -> None:
    """Whatever is typed is read, or refused with a message."""
    try:
        pairs(written)
    except ParamtoolError as error:
        assert error.place == PLACE


def test_a_plugin_is_given_lists(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--with hands nested lists and texts to a plugin as a recipe does."""
    monkeypatch.chdir(tmp_path)
    Path("laws.py").write_text(
        "def law(tensor, betas, word):\n    tensor.fill_(betas[1][0] + len(betas) + len(word))\n"
    )
    Path("model.yaml").write_text("model: {Linear: [2, 1]}\n")
    Path("rules.yaml").write_text("- {pattern: weight, law: {betas: [0.5, [0.25]], word: 'a,b'}}\n")
    typed = ("-p", "weight", "--with", "law:betas=[0.5,[0.25]],word='a,b'")
    for options in (typed, ("--recipe", "rules.yaml")):
        result = run("init", "model.yaml", "--plugin", "laws.py", *options, "--json")
        assert result.status == 0, result.stderr
        (row,) = json.loads(result.stdout)["rows"]
        assert (row["mean"], row["rule"]) == (5.25, "law(betas=[0.5, [0.25]], word=a,b)")
