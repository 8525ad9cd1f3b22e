"""Says hello to the simple TCP server and prints what it says."""

import socket

HOST = "127.0.0.1"
PORT = 65432

with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
    client.connect((HOST, PORT))
    client.sendall(b"Hello, world")
    data = client.recv(1024)

print("Received", repr(data))
