"""An application factory: extensions at module level, blueprints and events in modules of their own."""

from flask import Flask

from flask_realtime import SocketIO

socketio = SocketIO()


def create_app(debug=False):
    app = Flask(__name__)
    app.debug = debug
    app.config["SECRET_KEY"] = "secret!"

    from .main import main

    app.register_blueprint(main)
    socketio.server_options["allow_upgrades"] = False
    socketio.init_app(app, path="/live", manage_session=False)
    return app
