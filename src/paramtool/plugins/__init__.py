"""Code from outside: what installed distributions offer, and Python files that a person names."""
