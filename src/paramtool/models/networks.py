"""The door to networks: from a spec or an object of Python to an ``nn.Module``."""

from __future__ import annotations

from paramtool.models.open import Buildable
from paramtool.models.python_object import PythonObject
from paramtool.network import construction, python_object
from paramtool.network.construction import Network, no_collection
from paramtool.network.fill_record import Sketch
from paramtool.network.nesting import check_nesting


def structure(model: Buildable) -> Network:
    """Build names and shapes, on the meta device where that works; memory does not grow with the model then.

    Raises:
        Problems: with everything that torch refuses of a spec.
        ParamtoolError: where an object is no module, its constructor raises, or modules nest too deep.
    """
    if not isinstance(model, PythonObject):
        return construction.structure(model)
    with no_collection():
        module = python_object.structure_of(model)
        check_nesting(module)
        return Network(module)


def sketch(model: Buildable) -> tuple[Network, Sketch]:
    """Do the same with a record of what the constructors would fill each tensor with, where that is known.

    Raises:
        Problems: with everything that torch refuses of a spec.
        ParamtoolError: where an object is no module, its constructor raises, or modules nest too deep.
    """
    if not isinstance(model, PythonObject):
        return construction.sketch(model)
    with no_collection():
        module, recording = python_object.sketch_of(model)
        check_nesting(module)
        return Network(module), recording


def values(model: Buildable, rng: str = "streams") -> Network:
    """Build on the CPU, with the values that the constructors give.

    Args:
        model: what to build.
        rng: ``streams`` draws each tensor from a stream of its own, told by the seed and its name, so
            that other layers change nothing; ``torch`` gives what the same constructors give after
            ``torch.manual_seed``.

    Raises:
        Problems: with everything that torch refuses of a spec.
        ParamtoolError: where an object is no module, its constructor raises, or the tensors do not fit
            in this machine's memory.
    """
    if not isinstance(model, PythonObject):
        return construction.values(model, rng)
    construction.check_memory(structure(model).module)
    with no_collection():
        module, notes = python_object.values_of(model, rng)
        return Network(module, tuple(notes))
