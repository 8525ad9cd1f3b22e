"""``/metrics``: OpenMetrics and Prometheus text.

- :mod:`~sockd.stats.metrics.histograms`: histograms of the duration and size of connections
- :mod:`~sockd.stats.metrics.loop_lag`: measures the lag of the event loop
- :mod:`~sockd.stats.metrics.exposition`: the metrics, encoded by prometheus_client
- :mod:`~sockd.stats.metrics.scrape`: the resource that answers ``/metrics``
"""
