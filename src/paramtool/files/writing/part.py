"""One of several processes that write a folder of shards together, and the files that are its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from paramtool.files.safetensors_format import Entry


@dataclass(frozen=True)
class Part:
    """Part `number` of `count`, from 1; it is written ``2/4``.

    Attributes:
        number: which part this is.
        count: how many there are.
        facts: what all parts of one run have in common, in JSON's types: the seed, the rules, where the
            values come from.  Parts whose facts differ are not put together.
    """

    number: int
    count: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, shards: Mapping[str, Sequence[Entry]], metadata: Mapping[str, str]) -> Part:
        """Return the part with what tells these files from others, unless it comes without facts."""
        if not self.facts:
            return self
        layout = [(name, [(each.name, each.dtype, each.shape) for each in shards[name]]) for name in shards]
        digest = sha256(json.dumps([layout, dict(metadata)]).encode()).hexdigest()
        return replace(self, facts={**self.facts, "tensors": digest})

    def own(self, shards: Mapping[str, Sequence[Entry]]) -> set[str]:
        """Return the names of the files that this part writes.

        The largest goes first to the part with the fewest bytes, so every part finds the same by itself.
        """
        sizes = {name: sum(each.nbytes for each in shard) for name, shard in shards.items()}
        loads = [0] * min(self.count, len(sizes))
        found = set()
        for name in sorted(sizes, key=lambda each: (-sizes[each], each)):
            least = loads.index(min(loads))
            loads[least] += sizes[name]
            if least == self.number - 1:
                found.add(name)
        return found
