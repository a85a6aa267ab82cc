from flask import Blueprint

from . import socketio

pages = Blueprint("pages", __name__)


@pages.route("/healthz")
def healthz():
    return "ok"


@pages.route("/announce/<text>")
def announce(text):
    socketio.emit("announcement", text)
    return "sent"
