"""Initializers: where they come from, how they are listed and explained, and those of other people."""

from __future__ import annotations

import csv
import inspect
import io
import json
import math
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from paramtool.errors import ParamtoolError
from paramtool.initializers.registry import offers
from paramtool.initializers.registry.table import BUILT_IN as TABLE
from paramtool.language.catalog import shipped
from paramtool.language.rules import read_recipe
from paramtool.network import signatures
from paramtool.operations.initialization.rule_application import initialize
from paramtool.operations.listing.initializers import initializers
from paramtool.operations.rules.plan import find_initializer
from paramtool.place import Text
from paramtool.records.initialization import InitializationRow
from tests.conftest import CONFIGS, Run

SPLIT = str(CONFIGS / "plugins" / "split_uniform.py")
OF_TORCH = sorted(
    name.removesuffix("_")
    for name, value in vars(nn.init).items()
    if inspect.isfunction(value) and name.endswith("_") and not name.startswith("_")
)
OWN = ["add", "clamp", "copy", "mul", "put"]
BUILT_IN = sorted([*OF_TORCH, *OWN])

SPEC = "model: {Module: {m: {Linear: [4, 3]}, c: {Conv1d: [4, 2, 3]}}}\n"

Write: TypeAlias = "Callable[[str], str]"
Install: TypeAlias = "Callable[..., None]"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a spec."""
    (tmp_path / "model.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    return tmp_path


@pytest.fixture
def plugin(folder: Path) -> Write:
    """Write a plugin, and return the name of its file."""

    def write(code: str) -> str:
        (folder / "laws.py").write_text(code)
        return "laws.py"

    return write


@pytest.fixture
def load() -> Iterator[Callable[[str], None]]:
    """Offer the initializers of a file until the test ends."""
    with ExitStack() as stack:
        yield lambda file: stack.enter_context(offers.from_files([file]))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with one module, and the initializers that it offers."""

    def install(distribution: str, module: str, code: str, **entry_points: str) -> None:
        folder = tmp_path / distribution
        info = folder / f"{distribution}-2.5.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.5\n")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[paramtool.initializers]", *lines]))
        (folder / f"{module}.py").write_text(code)
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(folder)

    return install


def listed(run: Run, *options: str) -> dict[str, dict[str, Any]]:
    """Return the rows of the listing by name."""
    result = run("initializers", "--json", *options)
    assert result.status == 0, result.stderr
    return {row["name"]: row for row in json.loads(result.stdout)["rows"]}


def refused(run: Run, *arguments: str) -> str:
    """Return the first error that is said against the arguments."""
    result = run(*arguments)
    assert (result.status, result.stdout) == (2, ""), result.stderr
    return next(line for line in result.stderr.splitlines() if "error: " in line)


def fill(rule: str, *shape: int, rng: str = "streams", seed: int = 0) -> tuple[Tensor, InitializationRow]:
    """Return what a rule makes of a parameter full of 8, and its row."""
    module = nn.ParameterDict({"w": nn.Parameter(torch.full(shape, 8.0))})
    try:
        report = initialize(
            module, read_recipe(Text("r.yaml", f"[{{{rule}}}]"), shipped()), rng=rng, seed=seed
        )
    finally:
        assert module["w"].shape == shape
    return module["w"].detach(), report.rows[0]


# the registry


def test_every_initializer_of_torch_is_offered() -> None:
    """All of torch.nn.init, and the arithmetic of this tool, come through one door."""
    assert offers.names() == BUILT_IN
    assert len(OF_TORCH) == 14
    for name in BUILT_IN:
        assert callable(find_initializer(name))


@pytest.mark.skipif(
    shipped().torch != torch.__version__.partition("+")[0],
    reason=f"the table has the words of torch {shipped().torch}",
)
def test_the_table_has_the_signatures_of_torch() -> None:
    """Names, types and defaults are those of torch.nn.init, word for word."""
    for name in OF_TORCH:
        assert TABLE[name].origin == "torch.nn.init"
        assert list(TABLE[name].arguments) == signatures.initializer(name).written()


def test_the_table_says_where_each_function_is_and_what_a_lone_number_means() -> None:
    """A function is found under its own name, and the main argument is one that it takes."""
    for name, known in TABLE.items():
        assert known.load() is find_initializer(name)
        assert known.function.endswith(f":{name}")
        assert known.main is None or known.main in [word.partition(":")[0] for word in known.arguments]


