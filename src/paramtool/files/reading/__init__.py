"""The door for checkpoints: read strictly, element by element, with no code run.  No torch."""
