"""Compare two models: names, shapes, ties and elements."""
