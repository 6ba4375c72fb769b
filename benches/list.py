#!/usr/bin/env python3
"""Benchmarks the song list with 200,000 songs: time and size of a page, and the server's memory.

    cargo build --release -p vocalizer --no-default-features --features cluster
    benches/list.py [--songs 200000] [--requests 200] [--program target/release/vocalizer]
    benches/list.py --database postgres://… --broker HOST:PORT      # with an empty database; start both with .ci/postgres and .ci/rabbitmq

The server creates the tables; rows are inserted with SQL (with `psql` for PostgreSQL). Half of the songs are public, half belong to one
user, 1 % have failed, none are queued. Requests are sequential, over one connection. The exit code is 1 if the median time of a page is
above 50 ms or the memory grows by more than 64 MB.
"""

import argparse
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from load import memory_mb

BOUND_MS = 50
BOUND_MB = 64
PASSWORD = "correct horse battery"


class Server:
    def __init__(self, args, folder):
        command = [args.program, "serve", "--no-worker", "--listen-addr", "127.0.0.1:0", "--data-dir", f"{folder}/data"]
        if args.database:
            command += ["--database-url", args.database]
        if args.broker:
            command += ["--broker-addr", args.broker]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "RUST_LOG": "warn"})
        for line in self.process.stdout:
            if "listens on http://" in line:
                self.address = line.strip().rsplit("/", 1)[1]
                break
        self.connection = http.client.HTTPConnection(self.address)

    def ask(self, method, path, body=None, cookie=None):
        headers = {"Content-Type": "application/json"} if body else {}
        if cookie:
            headers["Cookie"] = cookie
        began = time.perf_counter()
        self.connection.request(method, path, body and json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        took_ms = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            sys.exit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return text, took_ms, answer.headers

    def stop(self):
        self.connection.close()
        self.process.terminate()
        self.process.wait()


SQLITE = """
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {songs})
INSERT INTO songs (id, title, hash, result_key, shown_key, uploader, uploaded_at_us, status, failure, size_bytes, artist, duration_ms, title_key, artist_key)
SELECT lower(printf('%08x-%04x-4%03x-8%03x-%012x', abs(random()) % 4294967296, abs(random()) % 65536, abs(random()) % 4096,
                    abs(random()) % 4096, abs(random()) % 281474976710656)),
       'Song number ' || n || ' of a rather long list', printf('%064x', n), printf('%064x', n), CASE n % 100 WHEN 50 THEN NULL ELSE printf('%064x', n) END,
       CASE n % 2 WHEN 1 THEN '{user}' END,
       1700000000000000 + n * 1000000, CASE n % 100 WHEN 50 THEN 'FAILED' ELSE 'SPLIT' END,
       CASE n % 100 WHEN 50 THEN 'not an audio file' END, 5000000, 'Artist ' || n % 997, n * 7919 % 600000,
       'song number ' || n || ' of a rather long list' || char(10) || 'artist ' || n % 997,
       'artist ' || n % 997 || char(10) || 'song number ' || n || ' of a rather long list'
FROM numbers
"""

POSTGRES = """
INSERT INTO songs (id, title, hash, result_key, shown_key, uploader, uploaded_at_us, status, failure, size_bytes, artist, duration_ms, title_key, artist_key)
SELECT gen_random_uuid()::text, 'Song number ' || n || ' of a rather long list', lpad(to_hex(n), 64, '0'), lpad(to_hex(n), 64, '0'),
       CASE n % 100 WHEN 50 THEN NULL ELSE lpad(to_hex(n), 64, '0') END,
       CASE n % 2 WHEN 1 THEN '{user}' END, 1700000000000000 + n::bigint * 1000000,
       CASE n % 100 WHEN 50 THEN 'FAILED' ELSE 'SPLIT' END, CASE n % 100 WHEN 50 THEN 'not an audio file' END, 5000000, 'Artist ' || n % 997, n::bigint * 7919 % 600000,
       'song number ' || n || ' of a rather long list' || chr(10) || 'artist ' || n % 997,
       'artist ' || n % 997 || chr(10) || 'song number ' || n || ' of a rather long list'
FROM generate_series(0, {songs} - 1) AS n
"""


# Half of the songs have a label, and the ten oldest a rare one.
LABELS = [
    "UPDATE songs SET labels = CASE WHEN uploaded_at_us < 1700000010000000 THEN 'Half' || {newline} || 'Rare' ELSE 'Half' END "
    "WHERE uploaded_at_us < 1700000010000000 OR uploaded_at_us / 2000000 % 2 = 0",
    "INSERT INTO song_labels (label_key, song_id) SELECT 'half', id FROM songs WHERE labels IS NOT NULL",
    "INSERT INTO song_labels (label_key, song_id) SELECT 'rare', id FROM songs WHERE uploaded_at_us < 1700000010000000",
]


def seed(args, folder, user):
    began = time.monotonic()
    if args.database:
        sql = POSTGRES.format(songs=args.songs, user=user)
        labels = [part for each in LABELS for part in ("-c", each.format(newline="chr(10)"))]
        subprocess.run(["psql", "--quiet", args.database, "-c", sql, *labels, "-c", "VACUUM ANALYZE songs, song_labels"], check=True)
    else:
        database = sqlite3.connect(f"{folder}/data/vocalizer.db")
        database.execute(SQLITE.format(songs=args.songs, user=user))
        for each in LABELS:
            database.execute(each.format(newline="char(10)"))
        database.commit()
        database.close()
    print(f"{args.songs:,} songs inserted in {time.monotonic() - began:.0f} s")


def measure(args, server, name, path, cookie):
    took, size = [], 0
    for _ in range(args.requests):
        text, ms, _ = server.ask("GET", path, cookie=cookie)
        took.append(ms)
        size = len(text)
    took.sort()
    median, high = took[len(took) // 2], took[int(len(took) * 0.99)]
    print(f"| {name} | {median:.1f} | {high:.1f} | {size:,} | {memory_mb(server.process.pid):.0f} |")
    return median


def deep(args, server, sort, cookie):
    """Returns a cursor behind three quarters of the list."""
    after = ""
    for _ in range(args.songs * 3 // 4 // 1000):
        page = json.loads(server.ask("GET", f"/songs/?limit=1000&sort={sort}{after}", cookie=cookie)[0])["data"]
        after = f"&after={page['next']}"
    return after.partition("=")[2]


def events(server, cookie):
    """Returns the number of bytes that the list's event stream sends in its first seconds."""
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port))) as stream:
        stream.settimeout(3)
        stream.sendall(f"GET /songs/events HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
        came = 0
        try:
            while chunk := stream.recv(65536):
                came += len(chunk)
        except TimeoutError:
            pass
    return came


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=200_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--program", default="target/release/vocalizer")
    parser.add_argument("--database")
    parser.add_argument("--broker")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        server = Server(args, folder)
        register = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}
        text, _, headers = server.ask("POST", "/auth/register", register)
        user, cookie = json.loads(text)["data"]["user"]["id"], headers["Set-Cookie"].split(";")[0]
        server.stop()
        seed(args, folder, user)
        server = Server(args, folder)
        try:
            good = run(args, server, cookie)
        finally:
            server.stop()
    sys.exit(0 if good else 1)


