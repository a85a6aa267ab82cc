"""The socket that a server listens on, and its TLS."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import stat
from typing import Any

from ..backends.patching import original

__all__ = ["TLS_ARGUMENTS", "address_of", "listen", "tls_context"]

BACKLOG = 2048
UNIX = "unix:"
#: the arguments of :func:`tls_context`
TLS_ARGUMENTS = frozenset(
    {
        "certfile",
        "keyfile",
        "keyfile_password",
        "ca_certs",
        "cert_reqs",
        "ciphers",
        "ssl_version",
        "ssl_context",
    }
)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    :param host: a name or address, or ``unix:///path/of/a/socket``.
    :raises OSError: the address can't be had; the message names it.
    """
    if host.startswith(UNIX):
        family, address = socket.AF_UNIX, _path(host)
        _remove_stale(address)
    else:
        # A name that has addresses of both kinds means the older one, as with Flask's own server.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        address = _resolve(host, port, family)
    sock: socket.socket = original("socket", "socket")(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        where = host if host.startswith(UNIX) else f"{host}:{port}"
        hint = "; another program listens there" if error.errno == errno.EADDRINUSE else ""
        raise OSError(error.errno, f"can't listen on {where}: {error.strerror}{hint}") from error
    return sock


def _resolve(host: str, port: int, family: int) -> Any:
    if not 0 <= port <= 65535:
        raise OSError(errno.EINVAL, f"can't listen on {host}:{port}: a port is a number up to 65535")
    try:
        found = original("socket", "getaddrinfo")(
            host, port, family, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise OSError(error.errno, f"can't listen on {host}:{port}: {error.strerror}") from error
    return found[0][4]


def _path(host: str) -> str:
    path = host[len(UNIX) :]
    return path[2:] if path.startswith("//") else path


def _remove_stale(path: str) -> None:
    """A server that was killed has left its socket; one that lives must not be cut off."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with original("socket", "socket")(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                os.unlink(path)


def address_of(sock: socket.socket, tls: bool) -> str:
    """Where clients find it, as a URL."""
    name = sock.getsockname()
    if sock.family == getattr(socket, "AF_UNIX", None):
        return f"unix://{os.fsdecode(name)}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{'https' if tls else 'http'}://{host}:{name[1]}"


def tls_context(
    certfile: str | None = None,
    keyfile: str | None = None,
    keyfile_password: str | None = None,
    ca_certs: str | None = None,
    cert_reqs: int | None = None,
    ciphers: str | None = None,
    ssl_version: int | None = None,
    ssl_context: Any = None,
) -> ssl.SSLContext | None:
    """The context for the files and settings that were named; None where there are none.

    :param ca_certs: certificates that clients' certificates are checked against.
    :param cert_reqs: whether clients need one (``ssl.CERT_REQUIRED``), or may have one.
    :param ssl_context: a context ready-made, ``(certfile, keyfile)``, or ``"adhoc"`` for a certificate
        that is made up now.
    :raises ValueError: settings without a certificate.
    """
    if isinstance(ssl_context, ssl.SSLContext):
        return ssl_context
    if ssl_context == "adhoc":
        from werkzeug.serving import generate_adhoc_ssl_context

        return generate_adhoc_ssl_context()
    if isinstance(ssl_context, (tuple, list)) and len(ssl_context) == 2:
        certfile, keyfile = ssl_context
    elif ssl_context is not None:
        raise ValueError("ssl_context must be an ssl.SSLContext, (certfile, keyfile) or 'adhoc'")
    if certfile is None:
        if any(
            value is not None
            for value in (keyfile, keyfile_password, ca_certs, cert_reqs, ciphers, ssl_version)
        ):
            raise ValueError("TLS needs a certificate: certfile=")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if ssl_version is None else ssl_version)
    context.load_cert_chain(certfile, keyfile, keyfile_password)
    if ca_certs is not None:
        context.load_verify_locations(ca_certs)
    if cert_reqs is not None:
        context.verify_mode = ssl.VerifyMode(cert_reqs)
    if ciphers is not None:
        context.set_ciphers(ciphers)
    return context
