"""The decorator for initializers declares what attributes declare, and refuses what cannot be one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import paramtool
from paramtool.errors import BadArgument
from tests.conftest import CONFIGS, Run

PLUGINS = CONFIGS / "plugins"


def fill(tensor: Any, value: float = 1.0) -> None:
    tensor.fill_(value)


@pytest.mark.parametrize(
    ("decorator", "expected"),
    [
        (paramtool.initializer, (True, False)),
        (paramtool.initializer(), (True, False)),
        (paramtool.initializer(replaces=False), (False, False)),
        (paramtool.initializer(replaces=False, exact=True), (False, True)),
    ],
)
def test_the_function_itself_is_returned_with_its_attributes(
    decorator: Callable[[Any], Any], expected: tuple[bool, bool]
) -> None:
    """With and without parentheses."""

    def law(tensor: Any) -> None: ...

    assert decorator(law) is law
    assert (vars(law)["replaces"], vars(law)["exact"]) == expected


@pytest.mark.parametrize("option", ["replaces", "exact"])
@pytest.mark.parametrize("value", [0, None, "no"])
def test_a_flag_that_is_no_bool_is_refused(option: str, value: Any) -> None:
    """Before the function is looked at."""
    with pytest.raises(BadArgument, match=f"'{option}' must be bool, got {value!r}"):
        paramtool.initializer(**{option: value})


async def late(tensor: Any) -> None: ...
def _hidden(tensor: Any) -> None: ...
def keyed(*, weight: Any) -> None: ...
def nothing() -> None: ...


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (late, "an initializer must be a plain function, got <function late"),
        (int, "an initializer must be a plain function, got <class 'int'>"),
        (False, "an initializer must be a plain function, got False"),
        (_hidden, "the name of an initializer must not begin with '_', got '_hidden'"),
        (
            keyed,
            "the first parameter of 'keyed' must be the tensor, got 'weight', which is given by name",
        ),
        (nothing, "the first parameter of 'nothing' must be the tensor, got none; e.g. def nothing(tensor"),
    ],
)
def test_what_cannot_be_an_initializer_is_refused(given: Any, said: str) -> None:
    """A rule could never name it, or call it."""
    with pytest.raises(BadArgument) as caught:
        paramtool.initializer(given)
    assert said in str(caught.value)


def test_a_declared_one_may_call_its_tensor_otherwise(run: Run, tmp_path: Path) -> None:
    """It is listed, explained and run; what is not declared is only named if it is asked for."""
    path = tmp_path / "laws.py"
    path.write_text(
        "import paramtool as p\n"
        "from paramtool import initializer\n"
        "@p.initializer\n"
        "def filled(w, /, to: float = 2.0): w.fill_(to)\n"
        "@initializer(replaces=False)\n"
        "def scaled(weight, by=3.0): weight.mul_(by)\n"
        "def helper(x): x.fill_(1)\n"
    )
    spec = tmp_path / "m.yaml"
    spec.write_text("model: {Linear: [3, 2]}\n")
    plugin = ("--plugin", str(path))
    listed = run("initializers", *plugin).stdout
    assert "2 of them from plugins" in listed
    assert "filled(to: float = 2.0)" in run("initializers", "filled", *plugin).stdout
    rules = ("-p", "weight", "--with", "filled", "-p", "weight", "--with", "scaled:by=2")
    done = run("init", str(spec), *plugin, *rules, "--columns", "name,mean", "-f", "csv")
    assert (done.status, done.stdout.splitlines()[1]) == (0, "weight,4.0")
    asked = run("init", str(spec), *plugin, "-p", ".", "--with", "helper")
    assert asked.status == 2
    assert asked.stderr.endswith(
        f"unknown initializer 'helper'; put @paramtool.initializer above 'helper' in {path}\n"
    )
    path.write_text("def helper(x): x.fill_(1)\n")
    hint = "put @paramtool.initializer above 'helper', or call its first parameter tensor"
    for command in (("initializers",), ("init", str(spec))):
        assert run(*command, *plugin).stderr == f"error: the plugin {path} has no initializer; {hint}\n"


def test_a_refusal_in_a_plugin_has_its_line(run: Run, tmp_path: Path) -> None:
    """The error of the decorator is one of the file that is named."""
    path = tmp_path / "odd.py"
    path.write_text("import paramtool\n\n@paramtool.initializer(replaces=0)\ndef law(tensor): ...\n")
    result = run("init", str(CONFIGS / "mlp.yaml"), "--plugin", str(path), "-p", ".", "--with", "law")
    assert (result.status, result.stdout) == (2, "")
    assert "odd.py:3:1: error: the plugin" in result.stderr
    assert "'replaces' must be bool, got 0" in result.stderr


def test_the_decorator_is_had_without_torch() -> None:
    """A plugin that needs no torch of its own brings none in."""
    code = "import sys, paramtool; paramtool.initializer; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def rows(run: Run, *options: str) -> list[dict[str, Any]]:
    result = run("init", str(CONFIGS / "mlp.yaml"), "--json", "--values", *options)
    assert result.status == 0, result.stderr
    return [row for row in json.loads(result.stdout)["rows"] if row["name"].endswith("weight")]


def test_the_plugins_of_configs_do_what_they_say(run: Run) -> None:
    """A fill is zero or beyond `low`; pruning leaves what is large as it was, bit for bit."""
    split = ("--plugin", str(PLUGINS / "split_uniform.py"), "-p", "weight", "--with", "split_uniform")
    for row in rows(run, *split):
        assert all(each == 0 or 5 <= abs(each) <= 10 for line in row["values"] for each in line)
    uniform = ("-p", "weight", "--uniform=-10,10")
    pruned = rows(run, "--plugin", str(PLUGINS / "prune.py"), *uniform, "-p", "weight", "--with", "prune")
    for before, after in zip(rows(run, *uniform), pruned, strict=True):
        kept = [[each if abs(each) >= 5 else 0 for each in line] for line in before["values"]]
        assert after["values"] == kept


def test_a_decorator_and_an_attribute_declare_the_same(run: Run, tmp_path: Path) -> None:
    """Files from before the decorator go on working."""
    found = []
    for head, tail in (
        ("import paramtool\n@paramtool.initializer(replaces=False)\n", ""),
        ("", "law.replaces = False\n"),
    ):
        path = tmp_path / "laws.py"
        path.write_text(f"{head}def law(tensor):\n    tensor.mul_(2)\n{tail}")
        found.append(rows(run, "--plugin", str(path), "-p", "weight", "--with", "law"))
    assert found[0] == found[1]
