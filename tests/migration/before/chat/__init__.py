"""A chat, as one writes it with Flask-SocketIO: a factory, an extension without an app, a blueprint."""

from flask import Flask
import flask_socketio

socketio: "flask_socketio.SocketIO" = flask_socketio.SocketIO(async_mode="threading")


def create_app(testing=False):
    app = Flask(__name__)
    app.config.update(SECRET_KEY="not a secret", TESTING=testing)

    from chat import events, rooms  # noqa: F401
    from chat.pages import pages

    app.register_blueprint(pages)
    socketio.init_app(app, cors_allowed_origins=[], always_connect=True)
    return app
