"""What stops a measurement."""


class BenchError(Exception):
    """It could not be measured; the text says why, for people."""