def test_built_in_initializers_take_what_the_catalogue_says() -> None:
    """The names and defaults of the functions are those of torch, which the listing shows."""
    for row in initializers().rows:
        parameters = list(inspect.signature(find_initializer(row.name)).parameters.values())[1:]
        taken = [each for each in parameters if each.name not in ("generator", "parameter")]
        names = [word.split("=")[0] for word in row.arguments.split(", ") if word]
        assert [each.name for each in taken] == names
        for each in taken:
            required = each.name in row.arguments.split(", ")
            assert required == (each.default is each.empty)
            written = dict(word.split("=") for word in row.arguments.split(", ") if "=" in word)
            assert required or eval(written[each.name]) == each.default


# the listing


def test_every_initializer_is_listed_with_its_arguments_and_origin(run: Run) -> None:
    """The listing has a line for each, and says which are torch's."""
    rows = listed(run)
    assert sorted(rows) == BUILT_IN
    assert [name for name, row in rows.items() if row["origin"] == "paramtool"] == OWN
    assert [name for name, row in rows.items() if row["origin"] == "torch.nn.init"] == OF_TORCH
    assert rows["trunc_normal"]["arguments"] == "mean=0.0, std=1.0, a=-2.0, b=2.0"
    assert rows["sparse"]["arguments"] == "sparsity, std=0.01"
    assert rows["zeros"]["arguments"] == ""
    table = run("initializers").stdout
    assert " xavier_uniform   gain=1.0" in table
    assert table.endswith(" 19 initializers; give a NAME to explain one\n")


