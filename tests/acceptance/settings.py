"""The environments that the apps of ``tests/apps`` are started with."""

from __future__ import annotations

Settings = dict[str, str]

#: Heartbeats of the official Engine.IO and Socket.IO suites.
OFFICIAL: Settings = {
    "APP_PING_INTERVAL": "0.3",
    "APP_PING_TIMEOUT": "0.2",
    "APP_MAX_BUFFER": "1000000",
    "APP_CORS": "*",
    "APP_CONNECT_TIMEOUT": "1",
}
#: For the JavaScript Engine.IO client: as many pings, and time to answer them where the machine is busy.
ENGINE_CLIENT: Settings = {**OFFICIAL, "APP_PING_TIMEOUT": "5"}
#: The official ones without a heartbeat that gets in the way of a test about something else.
CALM: Settings = {
    **OFFICIAL,
    "APP_PING_INTERVAL": "25",
    "APP_PING_TIMEOUT": "20",
    "APP_CONNECT_TIMEOUT": "45",
}
#: For the Python and Node clients.
CLIENTS: Settings = {
    "APP_PING_INTERVAL": "2",
    "APP_PING_TIMEOUT": "2",
    "APP_MAX_BUFFER": "5000000",
    "APP_CORS": "*",
}
CLIENTS_MSGPACK: Settings = {**CLIENTS, "APP_SERIALIZER": "msgpack"}
HOSTILE: Settings = {
    "APP_PING_INTERVAL": "2",
    "APP_PING_TIMEOUT": "2",
    "APP_MAX_BUFFER": "100000",
    "APP_CORS": "http://good.example",
}
