"""``flask realtime ...``: what Flask-Realtime adds to Flask's command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import ScriptInfo

if TYPE_CHECKING:
    from .doctor import Endpoint, Finding, Situation

__all__ = ["realtime"]

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
Row = tuple[str, str]


@click.group()
def realtime() -> None:
    """Socket.IO: commands of Flask-Realtime."""


@realtime.command()
@click.option("--host", "-h", default="127.0.0.1", show_default=True, help="Where run() would listen.")
@click.option("--port", "-p", type=click.IntRange(0, 65535), help="[default: that of SERVER_NAME, else 5000]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(ctx: click.Context, host: str, port: int | None, as_json: bool) -> None:
    """Say how the app would be served, and what is wrong with its setup.

    Starts nothing and changes nothing. The exit status is 1 where there are errors.
    """
    before = frozenset(sys.modules)
    app = ctx.ensure_object(ScriptInfo).load_app()
    from .doctor import diagnose, examine  # not with `flask`, whatever its command is

    situation = examine(app, host, port, before)
    findings = diagnose(situation)
    if as_json:
        click.echo(json.dumps(_as_dict(situation, findings), indent=2))
    else:
        _print(situation, findings)
    ctx.exit(1 if any(finding.severity == "error" for finding in findings) else 0)


@realtime.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--write", is_flag=True, help="Change the files; without it, nothing is changed.")
@click.option("--check", is_flag=True, help="Print no diff; the status is 1 if anything would change, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def migrate(ctx: click.Context, paths: tuple[Path, ...], write: bool, check: bool, as_json: bool) -> None:
    """Bring a project from Flask-SocketIO to Flask-Realtime.

    Shows what it would change in PATHS (files and folders, the current folder unless given), and names
    what it can't decide. The app is not imported. The exit status is 1 where something is left to do.
    """
    from . import migration  # as above

    if write and check:
        raise click.UsageError("--write and --check exclude each other")
    plan = migration.look_at(paths or (Path(),))
    if write:
        plan.findings += filter(None, map(migration.write, plan.changes))
    if as_json:
        click.echo(json.dumps(migration.as_dict(plan, write), indent=2))
    else:
        diffs = [] if check else [b"".join(migration.diff(change)) for change in plan.changes]
        if diffs:
            click.echo(b"".join(diffs))
        for line in (*migration.in_words(plan.findings), migration.summary(plan, write)):
            click.echo(_printable(line))
    ctx.exit(1 if plan.todo or (check and plan.changes) else 0)


def _printable(text: str) -> str:
    """What standard output can't say, escaped: names and lines of a project may be anything."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


# The doctor as text


def _print(situation: Situation, findings: list[Finding]) -> None:
    _print_rows(_rows(situation))
    for endpoint in situation.endpoints:
        click.echo(f"\n{click.style(endpoint.kind, bold=True)}")
        _print_rows(_endpoint_rows(situation, endpoint))
    click.echo(f"\n{_count(findings)}")
    for finding in findings:
        severity = click.style(f"{finding.severity}:", fg=COLOURS[finding.severity], bold=True)
        click.echo(f"\n{severity} {finding.what} [{finding.code}]")
        click.echo(f"  {finding.consequence}")
        click.echo(f"  > {finding.advice}")


def _print_rows(rows: Iterable[Row]) -> None:
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:{width}}  {value}")


def _rows(situation: Situation) -> Iterator[Row]:
    from .doctor import FRAMEWORK

    for package in ("Flask-Realtime", "Python", *FRAMEWORK[1:]):
        yield package, situation.versions.get(package, "unknown")
    servers = [f"{name} {version}" for name, version in _servers(situation).items()]
    yield "servers", ", ".join(servers) or "none besides Werkzeug"
    choice = situation.server
    yield "run()", f"{choice.title}: {choice.why}" if choice else f"no: {situation.refusal}"
    yield "address", _address(situation)
    yield "patched by", situation.patched or "nothing"


def _address(situation: Situation) -> str:
    unix = situation.host.startswith("unix:")
    return situation.host if unix else f"{situation.host}:{situation.port}"


def _servers(situation: Situation) -> dict[str, str]:
    from .doctor import SERVERS

    return {name: situation.versions[name] for name in SERVERS if name in situation.versions}


def _endpoint_rows(situation: Situation, endpoint: Endpoint) -> Iterator[Row]:
    facts = _endpoint_dict(situation, endpoint)
    grace = f" (and {facts['ping_interval_grace']:g} s of grace)" if facts["ping_interval_grace"] else ""
    yield "path", facts["path"]
    yield "transports", ", ".join(facts["transports"])
    yield "allow_upgrades", "yes" if facts["allow_upgrades"] else "no"
    yield "allowed origins", facts["allowed_origins"]
    yield "handlers in", facts["handlers"]
    yield "ping", f"every {facts['ping_interval']:g} s{grace}, {facts['ping_timeout']:g} s for the answer"
    yield "largest message", f"{facts['max_http_buffer_size']} bytes"


def _count(findings: list[Finding]) -> str:
    if not findings:
        return click.style("Nothing is wrong, as far as can be seen.", fg="green")
    counts = {severity: sum(f.severity == severity for f in findings) for severity in COLOURS}
    return ", ".join(f"{n} {name}{'s' * (n > 1)}" for name, n in counts.items() if n)


# The doctor as JSON


def _as_dict(situation: Situation, findings: list[Finding]) -> dict[str, Any]:
    from .doctor import FRAMEWORK

    choice = situation.server
    return {
        "versions": {name: situation.versions.get(name) for name in (*FRAMEWORK, "Python")},
        "servers": _servers(situation),
        "run": {
            "server": choice and choice.name,
            "why": choice.why if choice else situation.refusal,
            "address": _address(situation),
        },
        "patched_by": situation.patched,
        "endpoints": [_endpoint_dict(situation, endpoint) for endpoint in situation.endpoints],
        "findings": [asdict(finding) for finding in findings],
    }


def _endpoint_dict(situation: Situation, endpoint: Endpoint) -> dict[str, Any]:
    from .doctor import in_words

    config = endpoint.config
    return {
        "kind": endpoint.kind,
        "path": f"/{config.path}/",
        "transports": list(config.transports),
        "allow_upgrades": config.allow_upgrades,
        "allowed_origins": in_words(config.cors_allowed_origins),
        "handlers": f"greenlets of {situation.patched}" if situation.patched else "threads",
        "ping_interval": config.ping_interval,
        "ping_interval_grace": config.ping_interval_grace,
        "ping_timeout": config.ping_timeout,
        "max_http_buffer_size": config.max_http_buffer_size,
    }
