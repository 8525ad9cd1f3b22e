"""``/metrics``: OpenMetrics and Prometheus text.

- :mod:`~sockd.stats.metrics.histograms`: durations and sizes of connections in buckets
- :mod:`~sockd.stats.metrics.loop_lag`: how late the reactor comes
- :mod:`~sockd.stats.metrics.exposition`: the metrics, written by prometheus_client
- :mod:`~sockd.stats.metrics.scrape`: the resource that answers ``/metrics``
"""
