"""Options, app factories, and several apps with one extension object."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import Any

import pytest
from acceptance import wire
from extension.live import serve
from flask import Flask
from flask import json as flask_json
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from flask_realtime import EngineIO, SocketIO
from flask_realtime.exceptions import UnsupportedOptionError
from flask_realtime.protocol.socketio import JSONSerializer, MsgspecJSON


def new_app(name: str = "app", **config: object) -> Flask:
    app = Flask(name)
    app.config.update(config)
    return app


def config_of(app: Flask) -> Any:
    return app.extensions["realtime"].config


def handshake(app: Flask, path: str = "/socket.io/", **options: Any) -> dict[str, Any]:
    response = Client(app).get(f"{path}?EIO=4&transport=polling", **options)
    assert response.status_code == 200, response.text
    data: dict[str, Any] = json.loads(response.text[1:])
    return data


class TestFactories:
    def test_init_app_later(self) -> None:
        socketio = SocketIO()
        socketio.on_event("early", lambda: "early")
        app = new_app()
        socketio.init_app(app)
        socketio.on_event("late", lambda: "late")
        client = socketio.test_client(app)
        assert client.emit("early", callback=True) == "early"
        assert client.emit("late", callback=True) == "late"

    def test_what_it_leaves_on_the_app(self) -> None:
        app = new_app()
        socketio = SocketIO(app)
        assert app.extensions["socketio"] is socketio
        state = app.extensions["realtime"]
        assert state.server is socketio.current_server
        assert app.wsgi_app is state.middleware is socketio.sockio_mw

    def test_the_extension_object_keeps_no_app(self) -> None:
        app = new_app()
        assert app not in vars(SocketIO(app)).values()

    def test_attributes_of_flask_socketio(self) -> None:
        socketio = SocketIO()
        assert socketio.server is None
        assert socketio.wsgi_server is None
        assert socketio.handlers == socketio.namespace_handlers == []
        assert socketio.exception_handlers == socketio.server_options == {}
        assert socketio.default_exception_handler is None
        assert socketio.manage_session is True
        assert socketio.async_mode == "threading"

    def test_the_app_sees_all_other_requests(self) -> None:
        app = new_app()
        SocketIO(app)
        app.add_url_rule("/", view_func=lambda: "view", endpoint="view")
        app.add_url_rule("/socket.iox", view_func=lambda: "not ours", endpoint="other")
        assert Client(app).get("/").text == "view"
        assert Client(app).get("/socket.iox").text == "not ours"

    def test_environ_has_the_app(self) -> None:
        app = new_app()
        socketio = SocketIO(app)
        socketio.test_client(app)
        assert socketio.server is not None
        (environ,) = socketio.server.environ.values()
        assert environ["flask.app"] is app

    def test_an_app_without_it(self) -> None:
        with pytest.raises(RuntimeError, match="init_app"):
            SocketIO().test_client(new_app())


class TestSeveralApps:
    @pytest.fixture
    def apps(self) -> list[Flask]:
        return [new_app("one"), new_app("two")]

    @pytest.fixture
    def socketio(self, apps: list[Flask]) -> SocketIO:
        socketio = SocketIO()
        for app in apps:
            socketio.init_app(app)
        return socketio

    def test_handlers_reach_all(self, apps: list[Flask], socketio: SocketIO) -> None:
        from flask import current_app

        socketio.on_event("which", lambda: current_app.name)
        clients = [socketio.test_client(app) for app in apps]
        assert [client.emit("which", callback=True) for client in clients] == ["one", "two"]

    def test_clients_are_apart(self, apps: list[Flask], socketio: SocketIO) -> None:
        from flask_realtime import emit, join_room

        @socketio.on("shout")
        def shout() -> None:
            join_room("room")
            emit("by broadcast", broadcast=True)
            emit("by room", to="room")
            socketio.emit("by method")

        clients = [socketio.test_client(app) for app in apps]
        for shouting, silent in (clients, clients[::-1]):
            shouting.emit("shout")
            assert len(shouting.get_received()) == 3
            assert silent.get_received() == []

    def test_an_emit_goes_to_the_clients_of_the_current_app(
        self, apps: list[Flask], socketio: SocketIO
    ) -> None:
        clients = [socketio.test_client(app) for app in apps]
        with apps[0].app_context():
            socketio.emit("to one")
            assert socketio.stats()["sockets"] == 1
        socketio.emit("to the last")
        assert [[item["name"] for item in client.get_received()] for client in clients] == [
            ["to one"],
            ["to the last"],
        ]

    def test_an_emit_under_an_app_of_somebody_else(self, apps: list[Flask], socketio: SocketIO) -> None:
        other = new_app("other")
        SocketIO(other)
        client = socketio.test_client(apps[1])
        with other.app_context():
            socketio.emit("event")
        assert len(client.get_received()) == 1

    def test_options_neither_leak_nor_are_reset(self) -> None:
        socketio = SocketIO(ping_interval=7, path="sio")
        one, two, three = new_app(), new_app(), new_app()
        socketio.init_app(one, ping_timeout=3, path="one")
        socketio.init_app(two)
        socketio.init_app(three, ping_interval=9, json=flask_json, serializer="msgpack")
        assert [config_of(app).ping_interval for app in (one, two, three)] == [7, 7, 9]
        assert [config_of(app).ping_timeout for app in (one, two, three)] == [3, 20, 20]
        assert [config_of(app).path for app in (one, two, three)] == ["one", "sio", "sio"]
        assert isinstance(two.extensions["realtime"].server.serializer, JSONSerializer)
        assert socketio.server_options == {"ping_interval": 7, "path": "sio"}

    def test_manage_session_does_not_leak(self) -> None:
        from flask import session

        socketio = SocketIO()
        unmanaged, managed = new_app(SECRET_KEY="x"), new_app(SECRET_KEY="x")
        socketio.init_app(unmanaged, manage_session=False)
        socketio.init_app(managed)
        socketio.on_event("kind", lambda: type(session._get_current_object()).__name__)
        answers = [socketio.test_client(app).emit("kind", callback=True) for app in (unmanaged, managed)]
        assert answers[1] == "ManagedSession"
        assert answers[0] != "ManagedSession"

    def test_two_extension_objects(self) -> None:
        one, two = new_app(), new_app()
        socketios = [SocketIO(one), SocketIO(two)]
        for number, socketio in enumerate(socketios):
            socketio.on_event("which", lambda number=number: number)
        clients = [socketio.test_client(app) for socketio, app in zip(socketios, (one, two), strict=True)]
        assert [client.emit("which", callback=True) for client in clients] == [0, 1]
        socketios[0].emit("event")
        assert [len(client.get_received()) for client in clients] == [1, 0]


class TestWhereOptionsComeFrom:
    def test_constructor(self) -> None:
        app = new_app()
        SocketIO(app, ping_interval=7)
        assert config_of(app).ping_interval == 7

    def test_init_app_goes_first(self) -> None:
        app = new_app()
        SocketIO(ping_interval=7, ping_timeout=8).init_app(app, ping_interval=9)
        assert (config_of(app).ping_interval, config_of(app).ping_timeout) == (9, 8)

    def test_the_apps_config(self) -> None:
        app = new_app(
            SOCKETIO_PING_INTERVAL=7, SOCKETIO_CORS_ALLOWED_ORIGINS="*", SOCKETIO_PATH="from-config"
        )
        SocketIO(app)
        assert config_of(app).ping_interval == 7
        assert config_of(app).cors_allowed_origins == "*"
        assert handshake(app, "/from-config/")["pingInterval"] == 7000

    def test_arguments_go_before_the_config(self) -> None:
        app = new_app(SOCKETIO_PING_INTERVAL=7, SOCKETIO_PING_TIMEOUT=8)
        SocketIO(app, ping_interval=9)
        assert (config_of(app).ping_interval, config_of(app).ping_timeout) == (9, 8)

    def test_a_misspelt_key_of_the_config_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        SocketIO(new_app(SOCKETIO_PING_INTERVALL=7, SOCKETIO_MY_OWN="x"))
        assert "did you mean SOCKETIO_PING_INTERVAL?" in caplog.text
        assert "MY_OWN" not in caplog.text

    def test_the_config_is_checked_too(self) -> None:
        with pytest.raises(ValueError, match="ping_timeout"):
            SocketIO(new_app(SOCKETIO_PING_TIMEOUT=-1))


class TestWrongOptions:
    @pytest.mark.parametrize(
        ("wrong", "right"),
        [
            ("ping_intervall", "ping_interval"),
            ("cors_allowed_origin", "cors_allowed_origins"),
            ("max_http_buffersize", "max_http_buffer_size"),
            ("resources", "resource"),
            ("managed_session", "manage_session"),
        ],
    )
    def test_the_closest_is_named(self, wrong: str, right: str) -> None:
        with pytest.raises(TypeError, match=f"{wrong!r}; did you mean {right!r}"):
            SocketIO(**{wrong: 1})
        with pytest.raises(TypeError, match=right):
            SocketIO().init_app(new_app(), **{wrong: 1})

    def test_what_flask_socketio_ignores_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        app = new_app()
        ignored: dict[str, Any] = {
            "allow_unsafe_werkzeug": True,
            "binary": True,
            "debug": False,
            "engineio_options": {"ping_timeout": 1},
            "log_output": True,
            "max_decode_packets": 500,
            "use_reloader": False,
        }
        socketio = SocketIO(**ignored, ping_interval=7)
        assert not caplog.records
        socketio.init_app(app)
        assert (config_of(app).ping_interval, config_of(app).ping_timeout) == (7, 20)
        assert len(caplog.records) == len(ignored)
        for name in ignored:
            assert f"SocketIO({name}=...) has no effect" in caplog.text

    def test_nothing_is_close(self) -> None:
        with pytest.raises(TypeError, match=r"unknown option 'xyzzy'$"):
            SocketIO(xyzzy=1)

    def test_a_wrong_option_leaves_the_app_as_it_was(self) -> None:
        app = new_app()
        before = app.wsgi_app
        with pytest.raises(TypeError):
            SocketIO().init_app(app, xyzzy=1)
        assert app.wsgi_app == before
        assert "socketio" not in app.extensions

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("ping_interval", 0),
            ("ping_interval", -1),
            ("ping_interval", "25"),
            ("ping_interval", (1, 2, 3)),
            ("ping_timeout", 0),
            ("ping_timeout", True),
            ("max_http_buffer_size", 0),
            ("max_queued_bytes", -1),
            ("transports", "carrier pigeon"),
            ("transports", []),
            ("transports", ["polling", "sse"]),
            ("path", "/"),
            ("path", ""),
            ("serializer", "pickle"),
        ],
    )
    def test_values_that_make_no_sense(self, option: str, value: object) -> None:
        with pytest.raises(ValueError, match=option):
            SocketIO(new_app(), **{option: value})

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_numbers_that_are_none(self, value: float) -> None:
        with pytest.raises(ValueError, match="ping_interval"):
            SocketIO(new_app(), ping_interval=value)

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("message_queue", "carrier-pigeon://host"),
            ("message_queue", "redis"),
            ("client_manager", object()),
        ],
    )
    def test_what_is_not_supported_is_refused(self, option: str, value: object) -> None:
        with pytest.raises(UnsupportedOptionError, match=option):
            SocketIO(**{option: value})
        with pytest.raises(ValueError, match=option):
            SocketIO().init_app(new_app(), **{option: value})

    def test_the_engine_alone_has_no_message_queue(self) -> None:
        with pytest.raises(UnsupportedOptionError, match="message_queue"):
            EngineIO(message_queue="redis://")

    def test_none_is_the_default(self) -> None:
        app = new_app()
        names = "message_queue channel client_manager async_mode ping_interval path json cookie transports"
        SocketIO(app, **dict.fromkeys(names.split()))
        assert (config_of(app).ping_interval, config_of(app).path) == (25, "socket.io")


class TestOptions:
    """What each option does, as far as no other test shows it."""

    def test_defaults_of_the_handshake(self) -> None:
        app = new_app()
        SocketIO(app)
        opened = handshake(app)
        assert opened.pop("sid")
        # This client's server has no socket to give away, so it offers no upgrade.
        assert opened == {
            "upgrades": [],
            "pingInterval": 25_000,
            "pingTimeout": 20_000,
            "maxPayload": 1_000_000,
        }

    @pytest.mark.parametrize(
        ("interval", "announced"), [(0.5, 500), (1.2345, 1234), (3, 3000), ((2, 5), 2000), ([0.25, 0], 250)]
    )
    def test_ping_interval(self, interval: Any, announced: int) -> None:
        app = new_app()
        SocketIO(app, ping_interval=interval)
        assert handshake(app)["pingInterval"] == announced

    def test_ping_interval_with_grace(self) -> None:
        app = new_app()
        SocketIO(app, ping_interval=(2, 5), ping_timeout=3)
        config = config_of(app)
        assert (config.ping_interval, config.ping_interval_grace, config.ping_timeout) == (2, 5, 3)
        assert handshake(app)["pingTimeout"] == 3000

    def test_sizes_as_floats(self) -> None:
        app = new_app()
        SocketIO(app, max_http_buffer_size=1e8)
        response = Client(app).get("/socket.io/?EIO=4&transport=polling")
        assert '"maxPayload":100000000}' in response.text

    @pytest.mark.parametrize("name", ["path", "resource"])
    @pytest.mark.parametrize("value", ["chat/io", "/chat/io", "/chat/io/"])
    def test_path(self, name: str, value: str) -> None:
        app = new_app()
        socketio = SocketIO(app, **{name: value})
        assert handshake(app, "/chat/io/")["sid"]
        assert Client(app).get("/socket.io/?EIO=4&transport=polling").status_code == 404
        assert socketio.test_client(app).is_connected()

    @pytest.mark.parametrize(
        ("option", "accepted"),
        [
            (None, {"/"}),
            ([], set()),
            (["/a"], {"/a"}),
            ("/a", {"/a"}),
            ("*", {"/", "/a", "/b"}),
        ],
    )
    def test_namespaces(self, option: Any, accepted: set[str]) -> None:
        app = new_app()
        socketio = SocketIO(app, namespaces=option)
        socketio.on_event("event", print, "/with-handler")
        found = {ns for ns in ("/", "/a", "/b") if socketio.test_client(app, ns).is_connected(ns)}
        assert found == accepted
        assert socketio.test_client(app, "/with-handler").is_connected("/with-handler")

    def test_json_of_flask_keeps_to_the_apps_provider(self) -> None:
        from flask.json.provider import DefaultJSONProvider

        class Provider(DefaultJSONProvider):
            @staticmethod
            def default(value: object) -> str:
                return "special" if type(value) is object else DefaultJSONProvider.default(value)

        app = new_app()
        app.json = Provider(app)
        socketio = SocketIO(app, json=flask_json)
        client = socketio.test_client(app)
        socketio.emit("event", object())
        assert client.get_received()[0]["args"] == ["special"]

    def test_json_module(self) -> None:
        class Upper:
            @staticmethod
            def dumps(value: object, **options: Any) -> str:
                return json.dumps(value, **options).upper()

            loads = staticmethod(json.loads)

        app = new_app()
        socketio = SocketIO(app, json=Upper)
        client = socketio.test_client(app)
        socketio.emit("event", "text")
        assert client.get_received()[0] == {"name": "EVENT", "args": ["TEXT"], "namespace": "/"}

    def test_json_by_default(self) -> None:
        app = new_app()
        SocketIO(app)
        assert isinstance(app.extensions["realtime"].server.serializer._json, MsgspecJSON)

    def test_msgpack(self) -> None:
        app = new_app()
        socketio = SocketIO(app, serializer="msgpack")
        socketio.on_event("echo", lambda value: value)
        client = socketio.test_client(app)
        assert client.emit("echo", {"a": [1, b"binary"]}, callback=True) == {"a": [1, b"binary"]}

    def test_serializer_object(self) -> None:
        serializer = JSONSerializer(None, max_attachments=1, max_attachment_bytes=1)
        app = new_app()
        socketio = SocketIO(app, serializer=serializer)
        assert socketio.current_server.serializer is serializer

    def test_transports(self) -> None:
        app = new_app()
        SocketIO(app, transports=["websocket"])
        response = Client(app).get("/socket.io/?EIO=4&transport=polling")
        assert response.status_code == 400
        assert response.json == {"code": 0, "message": "Transport unknown"}

    @pytest.mark.parametrize(
        ("options", "upgrades"),
        [({}, ["websocket"]), ({"allow_upgrades": False}, []), ({"transports": ["polling"]}, [])],
    )
    def test_upgrades(self, options: dict[str, Any], upgrades: list[str]) -> None:
        app = new_app()
        SocketIO(app, **options)
        with serve(app) as url, wire.Polling(url) as polling:
            assert polling.handshake["upgrades"] == upgrades

    @pytest.mark.parametrize(
        ("option", "cookies"),
        [
            (None, None),
            ("sio", "sio={sid}; path=/; HttpOnly; SameSite=Lax"),
            (
                {"name": "sio", "Secure": True, "HttpOnly": False, "path": lambda: "/x"},
                "sio={sid}; Secure; path=/x",
            ),
        ],
    )
    def test_cookie(self, option: Any, cookies: str | None) -> None:
        app = new_app()
        SocketIO(app, cookie=option)
        response = Client(app, use_cookies=False).get("/socket.io/?EIO=4&transport=polling")
        sid = json.loads(response.text[1:])["sid"]
        assert response.headers.get("Set-Cookie") == (cookies and cookies.format(sid=sid))

    def test_http_compression(self) -> None:
        for options, encoding in (
            ({"compression_threshold": 10}, "gzip"),
            ({"compression_threshold": 10, "http_compression": False}, None),
            ({}, None),
        ):
            app = new_app()
            SocketIO(app, **options)
            response = Client(app).get(
                "/socket.io/?EIO=4&transport=polling", headers={"Accept-Encoding": "gzip"}
            )
            assert response.headers.get("Content-Encoding") == encoding

    def test_logger(self, caplog: pytest.LogCaptureFixture) -> None:
        logger = logging.getLogger("tests.realtime")
        app = new_app()
        socketio = SocketIO(app, logger=logger)
        assert socketio.current_server.logger is logger
        Client(app).get("/socket.io/?EIO=3&transport=polling")
        # The line is written by a thread of its own.
        wire.wait_until(lambda: caplog.records, what="a line in the log")
        assert [record.name for record in caplog.records] == ["tests.realtime"]

    def test_always_connect_is_accepted(self) -> None:
        for always in (True, False):
            app = new_app()
            socketio = SocketIO(app, always_connect=always)
            socketio.on_event("connect", partial(socketio.emit, "welcome"))
            assert len(socketio.test_client(app).get_received()) == 1


class TestOrigins:
    @pytest.mark.parametrize(
        ("allowed", "accepted"),
        [
            (None, {"http://localhost"}),
            ("http://good.example", {"http://good.example"}),
            (["http://good.example", "https://localhost"], {"http://good.example"}),
            *((anybody, {"http://localhost", "http://good.example", "null"}) for anybody in ("*", ["*"], [])),
        ],
    )
    @pytest.mark.parametrize("origin", ["http://localhost", "http://good.example", "null"])
    def test_who_may_connect(self, allowed: Any, accepted: set[str], origin: str) -> None:
        app = new_app()
        SocketIO(app, cors_allowed_origins=allowed)
        response = Client(app).get("/socket.io/?EIO=4&transport=polling", headers={"Origin": origin})
        assert response.status_code == (200 if origin in accepted else 403)
        if response.status_code == 403:
            assert origin in response.json["message"]
            assert "Access-Control-Allow-Origin" not in response.headers

    def test_functions(self) -> None:
        for function in (
            lambda origin: origin.endswith("good.example"),
            lambda origin, environ: origin.endswith("good.example") and environ["REQUEST_METHOD"] == "GET",
        ):
            app = new_app()
            SocketIO(app, cors_allowed_origins=function)
            for origin, status in (("http://good.example", 200), ("http://evil.example", 403)):
                response = Client(app).get("/socket.io/?EIO=4&transport=polling", headers={"Origin": origin})
                assert response.status_code == status

    def test_credentials(self) -> None:
        for option, header in ((True, "true"), (False, None)):
            app = new_app()
            SocketIO(app, cors_allowed_origins="http://good.example", cors_credentials=option)
            response = Client(app).get(
                "/socket.io/?EIO=4&transport=polling", headers={"Origin": "http://good.example"}
            )
            assert response.headers.get("Access-Control-Allow-Credentials") == header
            assert response.headers["Access-Control-Allow-Origin"] == "http://good.example"


class TestMiddlewares:
    def test_proxy_fix_stays_in_front(self) -> None:
        app = new_app()
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
        SocketIO(app)
        assert isinstance(app.wsgi_app, ProxyFix)
        response = Client(app).get(
            "/socket.io/?EIO=4&transport=polling",
            headers={
                "Origin": "https://app.example",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "app.example",
            },
        )
        assert response.status_code == 200

    def test_two_proxy_fixes(self) -> None:
        app = new_app()
        app.wsgi_app = ProxyFix(ProxyFix(app.wsgi_app))  # type: ignore[method-assign]
        SocketIO(app)
        assert isinstance(app.wsgi_app, ProxyFix)
        assert isinstance(app.wsgi_app.app, ProxyFix)
        assert app.wsgi_app.app.app is app.extensions["realtime"].middleware

    def test_forwarded_headers_count_for_nothing_without_it(self) -> None:
        app = new_app()
        SocketIO(app)
        response = Client(app).get(
            "/socket.io/?EIO=4&transport=polling",
            headers={
                "Origin": "https://app.example",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "app.example",
            },
        )
        assert response.status_code == 403

    def test_below_a_prefix(self) -> None:
        app = new_app()
        SocketIO(app)
        mounted = DispatcherMiddleware(new_app("root"), {"/below": app})
        response = Client(mounted).get("/below/socket.io/?EIO=4&transport=polling")
        assert response.status_code == 200
