"""Add to the shipped catalogue what only the installed torch has, which is asked as late as possible.

The shipped catalogue answers first, whatever version of torch is installed.  Only for a name or an
argument that it lacks are the files of the installed torch read, as text; and only if these have it
is torch imported and asked for the signature.  So a misspelt name costs a few milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from paramtool.language.catalog import Catalog, Fit, anything, shipped
from paramtool.language.signature import Argument, Signature
from paramtool.language.torch_source import TorchSource


def catalog_of(source: TorchSource | None) -> Catalog:
    """Return the shipped catalogue, with what `source` adds if it is of another version."""
    known = shipped()
    if source is None or source.version in ("", known.torch):
        return known
    return InstalledCatalog(
        source.version,
        {name: known.modules.get(name, []) for name in (*known.modules, *source.modules)},
        tuple(dict.fromkeys((*known.dtypes, *source.dtypes))),
        known.float_dtypes,
        known,
        source,
    )


@dataclass(frozen=True)
class InstalledCatalog(Catalog):
    """The shipped catalogue `known`, and behind it the torch of another version that is installed."""

    known: Catalog
    source: TorchSource

    def module(self, name: str, takes: Fit = anything) -> Signature | None:
        """Return the shipped signature of the class if it serves, else that of the installed torch."""
        known = self.known.module(name)
        if known is None:
            return _asked().module(name) if name in self.modules else None
        if takes(known) or not takes(_widened(known, self.source.module_arguments(name))):
            return known
        return _asked().module(name) or known


def _widened(known: Signature, names: frozenset[str]) -> Signature:
    """Return the signature with an argument of any type for each of the names that it lacks."""
    added = [Argument(name, default="None") for name in names if known.argument(name) is None]
    return Signature(known.name, (*known.arguments, *added))


def _asked() -> Catalog:
    """Import the installed torch, and return the catalogue of it alone."""
    from paramtool.network.signatures import catalog

    return catalog()
