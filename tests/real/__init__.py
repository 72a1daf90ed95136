"""Real environments, made by the real tools, for the end-to-end tests to stand on."""
