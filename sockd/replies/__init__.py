"""The replies of services (``reply =``). Pure: they convert bytes to bytes.

- :mod:`~sockd.replies.echo`: the bytes that were received
- :mod:`~sockd.replies.upper`: the same in upper case
"""
