"""The log lines that sockd writes.

- :mod:`~sockd.log.messages`: the message of each event
- :mod:`~sockd.log.rate_limiter`: limits the number of lines, and sums up the rest
- :mod:`~sockd.log.event_logger`: logs the events of the ledger
- :mod:`~sockd.log.banner`: the client commands that are logged at the start
- :mod:`~sockd.log.lesson`: the guided tour ``lesson()``
"""
