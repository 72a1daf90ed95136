"""Any result in, text out: one module a format, imported by whoever asks for that format."""
