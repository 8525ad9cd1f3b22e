"""``[stats]``: the HTTP endpoint.

- :mod:`~sockd.stats.service`: binds and stops the endpoint
- :mod:`~sockd.stats.routes`: the paths and their answers
- :mod:`~sockd.stats.listings`, :mod:`~sockd.stats.slices`: long tables and JSON, a slice at a time
- :mod:`~sockd.stats.captures`: ``/capture`` and ``/capture/live``
- :mod:`~sockd.stats.document`: the live page; its files are in ``page/``
- :mod:`~sockd.stats.http`, :mod:`~sockd.stats.events`, :mod:`~sockd.stats.metrics`: HTTP itself,
  ``/events`` and ``/metrics``
"""
