"""Pages: well-formed, closed to everything outside, of bounded size, with every name as text."""

from __future__ import annotations

import math
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

import paramtool
from paramtool.records.parameter import Listing, ParameterRow
from paramtool.records.report import Report
from paramtool.records.totals import totals
from paramtool.render.html.budget import MOST_ROWS
from paramtool.render.html.layers import places
from paramtool.render.names import shown
from tests.conftest import CONFIGS, ROOT, Run
from tests.html_structure import Page, check_apart, check_policy

MLP, GPT2 = str(CONFIGS / "mlp.yaml"), str(CONFIGS / "gpt2.yaml")

COMMANDS = {
    "inspect": ["inspect", MLP],
    "inspect --stats --values --buffers": ["inspect", MLP, "--stats", "--values", "--buffers"],
    "inspect A B": ["inspect", MLP, GPT2],
    "init": ["init", MLP, "--pattern", "weight", "--normal", "0.01"],
    "init --dry-run": ["init", GPT2, "-n", "--pattern", "weight", "--normal", "0.01"],
    "shared": ["shared", GPT2],
    "grad": ["grad", str(CONFIGS / "shared.yaml")],
    "grad --layers": ["grad", MLP, "--layers"],
    "diff": ["diff", MLP, GPT2],
    "check": ["check", GPT2, "--parameters", "1M"],
    "initializers": ["initializers"],
}

HOSTILE = (
    "<script>alert(1)</script>", "</style><b>", "\"' onmouseover=alert(1) x='", "&lt;i&gt;", "a\x1b[31mb",
    "\u202eevil", "]]>-->", "name\nwith\tlines", "\ud800", "日本", "a" * 5000, "javascript:alert(1)",
)  # fmt: skip
"""Names that a page must show as text."""


def page(run: Run, *arguments: str) -> str:
    """Return the page that a command writes."""
    result = run(*arguments, "--format", "html")
    assert result.status in (0, 1), result.stderr
    return result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_page_is_whole_and_closed(command: str, run: Run) -> None:
    """Each command has a page that is well-formed, and may load and run nothing else."""
    text = page(run, *COMMANDS[command])
    found = Page(text)
    assert text.isascii()
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    check_policy(found)
    check_apart(text)
    assert (found.count("h1"), found.count("main"), found.count("script")) == (1, 1, 1)
    assert found.count("table") == found.count("caption") > 0
    heads = [found.attributes[at] for at, tag in enumerate(found.tags) if tag == "th"]
    assert all(each.get("scope") in ("col", "row") for each in heads)


