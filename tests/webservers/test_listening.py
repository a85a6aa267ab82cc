"""The socket that a server listens on, and its TLS."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import servers

from flask_realtime.servers.listening import TLS_ARGUMENTS, address_of, listen, tls_context


def connect(sock: socket.socket) -> None:
    """A client comes through."""
    with socket.socket(sock.family) as client:
        client.settimeout(5)
        client.connect(sock.getsockname())
        accepted, _ = sock.accept()
        accepted.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short name: a Unix socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


class TestTCP:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "127.0.0.2"])
    def test_host_and_port(self, host: str) -> None:
        with listen(host, 0) as sock:
            assert type(sock) is socket.socket
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            name = sock.getsockname()
            if host != "localhost":
                assert name[0] == host
            assert address_of(sock, tls=False) == f"http://{name[0]}:{name[1]}"
            assert address_of(sock, tls=True) == f"https://{name[0]}:{name[1]}"
            connect(sock)

    def test_a_port_of_a_server_that_has_just_ended(self) -> None:
        with listen("127.0.0.1", 0) as sock:
            port = sock.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client:
                accepted, _ = sock.accept()
                accepted.close()  # this end waits in TIME_WAIT
                client.recv(1)
        with listen("127.0.0.1", port) as sock:
            connect(sock)

    def test_ipv6(self) -> None:
        try:
            sock = listen("::1", 0)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                pytest.skip("no IPv6 here")
            raise
        with sock:
            assert sock.family == socket.AF_INET6
            assert address_of(sock, tls=False) == f"http://[::1]:{sock.getsockname()[1]}"
            connect(sock)

    def test_one_that_is_taken(self) -> None:
        with listen("127.0.0.1", 0) as sock:
            port = sock.getsockname()[1]
            with pytest.raises(OSError) as raised:
                listen("127.0.0.1", port)
        assert raised.value.errno == errno.EADDRINUSE
        assert raised.value.strerror is not None
        assert raised.value.strerror.startswith(f"can't listen on 127.0.0.1:{port}: Address already in use")
        assert "another program listens there" in raised.value.strerror

    @pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
    def test_one_that_is_not_ours_to_have(self, host: str) -> None:
        with pytest.raises(OSError) as raised:
            listen(host, 5000)
        assert f"can't listen on {host}:5000" in (raised.value.strerror or "")
        assert "another program" not in (raised.value.strerror or "")

    def test_a_port_that_is_none(self) -> None:
        with pytest.raises((OSError, OverflowError, ValueError)):
            listen("127.0.0.1", 70_000).close()


class TestUnix:
    @pytest.mark.parametrize("prefix", ["unix:", "unix://"])
    def test_path(self, folder: Path, prefix: str) -> None:
        path = folder / "socket"
        with listen(f"{prefix}{path}", 0) as sock:
            assert address_of(sock, tls=False) == f"unix://{path}"
            connect(sock)

    def test_a_stale_one_is_replaced(self, folder: Path) -> None:
        path = folder / "socket"
        listen(f"unix://{path}", 0).close()
        assert path.is_socket()
        with listen(f"unix://{path}", 0) as sock:
            connect(sock)

    def test_a_living_one_is_not(self, folder: Path) -> None:
        path = folder / "socket"
        with listen(f"unix://{path}", 0) as sock:
            with pytest.raises(OSError) as raised:
                listen(f"unix://{path}", 0)
            assert f"can't listen on unix://{path}: Address already in use" in (raised.value.strerror or "")
            sock.accept()[0].close()  # the other one has asked whether it lives
            connect(sock)

    def test_another_file_is_left_alone(self, folder: Path) -> None:
        path = folder / "file"
        path.write_text("precious")
        with pytest.raises(OSError, match="can't listen on unix://"):
            listen(f"unix://{path}", 0)
        assert path.read_text() == "precious"

    def test_a_folder_that_is_not_there(self, folder: Path) -> None:
        with pytest.raises(OSError, match=r"can't listen on unix://.*/no/socket: No such file"):
            listen(f"unix://{folder}/no/socket", 0)

    def test_one_that_is_too_long(self, folder: Path) -> None:
        """Whatever the reason: the message names the address."""
        with pytest.raises(OSError, match="can't listen on unix://"):
            listen(f"unix://{folder}/{'x' * 120}", 0)

    def test_descriptors_of_failures_are_closed(self, folder: Path) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for host in ("192.0.2.1", f"unix://{folder}/no/socket"):
            with contextlib.suppress(OSError):
                listen(host, 0)
        assert len(os.listdir("/proc/self/fd")) == before


Files = tuple[str, str]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A certificate and its key."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .sign(key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    locked = serialization.BestAvailableEncryption(b"secret")
    (folder / "locked.pem").write_bytes(key.private_bytes(pem, private, locked))
    both = (folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes()
    (folder / "both.pem").write_bytes(both)
    return str(folder / "cert.pem"), str(folder / "key.pem")


def shake_hands(context: ssl.SSLContext) -> str:
    """A client that accepts anything connects; the protocol's version."""
    client, server = servers.unverified_tls(), context
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(ours, theirs), server.wrap_bio(theirs, ours, server_side=True)]
    for _ in range(5):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends[0].version() or ""


