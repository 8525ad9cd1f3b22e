"""``reply =``: what a service answers. Bytes in, bytes out; no reactor and no socket. Pure.

- :mod:`~sockd.replies.echo`: the bytes that were received
- :mod:`~sockd.replies.upper`: the same in upper case
"""
