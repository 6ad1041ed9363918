"""From a spec to a network: structure on the meta device, or values on the CPU."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError, Problems
from paramtool.language.document import Spec
from paramtool.language.tree import Tree
from paramtool.name_parts import prefix
from paramtool.network.builder import Builder
from paramtool.network.fill_record import Recording
from paramtool.network.free_memory import check_fits
from paramtool.network.lazy_modules import settle
from paramtool.network.meta_device import StructureOnly, default_dtype
from paramtool.network.parameter_statements import freeze, tie
from paramtool.network.sketch import Sketch
from paramtool.place import Place
from paramtool.suggestion import hint_of_module
from paramtool.tensors.fills import Fills
from paramtool.tensors.named_tensors import by_tensor, named_tensors


@dataclass(frozen=True)
class Network:
    """A built module.

    Attributes:
        module: on the CPU, or names and shapes on the meta device.
        notes: what there is to say about how it was built.
        has_values: whether the values are those that its constructors give.
        rng_state: of torch's generator after the constructors, where rules draw on from there.
    """

    module: nn.Module
    notes: tuple[str, ...] = ()
    has_values: bool = False
    rng_state: Tensor | None = field(default=None, compare=False)


def structure(spec: Spec) -> Network:
    """Build the names and shapes of `spec` on the meta device; memory does not grow with the model.

    Raises:
        Problems: with everything that torch refuses.
    """
    with no_collection(), StructureOnly():
        return _build(spec)


def sketch(spec: Spec) -> tuple[Network, Sketch]:
    """Build `spec` on the meta device, with a record of what its constructors would fill it with.

    Raises:
        Problems: with everything that torch refuses.
    """
    recording = Sketch()
    with no_collection(), recording:
        return _build(spec, recording), recording


def fills_of_calls(calls: Sequence[Tree], dtype: str | None) -> dict[int, dict[str, Fills]]:
    """Return what the constructor of each call fills its tensors with, by the ids of the calls.

    Args:
        calls: nodes without modules or tensors as arguments, each of which is built once.
        dtype: that of the spec.
    """
    recording, builder = Sketch(), Builder()
    with no_collection(), recording, default_dtype(dtype):
        modules = {id(each): builder.module(each) for each in calls}
    if builder.problems:
        raise Problems(builder.problems)
    return {key: recording.fills_by_name(module) for key, module in modules.items()}


def values(spec: Spec, rng: str = "streams") -> Network:
    """Build `spec` on the CPU, with the values that its constructors give it.

    Args:
        spec: what to build.
        rng: ``streams`` draws each tensor from a stream of its own, which the seed and its name decide,
            so that other layers change nothing; ``torch`` gives what the same constructors give after
            ``torch.manual_seed(spec.seed)``.

    Raises:
        Problems: with everything that torch refuses.
        ParamtoolError: if the tensors do not fit in this machine's memory.
    """
    check_memory(structure(spec).module)
    with no_collection(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        if rng == "torch":
            return replace(_build(spec), rng_state=torch.get_rng_state())
        recording = Recording()
        with recording:
            network = _build(spec, recording)
        recording.redraw(network.module, spec.seed)
        return network


def _build(spec: Spec, recording: Recording | None = None) -> Network:
    builder = Builder()
    with default_dtype(spec.dtype):
        module = builder.module(spec.model)
        if builder.problems:
            raise Problems(builder.problems)
        with recording.forward_pass() if recording else nullcontext():
            notes = [*builder.notes, *settle(module, spec.inputs, in_spec=True)]
    problems = [*tie(module, spec.ties), *freeze(module, spec.freeze)]
    if problems:
        raise Problems(problems)
    return Network(module, tuple(dict.fromkeys(notes)))


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the cycle collector out of a build: it would walk all modules again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def check_memory(module: nn.Module) -> None:
    """Raise if the tensors of `module` would not fit in this machine's memory."""
    tensors = (first.tensor for first, *_ in by_tensor(named_tensors(module)))
    needed = sum(each.nbytes for each in tensors if not nn.parameter.is_lazy(each))
    hint = "names, shapes and plans need no values; init -o writes them block by block"
    check_fits("the values", needed, hint=hint)


def submodule(module: nn.Module, path: str) -> nn.Module:
    """Return the submodule at the dotted `path`.

    Raises:
        ParamtoolError: if there is none.
    """
    modules: dict[str, nn.Module] = dict(module.named_modules(remove_duplicate=False))
    found = modules.get(path)
    if found is None:
        paths = [each for each in modules if each]
        names = {each.name for each in named_tensors(module)}
        raise ParamtoolError(f"no module '{path}'", hint=hint_of_module(path, paths, names))
    return found


def places(spec: Spec) -> dict[str, Place]:
    """Return the places by the paths of modules and the names of tensors.

    What torch makes inside a module that the spec names is not there: it is written where its module is.
    """
    builder = Builder()
    with StructureOnly(), default_dtype(spec.dtype):
        module = builder.module(spec.model)
    found = {}
    for path, each in module.named_modules(remove_duplicate=False):
        start = prefix(path)
        members = {path: each, **{start + name: member for name, member in vars(each).items()}}
        for tensors in (each._parameters, each._buffers):
            members |= {start + name: tensor for name, tensor in tensors.items()}
        for name, member in members.items():
            if id(member) in builder.origins:
                found[name] = builder.origins[id(member)][1]
    return found
