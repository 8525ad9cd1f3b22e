"""``/events``: server-sent events.

- :mod:`~sockd.stats.events.sse`: the format of events
- :mod:`~sockd.stats.events.buffer`: the newest events, for clients that reconnect
- :mod:`~sockd.stats.events.batcher`: encodes events, and summarizes bursts
- :mod:`~sockd.stats.events.sampler`: the counters of all services, once a second
- :mod:`~sockd.stats.events.subscriber`: one client of the stream
- :mod:`~sockd.stats.events.stream`: the resource that answers ``/events``
"""
