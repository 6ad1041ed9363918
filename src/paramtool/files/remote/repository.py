"""Find the checkpoint in a repository on a hub, as Hugging Face tools do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paramtool.errors import ParamtoolError
from paramtool.files.remote.range_request import NotThere
from paramtool.files.remote.remote_file import RemoteFile
from paramtool.files.shards import LOOKED_FOR

if TYPE_CHECKING:
    from paramtool.files.remote.address import Repository

_LOOKED_FOR = (*LOOKED_FOR, "diffusion_pytorch_model.safetensors")


def find_checkpoint(repository: Repository) -> RemoteFile:
    """Return the first of the usual files that is there; each try is one request.

    Raises:
        ParamtoolError: if there is none, or the hub refuses.
    """
    for name in _LOOKED_FOR:
        try:
            return RemoteFile(repository.file(name))
        except NotThere:
            continue
    raise ParamtoolError(
        f"hf://{repository.name} has none of {', '.join(_LOOKED_FOR[:4])}",
        hint=f"check the name, or name a file: hf://{repository.name}/FILE",
    )
