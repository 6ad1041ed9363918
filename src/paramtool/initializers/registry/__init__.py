"""Which initializers there are, known without importing torch or any of them."""
