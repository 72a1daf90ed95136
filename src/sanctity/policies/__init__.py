"""Policies and waivers as text: ``[tool.sanctity]`` and ``waivers/ID.toml`` in, a `Policy` and its `Waiver` values out."""
