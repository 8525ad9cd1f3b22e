"""Packet capture of the services' ports, by Wireshark's ``dumpcap``.

``dumpcap`` captures and writes to a pipe. Unless payload is wanted, sockd cuts each packet to its
headers. It limits the size and age of the files.

- :mod:`~sockd.capture.service`: the service, which follows the listeners
- :mod:`~sockd.capture.filters`: the capture filter for the listeners. Pure.
- :mod:`~sockd.capture.dumpcap`: the command line and the errors of ``dumpcap``
- :mod:`~sockd.capture.child`: the child process
- :mod:`~sockd.capture.recording`, :mod:`~sockd.capture.writer_thread`,
  :mod:`~sockd.capture.recorder`: capture to files
- :mod:`~sockd.capture.live`: live capture for a viewer
- :mod:`~sockd.capture.pcapng`, :mod:`~sockd.capture.headers`: the format, and packet headers. Pure.
"""
