"""Files of tensors: their layout, reading what strangers wrote, and writing our own.  No torch."""
