"""List what a model has: parameters, buffers and plain tensors, of a module, a checkpoint or a snapshot."""
