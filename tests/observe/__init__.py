"""Tests of the hands that look at an environment."""
