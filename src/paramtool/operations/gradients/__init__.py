"""Run forward and backward, and split each gradient into what each use of a parameter added."""
