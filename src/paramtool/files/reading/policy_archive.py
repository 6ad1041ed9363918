"""Open what Stable-Baselines3 saves: a zip archive with a state_dict of torch.save in ``policy.pth``."""

from __future__ import annotations

from dataclasses import replace

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.files.reading.open_file import Location, opened
from paramtool.files.reading.pickled_file import read_pickled
from paramtool.files.reading.signatures import POLICY
from paramtool.files.reading.zip_directory import read_members
from paramtool.records.contents import ContentRow

_VERSION = "_stable_baselines3_version"
_SUFFIX = ".pth"


def read_policy(path: Location, key: str | None, name: str) -> Checkpoint:
    """Return the policy in the archive at `path`; the other members are contents.

    Args:
        path: the file.
        key: another of its members without ``.pth``, as ``policy.optimizer``, or a key of the policy.
        name: what to call the checkpoint.

    Raises:
        ParamtoolError: if the member is compressed, or is not what torch.save writes.
    """
    with opened(path) as file:
        members = read_members(file)
        version = members.get(_VERSION)
        number = None
        if version is not None and not version.compressed and version.size < 100:
            number = file.read(version.position, version.size).decode("ascii", "replace")
    chosen = POLICY if key is None or f"{key}{_SUFFIX}" not in members else f"{key}{_SUFFIX}"
    member = members[chosen]
    if member.compressed:
        hint = "unzip it, and name the file itself"
        raise ParamtoolError(f"cannot read {path}: {shorten(chosen)} in it is compressed", hint=hint)
    rest = key if chosen == POLICY else None
    found = read_pickled(path, rest, name, member.position, member.size)
    others = [
        ContentRow(each, "file", nbytes=other.size, value=number if each == _VERSION else None)
        for each, other in members.items()
        if each != chosen
    ]
    return replace(found, format="Stable-Baselines3", contents=(*found.contents, *others))
