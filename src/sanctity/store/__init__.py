"""Hands that keep: the stat cache. Bytes go in and come out; what they mean is the callers' business."""
