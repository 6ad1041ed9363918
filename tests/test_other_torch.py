"""Specs for a torch that is of another version than the shipped catalogue."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from paramtool import structure
from paramtool.errors import Problems
from paramtool.language.catalog import shipped
from paramtool.language.document import Spec, read_spec
from paramtool.language.rules import read_recipe
from paramtool.language.signature import Signature
from paramtool.language.torch_source import LEFT_OUT, TorchSource, installed_source
from paramtool.network import installed_catalog, signatures
from paramtool.network.installed_catalog import InstalledCatalog, catalog_of
from paramtool.place import Text
from paramtool.structure import facts
from paramtool.structure.unsure import Unsure
from tests.checked_torch import INSTALLED, checked_against
from tests.conftest import CONFIGS

FILES = {
    "version.py": "__version__ = '9.1.0+cpu'\ncuda = None\n",
    "nn/modules/__init__.py": "from .linear import Bilinear, Linear\nfrom .new import Novel\n",
    "nn/modules/linear.py": (
        "class Linear:\n"
        "    def __init__(self, in_features, out_features,\n"
        "                 bias=True, device=None, dtype=None, gain=1.0): ...\n"
        "class Bilinear:\n    def __init__(self, *args, **kwargs): ...\n"
    ),
    "nn/modules/new.py": "class Base:\n    def __init__(self, size): ...\nclass Novel(Base): ...\n",
    "_C/__init__.pyi": "bcomplex128: dtype = ...\nfloat: dtype = ...\nqint9: dtype = ...\n",
}
"""A torch of the future, as text alone: nothing of it can be imported."""


class Asked(Exception):
    """The installed torch would have been imported."""


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstalledCatalog:
    """Return the catalogue for that torch, which raises Asked where it would be imported."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")

    def asked() -> None:
        raise Asked

    monkeypatch.setattr(installed_catalog, "_asked", asked)
    catalog = catalog_of(TorchSource(tmp_path))
    assert isinstance(catalog, InstalledCatalog)
    return catalog


def read(model: str, catalog: InstalledCatalog, rest: str = "") -> Spec:
    return read_spec(Text("m.yaml", f"model: {model}\n{rest}"), catalog)


def test_the_names_in_the_text_are_read(newer: InstalledCatalog) -> None:
    """Version, classes, dtypes and arguments are those that the files write."""
    source = newer.source
    assert (source.version, newer.torch) == ("9.1.0", "9.1.0")
    assert set(newer.modules) - set(shipped().modules) == {"Novel"}
    assert source.dtypes == ("bcomplex128",)
    assert source.module_arguments("Linear") == {"in_features", "out_features", "bias", "dtype", "gain"}
    assert source.module_arguments("Novel") == {"size"}
    assert source.module_arguments("Bilinear") == source.module_arguments("Nothing") == frozenset()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("{Liner: [4, 3]}", "unknown module 'Liner'"),
        ("{Linear: {in_feature: 4, out_features: 3, bias: maybe}}", "Linear has no argument 'in_feature'"),
        ("{Bilinear: {in1: 1}}", "Bilinear has no argument 'in1'"),
        ("{ReLU: [true, 1]}", "ReLU takes at most 1 argument by position, got 2"),
        ("{Linear: {in_features: 4, out_features: 3, dtype: float63}}", "must be a dtype"),
    ],
)
def test_what_neither_has_is_refused_without_importing_torch(
    newer: InstalledCatalog, model: str, message: str
) -> None:
    """A mistake is a mistake in any version: the files say so, and nothing is asked."""
    with pytest.raises(Problems) as caught:
        read(model, newer)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "model", ["{Novel: 3}", "Novel", "{Linear: {in_features: 4, out_features: 3, gain: 2}}"]
)
def test_only_what_the_other_torch_alone_has_is_asked_of_it(newer: InstalledCatalog, model: str) -> None:
    """A class or an argument that its files add is a reason to import it."""
    with pytest.raises(Asked):
        read(model, newer)


def test_what_the_shipped_catalogue_knows_is_asked_of_nothing(newer: InstalledCatalog) -> None:
    """What its own torch has is read as there; a new dtype needs no more than its name."""
    text = "{Linear: {in_features: 4, out_features: 3, dtype: bcomplex128}}"
    with pytest.raises(Problems, match="has no argument 'bias_'"):
        read(text.replace("dtype", "bias_: 1, dtype"), newer)
    assert "DtypeName(name='bcomplex128')" in str(read(text, newer).model)
    recipe = "[{pattern: a, zeros: }, {pattern: b, normal: 0.1}]"
    assert read_recipe(Text("r", recipe), newer) == read_recipe(Text("r", recipe), shipped())


@pytest.mark.parametrize("rule", ["novel: {a: 1}", "ones: {gain: 2}", "zeros: {gian: 2}"])
def test_a_rule_asks_nothing_of_another_torch(newer: InstalledCatalog, rule: str) -> None:
    """Initializers are our own functions: what they take does not change with the installed torch."""
    with pytest.raises(Problems):
        read_recipe(Text("r", f"[{{{rule}}}]"), newer)


