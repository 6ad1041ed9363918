"""What a rule fills tensors with.

registry/     which initializers there are: our own in one table, and those of plugins; no torch
functions/    what each of our own does to a tensor
"""