def run(args, server, cookie):
    pid = server.process.pid
    server.ask("GET", "/songs/?limit=1", cookie=cookie)
    idle_mb = memory_mb(pid)
    print(f"memory after the first request: {idle_mb:.0f} MB\n")
    print("| request | median, ms | 99 %, ms | bytes | memory, MB |\n|---|---:|---:|---:|---:|")
    page = json.loads(server.ask("GET", "/songs/?limit=50", cookie=cookie)[0])["data"]
    # A cursor in the middle of the list: the upload times are known.
    _, _, last = page["next"].partition("_")
    middle = f"{1_700_000_000_000_000 + args.songs // 2 * 1_000_000}_{last}"
    medians = [
        measure(args, server, "user, 50 newest", "/songs/?limit=50", cookie),
        measure(args, server, "user, 50 in the middle", f"/songs/?limit=50&after={middle}", cookie),
        measure(args, server, "user, 200 with details", "/songs/?details&limit=200", cookie),
        measure(args, server, "user, 50 failed in the middle", f"/songs/?limit=50&status=FAILED&after={middle}", cookie),
        measure(args, server, "user, 50 splitting (none)", "/songs/?limit=50&status=SPLITTING", cookie),
        measure(args, server, "anonymous, 50 newest", "/songs/?limit=50", None),
        measure(args, server, "user, without parameters", "/songs/", cookie),
    ]
    for sort in ["-added", "title", "-artist", "duration", "status"]:
        medians.append(measure(args, server, f"user, 50 by `{sort}`", f"/songs/?limit=50&sort={sort}", cookie))
        after = deep(args, server, sort, cookie)
        medians.append(measure(args, server, f"user, 50 by `{sort}`, deep", f"/songs/?limit=50&sort={sort}&after={after}", cookie))
    # These read the words of all songs. No bound: they grow with the list.
    measure(args, server, "user, search, many found", "/songs/?limit=50&q=number", cookie)
    measure(args, server, "user, search, many found, by title", "/songs/?limit=50&q=number&sort=title", cookie)
    measure(args, server, "user, search, none found", "/songs/?limit=50&q=nothing+like+it", cookie)
    measure(args, server, "user, search, none found, by artist", "/songs/?limit=50&q=nothing+like+it&sort=artist", cookie)
    measure(args, server, "user, label of half of the songs, by title", "/songs/?limit=50&label=half&sort=title", cookie)
    measure(args, server, "user, label of few old songs", "/songs/?limit=50&label=rare", cookie)
    measure(args, server, "user, all labels, counted", "/labels", cookie)
    measure(args, server, "user, counted", "/songs/?limit=50&total", cookie)
    measure(args, server, "user, search, counted", "/songs/?limit=50&q=number&total", cookie)
    measure(args, server, "`/metrics`, which counts songs", "/metrics", None)
    came = events(server, cookie)
    began, after, songs, pages = time.monotonic(), "", 0, 0
    while after is not None:
        text, _, _ = server.ask("GET", f"/songs/?limit=1000{after}", cookie=cookie)
        data = json.loads(text)["data"]
        songs, pages = songs + len(data["songs"]), pages + 1
        after = f"&after={data['next']}" if "next" in data else None
    peak_mb = memory_mb(pid, "VmHWM")
    print(f"\nall {songs:,} songs in {pages} pages: {time.monotonic() - began:.1f} s; the event stream starts with {came:,} bytes; "
          f"peak {peak_mb:.0f} MB, {peak_mb - idle_mb:.0f} MB over idle")
    return songs == args.songs and max(medians) < BOUND_MS and peak_mb - idle_mb < BOUND_MB


if __name__ == "__main__":
    main()
