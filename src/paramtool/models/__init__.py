"""What MODEL may be, and the opened model that answers for itself."""
