"""The extensions, without an application: the factory binds them, other modules import them from here."""

from __future__ import annotations

from flask_realtime import SocketIO

# A file of 900 kB (MAX_FILE) is 1.2 MB over long-polling, where binary travels as base64: allow for that.
socketio = SocketIO(max_http_buffer_size=1_500_000)
