from flask import request, session

from . import main


@main.route("/")
def index():
    return "a chat"


@main.route("/login")
def login():
    session["name"] = request.args["name"]
    session["room"] = request.args["room"]
    return "ok"
