"""The lab: its steps on small packages made for the occasion, and on the real ones; its index; how it ends; how it is told."""