class TestTLS:
    def test_none(self) -> None:
        assert tls_context() is None
        assert tls_context(**dict.fromkeys(TLS_ARGUMENTS)) is None

    def test_files(self, files: Files) -> None:
        certfile, keyfile = files
        for context in (
            tls_context(certfile, keyfile),
            tls_context(certfile=certfile.replace("cert", "both")),
            tls_context(certfile, keyfile.replace("key", "locked"), keyfile_password="secret"),
            tls_context(ssl_context=(certfile, keyfile)),
            tls_context(ssl_context=[certfile, keyfile]),
            tls_context(ssl_context=(certfile.replace("cert", "both"), None)),
        ):
            assert isinstance(context, ssl.SSLContext)
            assert context.verify_mode == ssl.CERT_NONE
            assert shake_hands(context).startswith("TLSv1.")

    def test_a_context(self, files: Files) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert tls_context(ssl_context=context) is context

    def test_adhoc(self) -> None:
        context = tls_context(ssl_context="adhoc")
        assert context is not None
        assert shake_hands(context).startswith("TLSv1.")

    def test_clients_certificates(self, files: Files) -> None:
        context = tls_context(*files, ca_certs=files[0], cert_reqs=ssl.CERT_REQUIRED)
        assert context is not None
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.cert_store_stats()["x509"] == 1
        context = tls_context(*files, cert_reqs=ssl.CERT_OPTIONAL, ca_certs=files[0])
        assert context is not None
        assert context.verify_mode == ssl.CERT_OPTIONAL

    def test_ciphers_and_version(self, files: Files) -> None:
        context = tls_context(
            *files, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", ssl_version=ssl.PROTOCOL_TLS_SERVER
        )
        assert context is not None
        named = [c["name"] for c in context.get_ciphers() if not c["name"].startswith("TLS_")]
        assert named == ["ECDHE-ECDSA-AES128-GCM-SHA256"]

    @pytest.mark.parametrize("value", ["ad-hoc", 1, True, object(), ()])
    def test_what_is_no_context(self, value: Any) -> None:
        with pytest.raises(ValueError, match="ssl_context must be"):
            tls_context(ssl_context=value)

    @pytest.mark.parametrize("name", sorted(TLS_ARGUMENTS - {"certfile", "ssl_context"}))
    def test_settings_without_a_certificate(self, name: str) -> None:
        value: Any = ssl.CERT_REQUIRED if name == "cert_reqs" else "x"
        with pytest.raises(ValueError, match="certfile="):
            tls_context(**{name: value})

    def test_cert_reqs_of_none_are_a_setting_too(self) -> None:
        with pytest.raises(ValueError, match="certfile="):
            tls_context(cert_reqs=ssl.CERT_NONE)

    def test_files_that_are_not_there(self, files: Files, tmp_path: Path) -> None:
        missing = str(tmp_path / "missing.pem")
        for arguments in ((missing, files[1]), (files[0], missing)):
            with pytest.raises(OSError):
                tls_context(*arguments)
        with pytest.raises(OSError):
            tls_context(*files, ca_certs=missing)

    def test_a_key_that_does_not_fit(self, files: Files) -> None:
        with pytest.raises(ssl.SSLError):
            tls_context(files[1], files[0])
        with pytest.raises(ssl.SSLError):
            tls_context(files[0], files[1].replace("key", "locked"), keyfile_password="wrong")

    def test_wrong_values(self, files: Files) -> None:
        with pytest.raises(ValueError):
            tls_context(*files, cert_reqs=17)
        with pytest.raises(ssl.SSLError):
            tls_context(*files, ciphers="no such cipher")
