"""The PROXY protocol, receiving: who a balancer says that it speaks for. Pure.

Both versions are as HAProxy's ``proxy-protocol.txt`` has them.
"""
