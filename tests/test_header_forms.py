"""A header reads the same by the quick way and by the strict one, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paramtool.files.reading import safetensors_header
from paramtool.files.reading.safetensors_header import parse_header

SIZES = {"F32": 4, "BF16": 2, "BOOL": 1, "F4": 0.5, "F6_E2M3": 0.75, "I64": 8}
NAMES = st.one_of(
    st.text(max_size=8), st.sampled_from(["a.b", "__metadata__", 'q"', "b\\", "\x1f", "é.0", "\u2028"])
)
WHOLE = st.one_of(st.integers(0, 9), st.sampled_from([0, 2**31, 2**62, 2**63, 10**18, 10**18 - 1]))


@st.composite
def headers(draw: st.DrawFn) -> str:
    """Draw a header as the libraries write it, with unusual names, shapes, dtypes and metadata."""
    entries: dict[str, Any] = {}
    if draw(st.booleans()):
        entries["__metadata__"] = draw(st.dictionaries(NAMES, st.text(max_size=5), max_size=3))
    begin = 0
    for name in draw(st.lists(NAMES, max_size=5)):
        code = draw(st.sampled_from([*SIZES, "F99"]))
        shape = draw(st.lists(WHOLE, max_size=3) | st.just([1] * draw(st.integers(60, 70))))
        count = 1
        for size in shape:
            count *= size
        end = begin + int(count * SIZES.get(code, 1)) + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
        entries[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
        begin = max(0, end)
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=draw(st.booleans()))
    return text + draw(st.sampled_from(["", "", " ", "   ", "\n", " \n", "\0", "x", "}"]))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Draw a header in which a few characters are others, gone, or there twice."""
    text = draw(headers())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        piece = draw(
            st.sampled_from(
                ["", "0", "-", " ", ",", "}", "{", '"', "]", "[", "9" * 19, '"a":', "\t", "1e3", "\\", "é",
                 '"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]},', "٣", "null", "\n"]
            )
        )  # fmt: skip
        text = text[:at] + piece + text[at + draw(st.integers(0, 2)) :]
    return text


def outcome(text: str, read: Any) -> object:
    """Return what was read, or the complaint."""
    try:
        return read(text)
    except ValueError as error:
        return str(error)


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_both_ways_agree(text: str) -> None:
    """The same tensors and metadata in the same order, or the same complaint."""
    assert outcome(text, parse_header) == outcome(text, safetensors_header._strict)


ONE = '"{}":{{"dtype":"F32","shape":[2],"data_offsets":[{},{}]}}'


@pytest.mark.parametrize("metadata", ["", '"__metadata__":{"format":"pt"},'])
def test_usual_headers_are_read_the_quick_way(metadata: str) -> None:
    """What the libraries write is not read by the strict reader after all."""
    text = f"{{{metadata}{ONE.format('a.0', 0, 8)},{ONE.format('a.1', 8, 16)}}}   "
    found = safetensors_header._usual(text)
    assert found is not None
    assert found[0].names == ["a.0", "a.1"]


@pytest.mark.parametrize(
    "text",
    [
        f"{{{ONE.format('a', 0, 8)}}}{ONE.format('b', 8, 16)}}}",
        f"{{{ONE.format('a', 0, 8)},}}",
        f"{{{ONE.format('a', 0, 8)}}}}}",
        f"{{{ONE.format('a', 0, 8)},{ONE.format('a', 8, 16)}}}",
        f"{{{ONE.format('a', 0, 8)} ,{ONE.format('b', 8, 16)}}}",
        f"{{x{ONE.format('a', 0, 8)}}}",
        f"{{{ONE.format('a', 0, 8)},",
        f"{{{ONE.format('a', 0, 8)}",
        f"{{{ONE.format('a', 0, 8)},{ONE.format('__metadata__', 8, 16)}}}",
    ],
)
def test_no_mistake_passes_the_quick_way(text: str) -> None:
    """What is between, before or after the tensors is seen."""
    assert safetensors_header._usual(text) is None
    assert outcome(text, parse_header) == outcome(text, safetensors_header._strict)
