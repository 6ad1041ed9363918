"""``file.py:object``: the file's own package is found, and a file alone lists its modules without running."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from paramtool.language.python_source import read_source
from paramtool.network.python_import import module_of
from tests.conftest import Run
from tests.processes import execute, watch

BLOCKS = "from torch import nn\nclass Block(nn.Linear):\n    pass\n"
RELATIVE = dedent("""
    from torch import nn
    from .blocks import Block
    class LM(nn.Module):
        def __init__(self, vocab, dim=4):
            super().__init__()
            self.embed, self.block = nn.Embedding(vocab, dim), Block(dim, dim)
    def tiny(): return LM(3, dim=2)
""")
ABSOLUTE = RELATIVE.replace("from .blocks", "from {package}.blocks")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in (getattr(sys.modules[name], "__file__", None) or str(tmp_path)):
            del sys.modules[name]


def write(*files: tuple[str, str]) -> None:
    for name, text in files:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


@pytest.mark.parametrize(
    ("file", "files"),
    [
        ("alone.py", {"alone.py": ABSOLUTE.replace("{package}.", ""), "blocks.py": BLOCKS}),
        ("src/pkg_a/net.py", {"src/pkg_a/__init__.py": "", "src/pkg_a/net.py": RELATIVE}),
        ("src/pkg_b/net.py", {"src/pkg_b/__init__.py": "", "src/pkg_b/net.py": ABSOLUTE}),
        ("src/pkg_c/net.py", {"src/pkg_c/net.py": RELATIVE}),
        ("src/pkg_d/net.py", {"src/pkg_d/net.py": ABSOLUTE}),
        ("pkg_e/inner/net.py", {"pkg_e/inner/net.py": RELATIVE}),
        (
            "pkg_f/inner/net.py",
            {
                "pkg_f/__init__.py": "", "pkg_f/inner/__init__.py": "", "pkg_f/blocks.py": BLOCKS,
                "pkg_f/inner/net.py": RELATIVE.replace("from .", "from .."),
            },
        ),
        ("pkg_g/__init__.py", {"pkg_g/__init__.py": RELATIVE}),
    ],
)  # fmt: skip
def test_the_files_own_package_is_found(file: str, files: dict[str, str], run: Run) -> None:
    """Relative and absolute imports work: alone, in packages, in src/, and without any __init__.py."""
    package = Path(file).parent.name
    for name, text in files.items():
        write((name, text.replace("{package}", package)))
    if not any(name.endswith("blocks.py") for name in files):
        write((str(Path(file).parent / "blocks.py"), BLOCKS))
    result = run("inspect", f"{file}:tiny", "--json")
    assert result.status == 0, result.stderr
    assert [row["name"] for row in json.loads(result.stdout)["rows"]] == [
        "embed.weight", "block.weight", "block.bias"
    ]  # fmt: skip
    assert run("inspect", f"{Path(file).absolute()}:LM", "--arg", "[5]", "--arg", "dim=2").status == 0


@pytest.mark.parametrize("name", ["random.py", "torch.py", "my-net.py"])
def test_a_file_may_be_called_anything(name: str, folder: Path) -> None:
    """A file named like a module of the standard library or of torch stands in nobody's way."""
    write((name, "import torch as t\ndef make(): return t.nn.Linear(2, 3)\n"))
    if name == "torch.py":  # whose own import of torch must not find itself
        write((name, "from torch import nn\ndef make(): return nn.Linear(2, 3)\n"))
    done = watch("inspect", f"{name}:make", "--format", "csv", folder=folder)
    assert (done.status, done.stdout.count("\n")) == (0, 3), done.stderr


def test_a_package_that_comes_first_is_said(run: Run, folder: Path) -> None:
    """A file whose module name leads elsewhere is not mistaken for that."""
    write(("json/__init__.py", ""), ("json/decoder.py", "from . import x\ndef make(): pass\n"))
    result = run("inspect", "json/decoder.py:make")
    path = folder / "json" / "decoder.py"
    assert result.stderr.startswith(f"error: {path} is json.decoder, but another json.decoder comes first: /")


def test_a_package_below_src_is_imported_by_name(run: Run) -> None:
    """package.module:object looks below src/ of the current folder as well."""
    write(("src/pkg_h/__init__.py", ""), ("src/pkg_h/net.py", RELATIVE), ("src/pkg_h/blocks.py", BLOCKS))
    assert run("inspect", "pkg_h.net:tiny").status == 0


