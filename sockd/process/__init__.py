"""The process: privileges, signals, descriptors, state directory, log file and service manager.

- :mod:`~sockd.process.state`: the state directory
- :mod:`~sockd.process.descriptors`: the number of descriptors that a configuration needs
- :mod:`~sockd.process.privileges`: warnings and refusals for root
- :mod:`~sockd.process.signals`, :mod:`~sockd.process.hangup`: signal handlers
- :mod:`~sockd.process.log_file`, :mod:`~sockd.process.log_encoding`: the log of twistd
- :mod:`~sockd.process.memory`: the garbage collector
- :mod:`~sockd.process.startup_stderr`: standard error as it was at the start
- :mod:`~sockd.process.systemd`: sd_notify(3)
"""
