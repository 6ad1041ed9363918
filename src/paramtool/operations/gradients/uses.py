"""Split the gradient of every parameter into what each use of it added.

A function mode (`paramtool.operations.gradients.views`) gives every operation that takes a parameter a
fresh view of it.  What flows back into that view is what this use added, and nothing else; the sum over
the views is the parameter's gradient, since each of them hands on what it got.  Operations that no mode
sees, such as a custom ``autograd.Function``, are found in the graph: their nodes hand a gradient straight
to the parameter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils.hooks import RemovableHandle

from paramtool.operations.gradients import graph
from paramtool.operations.gradients.attributes import is_hooked
from paramtool.operations.gradients.calls import Call, Calls
from paramtool.operations.gradients.fold import LARGE, Fold, Room
from paramtool.operations.gradients.function_mode import answers_itself
from paramtool.operations.gradients.measure import Measure


@dataclass
class Use:
    """One call of an operation that takes a parameter.

    Attributes:
        parameter: the parameter.
        call: of the innermost module that was running.
        operation: torch's name.
        gradient: what the use added; None if nothing came back, and of a parameter's only use,
            which added all there is.
        measure: what is left of a gradient that was measured and let go.
    """

    parameter: nn.Parameter
    call: Call
    operation: str
    gradient: Tensor | None = None
    measure: Measure | None = None


@dataclass
class _Found:
    """A use, its view (None if no mode sees it), when it was, and whether the backward pass ran it.

    Attributes:
        node: of the view, when the operation had run; torch gives the view another one where the
            parameter is written afterwards, as by the next call of an embedding with ``max_norm``.
    """

    use: Use
    view: Tensor | None
    sequence: int
    late: bool = False
    node: Node | None = None
    is_hooked: bool = False

    def keep(self) -> None:
        """Keep with the use what the backward pass hands to its view."""
        if self.view is None or self.node is None or self.is_hooked:
            return
        if self.view.grad_fn is self.node:
            self.view.retain_grad()
        else:
            self.is_hooked = True
            self.node.register_prehook(_catcher(self.use))


class Uses:
    """The uses of parameters in one forward and backward pass.

    Args:
        parameters: those that require grad.
        calls: knows which module is running.
        every: keep the gradient of a parameter's only use as well; else only of one of several.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], calls: Calls, every: bool = False) -> None:
        self._parameters = {id(each): each for each in parameters}
        self.viewed = {id(each): each for each in parameters if _has_views(each)}
        """Those whose operations take a view; of a class that answers for itself there may be none."""
        self.foreign = False
        """Whether code of the model's own may run in the backward pass, and do what it likes there."""
        self.watched = every
        """Whether a parameter's only use keeps its gradient as well: known before the backward pass."""
        self._calls = calls
        self._every = every
        self.folds: list[Fold] = []
        """The large parameters whose uses are measured and let go during the pass."""
        self._room = Room(parameters)
        self._handles: list[RemovableHandle] = []
        self._found: list[_Found] = []
        self._ours: set[Node] = set()
        self._prepared = 0
        self._late = False

    def prepare(self, loss: Tensor) -> None:
        """Make the backward pass of `loss`, which is next, leave with each use what it added."""
        self._late = True
        self.prepare_roots([loss], is_last=True)
        self.watched = self._every or self.foreign

    def prepare_roots(self, roots: Sequence[Tensor], is_last: bool = False) -> None:
        """Make any backward pass that adds to the gradients leave with each use what it added."""
        nodes = graph.nodes(roots)
        # a function of Python, such as a checkpoint, may run a part of the forward pass again
        self.foreign |= not self._late or any(graph.is_python(node) for node in nodes)
        self._find_unseen(nodes)
        more = self._every or self.foreign
        counts = Counter(id(each.use.parameter) for each in self._found)
        if is_last and not more:
            self._fold()
        folded = {id(each.parameter) for each in self.folds}
        for each in self._found:
            if id(each.use.parameter) in folded:
                continue
            if more or counts[id(each.use.parameter)] > 1:
                each.keep()

    def collect(self) -> list[Use]:
        """Return the uses in the order of the forward pass, and let the graph go."""
        for each in self._found:
            if each.view is not None and each.view.retains_grad:
                each.use.gradient = each.view.grad
        for handle in self._handles:
            handle.remove()
        self.folds = [each for each in self.folds if each.whole is not None]
        for fold in self.folds:
            fold.hand_on()
        # a checkpoint runs operations again to have their inputs, and hands no gradient to the copies
        found = [each for each in self._found if not each.late or each.use.gradient is not None]
        uses = [each.use for each in sorted(found, key=lambda each: each.sequence)]
        self._found, self._ours, self._prepared, self._late = [], set(), 0, False
        return uses

    def add(self, operation: str, parameter: nn.Parameter, view: Tensor) -> None:
        """Note one use."""
        assert view.grad_fn is not None
        use = Use(parameter, self._calls.current, operation)
        self._found.append(_Found(use, view, view.grad_fn._sequence_nr(), self._late, view.grad_fn))

    def _fold(self) -> None:
        """Have the uses of large parameters measured as they come.

        A hook of the parameter's own may write into a gradient that is only referred to.
        """
        found: dict[int, list[_Found]] = {}
        for each in self._found:
            if each.use.parameter.numel() >= LARGE:
                found.setdefault(id(each.use.parameter), []).append(each)
        for those in found.values():
            parameter, nodes = those[0].use.parameter, [each.node for each in those]
            adding = _adding(parameter, nodes)
            if len(those) < 2 or adding is None or is_hooked(parameter):
                continue
            fold = Fold(parameter, [each.use for each in those], self._room)
            for index, node in enumerate(nodes):
                if node is not None:
                    self._handles.append(node.register_prehook(fold.taker(index)))
            self._handles.append(adding.register_hook(fold.close))
            self.folds.append(fold)

    def _find_unseen(self, nodes: Sequence[Node]) -> None:
        """Watch the nodes that hand a gradient straight to a parameter and are not views of ours."""
        for each in self._found[self._prepared :]:
            self._ours.update(graph.down_from(each.node))
        for node in nodes:
            if node in self._ours:
                continue
            for index, (following, _) in enumerate(node.next_functions):
                parameter = self._parameters.get(id(getattr(following, "variable", None)))
                if parameter is not None:
                    use = Use(parameter, self._calls.at(node._sequence_nr()), graph.operation(node))
                    node.register_hook(_keeper(use, index))
                    self._found.append(_Found(use, None, node._sequence_nr()))
                    self._ours.add(node)
        self._prepared = len(self._found)


