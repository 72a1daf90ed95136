"""Environments built again, offline and online, by uv and by pip, and what becomes of them when that is cut short."""
