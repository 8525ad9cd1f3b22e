"""The live page as one document, assembled at the first request.

It contains everything, so it needs no other request, no other host, and no build step. The
Content-Security-Policy allows one style sheet and one script by their hashes, so the browser never
runs anything else, whatever a name or an address contains.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType

from sockd.stats.http.answers import Answer
from sockd.stats.http.formats import VARY

HTML_TYPE = "text/html"

SCRIPTS = (
    "words.js",
    "model.js",
    "elements.js",
    "picture.js",
    "services.js",
    "table.js",
    "plots.js",
    "log.js",
    "details.js",
    "stream.js",
    "main.js",
)
"""The parts of the script, in the order of their dependencies."""

_CONTENT_TYPE = f"{HTML_TYPE}; charset=utf-8"
_STYLE_PLACE = "<style></style>"
_SCRIPT_PLACE = '<script type="module"></script>'


class LivePage:
    """The page for browsers."""

    def answer(self) -> Answer:
        """Return the page and its headers."""
        return Answer(
            self._document.encode("utf-8"), content_type=_CONTENT_TYPE, headers=self._headers
        )

    @cached_property
    def _style(self) -> str:
        return _part("page.css")

    @cached_property
    def _script(self) -> str:
        return "\n".join(map(_part, SCRIPTS))

    @cached_property
    def _document(self) -> str:
        page = _part("index.html")
        page = page.replace(_STYLE_PLACE, f"<style>{self._style}</style>")
        return page.replace(_SCRIPT_PLACE, f'<script type="module">{self._script}</script>')

    @cached_property
    def _headers(self) -> Mapping[str, str]:
        policy = (
            "default-src 'none'",
            "connect-src 'self'",
            f"script-src '{_hash(self._script)}'",
            f"style-src '{_hash(self._style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
        return MappingProxyType(
            {
                "Content-Security-Policy": "; ".join(policy),
                "Cross-Origin-Opener-Policy": "same-origin",
                "Referrer-Policy": "no-referrer",
                **VARY,
            }
        )


def _part(name: str) -> str:
    return (files("sockd.stats") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source expression for an inline element (CSP 3, section 2.3.1)."""
    return f"sha256-{b64encode(sha256(text.encode('utf-8')).digest()).decode('ascii')}"
