"""Copy values from a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def copy(tensor: Tensor, file: str, name: str = "{name}", *, parameter: str) -> None:
    """Fill with a tensor of the safetensors file `file`, of the same name or a mapped one.

    In `name`, ``{name}`` stands for the name of the parameter: ``transformer.{name}``.  Values are
    cast to the dtype of the parameter.
    """
    with _opened(file) as checkpoint:
        tensor.copy_(checkpoint.get_tensor(_mapped(name, parameter)))


def _check(shape: Sequence[int], file: str, name: str = "{name}", *, parameter: str) -> None:
    """Refuse a missing file or name, and another shape, before anything is touched."""
    wanted = _mapped(name, parameter)
    with _opened(file) as checkpoint:
        if wanted not in checkpoint.keys():  # noqa: SIM118 - a file is not a mapping
            raise ValueError(f"{file} has no tensor '{wanted}'")
        found = list(checkpoint.get_slice(wanted).get_shape())
    if found != list(shape):
        raise ValueError(f"it is {list(shape)}, and '{wanted}' of {file} is {found}")


copy.check = _check  # type: ignore[attr-defined]
copy.exact = True  # type: ignore[attr-defined]


def _mapped(name: str, parameter: str) -> str:
    return name.replace("{name}", parameter)


def _opened(file: str) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(file, framework="pt")
    except (OSError, SafetensorError) as error:
        raise ValueError(f"cannot read {file}: {error}") from error
