"""Sends each typed line to the simple UDP server and prints what comes back."""

import socket
import sys

ADDRESS = ("localhost", 65431)

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    for line in sys.stdin:
        client.sendto(line.encode(), ADDRESS)
        answer, server = client.recvfrom(1024)
        print(answer.decode(), flush=True)
