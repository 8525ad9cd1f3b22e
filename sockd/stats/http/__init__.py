"""The HTTP server of the stats endpoint.

- :mod:`~sockd.stats.http.target`, :mod:`~sockd.stats.http.query`,
  :mod:`~sockd.stats.http.formats`: the request target, its parameters, the requested format
- :mod:`~sockd.stats.http.hosts`, :mod:`~sockd.stats.http.guard`: the accepted ``Host`` names, and
  the check of each request
- :mod:`~sockd.stats.http.answers`: status, headers and body of an answer
- :mod:`~sockd.stats.http.delivery`: sends an answer as fast as its client reads
- :mod:`~sockd.stats.http.stall`: disconnects clients that read nothing
- :mod:`~sockd.stats.http.site`: the connections, by twisted.web
"""