@pytest.mark.parametrize("command", ["inspect", "diff"])
def test_a_page_is_the_same_each_time(command: str) -> None:
    """No date, no number of a process, no order of a hash is in it, whatever the locale."""
    typed = [sys.executable, "-m", "paramtool", *COMMANDS[command], "--format", "html"]
    pages = [
        subprocess.run(typed, capture_output=True, check=False, env={**os.environ, **each}).stdout
        for each in (
            {"PYTHONHASHSEED": "1"},
            {"PYTHONHASHSEED": "2", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        )
    ]
    assert pages[0] == pages[1]
    assert pages[0].endswith(b"</html>\n")


def test_numbers_are_those_of_the_table(run: Run) -> None:
    """A page shows what the table shows: names, shapes, totals, and the part that each module is."""
    text = Page(page(run, "inspect", MLP)).text
    for each in ("19 parameters in 4 tensors, 76 B", "[3, 4]", "float32", "63.2 %", "15.8 %", "Sequential"):
        assert each in text or each == "Sequential", each
    assert "78.9 %" in text  # the first layer: 15 of 19


def test_blocks_fold_in_the_tree_and_not_in_the_table(run: Run) -> None:
    """The tree has twelve blocks as one; the table, which is searched, has every name."""
    found = Page(page(run, "inspect", GPT2))
    assert "{0..11}" in found.texts
    assert "85,054,464" in found.texts
    assert found.count("details") > 5
    rows = found.count("tr")
    assert rows == 1 + 149


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_text(name: str) -> None:
    """Whatever a name is, the page has the same elements and attributes as with a plain one."""

    def listing(name: str) -> Listing:
        row = ParameterRow(
            name=name, type=name, shape=(2,), dtype="float32", numel=2, nbytes=8, requires_grad=True
        )
        return Report("inspect", name, (row,), totals((row,)), ("name", "type"), {"": name})

    plain = Page(paramtool.as_text(listing("a.b"), "html"))
    for text in (paramtool.as_text(listing(name), "html"), listing(name)._repr_html_()):
        found = Page(text)
        assert {*found.tags} <= {*plain.tags}
        assert text.isascii()
        assert shown(name) in found.text
        assert all(each.isprintable() or each == "\n" for each in found.text)


def test_a_hostile_checkpoint_is_shown(tmp_path: Path, run: Run) -> None:
    """Names of tensors, keys and texts of a file that others wrote are text too."""
    names = [each for each in HOSTILE if "\ud800" not in each]
    torch.save(
        {"state_dict": {each: torch.ones(2) for each in names}, "<img src=x>": "</title><script>1</script>"},
        tmp_path / "x.pt",
    )
    text = page(run, "inspect", str(tmp_path / "x.pt"))
    found = Page(text)
    assert found.count("script") == 1
    assert "img" not in found.tags
    assert "<script>alert(1)</script>" in found.text
    check_policy(found)


def test_gpt2_with_statistics_is_small(run: Run) -> None:
    """The promise is a megabyte; it is a fifth of that, with a histogram for each tensor."""
    text = page(run, "inspect", GPT2, "--stats")
    assert len(text) < 250_000
    assert Page(text).count("path") == 149


def many(path: Path, names: list[str]) -> None:
    """Write a checkpoint with a tensor of six elements for each name."""
    header = ",".join(
        f'"{name}":{{"dtype":"U8","shape":[2,3],"data_offsets":[{6 * at},{6 * at + 6}]}}'
        for at, name in enumerate(names)
    )
    content = f"{{{header}}}".encode()
    path.write_bytes(struct.pack("<Q", len(content)) + content + bytes(6 * len(names)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.layers.{i}.mlp.w.weight", "identical numbered blocks are one row"),
        ("a.b{i}x", "the largest 1,000 of 5,000 rows"),
        ("m{i}x.w", "the largest 1,000 of 5,000 rows"),
    ],
)
def test_large_models_have_pages_of_bounded_size(name: str, said: str, tmp_path: Path, run: Run) -> None:
    """What has no room folds, or is left out with a word; what is left out is counted."""
    many(tmp_path / "m.safetensors", [name.format(i=at) for at in range(5_000)])
    text = page(run, "inspect", str(tmp_path / "m.safetensors"))
    found = Page(text)
    assert len(text) < 500_000
    assert said in found.text
    assert found.count("tr") <= MOST_ROWS + 2
    assert "30,000 elements in 5,000 tensors" in found.text


@pytest.mark.parametrize("kind", ["inspect", "shared", "diff"])
def test_long_names_do_not_make_a_page_long(kind: str) -> None:
    """Two megabytes of names are cut in pictures, and a table holds whole ones as far as there is room."""
    names = [f"h.{at}x.{'<' * 10_000}.{'w' * 10_000}" for at in range(100)]
    tensor = torch.zeros(2)
    values = {name: tensor if kind == "shared" else torch.zeros(2) for name in names}
    if kind == "diff":
        text = paramtool.as_text(paramtool.diff(values, {"a": tensor}), "html")
    else:
        text = paramtool.as_text(getattr(paramtool, kind)(values), "html")
    found = Page(text)
    assert len(text) < 1_500_000
    assert re.search(r"the (largest|first) \d+ of 10[01] rows", found.text)
    assert f"{'<' * 10_000}.{'w' * 10_000}" in found.text


def test_the_time_of_a_page_is_linear() -> None:
    """Ten times the tensors take about ten times the time."""

    def seconds(count: int) -> float:
        rows = tuple(
            ParameterRow(
                name=f"m{at % 97}x.n{at}x.w", type=None, shape=(2,), dtype="float32", numel=2, nbytes=8,
                requires_grad=None, kind="stored",
            )
            for at in range(count)
        )  # fmt: skip
        report = Report("inspect", "m", rows, totals(rows), ("name", "shape", "numel"))
        start = time.process_time()
        text = paramtool.as_text(report, "html")
        assert len(text) < 500_000
        return time.process_time() - start

    seconds(100)
    assert seconds(20_000) < 25 * max(seconds(2_000), 0.05)


def test_before_and_after_are_on_one_scale(run: Run) -> None:
    """`init` draws what the constructor drew and what the rules leave, so that the two compare."""
    found = Page(page(run, "init", MLP, "--pattern", "weight", "--constant", "0.25"))
    paths = [each["d"] or "" for each in found.attributes if "d" in each]
    assert len(paths) == 8  # two for each of four tensors
    constant = paths[1]
    assert re.fullmatch(r"M[\d.]+ 24V0h4V24z", constant), constant


def test_a_diff_says_first_whether_it_loads(run: Run) -> None:
    """The verdict is at the top, and what breaks the load comes first in the table."""
    found = Page(page(run, "diff", GPT2, MLP))
    verdict = next(text for text in found.texts if "strict load" in text)
    assert verdict == found.texts[found.texts.index(verdict)]
    assert found.text.index("fails: ") < found.text.index("differences: ")
    assert found.text.count("a strict load of") == 1


def test_a_heat_map_has_a_cell_for_layer_and_kind(tmp_path: Path, run: Run) -> None:
    """The value of a cell is the change there, and the largest has the darkest shade."""
    values = {f"h.{at}.{kind}": np.ones(4, np.float32) for at in range(4) for kind in ("w", "b")}
    save_file(values, tmp_path / "a.safetensors")
    changed = {name: each * 1.5 if name == "h.3.w" else each for name, each in values.items()}
    changed["h.1.b"] = np.full(4, 1.001, np.float32)
    save_file(changed, tmp_path / "b.safetensors")
    text = page(run, "diff", str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors"), "--values")
    assert '<td class="pt-heat-7">0.5</td>' in text
    assert '<td class="pt-heat-1">0.001</td>' in text


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["h.0.w", "h.1.w", "h.2.w", "wte.w"], ["h.0", "h.1", "h.2", "wte"]),
        (["0.0.0.w", "0.1.0.w", "0.2.0.w", "1.w"], ["0.0", "0.1", "0.2", "1"]),
        (["layer1.0.conv1.w", "layer1.1.conv1.w", "fc.w"], ["layer1.0", "layer1.1", "fc"]),
        (["l.0.e.0.w", "l.0.e.1.w", "l.0.e.2.w", "l.1.e.0.w", "l.2.e.0.w"], ["l.0"] * 3 + ["l.1", "l.2"]),
        (["w", ""], ["(model)", "(model)"]),
    ],
)  # fmt: skip
def test_layers_are_the_blocks_side_by_side(names: list[str], layers: list[str]) -> None:
    """A number names a layer where several modules side by side have one."""
    assert [each.layer for each in places(names).values()] == layers


