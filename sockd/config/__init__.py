"""From the text of an INI file to frozen specifications, with every error in its line.

Pure: nothing here opens a socket or knows a reactor.
"""
