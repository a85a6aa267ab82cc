"""Engine.IO v4: packets, payloads, requests, and the state machine of a session.

- :mod:`.packet`, :mod:`.payload`: the wire forms on a websocket and in long-polling.
- :mod:`.request`: what a request's query must say.
- :mod:`.transitions`, :mod:`.session`: a session's life as a table, and what follows from it.
"""
