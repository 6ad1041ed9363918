"""Scripts of the repository, which are not installed."""
