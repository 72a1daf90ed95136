"""The canonical content of a distribution: one rule for what is installed and for a wheel that never was."""
