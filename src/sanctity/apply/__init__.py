"""Hands that change things: they carry out a plan, say what they did, and stop at the first step that fails."""
