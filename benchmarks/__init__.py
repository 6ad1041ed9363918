"""How fast paramtool is, as ratios against the plain thing in the same run: ``make bench``."""
