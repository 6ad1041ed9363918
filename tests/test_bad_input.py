"""Bad input: exit status 2, a message at its place, and bounded time and memory.  Good input is elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paramtool import patterns
from paramtool.audience import at_terminal
from paramtool.cli import console
from paramtool.errors import ParamtoolError, Problems
from paramtool.language import limits, yaml_reader
from paramtool.language.catalog import shipped
from paramtool.language.document import read_spec
from paramtool.language.overrides import Override
from paramtool.place import Text
from tests.bad_specs import CASES
from tests.conftest import CONFIGS, Run
from tests.processes import execute, watch
from tests.specs import open_spec

MEGABYTES = 100
"""What a refusal without torch may need; the interpreter and typer are about 25 of them."""

FIRST_LINE = re.compile(r"(.+:\d+:\d+: |--set .+?: |)error: [^\n]+")
LINEAR = "it is Linear(in_features: int, out_features: int, bias: bool = True, *, dtype: dtype | None = None)"
NO_EXPRESSION = (
    "is not a regular expression: missing ), unterminated subpattern at position 0;"
    " escape special characters, e.g. '\\['"
)

Folder = Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Make an empty folder the current one, with no default model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    return tmp_path


def refusal(text: str, *overrides: str) -> str:
    """Return the errors of a spec, a line each, as the command line words them."""
    with at_terminal(), pytest.raises(ParamtoolError) as caught:
        read_spec(Text("model.yaml", text), shipped(), tuple(Override.parse(each) for each in overrides))
    assert caught.value.status == 2
    return str(caught.value)


def told(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the errors of a spec as stderr shows them, with excerpts and carets."""
    with pytest.raises(ParamtoolError) as caught:
        read_spec(Text("model.yaml", text), shipped())
    capsys.readouterr()
    console.complain(caught.value)
    return capsys.readouterr().err


def placed(message: str) -> str:
    """Write the file's name before every line that begins with a place."""
    return re.sub(r"^(?=\d+:\d+:)", "model.yaml:", message, flags=re.MULTILINE)


# specs


@pytest.mark.parametrize(("text", "message"), [pytest.param(*each[1:], id=each[0]) for each in CASES])
def test_a_wrong_spec_is_told_what_is_wrong_and_where(text: str, message: str) -> None:
    """Every mistake has its message: the place, what was expected and found, and what to do."""
    assert refusal(text) == placed(message)


