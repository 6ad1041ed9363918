"""Files of tensors: their layout, reading untrusted files, and writing our own.  No torch."""
