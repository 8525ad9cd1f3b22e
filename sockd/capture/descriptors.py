"""How many descriptors the capture may have open. Pure."""

from __future__ import annotations

CAPTURE_DESCRIPTORS = 32
"""The pipes of the capturing child, and the files."""