def test_the_listing_needs_neither_torch_nor_plugins(install: Install, plugin: Write) -> None:
    """Nothing is imported to list or to explain: not torch, not what is installed, not a file."""
    install(
        "laws", "pt_laws", "raise SystemExit('imported')\ndef law(tensor, a=1): 'Say.'", law="pt_laws:law"
    )
    plugin("raise SystemExit('imported')\ndef other(tensor): ...")
    code = f"""
import sys
sys.path[:0] = {[each for each in sys.path if each]!r}
from paramtool.cli.main import _run
for words in (["initializers"], ["initializers", "law"], ["initializers", "xavier_uniform"],
              ["initializers", "--plugin", "laws.py", "-f", "csv"], ["initializers", "xxx"]):
    print(_run(words), "torch" in sys.modules, "pt_laws" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = [line for line in done.stdout.splitlines() if line.endswith((" True", " False"))]
    assert said == ["0 False False"] * 4 + ["2 False False"]


@pytest.mark.parametrize("options", [(), ("xavier_uniform",)], ids=["all", "one"])
def test_the_formats_agree(run: Run, options: tuple[str, ...]) -> None:
    """json, jsonl, csv and tsv have the same rows; markdown has a line for each; there is no tree."""
    document = json.loads(run("initializers", *options, "--json").stdout)
    rows = document["rows"]
    assert document["schema"] == 1
    assert (document["command"], document["model"]) == ("initializers", None)
    assert document["totals"] == {"initializers": len(rows), "plugins": 0}
    lines = run("initializers", *options, "-f", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows
    for kind, dialect in (("csv", "excel"), ("tsv", "excel-tab")):
        text = run("initializers", *options, "-f", kind).stdout
        table = list(csv.DictReader(io.StringIO(text), dialect=dialect))
        assert [row["name"] for row in table] == [row["name"] for row in rows]
        assert [row["arguments"] for row in table] == [row["arguments"] for row in rows]
    markdown = run("initializers", *options, "-f", "markdown").stdout.splitlines()
    assert sum(line.startswith("|") for line in markdown) == len(rows) + 2
    assert "initializers has no format tree" in refused(run, "initializers", *options, "-f", "tree")


# the explanation


def test_an_explanation_has_the_formula_its_source_and_how_to_write_it(run: Run) -> None:
    """One initializer is explained by its signature, its docstring and a rule in both notations."""
    text = run("initializers", "xavier_uniform").stdout
    assert text.startswith("xavier_uniform(gain: float = 1.0)\n  from torch.nn.init\n")
    assert "b = gain·√(6/(fan_in + fan_out))" in text
    assert "Source: Glorot and Bengio 2010" in text
    assert "    --pattern weight --xavier-uniform [GAIN]\n" in text
    assert "    --pattern weight --with xavier_uniform:gain=1.0\n" in text
    assert text.endswith("    - {pattern: weight, xavier_uniform: {gain: 1.0}}\n")


def test_a_name_may_be_written_as_torch_or_an_option_has_it(run: Run) -> None:
    """xavier_uniform_ and --xavier-uniform are xavier_uniform."""
    expected = run("initializers", "xavier_uniform").stdout
    assert run("initializers", "xavier_uniform_").stdout == expected
    assert run("initializers", "xavier-uniform").stdout == expected
    assert run("initializers", "--", "--xavier-uniform").stdout == expected


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_an_explanation_says_to_write_can_be_written(run: Run, name: str) -> None:
    """The rule of the explanation runs, typed and from a recipe, and both fill alike."""
    row = listed(run, name)[name]
    assert row["doc"]
    module = "c" if name == "dirac" else "m"
    save_file({"m.weight": torch.ones(3, 4)}, "weights.safetensors")
    Path("rules.yaml").write_text(f"- {row['spec']}\n")
    given = ("--exclude", "^c" if module == "m" else "^m")
    typed = run("init", "--json", *given, *shlex.split(row["typed"]))
    assert typed.status == 0, typed.stderr
    Path("rules.yaml").write_text(
        f"- {row['spec'].replace('pattern: weight', f'pattern: ^{module}.weight')}\n"
    )
    recipe = run("init", "--json", "--recipe", "rules.yaml")
    assert recipe.status == 0, recipe.stderr
    assert json.loads(recipe.stdout)["rows"] == json.loads(typed.stdout)["rows"]
    if name != "copy":
        assert row["option"].split()[0] in run("init", "--help-all").stdout


def test_an_unknown_name_is_refused_with_a_suggestion(run: Run) -> None:
    """A name that nobody offers ends with 2, and the nearest is suggested."""
    assert refused(run, "initializers", "xavier_unifrom") == (
        "error: unknown initializer 'xavier_unifrom'; did you mean 'xavier_uniform'?"
    )
    assert "'paramtool initializers' lists them" in refused(run, "initializers", "qqq")


# installed plugins

LAWS = '''
from torch import nn

def ramp(tensor, start: float = 0.0, step=1.0, *, generator, reverse: bool = False):
    """Fill with start, start + step, and so on."""
    import torch
    values = start + step * torch.arange(tensor.numel()).view(tensor.shape)
    tensor.copy_(values.flip(0) if reverse else values)

ninth = nn.init.ones_
word = "a"
'''


def test_an_installed_plugin_is_listed_explained_and_used(run: Run, install: Install) -> None:
    """What a distribution offers is read from its source, and fills like a built-in."""
    install("laws", "pt_laws", LAWS, ramp="pt_laws:ramp", ninth="pt_laws:ninth")
    rows = listed(run)
    assert rows["ramp"]["origin"] == rows["ninth"]["origin"] == "laws 2.5"
    assert rows["ramp"]["arguments"] == "start=0.0, step=1.0, reverse=False"
    assert rows["ninth"]["arguments"] == "…"  # no function of that name is in the source
    assert "pt_laws" not in sys.modules
    assert "21 initializers, 2 of them from plugins" in run("initializers").stdout
    text = run("initializers", "ramp").stdout
    assert text.startswith(
        "ramp(start: float = 0.0, step: any = 1.0, *, reverse: bool = False)\n  from laws 2.5"
    )
    assert "Fill with start, start + step, and so on." in text
    assert fill("ramp: {start: 1, step: 0.5}", 2, 2)[0].tolist() == [[1, 1.5], [2, 2.5]]
    assert fill("ramp: ", 2)[0].tolist() == [0, 1]
    assert fill("ramp: ", 2, rng="torch")[0].tolist() == [0, 1]
    assert fill("ninth: {}", 2)[0].tolist() == [1, 1]
    result = run("init", "-n", "-p", "weight", "--with", "ramp:start=1,reverse=true")
    assert "ramp(start=1, reverse=True)" in result.stdout


def test_two_distributions_with_one_name_are_listed_and_refused_when_used(run: Run, install: Install) -> None:
    """Both are in the listing, and a rule that uses the name is an error that names both."""
    install("first-laws", "pt_first", LAWS, ramp="pt_first:ramp")
    install("second-laws", "pt_second", LAWS, ramp="pt_second:ramp", normal="pt_second:ramp")
    document = json.loads(run("initializers", "--json").stdout)
    origins = [row["origin"] for row in document["rows"] if row["name"] == "ramp"]
    assert origins == ["first-laws 2.5", "second-laws 2.5"]
    assert run("initializers", "ramp").stdout.count("Fill with start") == 2
    said = "'ramp' is offered by first-laws and second-laws; uninstall one of them"
    assert said in refused(run, "init", "-p", "weight", "--with", "ramp")
    assert "'normal' is offered by paramtool and second-laws" in refused(
        run, "init", "-p", ".", "--normal", "1"
    )
    assert run("init", "-n", "-p", ".", "--zeros").status == 0


def test_a_plugin_that_cannot_be_imported_hurts_only_who_uses_it(run: Run, install: Install) -> None:
    """An import that fails, or a thing that is not callable, is told when a rule names it."""
    install("laws", "pt_laws", LAWS, word="pt_laws:word")
    install("broken", "pt_broken", "1 / 0", bad="pt_broken:bad")
    assert run("init", "-n", "-p", ".", "--zeros").status == 0
    assert "the initializer 'word' of laws is not callable" in refused(
        run, "init", "-n", "-p", ".", "--with", "word"
    )
    assert ("the plugin 'bad' of broken cannot be imported: ZeroDivisionError: division by zero") in refused(
        run, "init", "-n", "-p", ".", "--with", "bad"
    )
    assert listed(run)["bad"]["arguments"] == "…"


def test_an_earlier_installation_of_ours_adds_nothing(run: Run, install: Install) -> None:
    """Entry points that metadata of this tool still lists are passed over, whatever it is spelt like."""
    code = "def ones(tensor): raise SystemExit\ngone = ones"
    install("ParamTool", "pt_old", code, ones="pt_old:ones", gone="pt_old:gone")
    assert sorted(listed(run)) == BUILT_IN
    assert fill("ones: ", 2)[0].tolist() == [1, 1]
    assert "unknown initializer 'gone'" in refused(run, "init", "-p", ".", "--with", "gone")


def test_our_own_function_under_another_name_is_a_plugin(run: Run, install: Install) -> None:
    """A distribution may offer it again; under the same name it is the same thing."""
    function = "paramtool.initializers.functions.elementwise:ones"
    install("laws", "pt_laws", "", ones=function, uno=function)
    rows = listed(run)
    assert (rows["ones"]["origin"], rows["uno"]["origin"]) == ("torch.nn.init", "laws 2.5")
    assert fill("uno: ", 2)[0].tolist() == fill("ones: ", 2)[0].tolist() == [1, 1]


def test_metadata_that_is_broken_hurts_nobody(run: Run, install: Install, folder: Path) -> None:
    """What an uninstallation left behind, and entry points that name nothing, are listed as they are."""
    install("laws", "pt_laws", LAWS, ramp="pt_laws:ramp", odd="not a module", empty="")
    (folder / "laws" / "laws-2.5.dist-info" / "METADATA").unlink()
    rows = listed(run)
    assert (rows["ramp"]["origin"], rows["ramp"]["arguments"]) == (
        "pt_laws:ramp",
        "start=0.0, step=1.0, reverse=False",
    )
    assert rows["odd"]["arguments"] == "…"
    assert run("init", "-n", "-p", ".", "--zeros").status == 0
    assert "the plugin 'odd' of not a module cannot be imported" in refused(
        run, "init", "-n", "-p", ".", "--with", "odd"
    )


def test_a_plugin_in_a_zip_archive_is_read_without_running_it(
    run: Run, install: Install, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its source is read where it is."""
    install("laws", "pt_laws", "", ramp="pt_zipped:ramp")
    with zipfile.ZipFile(folder / "laws.zip", "w") as archive:
        archive.writestr("pt_zipped.py", LAWS)
    monkeypatch.syspath_prepend(folder / "laws.zip")
    assert listed(run)["ramp"]["arguments"] == "start=0.0, step=1.0, reverse=False"
    assert "pt_zipped" not in sys.modules


