"""A command run in a private place under other surroundings, and what it wrote there. See docs/prove.md."""