def test_uses_are_parts_of_the_bar() -> None:
    """The parameter of a network that uses it twice has a bar of two parts, each as long as the other."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 3)
    report = paramtool.gradients(nn.Sequential(layer, layer), [torch.ones(1, 1)])
    bars = [each for each in Page(paramtool.as_text(report, "html")).attributes if each.get("height") == "10"]
    first, second = (
        next(each for each in bars if each["class"] == f"pt-t-{tone}" and each["width"] != "10")
        for tone in ("accent", "link")
    )
    assert (first.get("x"), second["x"], second["width"]) == (None, first["width"], first["width"])


def test_curves_skip_what_has_no_place_on_a_log_scale() -> None:
    """A dead layer leaves a gap, and nothing fails for zero, NaN or infinity."""
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4))
    nn.init.zeros_(module[2].weight)  # type: ignore[arg-type]
    nn.init.zeros_(module[2].bias)  # type: ignore[arg-type]
    report = paramtool.gradients(module, [torch.ones(2, 4)], layers=True)
    text = paramtool.as_text(report, "html")
    assert "nan" not in re.findall(r' d="([^"]*)"', text)[0].lower()
    assert Page(text).count("circle") > 2


def test_shared_bytes_are_drawn_where_they_are() -> None:
    """Of 40 elements the second tensor covers the middle half."""
    base = torch.arange(40.0)
    module = nn.Module()
    module.a, module.b = nn.Parameter(base[:20]), nn.Parameter(base[10:30])
    module.c = nn.Parameter(base[25:])
    text = paramtool.as_text(paramtool.shared(module), "html")
    assert '<rect class="pt-t-notable" x="25" width="50" height="10"/>' in text
    assert "bytes 0 to 160 of the storage" in Page(text).text


def test_words_stay_apart_without_styles() -> None:
    """A notebook that is not trusted leaves styles and drawings out: numbers do not run into names."""
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    plain = re.sub(r"<[^>]*>", "", paramtool.inspect(net)._repr_html_())
    assert "0 Linear 15 78.9 %" in plain
    plain = re.sub(r"<[^>]*>", "", paramtool.gradients(net, [torch.ones(1, 4)])._repr_html_())
    assert re.search(r"0\.weight [\d.]+ ", plain)


ODD = {
    "nan": torch.tensor([math.nan] * 2), "inf": torch.tensor([math.inf, -math.inf, 1]),
    "empty": torch.empty(0, 3), "scalar": torch.tensor(3.0), "complex": torch.ones(3, 3) * 1j,
    "bool": torch.tensor([True]), "huge": torch.tensor([1e308, -1e308], dtype=torch.float64),
    "tiny": torch.tensor([5e-324], dtype=torch.float64), "fp8": torch.ones(2).to(torch.float8_e4m3fn),
}  # fmt: skip


@pytest.mark.parametrize("names", [(), ("empty",), (*ODD,)])
def test_odd_values_and_nothing_have_a_page(names: tuple[str, ...]) -> None:
    """No drawing has a coordinate that is not a number, and no part of a page needs a row to be there."""
    values = {f"h.{at}.{name}": ODD[name] for at in range(3) for name in names}
    other = {name: each + 1 if each.dtype.itemsize > 1 else each for name, each in values.items()}
    reports = (
        paramtool.inspect(values, stats=True, values=True),
        paramtool.shared(values),
        paramtool.diff(values, other, values=True, spectrum=True),
        paramtool.cost(nn.ReLU(), [torch.ones(0, 0)]),
    )
    for report in reports:
        found = Page(paramtool.as_text(report, "html"))
        check_policy(found)
        drawn = [
            each[key] or ""
            for each in found.attributes
            for key in ("d", "x", "width", "cx", "cy", "r")
            if key in each
        ]
        assert not re.search("nan|inf", " ".join(drawn))


def test_elements_are_squares() -> None:
    """A run of equal ones is one shape; zero is empty, the largest the strongest, and nan stands out."""
    values = {
        "mask": torch.tensor([[0.0, -2.0, -2.0], [0.0, 0.0, -2.0]]),
        "odd": torch.tensor([math.nan, 1.0, 0.1, -math.inf]),
        "column": torch.tensor([[1.0], [0.0]]),
        "scalar": torch.tensor(1.0),
        "empty": torch.empty(0, 2),
    }
    text = paramtool.as_text(paramtool.inspect(values, values=True), "html")
    grids = re.findall(r'<svg class="pt-elements".*?</svg>', text)
    paths = [re.findall(r'class="pt-t-(\w+)" d="([^"]*)" fill-opacity="([\d.]+)"', grid) for grid in grids]
    assert paths == [
        [("notable", "M1 0h2v1h-2zM2 1h1v1h-1z", "1.0")],
        [
            ("bad", "M0 0h1v1h-1zM3 0h1v1h-1z", "1.0"),
            ("accent", "M1 0h1v1h-1z", "1.0"),
            ("accent", "M2 0h1v1h-1z", "0.2"),
        ],
        [("accent", "M0 0h1v1h-1z", "1.0")],
    ]
    assert "the strongest color is &#177;2<" in grids[0]


def test_long_rows_and_columns_of_elements_are_not_hairlines() -> None:
    """A drawing of 1,000 elements in one row, or of 500 in two columns, is as thick as a square."""
    values = {"row": torch.ones(1000), "pair": torch.ones(500, 2), "square": torch.ones(2, 2)}
    text = paramtool.as_text(paramtool.inspect(values, values=True), "html")
    sizes = re.findall(r'class="pt-elements" role="img" width="(\d+)" height="(\d+)"', text)
    assert sizes == [("1000", "14"), ("14", "500"), ("28", "28")]


def test_many_elements_do_not_make_a_page_long() -> None:
    """What has no room is counted."""
    values = {f"t{at}x": torch.randn(30, 30) for at in range(300)}
    text = paramtool.as_text(paramtool.inspect(values, values=True), "html")
    assert len(text) < 500_000
    assert re.search(r"\d{3} more; --format json has all", text)


def test_costs_are_drawn() -> None:
    """A bar for each use of the memory, of parts on one scale; and a tree for each measure."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4))
    report = paramtool.cost(net, [torch.ones(2, 4)])
    found = Page(paramtool.as_text(report, "html"))
    assert "MACs by module" in found.text
    assert "Saved activations by module" in found.text
    bars = [each for each in found.attributes if each.get("class") == "pt-t-link"]
    gradients = report.totals.training[0].gradients / report.totals.training[0].total
    assert float(bars[1]["width"] or 0) == pytest.approx(100 * gradients, abs=0.01)  # bars[0] is the key


