"""The chat's own tests."""

from unittest.mock import patch

import flask_socketio
import pytest

from chat import create_app, socketio


@pytest.fixture
def client():
    client = socketio.test_client(create_app(testing=True), auth={"name": "ada"})
    yield client
    if client.is_connected():
        client.disconnect()


def test_types(client):
    assert isinstance(client, flask_socketio.SocketIOTestClient), f"{flask_socketio.__name__} has it"


def test_welcome(client):
    [event] = client.get_received()
    assert event["name"] == "welcome"
    assert event["args"][0]["name"] == "ada"


def test_refused():
    assert not socketio.test_client(create_app(testing=True)).is_connected()


def test_message(client):
    client.get_received()
    client.send("hello")
    assert client.get_received() == [{"name": "message", "args": "ada: hello", "namespace": "/"}]


def test_ack(client):
    assert client.emit("add", 1, 2, callback=True) == 3


def test_announcement():
    app = create_app(testing=True)
    with patch("flask_socketio.SocketIO.emit") as emit:
        app.test_client().get("/announce/now")
    emit.assert_called_once_with("announcement", "now")
