"""Says one line to the server for many clients and prints what it says, up to its end."""

import socket
import sys

HOST = "127.0.0.1"
PORT = 65433

with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
    client.connect((HOST, PORT))
    print("Connected", flush=True)
    client.sendall(sys.stdin.readline().encode())
    while data := client.recv(1024):
        print("Received", repr(data))
print("The server has closed")