def test_parts_of_a_cost_are_of_the_whole_model(run: Run) -> None:
    """Whatever is selected, a percent is of all modules: LeNet has 416,520 MACs, its convolutions 357,600."""
    text = page(run, "inspect", str(CONFIGS / "lenet.yaml"), "--cost", "--type", "Conv2d")
    assert "57.6 %" in text  # 240,000
    assert "28.2 %" in text  # 117,600
    assert "10,080" not in text


def test_a_map_of_directions_has_a_number_for_each_matrix() -> None:
    """It is there with a spectrum, and layers stand in the order of their numbers."""
    old = {f"h.{at}.w": torch.zeros(4, 4) for at in (10, 2, 1)}
    new = {name: torch.eye(4) for name in old}
    text = paramtool.as_text(paramtool.diff(old, new, values=True, spectrum=True), "html")
    drawn = text[text.index("Directions") : text.index("<h2>Values")]
    assert re.findall(r'scope="row"><span class="pt-m">h\.<wbr>(\d+)<', drawn) == ["1", "2", "10"]
    assert "Directions" not in Page(paramtool.as_text(paramtool.diff(old, new, values=True), "html")).text


def test_a_check_shows_what_is_broken_first(run: Run) -> None:
    """Broken, then kept, under headings of their own."""
    found = Page(page(run, "check", GPT2, "--parameters", "1M"))
    assert found.text.index("Broken") < found.text.index("Kept")
    assert run("check", GPT2, "--quiet", "--format", "html").stdout.endswith("</html>\n")


