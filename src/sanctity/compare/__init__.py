"""Two values in, their differences out: what is there against what was decided."""
