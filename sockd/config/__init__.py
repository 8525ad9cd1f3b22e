"""INI text to frozen values, with every error and its line. Pure.

- :mod:`~sockd.config.ini`: the syntax, with line numbers
- :mod:`~sockd.config.values`: durations, sizes, rates, numbers and names
- :mod:`~sockd.config.endpoint`: endpoint strings
- :mod:`~sockd.config.occupied`: collisions between endpoints
- :mod:`~sockd.config.options`: the options of one section
- :mod:`~sockd.config.limits`, :mod:`~sockd.config.proxy`: the limits, and the trusted balancers
- :mod:`~sockd.config.specs`: the values that a configuration consists of
- :mod:`~sockd.config.load`: from a file to the values
"""
