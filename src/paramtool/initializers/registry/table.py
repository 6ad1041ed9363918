"""The table of our own initializers: everything that is known of each without running it.

The language reads the arguments here, the command line its options, and the registry where the
function is.  The order is that of the options in ``paramtool init --help``.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from paramtool.plugins import source
from paramtool.plugins.offer import UNINSTALL

TORCH = "torch.nn.init"
OWN = "paramtool"

_FUNCTIONS = "paramtool.initializers.functions"


@dataclass(frozen=True)
class Option:
    """The option that an initializer has on the command line.

    Attributes:
        metavar: its value; empty if it takes none.
        help: one line.
        optional: whether the value may be left out.
    """

    metavar: str
    help: str
    optional: bool = False


@dataclass(frozen=True)
class BuiltIn:
    """One of our own initializers.

    Attributes:
        name: as rules write it.
        arguments: in order, as in the catalogue of torch's signatures: ``std: float = 1.0``.
        function: where it is, ``module:attribute``.
        origin: whose it is, `TORCH` or `OWN`.
        main: the argument that a lone number stands for where it is not the first: ``normal: 0.01``
            is a std.
        option: None if only ``--with`` gives it.
    """

    name: str
    arguments: tuple[str, ...]
    function: str
    origin: str
    main: str | None = None
    option: Option | None = None

    owner = OWN
    remedy = UNINSTALL
    typed = ""

    @property
    def value(self) -> str:
        return self.function

    @property
    def flag(self) -> str:
        """The option as typed: ``--trunc-normal``."""
        return "--" + self.name.replace("_", "-")

    def definition(self) -> ast.FunctionDef | None:
        """Return the function as its source has it."""
        module, _, attribute = self.function.partition(":")
        return source.of_spec(find_spec(module), attribute)

    def load(self) -> object:
        """Import the function, and torch with it."""
        module, _, attribute = self.function.partition(":")
        return getattr(import_module(module), attribute)


def _torch(
    name: str, *arguments: str, module: str = "elementwise", main: str | None = None, option: Option
) -> BuiltIn:
    return BuiltIn(name, arguments, f"{_FUNCTIONS}.{module}:{name}", TORCH, main, option)


def _own(name: str, *arguments: str, module: str = "elementwise", option: Option | None = None) -> BuiltIn:
    return BuiltIn(name, arguments, f"{_FUNCTIONS}.{module}:{name}", OWN, None, option)


_KAIMING = (
    "a: float = 0",
    "mode: 'fan_in' | 'fan_out' = 'fan_in'",
    "nonlinearity: 'linear' | 'conv1d' | 'conv2d' | 'conv3d' | 'conv_transpose1d' | 'conv_transpose2d'"
    " | 'conv_transpose3d' | 'sigmoid' | 'tanh' | 'relu' | 'leaky_relu' | 'selu' = 'leaky_relu'",
)

TABLE = (
    _torch(
        "normal", "mean: float = 0.0", "std: float = 1.0",
        main="std", option=Option("STD", "N(0, STD²); or MEAN,STD."),
    ),
    _torch("uniform", "a: float = 0.0", "b: float = 1.0", option=Option("LOW,HIGH", "U(LOW, HIGH).")),
    _torch(
        "trunc_normal", "mean: float = 0.0", "std: float = 1.0", "a: float = -2.0", "b: float = 2.0",
        main="std", option=Option("STD", "N(0, STD²) within [-2, 2]; or MEAN,STD,LOW,HIGH."),
    ),
    _torch("constant", "val: float", option=Option("VALUE", "VALUE everywhere.")),
    _torch("zeros", option=Option("", "0 everywhere.")),
    _torch("ones", option=Option("", "1 everywhere.")),
    _torch("eye", module="whole", option=Option("", "The identity matrix.")),
    _torch(
        "dirac", "groups: int = 1",
        module="whole", option=Option("[GROUPS]", "A convolution that passes its input through.", True),
    ),
    _torch(
        "xavier_uniform", "gain: float = 1.0",
        option=Option("[GAIN]", "Glorot and Bengio 2010, uniform.", True),
    ),
    _torch(
        "xavier_normal", "gain: float = 1.0",
        option=Option("[GAIN]", "Glorot and Bengio 2010, normal.", True),
    ),
    _torch(
        "kaiming_uniform", *_KAIMING,
        option=Option("[A]", "He et al. 2015, uniform; A: slope of a leaky ReLU.", True),
    ),
    _torch(
        "kaiming_normal", *_KAIMING,
        option=Option("[A]", "He et al. 2015, normal; A: slope of a leaky ReLU.", True),
    ),
    _torch(
        "orthogonal", "gain: float = 1",
        module="whole", option=Option("[GAIN]", "A (semi-)orthogonal matrix.", True),
    ),
    _torch(
        "sparse", "sparsity: float", "std: float = 0.01",
        module="whole",
        option=Option("SPARSITY", "N(0, 0.01²) with a part of each column set to 0; or SPARSITY,STD."),
    ),
    _own("add", "value: float", option=Option("VALUE", "Add VALUE to the present values.")),
    _own("mul", "value: float", option=Option("VALUE", "Multiply the present values by VALUE.")),
    _own(
        "clamp", "min: float | None = None", "max: float | None = None",
        option=Option("MIN,MAX", "Clamp the present values to [MIN, MAX]."),
    ),
    _own(
        "put", "index: int | [int]", "value: float",
        module="indexed", option=Option("INDEX=VALUE", "Set an element, e.g. 0,0=42, or a row, e.g. 0=42."),
    ),
    _own("copy", "file: str", "name: str = '{name}'", module="copying"),
)  # fmt: skip

RANDOM = frozenset(
    ("normal", "uniform", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal",
     "orthogonal", "sparse")
)  # fmt: skip
"""Initializers that no infinite argument makes sense for; trunc_normal may be without a bound."""

BUILT_IN = {each.name: each for each in TABLE}
