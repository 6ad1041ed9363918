"""What hypothesis draws: small modules in which much is shared."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from torch import nn

LEAVES: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU,
    lambda: nn.Linear(1, 2),
    lambda: nn.Linear(2, 1, bias=False),
    lambda: nn.BatchNorm1d(2),
    lambda: nn.PReLU(3),
    lambda: nn.Embedding(2, 1),
)


@st.composite
def trees(draw: st.DrawFn) -> nn.Module:
    """Draw nested containers in which a module, or only its weight, is now and then an earlier one's."""
    pool: list[nn.Module] = []

    def leaf() -> nn.Module:
        made = draw(st.sampled_from(LEAVES))()
        weights = [each.weight for each in pool if isinstance(each, nn.Linear)]
        if isinstance(made, nn.Linear) and weights and draw(st.booleans()):
            made.weight = draw(st.sampled_from(weights))
        return made

    def grow(depth: int) -> nn.Module:
        if pool and draw(st.integers(0, 3)) == 0:
            return draw(st.sampled_from(pool))
        if depth == 0 or draw(st.integers(0, 2)) == 0:
            made = leaf()
        else:
            children = [grow(depth - 1) for _ in range(draw(st.integers(0, 4)))]
            is_list = draw(st.booleans())
            made = nn.Sequential(*children) if is_list else nn.ModuleDict(_named(children))
        made.requires_grad_(draw(st.booleans()))
        pool.append(made)
        return made

    return grow(3)


def _named(children: list[nn.Module]) -> dict[str, nn.Module]:
    return {f"block{index}": child for index, child in enumerate(children)}
