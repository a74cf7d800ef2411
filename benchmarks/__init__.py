"""Measures isomor beside its peers: `make bench`, or `python -m benchmarks --help`."""


class BenchmarkError(Exception):
    """Nothing can be measured; the text says why, and what to do."""
