"""Look at, initialize and compare the parameters of PyTorch networks."""