# files


def test_a_file_is_used_from_options_specs_and_recipes(run: Run) -> None:
    """--plugin offers the functions of a file wherever rules are written, and only for that command."""
    Path("spec.yaml").write_text(SPEC + "init: [{pattern: m.w, split_uniform: {low: 5, high: 10}}]\n")
    Path("rules.yaml").write_text("- {pattern: m.w, split_uniform: {low: 5, high: 10}}\n")
    typed = ("-p", "m.w", "--with", "split_uniform:low=5,high=10")
    found = [
        json.loads(run("init", *words, "--plugin", SPLIT, "--json").stdout)["rows"]
        for words in (("spec.yaml",), ("model.yaml", "--recipe", "rules.yaml"), ("model.yaml", *typed))
    ]
    assert found[0] == found[1] == found[2]
    assert found[0][0]["rule"] == "split_uniform(low=5, high=10)"
    assert "unknown initializer 'split_uniform'" in refused(run, "init", "spec.yaml")
    assert "unknown initializer 'split_uniform'" in refused(run, "init", *typed)


def test_a_file_is_listed_and_explained_without_running_it(run: Run, plugin: Write) -> None:
    """The signature and docstring of a file come from its source."""
    row = listed(run, "--plugin", SPLIT)["split_uniform"]
    assert (row["arguments"], row["origin"]) == ("low=5.0, high=10.0", SPLIT)
    text = run("initializers", "split_uniform", "--plugin", SPLIT).stdout
    assert "w = U(-high, high) · (|w| ≥ low)" in text
    assert f"    --plugin {SPLIT} --pattern weight --with split_uniform:low=5.0\n" in text
    file = plugin("1 / 0\ndef law(tensor): ...")
    assert listed(run, "--plugin", file)["law"]["arguments"] == ""


