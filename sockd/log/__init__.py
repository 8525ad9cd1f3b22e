"""The log, as people read it.

- :mod:`~sockd.log.messages`: the line of each event
- :mod:`~sockd.log.rate_limiter`: bounds the lines of a burst, and sums the rest up
- :mod:`~sockd.log.event_logger`: writes the events of the ledger
- :mod:`~sockd.log.banner`: the lines at the start that say what to type
- :mod:`~sockd.log.lesson`: the guided tour ``lesson()``
"""
