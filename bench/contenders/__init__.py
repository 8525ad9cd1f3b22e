"""The servers that sockd is compared with, each written in the usual few lines.

They are programs with the port as their only argument, and listen on 127.0.0.1.
"""
