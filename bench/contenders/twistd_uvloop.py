"""``twistd`` on uvloop: asyncio's reactor with uvloop's event loop.

It installs the reactor itself, as ``--reactor=asyncio`` would create asyncio's own loop.
"""

from __future__ import annotations

import uvloop
from twisted.internet import asyncioreactor
from twisted.scripts.twistd import run

if __name__ == "__main__":
    asyncioreactor.install(uvloop.new_event_loop())
    run()
