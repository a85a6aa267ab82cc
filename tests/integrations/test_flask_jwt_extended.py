"""Flask-JWT-Extended: tokens in the auth payload, a header, a cookie or the query string."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from flask import Flask, request, session
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    current_user,
    decode_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    set_access_cookies,
    verify_jwt_in_request,
)
from flask_jwt_extended.exceptions import JWTExtendedException
from integrations.conftest import Connect, RealClient, Style, documented
from jwt import PyJWTError

from flask_realtime import EventRefusedError, SocketIO

USERS = {"ada": "Ada Lovelace", "bob": "Bob"}


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["JWT_SECRET_KEY"] = "only for tests, and long enough for SHA-256"
    app.config["JWT_TOKEN_LOCATION"] = ["headers", "cookies", "query_string"]
    jwt = JWTManager(app)
    jwt.user_lookup_loader(lambda header, claims: USERS.get(claims["sub"]))
    return app


@pytest.fixture
def token(app: Flask) -> str:
    with app.app_context():
        return create_access_token("ada", additional_claims={"role": "admin"})


@pytest.fixture
def expired_token(app: Flask) -> str:
    with app.app_context():
        return create_access_token(
            "ada", expires_delta=datetime.timedelta(seconds=-1), additional_claims={"role": "admin"}
        )


@pytest.fixture(autouse=True)
def handlers(socketio: SocketIO, style: Style) -> None:
    recipe = documented("jwt", socketio=socketio)["connect"]
    socketio.on_event("connect", style(recipe))

    @socketio.on("who")
    @style
    def who() -> list[Any]:
        verify_jwt_in_request()
        return [get_jwt_identity(), str(current_user), get_jwt()["role"]]


ADA = ["ada", "Ada Lovelace", "admin"]


def test_in_the_auth_payload(connect: Connect, token: str) -> None:
    client = connect(auth={"token": token})
    assert [client.emit("who", callback=True) for _ in range(2)] == [ADA, ADA]


def test_each_client_has_its_own_token(app: Flask, connect: Connect, token: str) -> None:
    with app.app_context():
        bobs = create_access_token("bob", additional_claims={"role": "guest"})
        nobodys = create_access_token("nobody")
    one, two = connect(auth={"token": token}), connect(auth={"token": bobs})
    assert two.emit("who", callback=True) == ["bob", "Bob", "guest"]
    assert one.emit("who", callback=True) == ADA
    refusal = {"message": "invalid token", "data": "user_lookup returned None for nobody"}
    assert connect(auth={"token": nobodys}).refusals == {"/": refusal}


def test_in_a_header(connect: Connect, token: str) -> None:
    assert connect(headers={"Authorization": f"Bearer {token}"}).emit("who", callback=True) == ADA


def test_in_the_query_string(connect: Connect, token: str) -> None:
    assert connect(query_string=f"jwt={token}").emit("who", callback=True) == ADA


def test_in_a_cookie(app: Flask, connect: Connect, token: str) -> None:
    @app.route("/login")
    def login() -> Any:
        response = app.response_class()
        set_access_cookies(response, token)
        return response

    http = app.test_client()
    http.get("/login")
    assert connect(flask_test_client=http).emit("who", callback=True) == ADA


@pytest.mark.parametrize("location", ["auth", "header", "query", "cookie"])
def test_of_a_real_client(url: str, token: str, location: str) -> None:
    options: dict[str, Any] = {
        "auth": {"auth": {"token": token}},
        "header": {"headers": {"Authorization": f"Bearer {token}"}},
        "query": {"jwt": token},
        "cookie": {"headers": {"Cookie": f"access_token_cookie={token}"}},
    }[location]
    with RealClient(url, **options) as client:
        assert client.call("who") == ADA


def test_an_expired_token_refuses_the_client(
    url: str, expired_token: str, caplog: pytest.LogCaptureFixture
) -> None:
    with RealClient(url, auth={"token": expired_token}) as client:
        assert client.refusal == {"message": "invalid token", "data": "Signature has expired"}
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("auth", [None, {}, {"token": "nonsense"}, {"token": ""}])
def test_no_token_refuses_the_client(connect: Connect, auth: Any) -> None:
    assert connect(auth=auth).refusals["/"]["message"] == "invalid token"


def test_a_token_that_expires_meanwhile(app: Flask, connect: Connect, expired_token: str) -> None:
    """Each event looks at it anew."""
    app.config["JWT_DECODE_LEEWAY"] = 3600  # seconds
    client = connect(auth={"token": expired_token})
    assert client.emit("who", callback=True) == ADA
    app.config["JWT_DECODE_LEEWAY"] = 0
    with pytest.raises(PyJWTError, match="expired"):
        client.emit("who")


def test_in_a_hook(socketio: SocketIO, connect: Connect, token: str, style: Style) -> None:
    """For all events at once."""

    @socketio.before_event
    @style
    def verify() -> None:
        if request.event["message"] != "connect":  # type: ignore[attr-defined]
            verify_jwt_in_request()

    socketio.on_event("role", style(lambda: get_jwt()["role"]))
    assert connect(auth={"token": token}).emit("role", callback=True) == "admin"


def test_only_at_connect(socketio: SocketIO, connect: Connect, token: str, style: Style) -> None:
    """The other recipe: the identity is kept in the connection's session, and its end is not looked at."""

    @socketio.on("connect", namespace="/kept")
    @style
    def connected(auth: dict[str, str]) -> None:
        session["identity"] = decode_token(auth["token"])["sub"]

    socketio.on_event("who", style(lambda: session["identity"]), namespace="/kept")
    client = connect("/kept", auth={"token": token})
    assert client.emit("who", callback=True, namespace="/kept") == "ada"


def test_their_decorator(socketio: SocketIO, connect: Connect, token: str, style: Style) -> None:
    @socketio.on("decorated")
    @jwt_required()
    @style
    def decorated() -> str:
        return str(get_jwt_identity())

    assert connect(auth={"token": token}).emit("decorated", callback=True) == "ada"


def test_error_handlers(
    app: Flask, socketio: SocketIO, connect: Connect, token: str, expired_token: str, style: Style
) -> None:
    """Flask's error handlers are for requests: an event's errors go to the event's."""

    @socketio.on_error_default
    @style
    def failed(error: Exception) -> None:
        if isinstance(error, (JWTExtendedException, PyJWTError)):
            raise EventRefusedError("invalid token")
        raise error

    @socketio.on("fresh")
    @style
    def fresh() -> None:
        verify_jwt_in_request(fresh=True)

    answer = connect(auth={"token": token}).emit("fresh", callback=True)
    assert answer == {"error": {"message": "invalid token"}}
