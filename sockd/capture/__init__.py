"""What is on the wire, by Wireshark's own ``dumpcap``: the services' ports and nothing else.

``dumpcap`` captures and writes to a pipe; sockd cuts each packet down to its headers where that is
asked for, and keeps the files within their bounds.
"""