def test_only_public_functions_of_a_tensor_are_initializers(run: Run, plugin: Write) -> None:
    """What is private, imported, a class, or takes something else first, is left out."""
    file = plugin(
        "from torch.nn.init import normal_, zeros_\n"
        "def law(tensor, /, a=1.5): tensor.fill_(a)\n"
        "def _hidden(tensor): ...\n"
        "def other(x, tensor): ...\n"
        "def nothing(): ...\n"
        "async def later(tensor): ...\n"
        "class Tall:\n    def method(tensor): ...\n"
    )
    assert sorted(set(listed(run, "--plugin", file)) - set(BUILT_IN)) == ["law"]
    with offers.from_files([file]):
        assert sorted(set(offers.names()) - set(BUILT_IN)) == ["law"]
        assert fill("law: {a: 2.5}", 2)[0].tolist() == [2.5, 2.5]
        row = initializers("law").rows[0]
        assert (row.origin, row.typed) == (file, f"--plugin {file} --pattern weight --with law:a=1.5")
    assert offers.names() == BUILT_IN


def test_several_files_are_taken_and_one_twice_is_one(run: Run, plugin: Write) -> None:
    """--plugin may be repeated; two files with one name are refused where it is used."""
    file = plugin("def law(tensor): tensor.fill_(1)")
    both = ("--plugin", file, "--plugin", SPLIT, "--plugin", file)
    assert run("init", *both, "-p", ".", "--with", "law", "-p", "^m", "--with", "split_uniform").status == 0
    Path("more.py").write_text("def law(tensor): tensor.fill_(2)")
    said = refused(run, "init", *both, "--plugin", "more.py", "-p", ".", "--with", "law")
    assert "'law' is offered by laws.py and more.py; give the function another name" in said
    assert len([row for row in initializers(files=[file, "more.py"]).rows if row.name == "law"]) == 2


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def law(tensor:\n", "laws.py:1:8: error: the plugin laws.py is not Python: "),
        ("x = '\x00'\ndef law(tensor): ...", "laws.py"),
        ("1 + 1\n", "error: the plugin laws.py has no initializer; e.g. def my_law(tensor, scale=1.0)"),
        ("", "error: the plugin laws.py has no initializer"),
        (
            "def normal(tensor): ...",
            "error: the plugin laws.py has 'normal', but a built-in initializer has that name",
        ),
    ],
)
def test_a_file_that_is_no_plugin_is_refused_listed_or_run(
    run: Run, plugin: Write, code: str, said: str
) -> None:
    """What can be told from the source is told by both commands, alike, in one line."""
    file = plugin(code)
    used = refused(run, "init", "--plugin", file, "-p", ".", "--zeros")
    assert said in used
    assert refused(run, "initializers", "--plugin", file) == used


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("\n\n1 / 0\n", "laws.py:3:1: error: the plugin laws.py cannot be imported: ZeroDivisionError: div"),
        (
            "import nothing_at_all",
            "laws.py:1:1: error: the plugin laws.py cannot be imported: ModuleNotFound",
        ),
        ("raise SystemExit(0)", "laws.py:1:1: error: the plugin laws.py cannot be imported: SystemExit: 0"),
        (
            "raise ValueError('a\\nb')",
            "laws.py:1:1: error: the plugin laws.py cannot be imported: ValueError: a",
        ),
    ],
)
def test_a_file_that_fails_is_refused_at_the_line_that_fails(
    run: Run, plugin: Write, code: str, said: str
) -> None:
    """An exception at import is an error of one line, at its place, and nothing stays behind."""
    before = set(sys.modules)
    assert refused(run, "init", "--plugin", plugin(code), "-p", ".", "--zeros").startswith(said)
    assert not [name for name in set(sys.modules) - before if name.startswith("_paramtool")]


