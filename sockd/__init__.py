"""A network test daemon: TCP, UDP and multi-connection echo that shows who is connected."""

__version__ = "0.1.0"
