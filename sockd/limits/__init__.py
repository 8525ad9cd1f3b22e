"""Who may connect, and how much. Pure: time and addresses are passed in.

- :mod:`~sockd.limits.access`: ``allow`` and ``deny``
- :mod:`~sockd.limits.sources`: what counts as one source, and tables of sources
- :mod:`~sockd.limits.buckets`: rate limits and token buckets
- :mod:`~sockd.limits.admission`: whether a stream client is accepted
- :mod:`~sockd.limits.budget`: how many datagrams and bytes are answered
- :mod:`~sockd.limits.reflection`: UDP anti-reflection rules
- :mod:`~sockd.limits.datagram_policy`: whether a datagram is answered
- :mod:`~sockd.limits.terms`: the limits in the words of the file, for the log
"""