@pytest.mark.parametrize(
    ("text", "message"),
    # PyYAML's own parser skips unknown directives
    [pytest.param(*each[1:], id=each[0]) for each in CASES if each[0] != "an unknown directive"],
)
def test_the_parser_in_python_refuses_the_same(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without libyaml, which PyYAML may be built without, syntax errors have other words, and no more."""
    monkeypatch.setattr(yaml_reader, "_LOADER", yaml.SafeLoader)
    found = refusal(text)
    assert FIRST_LINE.match(found)
    if "not valid YAML" not in message:  # and an empty value is placed a column further on
        assert re.findall("error: .*", found) == re.findall("error: .*", message)


def test_all_errors_of_a_file_come_in_the_order_of_their_places() -> None:
    """One run tells every error from the top of the file to its end, whatever is read first."""
    text = """\
loss: sm
init: [{pattern: "(", zeros: }]
define: {block: {Liner: [1, 1]}}
model:
  Sequential:
    - Linear: {in_features: x, colour: 3}
    - block
    - Foo
seed: -1
"""
    assert [line.partition("error: ")[0] for line in refusal(text).splitlines()] == [
        f"model.yaml:{place}: " for place in ("1:7", "2:18", "3:18", "6:7", "6:29", "6:32", "8:7", "9:7")
    ]


def test_of_many_errors_the_first_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Many errors would bury the first one: those alike are counted after three, others after twenty."""
    text = "model:\n  Sequential:\n" + "".join(f"  - Liner{i}\n" for i in range(200))
    lines = told(text, capsys).splitlines()
    assert lines[0] == "model.yaml:3:5: error: unknown module 'Liner0'; did you mean 'Linear'?"
    assert lines[-1] == "… and 197 more like it, the last at model.yaml:202:5"
    assert len([line for line in lines if " error: " in line]) == 3
    text = "model:\n  Sequential:\n" + "".join(f"  - Liner{'x' * i}\n" for i in range(200))
    lines = told(text, capsys).splitlines()
    assert lines[-1] == "… and 180 more errors"
    assert len([line for line in lines if " error: " in line]) == 20


def test_a_message_keeps_a_strangers_text_short(capsys: pytest.CaptureFixture[str]) -> None:
    """A name of 10,000 characters is cut in messages and excerpts, wherever it is wrong."""
    name = "k" * 10_000
    for text in (
        f"? {name}\n: 1\nmodel: ReLU",
        f"model: {name}",
        f"model: {{Linear: {{? {name} : 1}}}}",
        f"model: {{Module: {{? {name}. : ReLU}}}}",
        f"model: {{Module: {{a: {{Parameter: {{? {name} : 1}}}}}}}}",
        f"define: {{? {name} : {name}}}\nmodel: ReLU",
        f"define: {{? {name} : ReLU}}\nmodel: {{? {name} : [1]}}",
        f"model: *{name}",
        f"model: !{name} ReLU",
        f"expect: {{? {name} : 1}}\nmodel: ReLU",
        f"expect: {{parameters: {{? {name} : 1}}}}\nmodel: ReLU",
        f"init: [{{? {name} : 1}}]\nmodel: ReLU",
        f"init: [{{? {name} : 1, zeros: }}]\nmodel: ReLU",
        f"loss: {name}\nmodel: ReLU",
        f"freeze: ({name}\nmodel: ReLU",
        f"tie: {{a: b}}\nmodel: {{Linear: [{name}, 1]}}",
    ):
        assert max(map(len, told(text, capsys).splitlines())) < 400, text[:40]


# excerpts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("model: Liner", ("model: Liner", 7), id="plain"),
        pytest.param("model: \tLiner", (r"model: \tLiner", 9), id="after a tab"),
        pytest.param("model: {Module: {日本: Liner}}", ("model: {Module: {日本: Liner}}", 23), id="wide"),
        pytest.param("model: {Module: {é: Liner}}", ("model: {Module: {é: Liner}}", 20), id="accent"),
        pytest.param(
            "model: {Module: {e\u0301: Liner}}", ("model: {Module: {e\u0301: Liner}}", 20), id="combining"
        ),
        pytest.param(
            "model: {Module: {😀: Liner}}", ("model: {Module: {😀: Liner}}", 21), id="beyond the BMP"
        ),
        pytest.param(
            "model: {Module: {\u202e: Liner}}", (r"model: {Module: {\u202e: Liner}}", 25), id="bidi"
        ),
        pytest.param("model: {Module: {\x85b: Liner}}", ("b: Liner}}", 3), id="next line"),
    ],
)
def test_the_caret_is_under_the_word(
    text: str, expected: tuple[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The excerpt shows the line with every character harmless, and the caret stands where the eye does."""
    line, cells = expected
    assert told(text, capsys).splitlines()[1:] == [f"  {line}", f"  {' ' * cells}^"]


@pytest.mark.parametrize(
    "line_break",
    ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"],
    ids=["LF", "CRLF", "CR", "NEL", "LS", "PS"],
)
def test_lines_are_counted_as_yaml_breaks_them(line_break: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Line numbers and excerpts are right with every line break that libyaml knows, in errors of any kind."""
    text = line_break.join(["# one", "seed: 1", "model: Liner"])
    assert told(text, capsys).splitlines() == [
        "model.yaml:3:8: error: unknown module 'Liner'; did you mean 'Linear'?",
        "  model: Liner",
        "         ^",
    ]
    assert refusal(text + line_break + "\x07").startswith("model.yaml:4:1: error: the character U+0007")
    assert refusal(text + line_break + "x: @").startswith("model.yaml:4:4: error: not valid YAML")


def test_of_a_long_line_only_the_part_around_the_place_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of a megabyte is excerpted in a window of 120 characters, with the caret in it."""
    text = f"model: {{Sequential: ['{'k' * 500_000}', Liner, '{'l' * 500_000}']}}"
    message, line, caret = told(text, capsys).splitlines()[3:6]
    assert message == "model.yaml:1:500026: error: unknown module 'Liner'; did you mean 'Linear'?"
    assert line == f"  {'k' * 57}', Liner, '{'l' * 52}"
    assert caret == f"  {' ' * 60}^"


# overrides


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "expected KEY=VALUE; e.g. seed=1 or model.Linear.bias=false"),
        ("seed", "expected KEY=VALUE; e.g. seed=1 or model.Linear.bias=false"),
        ("=3", "expected KEY=VALUE; e.g. seed=1 or model.Linear.bias=false"),
        ("model..Linear=3", "expected KEY=VALUE; e.g. seed=1 or model.Linear.bias=false"),
        ("sed=1", "unknown key 'sed'; did you mean 'seed'?"),
        ("seed=x", "'seed' must be an int of 0 or more, got the string 'x'"),
        ("seed=", "'seed' must be an int of 0 or more, got nothing"),
        ("seed=[", "not valid YAML: while parsing a flow node, did not find expected node content"),
        ("seed=*a", "no anchor 'a' above"),
        ("seed=!!int 3", "the tag 'tag:yaml.org,2002:int' is refused; a spec is plain data"),
        ("seed=\x1b", "the character U+001B is not allowed in YAML; is this a text file?"),
        ("model=Liner", "unknown module 'Liner'; did you mean 'Linear'?"),
        ("model.Linear.0=x", "'in_features' of Linear must be an int, got the string 'x'"),
        ("model.Linear.2=1", "'model.Linear' is a list of 2, without '2'; use an index from 0 to 1"),
        ("model.Linear.-1=1", "'model.Linear' is a list of 2, without '-1'; use an index from 0 to 1"),
        ("model.Linear.0.1=3", "'model.Linear.0' is 1 and has nothing inside it"),
        ("model.Liner.0=3", "'model' has no 'Liner'; did you mean 'Linear'?"),
        ("a." * 101 + "b=1", "a path with more than 100 steps"),
        ("model=" + "[" * 1000, "nested deeper than 100 levels"),
        ("seed=" + "9" * 10_000, "a number of 10,000 characters; at most 100"),
    ],
)
def test_a_wrong_override_is_told_by_its_option(given: str, message: str) -> None:
    """What --set gets wrong names the option as it was typed, shortened, and no place in the file."""
    shown = given if len(given) <= 60 else given[:59] + "…"
    assert refusal("model: {Linear: [1, 1]}", given) == f"--set {shown}: error: {message}"


def test_errors_of_the_file_and_of_overrides_come_together() -> None:
    """A wrong override does not hide what is wrong in the file."""
    assert refusal("model: {Liner: [1, 1]}", "seed=x").splitlines() == [
        "--set seed=x: error: 'seed' must be an int of 0 or more, got the string 'x'",
        "model.yaml:1:9: error: unknown module 'Liner'; did you mean 'Linear'?",
    ]


# what torch is asked about


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model: {Linear: [-1, 1]}",
            "1:9: error: torch refuses Linear: Trying to create tensor with negative dimension -1: [1, -1]; "
            + LINEAR,
        ),
        (
            "model: {Linear: [9223372036854775807, 1]}",
            "1:9: error: torch refuses Linear: Storage size calculation overflowed with"
            f" sizes=[1, 9223372036854775807]; {LINEAR}",
        ),
        (
            "model: {Module: {forward: ReLU}}",
            "1:18: error: torch refuses the name 'forward' in Module: attribute 'forward' already exists;"
            " choose another name",
        ),
        (
            "model: {Module: {__class__: {Tensor: [1]}}}",
            "1:18: error: torch refuses the name '__class__' in Module: attribute '__class__' already exists;"
            " choose another name",
        ),
        (
            "model: {ModuleDict: {keys: ReLU, b: {Conv2d: [3, 4, 5, 1, 0, 1, 2]}}}",
            "1:22: error: torch refuses the name 'keys' in ModuleDict: attribute 'keys' already exists;"
            " choose another name\n"
            "1:38: error: torch refuses Conv2d: in_channels must be divisible by groups; it is Conv2d(",
        ),
        (
            "tie: {weight: wieght}\nmodel: {Linear: [1, 1]}",
            "1:15: error: no parameter 'wieght' to tie; did you mean",
        ),
        (
            "tie: {weight: bias}\nmodel: {Linear: [2, 1]}",
            "1:7: error: cannot tie 'weight' [1, 2] to 'bias' [1]: different shapes",
        ),
        (
            "tie: {weight: weight}\nmodel: {Linear: [1, 1]}",
            "1:7: error: 'weight' is tied in a circle",
        ),
        (
            "tie: {weight: bias}\nmodel: {LazyLinear: 1}",
            "1:7: error: a lazy parameter has no shape to tie; give the spec an 'input'",
        ),
        ("freeze: wieght\nmodel: {Linear: [1, 1]}", "1:9: error: 'wieght' matches no parameter to freeze"),
        (
            "model: {Module: {a: {Parameter: {shape: [1], dtype: int64}}}}",
            "1:33: error: torch refuses Parameter: Only Tensors of floating point and complex dtype can"
            " require gradients",
        ),
    ],
)
def test_what_torch_refuses_is_told_at_its_node(text: str, message: str, run: Run, folder: Folder) -> None:
    """Torch's own complaint stands at the node that asked for it, with the accepted signature."""
    (folder / "model.yaml").write_text(text)
    result = run("inspect", "model.yaml")
    assert (result.status, result.stdout) == (2, "")
    errors = [line for line in result.stderr.splitlines() if line.startswith("model.yaml:")]
    for error, expected in zip(errors, placed(message).splitlines(), strict=True):
        assert error.startswith(expected)


@pytest.mark.parametrize("option", ["--pattern", "--exclude"])
def test_a_catastrophic_pattern_is_stopped(
    option: str, run: Run, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A regular expression that would search for years is stopped, and the message says how to write it."""
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    (folder / "model.yaml").write_text(f"model: {{Module: {{{'a' * 60}b: {{Parameter: 1}}}}}}")
    result = run("inspect", "model.yaml", option, "(a+)+$")
    assert (result.status, result.stdout, result.stderr) == (
        2,
        "",
        "error: the pattern '(a+)+$' timed out after 0.2 s; avoid nested repeats such as (a+)+\n",
    )


def test_a_catastrophic_freeze_is_stopped_at_its_place(
    run: Run, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same expression in the spec is told where it stands there."""
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    spec = f"freeze: (a+)+$\nmodel: {{Module: {{{'a' * 60}b: {{Parameter: 1}}}}}}\n"
    (folder / "model.yaml").write_text(spec)
    result = run("inspect", "model.yaml")
    assert (result.status, result.stdout, result.stderr) == (
        2,
        "",
        "model.yaml:1:9: error: the pattern '(a+)+$' timed out after 0.2 s;"
        " avoid nested repeats such as (a+)+\n  freeze: (a+)+$\n          ^\n",
    )


def test_patterns_share_one_budget(run: Run, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many expressions that each stop just in time are stopped together: a spec has room for thousands."""
    monkeypatch.setattr(patterns, "SECONDS", 60.0)
    monkeypatch.setattr(patterns, "SECONDS_OF_ALL", 0.5)
    freeze = ", ".join(f"'(a|a)+{each}$'" for each in range(1_000))  # each searches for 20 ms and more
    (folder / "model.yaml").write_text(
        f"freeze: [{freeze}]\nmodel: {{Module: {{{'a' * 17}: {{Parameter: 1}}}}}}\n"
    )
    result = run("inspect", "model.yaml")
    assert (result.status, result.stdout) == (2, "")
    assert "and all patterns together took 0.5 s; avoid nested repeats such as (a+)+" in result.stderr


def test_a_pattern_is_compiled_in_bounded_time(
    run: Run, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To fold the case of wide ranges takes seconds, before anything is searched."""
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    (folder / "model.yaml").write_text("model: {Linear: [1, 1]}")
    ranges = "".join(f"{chr(0x100 + each)}-{chr(0x10FFFF)}" for each in range(300))
    result = run("inspect", "model.yaml", "--pattern", f"(?i)[{ranges}]")
    assert (result.status, result.stdout) == (2, "")
    assert "timed out after 0.2 s" in result.stderr


def test_a_pattern_that_python_warns_of_is_searched_silently(run: Run, folder: Folder) -> None:
    """A warning of `re`, as of '[[', is no part of the output."""
    (folder / "model.yaml").write_text("model: {Linear: [1, 1]}")
    result = run("inspect", "model.yaml", "-p", "[[w]")
    assert (result.status, result.stderr) == (0, "")


# options


THE_COLUMNS = (
    "the columns are name, type, shape, dtype, numel, nbytes, requires_grad, tied_to, kind, persistent,"
    " count, mean, std, min, max, norm, zeros, nan, inf, histogram, values"
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-p", "("], f"--pattern '(' {NO_EXPRESSION}"),
        (["--exclude", "("], f"--exclude '(' {NO_EXPRESSION}"),
        (["-p", "a" * 1001], "--pattern a pattern of 1,001 characters; at most 1,000"),
        (
            ["-p", "(" * 900],
            f"--pattern '{'(' * 59}…' is not a regular expression: nested too deep;"
            " escape special characters, e.g. '\\['",
        ),
        (["--module", "wieght"], "no module 'wieght'; there are none"),
        (["--sort", "nmel"], "cannot sort by 'nmel'; type: paramtool inspect {} --sort numel"),
        (["--depth", "1", "--values"], "--depth folds tensors together, so it cannot show --values"),
        (["--columns", "name,nmel"], f"there is no column 'nmel'; did you mean 'numel'? {THE_COLUMNS}"),
        (["--columns", "name,x.y"], f"there is no column 'x.y'; {THE_COLUMNS}"),
        (["--columns", "name,name"], "the column 'name' appears twice"),
        (["--columns", ","], f"no columns; {THE_COLUMNS}"),
        (["--columns", "name", "-f", "tree"], "--columns chooses columns, and --format tree has none"),
        (["-f", "tree", "--columns", "name"], "--columns chooses columns, and --format tree has none"),
        (["--columns", "bases"], f"there is no column 'bases'; {THE_COLUMNS}"),
        (["--total=nbyte"], "there is no total of 'nbyte'; type: paramtool inspect {} --total=nbytes"),
        (["--total", "--depth", "1"], "--total prints one number, so --depth has no effect"),
        (["--total", "-f", "csv"], "--total prints one number, so --format csv has no effect"),
        (["--set", "seed"], "expected KEY=VALUE; e.g. seed=1 or model.Linear.bias=false"),
    ],
)
def test_a_wrong_option_is_told(options: list[str], message: str, run: Run, folder: Folder) -> None:
    """What an option gets wrong is one line on stderr."""
    (folder / "model.yaml").write_text("model: {Linear: [1, 1]}")
    result = run("inspect", "model.yaml", *options)
    place = "--set seed: " if "--set" in options else ""
    assert (result.status, result.stdout, result.stderr) == (
        2,
        "",
        f"{place}error: {message.format('model.yaml')}\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nope"],
        ["inspect", "--zzz"],
        ["inspect", "--depth"],
        ["inspect", "--depth", "0"],
        ["inspect", "--depth", "x"],
        ["inspect", "--seed", "-1"],
        ["inspect", "--seed", "9" * 5000],
        ["inspect", "--seed", str(2**63)],
        ["inspect", "--format", "zzz"],
        ["schema", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_points_at_the_help(arguments: list[str], run: Run) -> None:
    """What the command line itself refuses is one line that ends in where to look."""
    result = run(*arguments)
    assert (result.status, result.stdout) == (2, "")
    assert re.fullmatch(r"error: [^\n]+; see 'paramtool( inspect| schema)? --help'\n", result.stderr)


# files


def test_a_file_that_cannot_be_read_is_told(run: Run, folder: Folder) -> None:
    """A missing file, a folder, an empty, binary or large file: one line each."""
    (folder / "folder").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "here.yaml").touch()
    (folder / "binary").write_bytes(b"\x80\x02}q\x00")
    (folder / "utf16").write_bytes("model: ReLU".encode("utf-16"))
    (folder / "torch.pt").write_bytes(b"PK\x03\x04\x00\x00")
    (folder / "large").write_bytes(b"# " + b"x" * 5_000_000)
    messages = {
        "her.yaml": "cannot read her.yaml: No such file or directory; did you mean 'here.yaml'?",
        "folder": "folder is an empty folder",
        "loop": "cannot read loop: Too many levels of symbolic links",
        "here.yaml/x": "cannot read here.yaml/x: Not a directory",
        "a\0b": r"cannot read a\x00b: embedded null byte",
        "here.yaml": "here.yaml is empty; a spec starts with 'model:'",
        "binary": "binary: its pickle ends too early; the file was cut off",
        "torch.pt": "torch.pt is not a zip archive that paramtool can read: it ends without a directory;"
        " it was cut off",
        "utf16": "utf16 is in UTF-16, not UTF-8; 'iconv -f UTF-16 -t UTF-8 utf16' converts it",
        "large": "large is larger than 1,048,576 bytes, the limit for a spec",
    }
    for name, message in messages.items():
        result = run("inspect", name)
        assert (result.status, result.stdout, result.stderr) == (2, "", f"error: {message}\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told(run: Run, folder: Folder) -> None:
    """A file that may not be read is one line."""
    (folder / "secret.yaml").touch(mode=0)
    result = run("inspect", "secret.yaml")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == "error: cannot read secret.yaml: Permission denied\n"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
def test_a_device_without_an_end_is_read_up_to_the_limit(device: str, run: Run) -> None:
    """An endless device is left after a megabyte."""
    result = run("inspect", device)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == f"error: {device} is larger than 1,048,576 bytes, the limit for a spec\n"


def test_a_device_of_random_bytes_is_read_up_to_the_limit(run: Run) -> None:
    """Once in 256 times the first byte is the one with which a JSON object begins."""
    result = run("inspect", "/dev/urandom")
    assert (result.status, result.stdout) == (2, "")
    limits = ("1,048,576 bytes, the limit for a spec", "67,108,864 bytes, the limit for JSON")
    assert result.stderr in [f"error: /dev/urandom is larger than {limit}\n" for limit in limits]


def test_a_pipe_is_read_to_its_end(folder: Folder) -> None:
    """A FIFO, and so a process substitution, is a file like others, however it comes in pieces."""
    fifo = folder / "fifo"
    os.mkfifo(fifo)

    def write() -> None:
        with fifo.open("w") as file:
            for piece in ("model: {Lin", "er: [1, 1]", "}\n"):
                file.write(piece)
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(Problems, match=r"fifo:1:9: error: unknown module 'Liner'"):
        open_spec(str(fifo))
    writer.join()


def test_no_model_is_told(run: Run, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where MODEL is left out, stderr says which one was taken, or that there is none."""
    nothing = "error: no MODEL given, and no model.yaml here; name one, or set PARAMTOOL_MODEL\n"
    assert run("inspect").stderr == nothing
    (folder / "model.yaml").write_text("model: Liner\n")
    assert run("inspect").stderr.splitlines()[:2] == [
        "note: MODEL is model.yaml, from the current folder",
        "model.yaml:1:8: error: unknown module 'Liner'; did you mean 'Linear'?",
    ]
    monkeypatch.setenv("PARAMTOOL_MODEL", "other")
    assert run("inspect").stderr.splitlines() == [
        "note: MODEL is other, from $PARAMTOOL_MODEL",
        "error: cannot read other: No such file or directory",
    ]


# processes


def test_a_process_tells_a_wrong_spec(folder: Folder) -> None:
    """The real command writes the place, the line and the caret to stderr only, and ends with 2."""
    (folder / "model.yaml").write_bytes(
        b"\xef\xbb\xbfmodel:\r\n  Module:\r\n    \xe6\x97\xa5\xe6\x9c\xac:\t{Liner: [1, 1]}\r\n"
    )
    ended = execute("inspect", "model.yaml", cwd=folder)
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr == (
        "model.yaml:3:10: error: unknown module 'Liner'; did you mean 'Linear'?\n"
        "      日本:\\t{Liner: [1, 1]}\n"
        "              ^\n"
    )


@pytest.mark.parametrize(("name", "shown"), [("-", "<stdin>"), ("/dev/stdin", "/dev/stdin")])
def test_stdin_is_a_spec_as_well(name: str, shown: str, folder: Folder) -> None:
    """``-`` and ``/dev/stdin`` are read, and garbage in them is told by that name."""
    ended = execute("inspect", name, stdin=b"garbage\n", cwd=folder)
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"{shown}:1:1: error: a spec must be a mapping, got the string 'garbage'; start it with 'model:'\n"
        "  garbage\n  ^\n"
    )


def alias_bomb() -> str:
    lines = ["x0: &x0 [a, a, a, a, a, a, a, a, a, a]"]
    lines += [f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]" for i in range(1, 10)]
    return "\n".join(lines)


def merge_bomb() -> str:
    lines = ["x0: &x0 {a0: 1}"]
    lines += [f"x{i}: &x{i} {{<<: [{', '.join([f'*x{i - 1}'] * 9)}], a{i}: 1}}" for i in range(1, 10)]
    return "\n".join(lines)


def define_bomb() -> str:
    lines = [f"  x{i}: {{Sequential: [{', '.join([f'x{i - 1}'] * 10)}]}}" for i in range(1, 30)]
    return "\n".join(["define:", "  x0: ReLU", *lines, "model: x29"])


def define_chain() -> str:
    lines = [f"  x{i}: {{Residual: x{i - 1}}}" for i in range(5000, 0, -1)]
    return "\n".join(["define:", *lines, "  x0: ReLU", "model: x5000"])


def argument_bomb() -> str:
    many = ", ".join(["{Sequential: *s}"] * 500)
    return f"model: {{Sequential: [{{Sequential: &s [{', '.join(['ReLU'] * 1000)}]}}, {many}]}}"


HOSTILE: dict[str, tuple[Callable[[], str], str]] = {
    "an alias bomb": (alias_bomb, "error: the aliases expand to more than 200,000 nodes"),
    "a bomb of merge keys": (merge_bomb, "error: merge keys ('<<') are refused; write the keys out"),
    "a bomb of defines": (define_bomb, "error: this makes 1,111,111 modules; at most 131,072"),
    "a bomb of arguments": (argument_bomb, "error: the aliases expand to more than 200,000 nodes"),
    "a chain of defines": (
        define_chain,
        "error: modules and defines nested deeper than 100 levels",
    ),
    "100,000 brackets": (lambda: "[" * 100_000, "error: nested deeper than 100 levels"),
    "100,000 braces": (lambda: "{a: " * 100_000, "error: nested deeper than 100 levels"),
    "100,000 dashes": (lambda: "- " * 100_000, "error: nested deeper than 100 levels"),
    "100,000 question marks": (lambda: "? " * 100_000, "error: a key must be a single value"),
    "1,000 nested modules": (
        lambda: "model: " + "{Residual: " * 1000 + "ReLU" + "}" * 1000,
        "error: nested deeper than 100 levels",
    ),
    "a cyclic alias": (
        lambda: "model: &a {Sequential: [*a]}",
        "error: alias '*a' is inside its own anchor",
    ),
    "Repeat of a billion": (
        lambda: "model: {Repeat: {times: 1000000000, module: {Linear: [1, 1]}}}",
        "error: this makes 1,000,000,001 modules; at most 131,072",
    ),
    "a million commas": (
        lambda: f"model: {{Linear: [{'1,' * 500_000}]}}",
        "error: more than 150,000 YAML nodes",
    ),
    "a name of a megabyte": (lambda: f"model: {'k' * 1_000_000}", "error: unknown module 'kkk"),
    "a number of a megabyte": (
        lambda: f"seed: {'9' * 1_000_000}",
        "error: a number of 1,000,000 characters; at most 100",
    ),
    "a pattern of a megabyte": (
        lambda: f"model: ReLU\nfreeze: '{'(a|b)*' * 150_000}'",
        "error: a pattern of 900,000 characters; at most 1,000",
    ),
    "20,000 unknown modules": (
        lambda: f"model: {{Sequential: [{', '.join(f'Transformr{i}' for i in range(20_000))}]}}",
        "error: unknown module 'Transformr0'; did you mean 'Transformer'?",
    ),
    "20,000 unknown keys": (
        lambda: "\n".join(f"modle{i}: 1" for i in range(20_000)),
        "error: unknown key 'modle0'; did you mean 'model'?",
    ),
    "unknown modules and as many defines": (
        lambda: (
            f"define: {{{', '.join(f'Block{i}: ReLU' for i in range(10_000))}}}\n"
            f"model: {{Sequential: [{', '.join(f'Blokc{i}' for i in range(10_000))}]}}"
        ),
        "error: unknown module 'Blokc0'; did you mean 'Block0'?",
    ),
    "anchors under 20,000 keys": (
        lambda: f"model: {{Module: {{{', '.join(f'a{i}: &a{i} ReLU' for i in range(20_000))}}}}}\nsed: 1",
        "error: unknown key 'sed'; did you mean 'seed'?",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_specs_are_refused_at_little_cost(what: str, folder: Folder) -> None:
    """What would take years or gigabytes is refused before torch is imported, in bounded time and memory."""
    make, message = HOSTILE[what]
    text = make()
    assert len(text) <= limits.MAX_BYTES
    (folder / "model.yaml").write_text(text)
    ended = watch("inspect", "model.yaml", folder=folder)
    assert (ended.status, ended.stdout, ended.torch) == (2, "", False)
    first = ended.stderr.splitlines()[0]
    assert first.startswith("model.yaml:") and message in first
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr) < 30_000
    assert ended.megabytes < MEGABYTES


def test_an_endless_stdin_is_left(folder: Folder) -> None:
    """An endless pipe is refused after a megabyte, at little cost."""
    with Path("/dev/zero").open("rb") as endless:
        ended = watch("inspect", "-", stdin=endless, folder=folder)
    assert (ended.status, ended.stdout, ended.torch) == (2, "", False)
    assert ended.stderr == "error: <stdin> is larger than 1,048,576 bytes, the limit for a spec\n"
    assert ended.megabytes < MEGABYTES


def test_a_trillion_parameters_are_listed(folder: Folder) -> None:
    """Names and shapes of 4 TB need no more memory than those of a small model: torch, and a little."""
    import torch

    (folder / "model.yaml").write_text("model: {Linear: [1000000, 1000000]}")
    ended = watch("inspect", "model.yaml", folder=folder)
    assert (ended.status, ended.stderr) == (0, "")
    assert "1,000,001,000,000 parameters in 2 tensors, 4.0 TB" in ended.stdout
    assert ended.megabytes < (400 if torch.version.cuda is None else 700)  # whose libraries are larger


def test_values_that_do_not_fit_are_refused(run: Run, folder: Folder) -> None:
    """Values beyond this machine's memory are refused before the first is drawn, if they must be there."""
    (folder / "model.yaml").write_text("model: {Linear: [1000000, 1000000]}\ninput: [1, 1000000]")
    for command in (("init", "--pattern", "bias", "--zeros"), ("grad",)):
        result = run(*command)
        assert (result.status, result.stdout) == (2, "")
        assert re.fullmatch(
            r"error: the values need 4,000 GB, but only \d+ GB are free;"
            r" names, shapes and plans need no values; init -o writes them block by block\n",
            result.stderr.removeprefix("note: MODEL is model.yaml, from the current folder\n"),
        )


# anything


def ends_well(content: bytes, file: Path) -> None:
    """Assert that `content` is a spec, or refused with harmless lines, the first of which says why."""
    file.write_bytes(content)
    try:
        open_spec(str(file))
    except ParamtoolError as error:
        assert error.status == 2
        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            console.complain(error)
        lines = stderr.getvalue().split("\n")
        assert FIRST_LINE.fullmatch(lines[0])
        assert all(line.isprintable() for line in lines)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
@example(b"\xff\xfe")
@example("\ufeff\ufeff".encode())
@example(b'"\\ud800\\udfff"')
@example(b"%YAML 1.2\n---\n--- \n")
@example(b"!!binary =")
@example(b"? ? ?\n: :")
def test_any_bytes_end_well(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever a file holds, reading it ends in a spec or in an error of ours."""
    ends_well(content, tmp_path_factory.getbasetemp() / "bytes")


MLP = (CONFIGS / "mlp.yaml").read_text()
PIECES = [
    *"[]{}:,-|>#%@\"'\n\t\x85\u2028\u202e",
    *("&a ", "*a", ": ", "- ", "  ", "<<: ", "? ", "!!int ", "null", "-1", "1e3", ".nan", "9" * 20, "日本"),
    *("ReLU", "Module", "Sequential", "Parameter: 3", "Tensor", "Repeat: {times: 2, module: ReLU}"),
    *("define", "tie", "freeze", "dtype", "expect"),
]
EDITS = st.lists(
    st.tuples(st.integers(0, len(MLP)), st.integers(0, 30), st.sampled_from(PIECES) | st.text(max_size=3)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(EDITS)
def test_a_spec_with_slips_ends_well(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int, str]]
) -> None:
    """A good spec with pieces lost and inserted anywhere is read, or refused with a message of ours."""
    text = MLP
    for start, lost, inserted in edits:
        text = text[:start] + inserted + text[start + lost :]
    ends_well(text.encode("utf-8", "surrogatepass"), tmp_path_factory.getbasetemp() / "slips.yaml")
