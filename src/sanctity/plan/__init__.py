"""A comparison in, a plan out: values that say what would be done, and do nothing."""
