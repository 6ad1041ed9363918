"""The functions that fill a tensor in place.  These import torch."""
