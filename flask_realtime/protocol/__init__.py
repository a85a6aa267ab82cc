"""The wire protocols, without input or output.

Bytes go in; events and bytes come out. Nothing here opens a socket, starts a
thread, reads a clock or knows Flask: time is an argument (``now``) and a
deadline is a return value. Each subpackage stands on the standard library and
msgspec alone.

- :mod:`.websocket`: RFC 6455 and RFC 7692, the server's side.
- :mod:`.engineio`: Engine.IO v4: packets, payloads, requests, the session.
- :mod:`.socketio`: Socket.IO v5: packets, their encoder and decoder.
"""
