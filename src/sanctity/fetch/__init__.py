"""Artifacts from where they are offered: files, caches of pip and uv, and indexes; each checked by its hash first."""
