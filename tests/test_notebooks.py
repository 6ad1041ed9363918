"""What a notebook shows of reports and models; the notebook in docs/ is run, and shows what it computes.

Its cells are run here as a kernel runs them: one after the other in one namespace, the value of the last
expression shown by its ``_repr_html_``.  A kernel would be twenty packages more, for the same answer.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import paramtool
from tests.conftest import CONFIGS, ROOT
from tests.html_structure import Page, check_apart

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


def shown(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell, and return the outputs that a notebook keeps of it."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is None:
        return []
    assert isinstance(last, ast.Expr)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    data = {"text/html": value._repr_html_().splitlines(keepends=True), "text/plain": [repr(value)]}
    return [{"data": data, "execution_count": None, "metadata": {}, "output_type": "execute_result"}]


def test_the_notebook_shows_what_it_computes(request: pytest.FixtureRequest) -> None:
    """Every cell runs, from the first to the last, and has the output that it has in the file."""
    text = NOTEBOOK.read_text("utf-8")
    notebook = json.loads(text)
    names: dict[str, Any] = {}
    for number, cell in enumerate(each for each in notebook["cells"] if each["cell_type"] == "code"):
        cell["outputs"] = shown("".join(cell["source"]), names)
        cell["execution_count"] = number + 1
        for output in cell["outputs"]:
            output["execution_count"] = number + 1
            check_view("".join(output["data"]["text/html"]))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    fresh = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    if request.config.getoption("--snapshot-update"):
        NOTEBOOK.write_text(fresh, "utf-8")
    else:
        assert fresh == text


def check_view(text: str) -> None:
    """Check that a view is one element, runs nothing, and has styles that are about nothing else."""
    found = Page(text)
    assert text.startswith('<div class="paramtool pt-notebook">')
    assert text.endswith("</div>")
    assert not {"script", "html", "head", "body", "main", "form", "input", "button"} & {*found.tags}
    check_apart(text)
    rules = re.sub(r"@media [^{]*\{", "", found.assets["style"])
    for rule in rules.split("}")[:-1]:
        selectors = rule.partition("{")[0].strip()
        assert all(".paramtool" in each for each in selectors.split(",") if selectors), rule


def test_reports_and_open_models_are_shown(tmp_path: Path) -> None:
    """Of every kind; a model that cannot be listed is shown by its `repr`, as nothing may raise there."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    check_view(paramtool.inspect(net, stats=True, values=True)._repr_html_())
    check_view(paramtool.open(net)._repr_html_() or "")
    check_view(paramtool.open(str(CONFIGS / "gpt2.yaml"))._repr_html_() or "")
    (tmp_path / "odd.py").write_text("def make():\n    raise ValueError('no')\n")
    assert paramtool.open(f"{tmp_path / 'odd.py'}:make")._repr_html_() is None


def test_a_check_has_the_columns_that_people_see() -> None:
    """Those of the table, and not those for programs."""
    report = paramtool.check(str(CONFIGS / "gpt2.yaml"))
    assert "place" in Page(report._repr_html_()).texts
    assert "column" not in Page(report._repr_html_()).texts