def test_the_signature_of_the_installed_torch_is_used(
    newer: InstalledCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked is read by the signature that the installed torch gives."""
    known = signatures.catalog()
    other = type(known)("9.1.0", {"Linear": ["in_features: int", "gain: float"]}, (), ())
    monkeypatch.setattr(installed_catalog, "_asked", lambda: other)
    read("{Linear: {in_features: 4, gain: 2}}", newer)
    assert newer.module("Linear") == shipped().module("Linear")
    assert newer.module("Linear", lambda each: each.argument("gain") is not None) == Signature.read(
        "Linear", other.modules["Linear"]
    )
    assert newer.module("Novel") is None


def test_a_folder_without_these_files_adds_nothing(tmp_path: Path) -> None:
    """A torch that ships compiled, or a folder of that name, leaves the shipped catalogue alone."""
    source = TorchSource(tmp_path)
    assert (source.version, source.modules, source.dtypes) == ("", {}, ())
    assert catalog_of(source) is shipped()
    assert catalog_of(None) is shipped()


def test_the_text_of_the_installed_torch_says_what_torch_says() -> None:
    """Names and arguments in its files are those that it has when imported, where the text has them."""
    source, asked = installed_source(), signatures.catalog()
    assert source is not None
    assert source.version == asked.torch
    assert set(asked.modules) - set(source.modules) == {"DataParallel"}
    assert set(source.modules) <= set(asked.modules)
    assert set(source.dtypes) <= set(asked.dtypes)
    silent = {name for name in asked.modules if not source.module_arguments(name)}
    for name in set(asked.modules) - silent - {"ModuleDict", "ModuleList", "ParameterDict", "ParameterList"}:
        assert (name, set(source.module_arguments(name))) == (name, _names(asked.module(name)))
    with_arguments = {name for name in silent if _names(asked.module(name))}
    assert with_arguments == {
        *("DataParallel", "GRU", "LSTM", "RNN"),
        *(f"LazyInstanceNorm{n}d" for n in (1, 2, 3)),
    }


def _names(signature: Signature | None) -> set[str]:
    assert signature is not None
    names = {each.name for each in signature.arguments}
    assert not names & LEFT_OUT
    return names


MISSPELT = """
import sys
from paramtool.cli.main import _run
from paramtool.language import catalog
vars(catalog.shipped())["torch"] = "0.0.0"  # any torch is of another version
sys.stderr.write(f"{_run(['inspect', sys.argv[1]])} {'torch' in sys.modules}")
"""


def test_a_bad_spec_imports_no_torch_of_any_version(tmp_path: Path) -> None:
    """Where the installed torch is another one, a mistake costs no import of it."""
    (tmp_path / "m.yaml").write_text("model: {Liner: {in_features: 4}}\n", "utf-8")
    command = [sys.executable, "-c", MISSPELT, str(tmp_path / "m.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "unknown module 'Liner'" in done.stderr
    assert done.stderr.endswith("2 False")


ANSWERS = """
import sys
from paramtool.cli.main import _run
for each in sys.argv[1:]:
    sys.stderr.write(f"{_run(each.split())} {'torch' in sys.modules}\\n")
"""

COMMANDS = [
    "inspect mlp.yaml --json",
    "shared mlp.yaml --json",
    "init mlp.yaml --dry-run --pattern . --zeros --json",
    "check mlp.yaml --parameters 1 --json",
    "diff mlp.yaml other.yaml --json",
]


def test_another_torch_is_asked_and_says_the_same(tmp_path: Path) -> None:
    """The table of structure answers for the torch that it was checked against, and for no other."""
    text = (CONFIGS / "mlp.yaml").read_text("utf-8")
    (tmp_path / "mlp.yaml").write_text(text, "utf-8")
    (tmp_path / "other.yaml").write_text(text + "dtype: float64\n", "utf-8")
    table, asked = (
        subprocess.run(
            [sys.executable, "-c", checked_against(version) + ANSWERS, *COMMANDS],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )
        for version in (INSTALLED, "0.0.0")
    )  # fmt: skip
    statuses = {line.partition(" ")[2] for line in table.stderr.splitlines()}
    assert statuses == {"False"}, table.stderr
    assert asked.stderr == table.stderr.replace("False", "True")
    assert asked.stdout == table.stdout
    assert len(asked.stdout) > 1000


def test_paths_are_suggested_for_any_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell completes the path of a module where no answer is given without the torch that is installed."""
    spec = read_spec(
        Text("m.yaml", "model: {Sequential: [ReLU, {Module: {a: {Linear: [2, 3]}}}]}\n"), shipped()
    )
    monkeypatch.setattr(facts, "installed_source", lambda: SimpleNamespace(version="2.99.0"))
    with pytest.raises(Unsure, match="another version of torch"):
        structure.listing(spec, "m")
    assert structure.suggestions(spec) == ["0", "1", "1.a"]
