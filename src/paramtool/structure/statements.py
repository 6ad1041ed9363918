"""What a spec says of its parameters after they are built: ``tie`` and ``freeze``."""

from __future__ import annotations

from paramtool.errors import ParamtoolError
from paramtool.language.document import Spec, Tie
from paramtool.patterns import compile_pattern, matching, one_budget
from paramtool.structure.modules import Module, Tensor, walk
from paramtool.structure.unsure import Unsure, require


def apply(module: Module, spec: Spec) -> None:
    """Tie and freeze the parameters of `module` as `spec` says.

    Raises:
        Unsure: if a tie does not fit or a pattern matches nothing, so that torch's path reports it.
    """
    if not spec.ties and not spec.freeze:
        return
    owners = {
        f"{prefix}{slot.name}": (each, index)
        for prefix, each in walk(module)
        for index, slot in enumerate(each.slots)
        if slot.kind == "parameter"
    }
    _tie(owners, spec.ties)
    names = {name: each.tensors[index] for name, (each, index) in owners.items()}
    try:
        with one_budget():  # of its own, so that torch's path has the whole of the usual one
            for pattern in spec.freeze:
                _freeze(names, pattern.text)
    except ParamtoolError as error:
        raise Unsure(error.message) from error


def _tie(owners: dict[str, tuple[Module, int]], ties: tuple[Tie, ...]) -> None:
    targets = {each.name.text: each.target.text for each in ties}
    ends = dict(targets)
    for name in targets:
        chain = {name}
        end = ends[name]
        while end in targets:
            require(end not in chain, "a tie in a circle")
            chain.add(end)
            end = ends[end]
        ends.update(dict.fromkeys(chain, end))
    for name, end in ends.items():
        require(name in owners and end in owners, "a tie of a name that is not there")
        owner, index = owners[name]
        target_owner, target_index = owners[end]
        mine, target = owner.tensors[index], target_owner.tensors[target_index]
        require((mine.shape, mine.dtype) == (target.shape, target.dtype), "a tie that does not fit")
        owner.tensors[index] = target


def _freeze(names: dict[str, Tensor], pattern: str) -> None:
    found = matching([compile_pattern(pattern)], names)
    require(bool(found), "a pattern that matches nothing")
    for name in found:
        names[name].requires_grad = False