def test_an_error_of_a_check_has_the_room_of_its_row(tmp_path: Path, run: Run) -> None:
    """It has no empty cells for an expectation, which push it off a narrow screen."""
    none = str(tmp_path / "none.pt")
    drawn = run("check", MLP, none, "--parameters", "19", "--format", "html").stdout
    drawn = drawn[drawn.index("<h2>Cannot be checked") : drawn.index("<h2>Kept")]
    assert re.findall(r"<th scope=\"col\"[^>]*>(\w+)", drawn) == ["model", "error"]


def test_a_page_goes_to_a_file_beside_the_table(tmp_path: Path, run: Run) -> None:
    """--report writes what --format html prints; stdout has the table as ever, and the status its meaning."""
    file = tmp_path / "r.html"
    for typed in (["inspect", MLP], ["shared", GPT2], ["diff", MLP, GPT2], ["check", GPT2], ["grad", MLP]):
        alone, beside = run(*typed), run(*typed, "--report", str(file))
        assert beside == alone
        assert file.read_text() == page(run, *typed)
    hidden = tmp_path / ".html"
    assert run("inspect", MLP, "--report", str(hidden)).status == 0
    assert hidden.read_text() == page(run, "inspect", MLP)
    only = run("diff", MLP, GPT2, "-o", str(file), "--format", "html")
    assert (only.status, only.stdout) == (1, "")
    assert run("init", MLP, "-n", "--pattern", "weight", "--zeros", "--report", str(file)).status == 0
    assert "zeros" in file.read_text()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["inspect", MLP, "-o", "r.json"], "'r.json' does not end in .html; --format json > r.json"),
        (["check", MLP, "--report", "r"], "does not end in .html; "),
        (["check", "a.pt", "--report", "a.pt"], "; type: paramtool check a.pt --report a.html\n"),
        (["check", "a.pt", "--report=a.pt"], "; type: paramtool check a.pt --report=a.html\n"),
        (["diff", "a.pt", "b.pt", "-ob.pt"], "; type: paramtool diff a.pt b.pt -ob.html\n"),
        (["init", "a.pt", "-o", "a.pt", "--report", "a.pt"], "init a.pt -o a.pt --report a.html\n"),
        (["init", "a.pt", "-o", "a.pt"], "; type: paramtool init a.pt -o a.safetensors; then"),
        (["inspect", MLP, "-o", "no/r.html"], "cannot write no/r.html: the folder"),
        (["inspect", MLP, "--total", "-o", "r.html"], "--total prints one number, so --report has no effect"),
        (["init", MLP, "-o", "r.html"], "-o writes safetensors, but r.html ends in .html; --report r.html"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_are_refused(
    typed: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """One line, exit status 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    result = run(*typed)
    assert (result.status, result.stdout) == (2, "")
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_failed_command_leaves_the_page_that_was_there(tmp_path: Path, run: Run) -> None:
    """A page is there whole, or the one before it."""
    file = tmp_path / "r.html"
    file.write_text("before")
    assert run("inspect", str(tmp_path / "none.pt"), "--report", str(file)).status == 2
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_assets_are_ascii_and_in_the_package() -> None:
    """The policy takes the hash of their bytes, so they are the same in every encoding."""
    assets = ROOT / "src" / "paramtool" / "render" / "html" / "assets"
    for file in sorted(assets.iterdir()):
        assert file.read_bytes().isascii()
        assert b"</" not in file.read_bytes()
        check_apart(file.read_text())


def test_what_is_left_out_of_a_picture_is_counted() -> None:
    """Groups, names of a group and entries of a file beyond what is drawn have a word each."""
    tensor = torch.zeros(2)
    values = {f"x{at}y": tensor for at in range(30)}
    for at in range(120):
        values |= dict.fromkeys((f"p{at}q.a", f"p{at}q.b"), torch.ones(2))
    found = Page(paramtool.as_text(paramtool.shared(values), "html"))
    assert "10 more, in the table" in found.text
    assert "21 more groups, in the table" in found.text
