"""The PROXY protocol, receiving side, as HAProxy's ``proxy-protocol.txt`` defines it. Pure.

- :mod:`~sockd.proxy.header`: the addresses of a header
- :mod:`~sockd.proxy.v1`, :mod:`~sockd.proxy.v2`: the two versions
- :mod:`~sockd.proxy.reader`: reads a header from the start of a stream
"""
