"""Read a whole spec: the top-level keys, every error of the file in one run."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass, field

from paramtool.errors import Hint, ParamtoolError, Problems, shorten
from paramtool.language.catalog import Catalog
from paramtool.language.dtype_words import suggest_dtype
from paramtool.language.expectations import read_expectations
from paramtool.language.modules import ModuleReader
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence, describe
from paramtool.language.overrides import Override
from paramtool.language.rules import read_rules
from paramtool.language.tensors import KEYS as TENSOR_KEYS
from paramtool.language.tensors import read_tensor
from paramtool.language.tree import TensorNode, Tree
from paramtool.language.tree_size import check_size
from paramtool.language.yaml_reader import read
from paramtool.patterns import compile_pattern
from paramtool.place import Place, Text
from paramtool.records.expectation import Expectation
from paramtool.records.gradient import LossFunction
from paramtool.records.rule import Rule
from paramtool.suggestion import suggest

KEYS = ("model", "define", "tie", "dtype", "seed", "freeze", "input", "loss", "init", "expect")
_KNOWN = f"use one of {', '.join(KEYS)}"
LOSSES = tuple(each.value for each in LossFunction)


@dataclass(frozen=True)
class Word:
    """A word of the spec, and where it stands."""

    text: str
    place: Place


@dataclass(frozen=True)
class Tie:
    """Make the parameter `name` the one called `target`."""

    name: Word
    target: Word


@dataclass(frozen=True)
class Inputs:
    """What the forward pass is called with."""

    positional: tuple[TensorNode, ...] = ()
    named: ReadOnly[str, TensorNode] = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """What a model.yaml says."""

    text: Text
    model: Tree
    ties: tuple[Tie, ...] = ()
    dtype: str | None = None
    seed: int = 0
    freeze: tuple[Word, ...] = ()
    inputs: Inputs | None = None
    loss: str | None = None
    rules: tuple[Rule, ...] = ()
    expectations: tuple[Expectation, ...] = ()

    @property
    def name(self) -> str:
        """What the model is called: the path of the file."""
        return self.text.name


def read_spec(text: Text, catalog: Catalog, overrides: tuple[Override, ...] = ()) -> Spec:
    """Return the spec that `text` writes, with `overrides` set in it.

    Nothing that it names is imported, built or opened.

    Raises:
        Problems: with everything that is wrong.
    """
    root = read(text)
    for override in overrides:
        root = override.apply(root)
    return _Document(root, catalog).read()


class _Document:
    def __init__(self, root: Node, catalog: Catalog) -> None:
        self._root = root
        self._catalog = catalog
        self._problems: list[ParamtoolError] = []

    def read(self) -> Spec:
        given = self._top_level()
        model = self._model(given)
        readers: dict[str, Callable[[Node], object]] = {
            "tie": self._ties,
            "dtype": self._dtype,
            "seed": self._seed,
            "freeze": self._freeze,
            "input": self._inputs,
            "loss": self._loss,
            "init": lambda node: read_rules(node, self._catalog, self._problems),
            "expect": lambda node: read_expectations(node, self._catalog, self._problems),
        }
        fields = {"tie": "ties", "input": "inputs", "init": "rules", "expect": "expectations"}
        values = {fields.get(key, key): read(given[key]) for key, read in readers.items() if key in given}
        if self._problems:
            raise Problems(self._problems)
        assert model is not None
        return Spec(self._root.text, model, **values)  # type: ignore[arg-type]

    def _top_level(self) -> dict[str, Node]:
        root = self._root
        if not isinstance(root, Mapping):
            raise Problems(
                [
                    ParamtoolError(
                        f"a spec must be a mapping, got {describe(root)}",
                        root.place,
                        "start it with 'model:'",
                    )
                ]
            )
        for key, _ in root.entries:
            if key.raw not in KEYS:
                is_class = key.raw[:1].isupper()
                hint = "modules go below 'model:'" if is_class else suggest(key.raw, KEYS, _KNOWN)
                self._problems.append(ParamtoolError(f"unknown key '{shorten(key.raw)}'", key.place, hint))
        given = {key.raw: value for key, value in root.entries}
        if "model" not in given:
            self._problems.append(
                ParamtoolError("the spec lacks 'model'", root.place, "e.g. model: {Linear: [4, 3]}")
            )
        return given

    def _model(self, given: dict[str, Node]) -> Tree | None:
        defines = given.get("define")
        if defines is not None and not isinstance(defines, Mapping):
            self._complain(
                f"'define' must be a mapping of names to modules, got {describe(defines)}", defines
            )
            defines = None
        reader = ModuleReader(self._catalog, defines)
        model = reader.module(given["model"]) if "model" in given else None
        reader.read_defines()
        self._problems.extend(reader.problems)
        if model is not None and not self._problems:
            try:
                check_size(model)
            except ParamtoolError as error:
                self._problems.append(error)
        return model

    def _complain(self, message: str, node: Node, hint: Hint = None) -> None:
        self._problems.append(ParamtoolError(message, node.place, hint))

    def _word(self, node: Node, what: str) -> Word:
        if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
            self._complain(f"{what} must be a string, got {describe(node)}", node)
            return Word("", node.place)
        return Word(node.raw, node.place)  # as written: names are often numbers

    def _ties(self, node: Node) -> tuple[Tie, ...]:
        if not isinstance(node, Mapping):
            self._complain(
                f"'tie' must be a mapping of names, got {describe(node)}",
                node,
                "e.g. {head.weight: embed.weight}",
            )
            return ()
        return tuple(
            Tie(Word(key.raw, key.place), self._word(value, "the name of a parameter"))
            for key, value in node.entries
        )

    def _dtype(self, node: Node) -> str | None:
        known = self._catalog.float_dtypes
        word = node.value if isinstance(node, Scalar) else None
        if isinstance(word, str) and word in known:
            return word
        hint = suggest_dtype(word, known) if isinstance(word, str) else None
        self._complain(f"'dtype' must be one of {', '.join(known)}, got {describe(node)}", node, hint)
        return None

    def _seed(self, node: Node) -> int:
        value = node.value if isinstance(node, Scalar) else None
        if type(value) is int and value >= 0:
            return value
        self._complain(f"'seed' must be an int of 0 or more, got {describe(node)}", node)
        return 0

    def _freeze(self, node: Node) -> tuple[Word, ...]:
        items = node.items if isinstance(node, Sequence) else [node]
        patterns = tuple(self._word(item, "a pattern") for item in items)
        for pattern in patterns:
            try:
                compile_pattern(pattern.text, pattern.place)
            except ParamtoolError as error:
                self._problems.append(error)
        return patterns

    def _inputs(self, node: Node) -> Inputs:
        if isinstance(node, Sequence) and not all(isinstance(item, Scalar) for item in node.items):
            return Inputs(tuple(tensor for item in node.items if (tensor := self._input(item))))
        is_one = isinstance(node, Mapping) and any(key.raw in TENSOR_KEYS["input"] for key, _ in node.entries)
        if isinstance(node, Mapping) and not is_one:
            named = {key.raw: self._input(value) for key, value in node.entries}
            return Inputs((), {key: tensor for key, tensor in named.items() if tensor})
        tensor = self._input(node)
        return Inputs((tensor,) if tensor else ())

    def _input(self, node: Node) -> TensorNode | None:
        try:
            return read_tensor("input", node, self._catalog.dtypes)
        except ParamtoolError as error:
            self._problems.append(error)
            return None

    def _loss(self, node: Node) -> str | None:
        word = self._word(node, "'loss'").text
        if word and word not in LOSSES:
            hint = suggest(word, LOSSES, f"use one of {', '.join(LOSSES)}")
            self._complain(f"unknown loss '{shorten(word)}'", node, hint)
        return word
