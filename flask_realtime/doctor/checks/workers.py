"""Several processes, where a session lives in one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from ..finding import Finding
from ..situation import Endpoint, Situation
from .proxies import PROXIES
from .text import number

__all__ = ["WORKER_VARIABLES", "check_workers"]

QUEUES = "docs/message-queues.md"
POLLING = (
    "One worker per server. For more cores, several servers with one worker each, behind a proxy that"
    f" sends a client to the same one ({PROXIES}), and a message_queue ({QUEUES}). Only on WebSockets alone,"
    " transports=['websocket'], may each connection live in any worker."
)
ALONE = f"A message_queue, as in SocketIO(app, message_queue='redis://') ({QUEUES}); or one worker."
#: how many processes these servers start; gunicorn also has its arguments and its file
WORKER_VARIABLES = ("UWSGI_PROCESSES", "UWSGI_WORKERS", "GRANIAN_WORKERS")


def check_workers(s: Situation) -> Iterator[Finding]:
    causes = list(_worker_settings(s))
    if not causes or not s.endpoints:
        return
    consequence, advice = _trouble(s)
    if consequence:
        yield Finding(
            "several-workers",
            "error",
            f"several worker processes: {'; '.join(causes)}",
            consequence,
            advice,
        )


def _trouble(s: Situation) -> tuple[str, str]:
    """What goes wrong with several workers, and what helps; empty where nothing does."""
    alone = any(map(_needs_queue, s.endpoints))
    if any("polling" in endpoint.config.transports for endpoint in s.endpoints):
        consequence = (
            "A session that polls lives in one process, and its requests go to any of them: clients get 400"
            ' "Session ID unknown" again and again'
        )
        return consequence + (", and an emit reaches only some of the clients." if alone else "."), POLLING
    if alone:
        return "Each has its own clients, and an emit reaches only those of the process that emits.", ALONE
    return "", ""


def _needs_queue(endpoint: Endpoint) -> bool:
    return endpoint.kind == "SocketIO" and not endpoint.config.has_queue


def _worker_settings(s: Situation) -> Iterator[str]:
    environ = s.environ
    # The first that is given is the one that gunicorn takes.
    for where, value in (
        ("Procfile has --workers", _gunicorn_workers(s.gunicorn_command)),
        ("GUNICORN_CMD_ARGS has --workers", _gunicorn_workers(environ.get("GUNICORN_CMD_ARGS", ""))),
        ("gunicorn.conf.py has workers =", s.gunicorn_workers),
        ("WEB_CONCURRENCY is", environ.get("WEB_CONCURRENCY", "")),
    ):
        several = number(value) > 1 or "cpu_count" in value
        if several:
            yield f"{where} {value.strip()}"
        if several or number(value):
            break
    for variable in WORKER_VARIABLES:
        if number(environ.get(variable, "")) > 1:
            yield f"{variable} is {environ[variable].strip()}"


def _gunicorn_workers(arguments: str) -> str:
    """The last ``-w 4``, ``-w4``, ``--workers 4`` or ``--workers=4``; empty where there is none."""
    try:
        words = shlex.split(arguments)
    except ValueError:
        return ""
    found = re.findall(r"(?:^|\0)(?:-w\0?|--workers[\0=])(\d+)(?=\0|$)", "\0".join(words))
    return found[-1] if found else ""