FOUND = dedent("""
    import torch
    from torch import nn
    from elsewhere import Base, plain
    raise SystemExit("this runs nothing")

    class Net(nn.Module):
        def __init__(self, width, *, depth, bias=True): ...
    class Deeper(Net):
        def __init__(self): ...
    class Lightning(pl.LightningModule): ...
    class Own(Base):
        def forward(self, x): ...
    class Function(torch.autograd.Function):
        def forward(ctx, x): ...
    class Plain: ...
    class _Private(nn.Module): ...

    def annotated(n: int) -> nn.Module: ...
    def quoted() -> "Net": ...
    def called(): return nn.Sequential(nn.Linear(1, 1)).eval()
    def named():
        net = Net(3, depth=2)
        return net
    def compiled(): return torch.compile(called())
    def number() -> int: return nn.Linear(1, 1)
    def unknown(): return plain()
    def outer():
        def inner(): return nn.Linear(1, 1)
    instance = nn.Linear(2, 2)
    typed: nn.Module = Net(1, depth=1)
    number = 3
""")


def test_a_file_alone_lists_its_modules(run: Run, folder: Path) -> None:
    """Classes, factories and instances are found without running the file, each with the line to type."""
    write(("found.py", FOUND))
    result = run("found.py", "--json")
    rows = json.loads(result.stdout)["rows"]
    assert result.stderr == "note: found.py is Python; name one of its modules after a colon\n"
    assert {row["name"]: row["kind"] for row in rows} == {
        "Net": "class", "Deeper": "class", "Lightning": "class", "Own": "class",
        "annotated": "function", "quoted": "function", "called": "function", "named": "function",
        "compiled": "function", "instance": "instance", "typed": "instance",
    }  # fmt: skip
    commands = {row["name"]: row["command"] for row in rows}
    assert commands["Net"] == "paramtool inspect found.py:Net --arg width=… --arg depth=…"
    assert commands["instance"] == "paramtool inspect found.py:instance"
    assert FOUND.splitlines()[rows[0]["line"] - 1].startswith("class Net")
    seen = watch("found.py", folder=folder)
    assert (seen.status, seen.torch) == (0, False)


@pytest.mark.parametrize(
    "command", ["shared", "grad", "check --parameters 1", "diff model.yaml", "inspect -w w.pt"]
)
def test_other_commands_ask_for_one(command: str, run: Run) -> None:
    """Where one module is needed, none is guessed: a line says what to type."""
    write(("nets_i.py", "from torch import nn\ndef make(): return nn.Linear(1, 1)\n"))
    write(("model.yaml", "model: {Linear: [1, 1]}\n"))
    words = [*command.split(), "nets_i.py"]
    result = run(*words)
    line = " ".join(["paramtool", *words[:-1], "nets_i.py:make"])
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == f"error: nets_i.py is Python; it defines make; type: {line}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"x = (\n", "bad.py:1:5: error: bad.py is not Python: '(' was never closed"),
        (b"x = 1\n", "error: bad.py is Python, but defines no module; name what makes one, as bad.py:NAME"),
        (b"", "error: bad.py is Python, but defines no module; name what makes one, as bad.py:NAME"),
        (b"\xff\xfe", "bad.py:1:"),
        (b"x = '\0'\n", "error: "),
        (b"(" * 5000, "bad.py:1:"),
        (b"x = nn.Linear(1, 1)" + b".to()" * 1200 + b"\n", "error: cannot read bad.py: nested too deep"),
    ],
)
def test_a_file_without_modules_is_an_error(text: bytes, message: str, run: Run, folder: Path) -> None:
    """What cannot be read, is not Python, or has no module is one error."""
    (folder / "bad.py").write_bytes(text)
    result = run("bad.py")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
    assert "bug" not in result.stderr


def test_files_that_are_not_there(run: Run, folder: Path) -> None:
    """A missing file is told before torch is loaded."""
    assert run("inspect", "nope.py:Net").stderr == "error: there is no file nope.py\n"
    (folder / "dir.py").mkdir()
    assert run("inspect", "dir.py:Net").stderr == "error: cannot read dir.py: it is not a file\n"


def test_an_error_in_a_factory_has_its_place(run: Run) -> None:
    """File and line are those of the person's own code, not of torch's."""
    write(("fails.py", "from torch import nn\n\ndef make():\n    x = 2\n    return nn.Linear(-1, x)\n"))
    lines = run("inspect", "fails.py:make").stderr.splitlines()
    assert lines[0].startswith("fails.py:5:5: error: fails.py:make failed: RuntimeError: ")
    assert lines[1:] == ["      return nn.Linear(-1, x)", "      ^"]
    write(("typo.py", "import torch\nx = = 3\ndef make(): return torch.nn.Linear(1, 1)\n"))
    assert run("inspect", "typo.py:make").stderr.startswith("typo.py:2:5: error: typo.py is not Python")


