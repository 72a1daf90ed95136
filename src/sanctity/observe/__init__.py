"""Hands that look: at site-packages, bytecode, the start-up surface and the interpreter. Nothing looked at is ever run."""
