"""The marked blocks of a page: which there are, and how they are filled. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.transcripts.sameness import essence

_BLOCK = re.compile(
    r"^(?P<head><!-- transcript: (?P<name>[\w-]+) -->\n```console\n)(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def blocks(page: str) -> dict[str, str]:
    """Return the text of each marked block, in the order of the page."""
    return {found["name"]: found["text"] for found in _BLOCK.finditer(page)}


def settled(shown: Mapping[str, str], played: Mapping[str, str]) -> dict[str, str]:
    """Return what pages are to show: of what says the same as before, the text that is there."""
    return {
        name: shown[name] if essence(shown.get(name, "")) == essence(text) else text
        for name, text in played.items()
    }


def filled(page: str, texts: Mapping[str, str]) -> str:
    """Return the page with these texts in its blocks.

    :raise KeyError: if there is none for a block.
    """
    return _BLOCK.sub(lambda found: f"{found['head']}{texts[found['name']]}```", page)