def _adding(parameter: nn.Parameter, nodes: Sequence[Node | None]) -> Node | None:
    """Return the node that adds to the parameter's gradient, if the nodes of all views hand theirs to it."""
    found = None
    for node in nodes:
        following = node.next_functions[0][0] if node is not None and node.next_functions else None
        if following is None or getattr(following, "variable", None) is not parameter:
            return None
        found = following
    return found


def _has_views(parameter: nn.Parameter) -> bool:
    kind = type(parameter)
    if parameter.is_inference():  # a view of it is not differentiable
        return False
    return not answers_itself(kind) and kind.__torch_dispatch__ is Tensor.__torch_dispatch__


def _keeper(use: Use, index: int) -> Callable[..., None]:
    """Return the hook of a node that keeps what it hands to its edge number `index`."""

    def keep(given: Sequence[Tensor | None], _: object) -> None:
        _add(use, given[index])

    return keep


def _catcher(use: Use) -> Callable[[Sequence[Tensor | None]], None]:
    """Return the hook before a node that keeps what it gets; without the node, which would hold itself."""

    def catch(given: Sequence[Tensor | None]) -> None:
        _add(use, given[0])

    return catch


def _add(use: Use, gradient: Tensor | None) -> None:
    use.gradient = gradient if use.gradient is None or gradient is None else use.gradient + gradient
