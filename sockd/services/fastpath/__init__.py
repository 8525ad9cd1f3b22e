"""The fast path: plain TCP echoed without a turn of the reactor for each message.

- :mod:`~sockd.services.fastpath.fastpath`: the connections on the fast path
- :mod:`~sockd.services.fastpath.connection`: one connection that may use it
- :mod:`~sockd.services.fastpath.echoer`: the interface of echoers, and the portable one
- :mod:`~sockd.services.fastpath.adaptive`: chooses the echoer according to the traffic
- :mod:`~sockd.services.fastpath.ring`: two system calls for many messages, with io_uring(7)
- :mod:`~sockd.services.fastpath.splice`: large messages without a copy, with splice(2)
- :mod:`~sockd.services.fastpath.io_uring`: the system calls of io_uring(7)
"""
