"""The bytes of tensors, which digests and files are made of."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor

from paramtool.elements.digests import digest as blocks_digest
from paramtool.tensors.memory import digest

COMPLEX = torch.tensor([1 + 2j, 3 - 4j])


@pytest.mark.parametrize("view", [COMPLEX.conj(), COMPLEX.conj().imag, COMPLEX.expand(2, 2).t()])
def test_a_view_has_the_digest_of_its_elements_however_they_are_in_memory(view: Tensor) -> None:
    """torch conjugates, negates and transposes without touching the memory."""
    assert digest(view) == digest(torch.tensor(view.tolist(), dtype=view.dtype))


def test_a_digest_is_that_of_the_bytes_whatever_the_blocks() -> None:
    """Little-endian, one block after the other."""
    whole = torch.tensor([1.0, 2.0, 3.0])
    expected = hashlib.sha256(bytes.fromhex("0000803f0000004000004040")).hexdigest()
    assert digest(whole) == expected
    parts = whole.numpy()
    assert blocks_digest([parts[:1], parts[1:]]) == expected
