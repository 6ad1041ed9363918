"""The commands: one file each, imported when it is the one that is typed."""
