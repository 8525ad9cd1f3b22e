"""``twistd`` on uvloop: asyncio's reactor, with uvloop's loop in it.

``--reactor=asyncio`` makes asyncio's own loop; a reactor that is there already stays.
"""

from __future__ import annotations

import uvloop
from twisted.internet import asyncioreactor
from twisted.scripts.twistd import run

if __name__ == "__main__":
    asyncioreactor.install(uvloop.new_event_loop())
    run()
