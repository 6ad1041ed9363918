"""The JSON Schema of specs (draft 7, which editors know), from the same signatures that check them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paramtool.initializers.registry.table import TABLE, TORCH
from paramtool.language.catalog import Catalog
from paramtool.language.classes import LISTS, NAMED, ONLY_TENSORS, TENSORS
from paramtool.language.document import LOSSES
from paramtool.language.expectations import KINDS
from paramtool.language.notation import Alternative, Atom, ListOf, Literal, Union, parse
from paramtool.language.rules import SELECTOR, signature_of
from paramtool.language.signature import Argument, Signature
from paramtool.language.tensors import FILLS, KEYS
from paramtool.quantities import COUNT_PATTERN, SIZE_PATTERN

Schema = dict[str, Any]

_PLAIN: dict[str, Schema] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "None": {"type": "null"},
    "name": {"type": ["string", "number"]},
    "regex": {"type": ["string", "number"], "format": "regex"},
    "any": {},
}
_REFERENCES = ("dtype", "tensor", "module", "quantity", "size")


def json_schema(catalog: Catalog) -> Schema:
    """Return the schema of specs over the modules of `catalog` and our own initializers.

    What a name stands for that a spec defines, or a plugin offers, no schema can know: such names
    are let through, and the reader checks them.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "paramtool model spec",
        "description": f"Modules of torch {catalog.torch}",
        "type": "object",
        "properties": {
            "model": _described(_reference("module"), "The network."),
            "define": {
                "description": "Recipes: every use of a name builds a new module.",
                "type": "object",
                "additionalProperties": _reference("module"),
            },
            "tie": {
                "description": "Names of parameters, and the names they are tied to.",
                "type": "object",
                "additionalProperties": {"type": ["string", "number"]},
            },
            "dtype": {"description": "Default dtype.", "enum": list(catalog.float_dtypes)},
            "seed": {"description": "Seed for the initial values.", "type": "integer", "minimum": 0},
            "freeze": _described(
                _type(parse("regex | [regex]")), "Patterns for parameters that require no gradient."
            ),
            "input": _input(),
            "loss": {"description": "The loss that backward starts from.", "enum": list(LOSSES)},
            "init": {"description": "Rules, top to bottom.", "type": "array", "items": _rule()},
            "expect": {
                "description": "What check expects of the model.",
                "type": "object",
                "properties": {name: _type(parse(kind)) for name, kind in KINDS.items()},
                "additionalProperties": False,
            },
        },
        "required": ["model"],
        "additionalProperties": False,
        "definitions": _definitions(catalog),
    }


def _definitions(catalog: Catalog) -> Schema:
    signatures = {name: catalog.module(name) for name in catalog.modules if name not in (*LISTS, *NAMED)}
    calls = {name: _arguments(each) for name, each in signatures.items() if each is not None}
    bare = [name for name, each in signatures.items() if each and not _required(each)]
    needy = [name for name in calls if name not in bare] + ["Repeat", "Residual", *TENSORS]
    modules: Schema = {
        **{name: _reference(name) for name in calls},
        **{name: _container(name) for name in dict.fromkeys((*LISTS, *NAMED))},
        "Repeat": _object(
            {"times": {"type": "integer", "minimum": 0}, "module": _reference("module")}, ("times", "module")
        ),
        "Residual": _reference("module"),
    }
    tensors = {kind: _tensor(kind) for kind in KEYS}
    member = {**modules, **{kind: _reference(kind) for kind in ("Parameter", "Buffer", "Tensor")}}
    size: Schema = {"type": "integer", "minimum": 0}
    return {
        "module": _one_of(modules, bare, needy),
        "member": _one_of(member, bare, needy),
        "tensor": {"anyOf": [_object({"Tensor": _reference("Tensor")}, ("Tensor",)), {"type": "array"}]},
        "dtype": {"enum": list(catalog.dtypes)},
        "shape": {"anyOf": [{"type": "array", "items": size}, size]},
        "quantity": _quantity(COUNT_PATTERN),
        "size": _quantity(SIZE_PATTERN),
        **tensors,
        **calls,
    }


def _quantity(pattern: str) -> Schema:
    written: Schema = {"type": "string", "pattern": f"^({pattern})$"}
    one: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, written]}
    return {"anyOf": [one, _object({"min": one, "max": one}, ())]}


