#!/usr/bin/env python3
"""Tests nginx with vocalizer.conf in front of a fake server.

Needs nginx, openssl and only Python's standard library; two more checks need curl with HTTP/2. Takes a few seconds, uses only a
temporary folder and free ports.
"""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import warnings

CONF = pathlib.Path(__file__).with_name("vocalizer.conf")
HASH = "ab" * 32
BLOB = bytes(range(256)) * 4096  # 1 MiB
BIG_BYTES = 64 * 1024 * 1024
failed = 0


def check(what, right, seen=""):
    global failed
    print(f"  {'ok    ' if right else 'FAILED'}  {what}{'' if right else f': {seen!r}'}", flush=True)
    failed += not right


class Seen:
    """What the fake server has received."""

    connections = 0
    uploads = 0
    body_bytes = 0
    sent_bytes = 0


class FakeServer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        Seen.connections += 1

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pieces(self):
        """Yields the body, with a Content-Length or chunked."""
        left = self.headers.get("Content-Length")
        if left is not None:
            left = int(left)
            while left and (piece := self.rfile.read1(min(left, 65536))):
                left -= len(piece)
                yield piece
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def do_POST(self):
        Seen.uploads += 1
        Seen.body_bytes = 0
        if self.path.startswith("/slow"):
            # Like the real server, time out if the body is too slow.
            began = time.monotonic()
            for piece in self.pieces():
                Seen.body_bytes += len(piece)
                if time.monotonic() - began > 2:
                    self.close_connection = True
                    return self.answer(408, b'{"ok":false}', [("Connection", "close")])
        if self.path.startswith("/early"):
            self.close_connection = True
            return self.answer(401, b'{"ok":false}', [("Connection", "close")])
        for piece in self.pieces():
            Seen.body_bytes += len(piece)
        self.answer(200, json.dumps({"bytes": Seen.body_bytes}).encode())

    do_PATCH = do_POST

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.endswith("/events"):
            return self.events()
        if path.endswith("/broken.mp3"):
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(bytes(1000))
            self.close_connection = True
            return None
        if path.endswith("/cut.zip"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n")
            self.close_connection = True
            return None
        if path.endswith("/big.wav"):
            self.send_response(200)
            self.send_header("Content-Length", str(BIG_BYTES))
            self.end_headers()
            Seen.sent_bytes = 0
            with contextlib.suppress(OSError):
                for _ in range(BIG_BYTES // len(BLOB)):
                    self.wfile.write(BLOB)
                    Seen.sent_bytes += len(BLOB)
            self.close_connection = True
            return None
        if path.endswith(".mp3"):
            return self.ranges()
        headers = {name.lower(): self.headers.get_all(name) for name in self.headers}
        return self.answer(200, json.dumps(headers).encode(), [("Content-Type", "text/html"), ("ETag", '"strong"')])

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(3):
            said = f"event: song\ndata: {number}\n\n".encode()
            self.wfile.write(f"{len(said):x}\r\n".encode() + said + b"\r\n")
            time.sleep(1)
        self.wfile.write(b"0\r\n\r\n")

    def ranges(self):
        headers = [("Content-Type", "audio/mpeg"), ("Accept-Ranges", "bytes"), ("ETag", '"tag"')]
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not found or self.headers.get("If-Range", '"tag"') != '"tag"':
            return self.answer(200, BLOB, headers)
        first, last = map(int, found.groups())
        headers.append(("Content-Range", f"bytes {first}-{last}/{len(BLOB)}"))
        return self.answer(206, BLOB[first : last + 1], headers)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # the checks break connections on purpose


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configured(folder, upstream, plain, tls):
    """Writes the configuration with the substitutions described in its header comment."""
    text = CONF.read_text()
    for pattern, replacement in [
        (r"server 127\.0\.0\.1:8000;", f"server 127.0.0.1:{upstream};"),
        (r"listen 80;", f"listen 127.0.0.1:{plain};"),
        (r"listen 443 ssl", f"listen 127.0.0.1:{tls} ssl"),
        (r"\n *listen \[::\][^\n]*", ""),
        (r"https://\$host", f"https://$host:{tls}"),
        (r"\n *ssl_certificate .*", f"\n    ssl_certificate {folder}/cert.pem;"),
        (r"\n *ssl_certificate_key .*", f"\n    ssl_certificate_key {folder}/key.pem;"),
    ]:
        text, count = re.subn(pattern, lambda _, to=replacement: to, text)
        assert count, f"vocalizer.conf does not match {pattern}"
    (folder / "vocalizer.conf").write_text(text)
    user = "user root;\n" if os.geteuid() == 0 else ""
    temporary = "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\n    access_log off;\n    gzip on;\n{temporary}\n    include {folder}/vocalizer.conf;\n}}\n"
    )
    return folder / "nginx.conf"


class Client:
    def __init__(self, folder, port):
        self.context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        self.port = port

    def connection(self, source="127.0.0.1"):
        return http.client.HTTPSConnection(
            "localhost", self.port, context=self.context, timeout=30, source_address=(source, 0)
        )

    def ask(self, method, path, body=None, headers=(), source="127.0.0.1"):
        connection = self.connection(source)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            return answer, answer.read()

    def raw(self):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return self.context.wrap_socket(plain, server_hostname="localhost")


def handshake(port, version):
    warnings.simplefilter("ignore", DeprecationWarning)  # old versions are tested on purpose
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as tls:
        return tls.version()


def look(folder, plain, tls):
    client = Client(folder, tls)

    for method in ("GET", "POST"):
        connection = http.client.HTTPConnection("127.0.0.1", plain)
        connection.request(method, "/songs/?limit=2", headers={"Host": f"localhost:{plain}"})
        answer = connection.getresponse()
        seen = (answer.status, answer.getheader("Location"))
        check(f"{method} over plain HTTP is redirected", seen == (308, f"https://localhost:{tls}/songs/?limit=2"), seen)

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        check(f"{version.name} is accepted", handshake(tls, version).replace(".", "_") == version.name)
    try:
        check("TLS 1.1 is rejected", False, handshake(tls, ssl.TLSVersion.TLSv1_1))
    except (ssl.SSLError, ConnectionError):
        check("TLS 1.1 is rejected", True)

    forged = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "http"}
    answer, body = client.ask("GET", "/songs/", headers=forged)
    received = json.loads(body)
    check("HSTS is set", "max-age" in answer.getheader("Strict-Transport-Security", ""))
    check("X-Forwarded-For is the client's address, even if forged", received["x-forwarded-for"] == ["127.0.0.1"], received)
    check("X-Forwarded-Proto is https", received["x-forwarded-proto"] == ["https"], received)
    check("Host keeps its port", received["host"] == [f"localhost:{tls}"], received)
    answer, _ = client.ask("GET", "/songs/", headers={"Accept-Encoding": "gzip"})
    check("responses are not compressed", answer.getheader("Content-Encoding") is None, answer.headers.as_string())
    check("ETags stay strong", answer.getheader("ETag") == '"strong"', answer.getheader("ETag"))

    before = Seen.connections
    for _ in range(20):
        client.ask("GET", "/songs/")
    check("connections to the server are reused", Seen.connections - before <= 2, Seen.connections - before)

    for bytes_, what in ((74_000_000, "74 MB"), (75 * 1024 * 1024 + 65536, "75 MiB plus form data")):
        answer, body = client.ask("POST", "/songs/upload", bytes(bytes_))
        seen = (answer.status, body)
        check(f"an upload of {what} passes", seen == (200, json.dumps({"bytes": bytes_}).encode()), seen)
    before = Seen.uploads
    refused(client, "/songs/upload", 90_000_000, "an upload of 90 MB")
    refused(client, "/auth/login", 2_000_000, "a 2 MB form elsewhere")
    check("rejected requests did not reach the server", Seen.uploads == before, Seen.uploads - before)
    answer, body = client.ask("POST", f"/songs/{HASH}/upload_result", bytes(100_000_000))
    check("a result of 100 MB passes", json.loads(body) == {"bytes": 100_000_000}, (answer.status, body))

    answer, body = client.ask("PATCH", "/songs/uploads/x", bytes(100_000_000))
    check("100 MB of a resumable upload pass", json.loads(body) == {"bytes": 100_000_000}, (answer.status, body))

    with client.raw() as sock:
        head = "POST /songs/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n"
        sock.sendall(head.encode() + bytes(1000))
        time.sleep(0.5)
        check("an upload is streamed to the server", Seen.body_bytes == 1000, Seen.body_bytes)
    with client.raw() as sock:
        sock.sendall(b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        sock.settimeout(0.5)
        said = b""
        for _ in range(12):
            with contextlib.suppress(TimeoutError, OSError):
                sock.sendall(b".")
                said += sock.recv(65536)
            if said:
                break
        check("a slow client gets the server's 408", said.startswith(b"HTTP/1.1 408"), said[:60])
    answer = early(client)
    check("a response before the end of the body is delivered", answer.startswith(b"HTTP/1.1 401"), answer[:60])

    for of, path in [("a song", "/songs/1/events"), ("the list", "/songs/events")]:
        connection = client.connection()
        connection.request("GET", path)
        began = time.monotonic()
        answer = connection.getresponse()
        first = answer.read1(100)
        first_s = time.monotonic() - began
        rest = answer.read()
        whole_s = time.monotonic() - began
        soon = b"data: 0" in first and first_s < 0.7 < 2 < whole_s
        check(f"events of {of}: the first event arrives before the stream ends", soon, (first, first_s, whole_s))
        check(f"events of {of}: all events arrive", rest.endswith(b"data: 2\n\n"), rest)

    answer, body = client.ask("GET", "/songs/1/vocals.mp3", headers={"Range": "bytes=300-1299", "If-Range": '"tag"'})
    seen = (answer.status, answer.getheader("Content-Range"), answer.getheader("ETag"))
    check("a range passes", seen == (206, f"bytes 300-1299/{len(BLOB)}", '"tag"') and body == BLOB[300:1300], seen)
    answer, body = client.ask("GET", "/songs/1/vocals.mp3")
    check("a whole file passes", (answer.status, body) == (200, BLOB))
    for path in ("broken.mp3", "cut.zip"):
        try:
            _, body = client.ask("GET", f"/songs/1/{path}")
            check(f"a truncated response is detected ({path})", False, len(body))
        except (http.client.IncompleteRead, ConnectionError, ssl.SSLError):
            check(f"a truncated response is detected ({path})", True)
    with client.raw() as sock:
        sock.sendall(b"GET /songs/1/big.wav HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1)
        check("an unread response is buffered only up to a few MiB", Seen.sent_bytes < 24 * 2**20, Seen.sent_bytes)

    for path in ("/metrics", "/readyz"):
        answer, _ = client.ask("GET", path)
        check(f"{path} is accessible from this machine", answer.status == 200, answer.status)
    for path in ("/metrics", "/readyz", "/%6detrics", "//metrics", "/./readyz", "/x/../metrics?y=1"):
        answer, body = client.ask("GET", path, source="127.0.0.2")
        hidden = answer.status == 404 and json.loads(body)["errors"][0]["code"] == "not_found"
        check(f"{path} is hidden from other addresses", hidden and answer.getheader("Strict-Transport-Security"), (answer.status, body))
    answer, _ = client.ask("GET", "/livez", source="127.0.0.2")
    check("/livez is public", answer.status == 200, answer.status)

    limits(client)

    if "HTTP2" in subprocess.run(["curl", "-V"], capture_output=True, text=True).stdout if shutil.which("curl") else False:
        (folder / "upload").write_bytes(bytes(74_000_000))
        base = ["curl", "-sS", "--http2", "--cacert", f"{folder}/cert.pem", "-w", " %{http_version} %{time_starttransfer}"]
        site = f"https://localhost:{tls}"
        said = run([*base, "-F", "title=x", "-F", f"file=@{folder}/upload", f"{site}/songs/upload"])
        check("an upload of 74 MB passes over HTTP/2", re.match(r'{"bytes": 74\d{6}} 2 ', said), said)
        said = run([*base, "-N", f"{site}/songs/1/events"])
        check("events arrive at once over HTTP/2", re.search(r"data: 2\n\n 2 0\.[0-6]", said), said)
    else:
        print("  skipped  HTTP/2: needs curl with HTTP/2")


def limits(client):
    """Checks the limits per address, and that other addresses are not affected."""
    # nginx responds to the first by itself, so that a slow fake server does not slow the flood down.
    flood(client, "127.0.0.3", "GET", "/metrics", 900, 404)
    flood(client, "127.0.0.4", "POST", "/auth/login", 100, 200)
    opened, refused = [], 0
    for _ in range(140):
        connection = client.connection("127.0.0.5")
        connection.request("GET", "/songs/events")
        opened.append(connection)
    for connection in opened:
        refused += connection.getresponse().status == 429
        connection.close()
    check("at most 128 open streams per address", refused == 12, refused)
    answer, _ = client.ask("GET", "/songs/", source="127.0.0.6")
    check("other addresses are served meanwhile", answer.status == 200, answer.status)


def flood(client, source, method, path, times, served):
    connection = client.connection(source)
    answers = []
    with contextlib.closing(connection):
        for _ in range(times):
            connection.request(method, path)
            answer = connection.getresponse()
            answers.append((answer.status, answer.getheader("Retry-After"), answer.read()))
    statuses = {status for status, _, _ in answers}
    check(f"{times} rapid requests {method} {path} exceed the limit", statuses == {served, 429}, statuses)
    refused = [(after, body) for status, after, body in answers if status == 429]
    right = refused and all(after == "5" and json.loads(body)["errors"][0]["code"] == "rate_limited" for after, body in refused)
    check("and get a 429 in the API's format", right, refused[:1])


def run(command):
    ended = subprocess.run(command, capture_output=True, text=True)
    return ended.stdout + ended.stderr


def refused(client, path, bytes_, what):
    """Sends only the header, like curl with Expect, and checks the 413."""
    with client.raw() as sock:
        sock.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes_}\r\n\r\n".encode())
        said = b""
        with contextlib.suppress(TimeoutError):
            sock.settimeout(5)
            while b"\r\n\r\n" not in said or not said.endswith(b"}"):
                piece = sock.recv(65536)
                if not piece:
                    break
                said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    right = head.startswith(b"HTTP/1.1 413") and body and json.loads(body)["errors"][0]["code"] == "too_large"
    check(f"{what} is rejected in the API's format", right and b"Strict-Transport-Security" in head, said)


def early(client):
    """Sends part of a body and returns the early response."""
    with client.raw() as sock:
        sock.sendall(b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n" + bytes(1000))
        sock.settimeout(5)
        with contextlib.suppress(TimeoutError):
            return sock.recv(65536)
    return b""


def main():
    with tempfile.TemporaryDirectory(prefix="vocalizer-nginx-") as name:
        folder = pathlib.Path(name)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
            + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
            + ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
            check=True,
            capture_output=True,
        )
        server = Server(("127.0.0.1", 0), FakeServer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        plain, tls = free_port(), free_port()
        conf = configured(folder, server.server_port, plain, tls)
        tested = subprocess.run(["nginx", "-t", "-c", conf, "-p", folder], capture_output=True, text=True)
        check("nginx -t", tested.returncode == 0 and "[warn]" not in tested.stderr, tested.stderr)
        if tested.returncode:
            return 1
        nginx = subprocess.Popen(["nginx", "-c", conf, "-p", folder])
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", tls), timeout=1):
                    break
                time.sleep(0.05)
            look(folder, plain, tls)
            server.shutdown()
            server.server_close()
            time.sleep(0.1)
            # The fake server's threads still serve kept connections, so reload nginx to open new ones.
            nginx.send_signal(1)
            time.sleep(0.7)
            answer, body = Client(folder, tls).ask("GET", "/songs/")
            seen = (answer.status, answer.getheader("Retry-After"), json.loads(body)["errors"][0]["code"])
            check("an unavailable server gives a 503 in the API's format", seen == (503, "5", "unavailable"), seen)
        finally:
            nginx.terminate()
            nginx.wait()
        log = (folder / "error.log").read_text()
        check("nginx wrote no bodies to temporary files", "buffered to a temporary file" not in log, log)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
