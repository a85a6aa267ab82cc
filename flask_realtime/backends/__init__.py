"""Where waiting happens: threads, loops, sockets.

- :mod:`.loop`: the loop that owns the client sockets of a process.
- :mod:`.connections`: what the loop does with a websocket and with a waiting poll.
- :mod:`.takeover`: how a connection is taken from the WSGI server.
- :mod:`.threads`: the backend of plain threads.
- :mod:`.memory`: a backend on a virtual clock, for tests and the test client.
"""
