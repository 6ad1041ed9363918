"""What ``import paramtool`` offers: the commands as functions."""
