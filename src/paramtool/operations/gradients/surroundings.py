"""What belongs to the process and not to a model: random generators, threads, defaults."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


@contextmanager
def same_surroundings(seed: int) -> Iterator[None]:
    """Leave the process as it is: a forward pass may draw numbers and turn torch's switches.

    torch's default generator, those of Python and NumPy, the number of threads, the default dtype and
    whether algorithms are deterministic are put back.

    What a person has compiled runs as it was written: compiled operations are seen by no mode, and the
    modes of a pass would have it compiled anew.

    Args:
        seed: of Python's and NumPy's generators in the block, as of layers that are dropped by chance.
    """
    drawn = random.getstate()
    numpy = sys.modules.get("numpy.random")
    drawn_numpy = numpy.get_state() if numpy else None
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    strict = torch.get_deterministic_debug_mode()
    random.seed(seed)
    if numpy:
        numpy.seed(seed % 2**32)
    compiled = "torch._dynamo" in sys.modules
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.compiler.set_stance("force_eager") if compiled else nullcontext(),
        ):
            yield
    finally:
        random.setstate(drawn)
        if numpy:
            numpy.set_state(drawn_numpy)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        if torch.get_deterministic_debug_mode() != strict:
            torch.set_deterministic_debug_mode(strict)
