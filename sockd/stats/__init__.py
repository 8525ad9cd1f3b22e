"""``[stats]``: the HTTP endpoint.

- :mod:`~sockd.stats.service`: binds and stops the endpoint
- :mod:`~sockd.stats.routes`: the paths and their answers
- :mod:`~sockd.stats.listings`, :mod:`~sockd.stats.slices`: long tables and JSON, in slices
- :mod:`~sockd.stats.captures`: ``/capture`` and ``/capture.pcapng``
- :mod:`~sockd.stats.document`: the live page; its files are in ``page/``
- :mod:`~sockd.stats.http`, :mod:`~sockd.stats.events`, :mod:`~sockd.stats.metrics`: the HTTP
  server, ``/events`` and ``/metrics``
"""
