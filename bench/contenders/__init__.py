"""The servers that sockd is measured against, each the usual few lines of its kind.

They are run as programs, with the port as their only word, and listen on 127.0.0.1.
"""
