"""Check a model against its expectations: ``paramtool check``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from paramtool.api.arguments import check_type
from paramtool.api.open import open
from paramtool.errors import BadArgument, ParamtoolError, Problems
from paramtool.models.given import Openable
from paramtool.models.model import Model
from paramtool.models.open import open_reference, spec_catalog
from paramtool.models.processes import together
from paramtool.operations.expectations.findings import check as examine
from paramtool.place import Place, Text
from paramtool.records.expectation import Expectation, Expectations
from paramtool.records.parameter import Listing


def check(
    model: Openable,
    expect: Mapping[str, Any] | Sequence[Expectation] = (),
    *,
    name: str | None = None,
    allow_none: bool = False,
) -> Expectations:
    """Return a row for each expectation, kept or broken.

    Of a module with DTensors every process calls this, and gets the same.

    Example:
        >>> from torch import nn
        >>> report = check(nn.Linear(4, 3), {"parameters": 15, "dtype": "float16"})
        >>> [(row.name, row.holds, row.found) for row in report]
        [('parameters', True, '15'), ('dtype', False, '2 float32')]

    Args:
        model: a name as on the command line, a module, a state_dict or an open model.
        expect: its expectations, as in a spec's ``expect:``; added to those of its own spec.
        name: what to call it in the report.
        allow_none: return a report without rows if nothing is expected.

    Raises:
        BadArgument: if nothing is expected, or `expect` is malformed, with everything that is wrong in it.
        Problems: with every expectation that a model of this kind cannot answer.
        ParamtoolError: if the model cannot be opened, built or read.
    """
    check_type("expect", expect, (Mapping, list, tuple), "a mapping")
    if not isinstance(expect, Mapping):
        for each in expect:
            check_type("each of expect", each, Expectation, "an Expectation")
    found = open(model, name=name)
    if not (expect or found.expectations or allow_none):
        raise BadArgument(f"nothing is expected of {found.name}", hint='e.g. {"parameters": "124M"}')
    added = _read(expect) if isinstance(expect, Mapping) else tuple(expect)
    return examined(found, (*found.expectations, *added))


def examined(
    model: Model,
    expectations: Sequence[Expectation],
    reference: Callable[[str, Place], Model] = open_reference,
) -> Expectations:
    """Return a row for each of `expectations`; `reference` opens the model of ``same_as``.

    Raises:
        Problems: with every expectation that a model of this kind cannot answer.
        ParamtoolError: if a model cannot be opened, built or read.
    """

    def differing(name: str, place: Place, listing: Listing) -> list[str]:
        with together(model):
            return _differences(reference(name, place).listing(), listing)

    return examine(expectations, model, differing)


def _read(expect: Mapping[str, Any]) -> tuple[Expectation, ...]:
    from paramtool.language.expectations import read_expectations
    from paramtool.language.nodes import node_of

    problems: list[ParamtoolError] = []
    text = Text("expect", "", is_option=True)
    found = read_expectations(node_of(expect, text), spec_catalog(), problems)
    if problems:
        raise BadArgument(str(Problems(problems)).replace("error: ", ""))
    return found


def _differences(was: Listing, now: Listing) -> list[str]:
    from paramtool.operations.comparison.differences import differences
    from paramtool.render.difference_text import sentence

    return [sentence(row) for row in differences(was, now).rows]
