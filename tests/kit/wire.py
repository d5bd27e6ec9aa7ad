"""Servers on this machine that answer with any bytes, over TLS or not, and a proxy."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hubspot_sync._clock import SystemClock

_DAY = dt.timedelta(days=1)


def http(body=b"{}", *headers, status="200 OK"):
    """The bytes of an answer."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return head.encode("latin-1") + b"\r\n\r\n" + body


class Wire:
    """A server that hands each connection to a function of its own thread.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        requests: The heads of the requests, as far as `head` read them.
        bodies: Their bodies.
        over: Set when everything is to end.
    """

    def __init__(self, serve, context=None):
        self._serve = serve
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests = []
        self.bodies = []
        self.over = threading.Event()
        self._open = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    @property
    def url(self):
        """Its base URL."""
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}"

    def head(self, connection):
        """Read one request to the end of its body, and keep its head; None at the end."""
        sent = b""
        while b"\r\n\r\n" not in sent:
            more = connection.recv(65536)
            if not more:
                return None
            sent += more
        head, _, body = sent.partition(b"\r\n\r\n")
        self.requests.append(head.decode("latin-1"))
        length = next(
            (
                int(line[15:])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-l")
            ),
            0,
        )
        while len(body) < length:
            body += connection.recv(65536)
        self.bodies.append(body)
        return head

    def _accept(self):
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        with suppress(OSError, ValueError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            self._serve(self, connection)
            connection.close()


def answering(*answers):
    """Serve *answers*, one for each request of all connections, the last one for all further."""
    left = list(answers)
    lock = threading.Lock()

    def serve(wire, connection):
        while wire.head(connection) is not None:
            with lock:
                answer = left.pop(0) if len(left) > 1 else left[0]
            connection.sendall(answer)

    return serve


def hang(wire, connection):
    """Read a request and never answer."""
    wire.head(connection)
    wire.over.wait()


def hang_before_reading(wire, _connection):
    """Take a connection and do nothing with it."""
    wire.over.wait()


def proxy(wire, connection):
    """Be a proxy for one connection: tunnels by CONNECT, and what is asked with a whole URL."""
    sent = b""
    while b"\r\n\r\n" not in sent:
        sent += connection.recv(65536) or b"\r\n\r\n"
    wire.requests.append(sent.partition(b"\r\n\r\n")[0].decode("latin-1"))
    method, target, _ = sent.split(b"\r\n")[0].split()
    place = target if method == b"CONNECT" else target.split(b"/")[2]
    host, _, port = place.decode().partition(":")
    # Whatever the name: it is for the proxy to resolve.
    del host
    before = b"" if method == b"CONNECT" else b"http://" + place
    with socket.create_connection(("127.0.0.1", int(port))) as onwards:
        if method == b"CONNECT":
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            onwards.sendall(sent.replace(before, b"", 1))
        pipes = [(connection, onwards, before), (onwards, connection, b"")]
        threads = [threading.Thread(target=_pipe, args=pipe, daemon=True) for pipe in pipes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _pipe(source, target, left_out):
    with suppress(OSError):
        while more := source.recv(65536):
            target.sendall(more.replace(left_out, b"", 1))
        target.shutdown(socket.SHUT_WR)


def certificate(folder, *, name="127.0.0.1", ended=False):
    """A self-signed certificate for *name*: its file, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hubspot_sync test")])
    now = SystemClock().now()
    try:
        alternative = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 10 * _DAY)
        .not_valid_after(now - _DAY if ended else now + _DAY)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}{'-ended' if ended else ''}.pem"
    public = built.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    both = folder / f"{name}-both.pem"
    both.write_bytes(public + private)
    file.write_bytes(public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return file, context


@contextmanager
def full_listener():
    """A port that takes no further connection: who connects waits."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()
