"""What can go wrong, as a tree, so that a caller catches what she means.

    ParamtoolError          everything that this package raises for its user
    ├── CannotOpen          a MODEL, weights or a recipe is missing, unreadable or malformed
    │   └── BrokenSpec      … with every error of a spec, each at its place
    ├── DoesNotMatch        names, shapes or dtypes do not fit
    │   ├── DoesNotLoad     … those of weights and the model that they are for
    │   └── NothingMatched  … a pattern or selection finds nothing
    │       └── RuleMatchedNothing … one of a rule of init or convert: exit status 1
    ├── UserCodeFailed      a constructor, a forward, a hook or a plugin raised
    ├── BadArgument         an argument of a function makes no sense; also a ValueError
    ├── CannotAnswer        this kind of model has no answer: a snapshot has no values
    │   └── NoValues        … nor has this tensor: it is quantized, or compressed in its file
    ├── Problems            several errors at once, in `errors`
    │   └── Unmet           … expectations that do not hold: exit status 1
    └── Bug                 this package found itself wrong: exit status 3

Each has `message` (one line), `place` (file, line and column, or None), `hint` (what to do, or None) and
`status` (the exit status of the command line).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from typing_extensions import Self

    from paramtool.place import Place

Hint: TypeAlias = "str | Callable[[], str | None] | None"
"""What to try instead, or what finds it when it is read: a file may hold 100,000 errors, and 50 are shown."""


class ParamtoolError(Exception):
    """Say what is wrong, where, and how to fix it.

    Args:
        message: one line, without a full stop.
        place: the place in a file or option that the message is about.
        hint: what to try instead, one line.
    """

    status = 2
    """The exit status that the command line ends with."""

    def __init__(self, message: str, place: Place | None = None, hint: Hint = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self._hint = hint
        self.mend: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    @property
    def hint(self) -> str | None:
        return self._hint() if callable(self._hint) else self._hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what is set, not what the constructor was given: a hint may still have to be found."""
        return _without_constructor, (type(self), self.args), {**self.__dict__, "_hint": self.hint}

    def set_hint(self, hint: str) -> None:
        """Put another hint in place of its own."""
        self._hint = hint

    def mended(self, typed: str | Sequence[str], meant: str | Sequence[str]) -> Self:
        """Return the error itself, with the words that work in place of those that were typed.

        The command line shows the whole line to type in place of the hint.
        """
        self.mend = tuple((each,) if isinstance(each, str) else tuple(each) for each in (typed, meant))  # type: ignore[assignment]
        return self

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        hint = self.hint
        return f"{where}error: {self.message}{f'; {hint}' if hint else ''}"


def _without_constructor(kind: type[ParamtoolError], arguments: tuple[Any, ...]) -> ParamtoolError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    return error


class Problems(ParamtoolError):
    """Carry every error of one file, in the order of their places."""

    def __init__(self, errors: Iterable[ParamtoolError]) -> None:
        self.errors = sorted(errors, key=_position)
        super().__init__(self.errors[0].message, self.errors[0].place, lambda: self.errors[0].hint)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class CannotOpen(ParamtoolError):
    """Say that what was named is not there, or cannot be read."""


class SeveralFiles(CannotOpen):
    """Say that a folder has several files, of which one must be named.

    Attributes:
        paths: those that may be meant, none of which reads as an option.
    """

    def __init__(self, message: str, paths: Sequence[str], hint: Hint = None) -> None:
        self.paths = [f"./{each}" if each.startswith("-") else each for each in paths]
        super().__init__(message, hint=hint or f"name one, e.g. {self.paths[0]}")


class BrokenSpec(Problems, CannotOpen):
    """Carry every error of a spec or recipe."""


class DoesNotMatch(ParamtoolError):
    """Say that two things do not fit together."""


class DoesNotLoad(Problems, DoesNotMatch):
    """Carry every name, shape and dtype in which a checkpoint and a model disagree."""


class NothingMatched(DoesNotMatch):
    """Say that a selection is empty: what was asked for is not there, so there is no answer."""


class RuleMatchedNothing(NothingMatched):
    """Say that a rule of `init` or `convert` applies to nothing: the answer is no."""

    status = 1


class Unmet(Problems):
    """Carry everything that was expected and is not so: the answer is no, nothing is wrong."""

    status = 1


class UserCodeFailed(ParamtoolError):
    """Say that code which the user named raised: a constructor, a forward, a plugin.

    Args:
        module: the path of the module whose code it is; None if that is unknown.
    """

    def __init__(
        self, message: str, place: Place | None = None, hint: Hint = None, module: str | None = None
    ) -> None:
        super().__init__(message, place, hint)
        self.module = module


class BadArgument(ParamtoolError, ValueError):
    """Say that an argument makes no sense, before anything runs."""


class CannotAnswer(ParamtoolError):
    """Say that a model of this kind has no answer, and which one would."""


class NoValues(CannotAnswer):
    """Say that the elements of a tensor cannot be read; those of others may be."""


class Bug(ParamtoolError):
    """Say that this tool found itself wrong."""

    status = 3


def first_line(error: object) -> str:
    """Return the first line of a message of torch's, which may go on with a C++ backtrace."""
    lines = [line.strip() for line in text_of(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def text_of(error: object) -> str:
    """Return the message of somebody else's error, or nothing where even that raises."""
    try:
        if isinstance(error, ParamtoolError):
            return error.message
        return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    except BaseException:
        return ""


def told(error: BaseException) -> str:
    """Return what somebody else's code raised, on one line: ``ValueError: no such size``."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


def shorten(text: str, width: int = 60) -> str:
    """Cut untrusted text for a message, which has one line."""
    text = text.replace("\n", r"\n")
    return text if len(text) <= width else text[: width - 1] + "…"


def _position(error: ParamtoolError) -> tuple[int, int]:
    return (error.place.line, error.place.column) if error.place else (0, 0)
