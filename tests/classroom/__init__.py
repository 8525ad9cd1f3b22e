"""The class's clients, as students write them: sockets, fixed ports, no error handling."""
