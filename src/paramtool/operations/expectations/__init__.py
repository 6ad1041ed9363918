"""Hold a model to what is expected of it."""
