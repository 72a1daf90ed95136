"""The same requirements resolved at many dates, by the real uv; every answer is remembered. See docs/cone.md."""
