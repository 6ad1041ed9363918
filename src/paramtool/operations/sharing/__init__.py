"""Find which names are one tensor, and which tensors overlap."""