def test_nothing_printed_is_a_result(folder: Path) -> None:
    """What Python, C code and child processes print goes to stderr, once where it is built without values."""
    text = """
        import os, subprocess, sys
        from torch import nn
        os.write(1, b"from C\\n")
        def make():
            print("from Python")
            print("from the first stdout", file=sys.__stdout__)
            subprocess.run([sys.executable, "-c", "print('from a child')"])
            return nn.Linear(1, 1)
    """
    write(("loud.py", dedent(text)))
    done = execute("inspect", "loud.py:make", "--json", cwd=folder)
    assert json.loads(done.stdout)["totals"]["parameters"] == 2
    assert sorted(done.stderr.splitlines()) == [
        "from C",
        "from Python",
        "from a child",
        "from the first stdout",
    ]


@pytest.mark.parametrize(
    ("typed", "sizes"),
    [
        (["[2, 3]"], [[3, 2], [3]]),
        (["0=2", "1=3"], [[3, 2], [3]]),
        (["1=3", "0=2"], [[3, 2], [3]]),
        (["[2]", "out_features=3"], [[3, 2], [3]]),
        (["{in_features: 2, out_features: 3, bias: false}"], [[3, 2]]),
    ],
)
def test_arguments_have_positions_or_names(typed: list[str], sizes: list[list[int]], run: Run) -> None:
    """--arg takes positional arguments too."""
    options = [word for each in typed for word in ("--arg", each)]
    rows = json.loads(run("inspect", "torch.nn:Linear", *options, "--json").stdout)["rows"]
    assert [row["shape"] for row in rows] == sizes


def test_arguments_are_any_yaml(run: Run) -> None:
    """Mappings, nested lists and dtypes inside them reach the person's code as Python has them."""
    text = """
        import torch
        from torch import nn
        def make(config, sizes):
            assert config == {"layers": [1, {"dtype": torch.bfloat16}], "name": "a: b", 3: None}, config
            return nn.Linear(*(sizes + [1]))
    """
    write(("takes.py", dedent(text)))
    config = 'config={layers: [1, {dtype: torch.bfloat16}], name: "a: b", 3: null}'
    result = run("inspect", "takes.py:make", "--arg", config, "--arg", "sizes=[2]")
    assert result.status == 0, result.stderr


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["0=2", "0=3"], "--arg '0' appears twice"),
        (["2=2"], "--arg has 2=… but no 0=…"),
        (["99999=1"], "at most 1,000 positional arguments"),
        (["[1", "x"], "--arg [1: error: "),
        (["=1"], "expected KEY=VALUE"),
    ],
)
def test_wrong_arguments(typed: list[str], message: str, run: Run) -> None:
    """Each is one line before anything is imported."""
    result = run("inspect", "torch.nn:Linear", *[word for each in typed for word in ("--arg", each)])
    assert (result.status, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert message in result.stderr


def test_each_side_of_diff_has_its_arguments(run: Run) -> None:
    """--arg-a and --set-a are A's; --arg and --set, with or without -b, are B's."""
    same = run("diff", "torch.nn:Linear", "torch.nn:Linear", "--arg-a", "[2, 3]", "--arg-b", "[2, 3]")
    assert (same.status, same.stderr) == (0, "")
    other = run(
        "diff", "torch.nn:Linear", "torch.nn:Linear", "--arg-a", "[2, 3]", "--arg", "[2, 4]", "--json"
    )
    assert [row["change"] for row in json.loads(other.stdout)["rows"]] == ["reshaped", "reshaped"]
    write(("m.yaml", "model: {Linear: [1, 1]}\n"))
    half = ("--set-a", "dtype=float16")
    assert run("diff", "m.yaml", "m.yaml", *half).status == 1
    assert run("diff", "m.yaml", "m.yaml", *half, "--set-b", "dtype=fp16").status == 0
    refused = run("diff", "m.yaml", "m.yaml", "--arg-a", "x=1").stderr
    assert refused == "error: --arg-a is for package.module:object, but m.yaml is a spec\n"


def test_names_in_namespaces(folder: Path) -> None:
    """Without __init__.py, relative imports say how many folders are packages."""
    write(("a/b/c/net.py", ""))
    file = folder / "a" / "b" / "c" / "net.py"
    assert module_of(file, 0) == (file.parent, "net")
    assert module_of(file, 1) == (folder, "a.b.c.net")
    write(("a/pyproject.toml", ""))
    assert module_of(file, 2) == (folder / "a", "b.c.net")
    assert read_source(str(file)).parents == 0
