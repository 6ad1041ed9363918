"""Initialize by rules: plan, then act, in memory or straight to disk."""
