"""Attacks on the whole: hostile environments looked at through the command line, and a fuzzer."""
