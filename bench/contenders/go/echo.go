// An echo server on Go's net package: `echo tcp|udp PORT`.
package main

import (
	"log"
	"net"
	"os"
)

func echo(client net.Conn) {
	defer client.Close()
	buffer := make([]byte, 65536)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func serveStreams(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go echo(client)
	}
}

func serveDatagrams(address string) error {
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	socket := packets.(*net.UDPConn)
	buffer := make([]byte, 65536)
	for {
		n, peer, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return err
		}
		if _, err := socket.WriteToUDPAddrPort(buffer[:n], peer); err != nil {
			return err
		}
	}
}

func main() {
	serve := serveStreams
	if os.Args[1] == "udp" {
		serve = serveDatagrams
	}
	log.Fatal(serve("127.0.0.1:" + os.Args[2]))
}
