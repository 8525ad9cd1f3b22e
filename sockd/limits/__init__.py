"""Access lists, connection limits and rate limits. Pure: time and addresses are passed in.

- :mod:`~sockd.limits.spec`: the limits of a service
- :mod:`~sockd.limits.access`: ``allow`` and ``deny``
- :mod:`~sockd.limits.sources`: sources, and tables of sources
- :mod:`~sockd.limits.buckets`: rate limits and token buckets
- :mod:`~sockd.limits.admission`: the admission of stream clients
- :mod:`~sockd.limits.budget`: the rate limits of datagrams and bytes
- :mod:`~sockd.limits.reflection`: UDP anti-reflection rules
- :mod:`~sockd.limits.datagram_policy`: the admission of datagrams
- :mod:`~sockd.limits.terms`: the limits as text, for the log
"""
