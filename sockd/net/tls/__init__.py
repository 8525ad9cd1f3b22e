"""TLS endpoints and their certificates.

- :mod:`~sockd.net.tls.tls_endpoint`: ``ssl:`` and ``tls:`` endpoints, and their renewal
- :mod:`~sockd.net.tls.certificates`: the certificates of an endpoint
- :mod:`~sockd.net.tls.identity`: a private key with its certificate chain
- :mod:`~sockd.net.tls.pem_folder`: the folder of a ``tls:`` endpoint
- :mod:`~sockd.net.tls.pem`: PEM files
"""
