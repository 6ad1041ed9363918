"""Read a spec from a file."""

from __future__ import annotations

from paramtool.language.document import Spec, read_spec
from paramtool.language.text import read_text
from paramtool.models.open import spec_catalog


def open_spec(name: str) -> Spec:
    """Return the spec in the file `name`."""
    return read_spec(read_text(name), spec_catalog())