def _one_of(named: Schema, bare: list[str], needy: list[str]) -> Schema:
    return {
        "type": ["object", "string"],
        "anyOf": [
            {"enum": bare},
            {"not": {"enum": needy}, "description": "or a name under define, or a plugin's"},
        ],
        "properties": named,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _container(name: str) -> Schema:
    holds = _reference("member" if name == "Module" or name in ONLY_TENSORS else "module")
    found: Schema = {"type": ["null"]}
    if name in LISTS:
        found["type"] += ["array", "string"]
        found["items"] = holds
    if name in NAMED:
        found["type"] += ["object"]
        found |= {"propertyNames": {"pattern": r"^[^.]+$"}, "additionalProperties": holds}
    return found


def _tensor(kind: str) -> Schema:
    flag: Schema = {"type": "boolean"}
    known: Schema = {
        "shape": _reference("shape"),
        "fill": {"anyOf": [{"enum": list(FILLS)}, {"type": "number"}]},
        "low": {"type": "integer"},
        "high": {"type": "integer"},
        "values": {"type": ["array", "number", "boolean"]},
        "dtype": _reference("dtype"),
        "requires_grad": flag,
        "persistent": flag,
    }
    return {"anyOf": [_reference("shape"), _object({key: known[key] for key in KEYS[kind]}, ())]}


def _input() -> Schema:
    one = _reference("input")
    named: Schema = {"type": "object", "additionalProperties": one}
    return {
        "description": "The input to forward: one tensor, a list of tensors, or keywords.",
        "anyOf": [one, {"type": "array", "items": one}, named],
    }


def _rule() -> Schema:
    of_torch = sorted((each for each in TABLE if each.origin == TORCH), key=lambda each: each.name)
    known = (*of_torch, *(each for each in TABLE if each.origin != TORCH))
    filled = {each.name: _arguments(signature_of(each), each.main) for each in known}
    selector = {each.name: _type(each.parsed_type) for each in SELECTOR.arguments}
    return {"type": "object", "properties": {**selector, **filled}}


def _arguments(signature: Signature, main: str | None = None) -> Schema:
    """Return the forms that arguments take: by name, by position, one alone, or none.

    They are one schema and not alternatives, since a keyword such as ``properties`` only speaks of
    its own type: so an editor says which argument is wrong, and not that nothing fits.
    """
    required = _required(signature)
    named = {each.name: _type(each.parsed_type) for each in signature.arguments}
    found = {"description": str(signature), **_object(named, [each.name for each in required])}
    types = ["object"]
    positional = signature.positional
    if not any(each.keyword_only for each in required):
        types.append("array")
        found |= _positional([each.parsed_type for each in positional], len(required))
    first = signature.argument(main) if main else next(iter(positional), None)
    if first is not None and not any(each is not first for each in required):
        scalars = (_scalar_type(each) for each in first.parsed_type.alternatives)
        types += dict.fromkeys(each for each in scalars if each and each != "null")
    if not required:
        types.append("null")
    return {**found, "type": types}


def _required(signature: Signature) -> list[Argument]:
    return [each for each in signature.arguments if each.required]


def _scalar_type(kind: Alternative) -> str | None:
    if isinstance(kind, Literal):
        return "string"
    if isinstance(kind, Atom):
        return {"module": "string", "dtype": "string"}.get(kind.name) or _PLAIN.get(kind.name, {}).get("type")
    return None


def _positional(types: list[Union], fewest: int) -> Schema:
    if not types:
        return {"type": "array", "maxItems": 0}
    return {
        "type": "array",
        "items": [_type(each) for each in types],
        "additionalItems": False,
        "minItems": fewest,
    }


def _type(kind: Union) -> Schema:
    forms = [_alternative(each) for each in kind.alternatives]
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _alternative(kind: Alternative) -> Schema:
    if isinstance(kind, Literal):
        return {"const": kind.word}
    if isinstance(kind, ListOf):
        return {"type": "array", "items": _type(kind.item)}
    if isinstance(kind, Atom):
        return _reference(kind.name) if kind.name in _REFERENCES else dict(_PLAIN[kind.name])
    return _positional(list(kind.items), len(kind.items))


def _object(properties: Schema, required: Iterable[str]) -> Schema:
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    names = list(required)
    return {**found, "required": names} if names else found


def _reference(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _described(schema: Schema, description: str) -> Schema:
    return {"description": description, "allOf": [schema]}
