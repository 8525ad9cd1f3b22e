"""The error of the benchmark."""


class BenchError(Exception):
    """A measurement failed; the text says why."""
