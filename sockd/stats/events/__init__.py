"""``/events``: server-sent events.

- :mod:`~sockd.stats.events.sse`: the frames of the stream
- :mod:`~sockd.stats.events.batcher`: events of the ledger as frames, with bursts summed up
- :mod:`~sockd.stats.events.buffer`: the newest frames, for subscribers that come back
- :mod:`~sockd.stats.events.subscriber`: one client of the stream
- :mod:`~sockd.stats.events.sampler`: the counters of all services, once a second
- :mod:`~sockd.stats.events.stream`: the resource that answers ``/events``
"""
