"""The server's mutable state: sessions, sockets, rooms, queues, deadlines.

No sockets, threads or clock of its own: the backend that is handed in gives
the time, a lock and a place to run handlers; the drivers of the backends bring
the bytes and take the bytes away. Everything here that changes is guarded by
one lock, :attr:`.engine.Engine.lock`, held for short moments and never while a
user's code runs.

- :mod:`.message`: what is sent, with its cached wire forms.
- :mod:`.outbox`: the bounded send queue of a session.
- :mod:`.session`: one Engine.IO session and its transport.
- :mod:`.engine`: all sessions; requests in, replies out. :mod:`.handle`: for who may forget it.
- :mod:`.inbox`: a client's handlers, run in order; :mod:`.async_turns`: the coroutine functions among them.
- :mod:`.client`: one session's Socket.IO client and its sockets.
- :mod:`.handling`, :mod:`.async_handling`: what packets set off; plain and coroutine functions.
- :mod:`.server`: Socket.IO on top of the engine.
- :mod:`.raw`: messages without Socket.IO, on top of the same engine.
- :mod:`.dispatcher`: which handler an event has.
- :mod:`.drain`: the end, as clients see it.
- :mod:`.acks`, :mod:`.heartbeat`, :mod:`.logs`: as they say.
"""
