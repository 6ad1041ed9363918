"""The door for files that are written: each is there whole, or what was there before is.  No torch."""
