"""Where a spec writes down each module and tensor of the network that it makes."""

from __future__ import annotations

from paramtool.language.document import Spec
from paramtool.network.builder import Builder
from paramtool.network.structure import StructureOnly, default_dtype
from paramtool.place import Place


def places(spec: Spec) -> dict[str, Place]:
    """Return the places by the paths of modules and the names of tensors.

    What torch makes inside a module that the spec names is not there: it is written where its module is.
    """
    builder = Builder()
    with StructureOnly(), default_dtype(spec.dtype):
        module = builder.module(spec.model)
    found = {}
    for path, each in module.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        members = {path: each, **{f"{prefix}{name}": member for name, member in vars(each).items()}}
        for tensors in (each._parameters, each._buffers):
            members |= {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
        for name, member in members.items():
            if id(member) in builder.origins:
                found[name] = builder.origins[id(member)][1]
    return found
