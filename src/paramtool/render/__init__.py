"""From a Report to text in any format.  No torch, no terminal but the Screen it is told of."""
