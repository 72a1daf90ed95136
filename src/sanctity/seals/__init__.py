"""Seals as text: a document in, a `Seal` out, and back again; and what an environment's look becomes in one."""
