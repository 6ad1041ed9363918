"""How large a spec may be: checked before anything is built, since specs are untrusted input."""

MAX_BYTES = 1 << 20
"""Bytes of a spec file."""

MAX_NODES = 150_000
"""YAML nodes written in a file."""

MAX_EXPANDED_NODES = 200_000
"""YAML nodes after every alias is followed; an alias bomb is far above."""

MAX_DEPTH = 100
"""Nesting of YAML nodes, and of modules; torch's own recursion ends near 900."""

MAX_MODULES = 1 << 17
"""Modules, counted once for every name they go by."""

MAX_RECURRENT_LAYERS = 1_000
"""Layers of one RNN, LSTM or GRU: torch takes quadratic time for them."""

MAX_INTEGER = 2**63 - 1
"""Largest integer that torch takes."""