def test_a_missing_file_is_refused(run: Run) -> None:
    """A file that is not there, or a folder, is an error of both commands."""
    Path("sub").mkdir()
    for command in (("init", "-p", ".", "--zeros"), ("initializers",)):
        assert refused(run, *command, "--plugin", "no.py") == (
            "error: cannot read the plugin no.py: No such file or directory"
        )
        assert "cannot read the plugin sub: it is not a file" in refused(run, *command, "--plugin", "sub")


def test_a_file_is_read_anew_and_leaves_no_bytecode(run: Run, plugin: Write, folder: Path) -> None:
    """Two texts of one length in one second are two plugins, and nothing is written beside them."""
    for value in (1, 2, 3):
        file = plugin(f"def law(tensor): tensor.fill_({value})")
        rows = json.loads(run("init", "--plugin", file, "-p", ".", "--with", "law", "--json").stdout)["rows"]
        assert {row["mean"] for row in rows} == {value}
    assert not list(folder.rglob("*.pyc"))


# what a plugin may do wrong


@pytest.mark.parametrize("rng", ["streams", "torch"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('too odd')", "law() failed on 'w': ValueError: too odd"),
        ("raise SystemExit(0)", "law() failed on 'w': SystemExit: 0"),
        ("tensor.resize_(3, 2).fill_(1)", "law() did not fill 'w' in place"),
        ("tensor.resize_(9).fill_(1)", "law() did not fill 'w' in place"),
    ],
)
def test_a_plugin_that_misbehaves_is_an_error_of_its_rule(
    plugin: Write, load: Callable[[str], None], body: str, said: str, rng: str
) -> None:
    """What a plugin raises, or does to the shape, is told with the tensor and the place of the rule."""
    load(plugin(f"def law(tensor):\n    {body}\n"))
    module = nn.ParameterDict({"w": nn.Parameter(torch.full((2, 3), 8.0))})
    with pytest.raises(ParamtoolError) as caught:
        initialize(module, read_recipe(Text("r.yaml", "[{law: {}}]"), shipped()), rng=rng)
    assert str(caught.value) == f"r.yaml:1:2: error: {said}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return tensor + 1", "law() left 6 of 6 elements of 'w' NaN"),
        ("tensor[0] = 1", "law() left 3 of 6 elements of 'w' NaN"),
        ("tensor = tensor.clone().fill_(1)", "law() left 6 of 6 elements of 'w' NaN"),
        ("tensor.fill_(float('nan'))", "law() left 6 of 6 elements of 'w' NaN"),
        ("tensor.data = tensor.data.clone().fill_(1)", "law() did not fill 'w' in place"),
    ],
)
def test_a_plugin_that_leaves_elements_is_told_how_many(
    plugin: Write, load: Callable[[str], None], body: str, said: str
) -> None:
    """A plugin is given NaN, so that what it does not fill shows; the parameter keeps its values."""
    load(plugin(f"def law(tensor):\n    {body}\n"))
    module = nn.ParameterDict({"w": nn.Parameter(torch.full((2, 3), 8.0))})
    with pytest.raises(ParamtoolError) as caught:
        initialize(module, read_recipe(Text("r.yaml", "[{law: {}}]"), shipped()))
    assert caught.value.message == said
    assert torch.equal(module["w"], torch.full((2, 3), 8.0))


