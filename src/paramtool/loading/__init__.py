"""Would it load?  What ``load_state_dict(strict=True)`` answers, without torch where that is certain.

    state_dict     what is loaded: names, shapes and versions, but no elements
    prediction     the answer for modules that load by torch's own code alone
    prefix         what the names of two state_dicts differ by, and the names without it
    answer         what torch says: missing and unexpected keys, sizes, other errors

``network.load_answer`` asks torch itself where a module has hooks, extra state or loading code of its own.
Both give an `Answer`; ``operations.comparison.load_verdict`` puts it in words.
"""
