"""HTTP as the stats endpoint speaks it.

- :mod:`~sockd.stats.http.target`, :mod:`~sockd.stats.http.query`,
  :mod:`~sockd.stats.http.formats`: the request target, its parameters, the format asked for
- :mod:`~sockd.stats.http.hosts`, :mod:`~sockd.stats.http.guard`: the names in ``Host`` that are
  answered, and the requests that are refused
- :mod:`~sockd.stats.http.answers`: status, headers and body of an answer
- :mod:`~sockd.stats.http.delivery`: sends an answer as fast as its client reads
- :mod:`~sockd.stats.http.site`: the connections, by twisted.web
"""
