"""Read a spec from a file."""

from __future__ import annotations

from paramtool.sources.model import spec_catalog
from paramtool.sources.spec.document import Spec, read_spec
from paramtool.sources.texts import read_text


def open_spec(name: str) -> Spec:
    """Return the spec in the file `name`."""
    return read_spec(read_text(name), spec_catalog())
