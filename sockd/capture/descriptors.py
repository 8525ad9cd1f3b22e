"""The number of descriptors of the capture. Pure."""

from __future__ import annotations

CAPTURE_DESCRIPTORS = 32
"""The pipes of the child process, and the files."""
