"""Check a model against its expectations."""
