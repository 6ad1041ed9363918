"""Elements in blocks, wherever they are, and statistics over them."""
