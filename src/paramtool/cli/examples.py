"""Two examples for the help of each command; a test runs them, in a folder with the files that they name."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "inspect": (
        "paramtool inspect model.safetensors --depth 2 --stats",
        "paramtool inspect model.yaml --cost --input 2,4",
    ),
    "shared": (
        "paramtool shared model.yaml",
        "paramtool shared model.safetensors --by-value",
    ),
    "diff": (
        "paramtool diff old.safetensors model.safetensors --values",
        "paramtool diff model.safetensors model.yaml",
    ),
    "check": (
        "paramtool check model.yaml --parameters max=124M --dtype float32",
        "paramtool check model.safetensors --finite --same-as model.yaml",
    ),
    "init": (
        "paramtool init model.yaml --pattern weight --normal 0.02 --dry-run",
        "paramtool init model.yaml --pattern . --normal 0.02 -o new.safetensors",
    ),
    "convert": (
        "paramtool convert model.safetensors -o half.pt --dtype bfloat16",
        "paramtool convert model.safetensors -o parts --max-shard-size 1GB",
    ),
    "grad": (
        "paramtool grad model.yaml --by-use",
        "paramtool grad model.yaml --input 8,4 --loss mean --fail-on zero,nan",
    ),
    "initializers": (
        "paramtool initializers",
        "paramtool initializers xavier_normal",
    ),
    "schema": ("paramtool schema",),
}