def test_arguments_of_a_plugin_are_checked_before_anything_is_filled(run: Run, plugin: Write) -> None:
    """An argument that is missing, unknown or without a name is an error, in a dry run too."""
    file = plugin("def law(tensor, scale, power=1): tensor.fill_(scale)")
    for dry in ((), ("-n",)):
        given = ("init", "--plugin", file, *dry, "-p", ".", "--zeros", "-p", "m.w", "--with")
        assert refused(run, *given, "law").endswith(
            "error: law() cannot fill 'm.weight': missing a required argument: 'scale'"
        )
        assert "got an unexpected keyword argument 'scal'" in refused(run, *given, "law:scale=1,scal=1")
        assert run(*given, "law:scale=1,power=2").status == 0
    Path("rules.yaml").write_text("- {law: 3}\n- {law: }\n")
    said = refused(run, "init", "--plugin", file, "--recipe", "rules.yaml")
    assert said == "rules.yaml:1:9: error: 'law' takes its arguments by name"


def test_a_plugin_draws_from_the_stream_of_its_tensor(plugin: Write, load: Callable[[str], None]) -> None:
    """What a plugin draws depends on the seed and the name, and the global generator is left alone."""
    load(
        plugin(
            "def law(tensor): tensor.normal_()\n"
            "def given(tensor, *, generator): tensor.normal_(generator=generator)"
        )
    )
    state = torch.get_rng_state()
    first = fill("law: {}", 4, 5)[0]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(fill("law: {}", 4, 5)[0], first)
    assert torch.equal(fill("given: {}", 4, 5)[0], first)
    assert not torch.equal(fill("law: {}", 4, 5, seed=1)[0], first)
    for rule in ("law: {}", "given: {}"):
        torch.manual_seed(3)
        assert torch.equal(fill(rule, 4, 5, rng="torch", seed=3)[0], torch.empty(4, 5).normal_())


# the shipped plugin


def test_split_uniform_has_its_law(load: Callable[[str], None]) -> None:
    """Half of the mass is at 0, the rest uniform in ±[5, 10]; within 5 sigma of n draws."""
    load(SPLIT)
    n = 40_000
    for low, high in ((5.0, 10.0), (1.0, 4.0)):
        sample, _ = fill(f"split_uniform: {{low: {low}, high: {high}}}", 200, 200)
        zero = low / high
        share = float((sample == 0).double().mean())
        assert abs(share - zero) < 5 * math.sqrt(zero * (1 - zero) / n)
        size = sample[sample != 0].abs()
        assert low <= size.min() < size.max() <= high
        critical = math.sqrt(math.log(2e5) / (2 * len(size)))  # one in 1e5, by Massart's inequality
        expected = (size.double().sort().values - low) / (high - low)
        steps = torch.arange(len(size) + 1, dtype=torch.float64) / len(size)
        assert float(torch.maximum(steps[1:] - expected, expected - steps[:-1]).max()) < critical
        signs = float(sample[sample != 0].sign().mean())
        assert abs(signs) < 5 / math.sqrt(len(size))
        variance = (high**3 - low**3) / (3 * high)
        assert abs(float(sample.mean())) < 5 * math.sqrt(variance / n)


def test_split_uniform_is_the_notebooks(load: Callable[[str], None]) -> None:
    """With torch's one generator it is the notebook's function, bit for bit, and 5 and 10 are defaults."""
    load(SPLIT)
    torch.manual_seed(0)
    expected = nn.init.uniform_(torch.empty(3, 4), -10, 10)
    expected *= expected.abs() >= 5
    assert torch.equal(fill("split_uniform: {}", 3, 4, rng="torch")[0], expected)


def test_split_uniform_refuses_bounds_that_are_none(load: Callable[[str], None]) -> None:
    """low and high must be in order."""
    load(SPLIT)
    with pytest.raises(ParamtoolError, match="low and high are 0 <= low <= high, got 3 and 2"):
        fill("split_uniform: {low: 3, high: 2}", 2)
