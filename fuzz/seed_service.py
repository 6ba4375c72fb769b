#!/usr/bin/env python3
"""Creates the seeds of the service's targets: forms, result archives, headers, whole requests."""

import io
import pathlib
import struct
import tarfile

ROOT = pathlib.Path(__file__).parent / "seeds"
STEMS = ["bass.mp3", "drums.mp3", "other.mp3", "vocals.mp3"]
TOKEN = "the-token-of-the-fuzzers-worker"


def put(target, name, data):
    path = ROOT / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def form(*parts):
    return b"".join(b"--x\r\n" + head + b"\r\n\r\n" + body + b"\r\n" for head, body in parts) + b"--x--\r\n"


def field(name, body):
    return (b'Content-Disposition: form-data; name="%s"' % name, body)


def file(name, body):
    head = b'Content-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: audio/mpeg' % name
    return (head, body)


def tar(entries, kind=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, body, type_ in entries:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(body), type_
            info.mtime = 1764000000.5 if kind == tarfile.PAX_FORMAT else 1764000000
            info.linkname = "/etc/passwd" if type_ == tarfile.SYMTYPE else ""
            archive.addfile(info, io.BytesIO(body))
    return out.getvalue()


def request(line, *headers, body=b""):
    head = [line, b"Host: x", *headers]
    if body:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


good = form(field(b"title", b"A song"), file(b"a.mp3", b"the bytes"))
put("upload", "good", good)
put("upload", "file-first", form(file(b"a.mp3", b"the bytes"), field(b"title", "Für".encode())))
put("upload", "refused-no-file", form(field(b"title", b"x")))
put("upload", "refused-two-files", form(field(b"title", b"x"), file(b"a", b"1"), file(b"b", b"2")))
put("upload", "refused-empty", form(field(b"title", b"x"), file(b"a", b"")))
put("upload", "refused-cut", good[:-12])
put("upload", "refused-name", form(field(b"title", b""), file(b"../\\r\\n", b"1")))

regular = [(name, name.encode(), tarfile.REGTYPE) for name in STEMS]
put("result_archive", "good", tar(regular))
put("result_archive", "pax-times", tar(regular, tarfile.PAX_FORMAT))
put("result_archive", "refused-link", tar([(STEMS[0], b"", tarfile.SYMTYPE), *regular[1:]]))
put("result_archive", "refused-dots", tar([("../bass.mp3", b"x", tarfile.REGTYPE), *regular[1:]]))
put("result_archive", "refused-missing", tar(regular[:3]))
put("result_archive", "refused-cut", tar(regular)[:1800])

for name, value in [
    ("range", b"bytes=0-99"), ("suffix", b"bytes=-5"), ("open", b"bytes=5-"), ("many", b"bytes=0-1,2-3,4-5"),
    ("reversed", b"bytes=5-2"), ("overflow", b"bytes=18446744073709551616-"), ("cookie", b"a=1; session=0a1b; b=2"),
    ("host", b"__Host-session=ff"),
]:
    # libFuzzer's input is a number, then bytes.
    put("headers", name, value + struct.pack("<Q", 1000))

urlencoded = b"Content-Type: application/x-www-form-urlencoded"
put("http", "list", request(b"GET /songs/?limit=5&status=SPLIT HTTP/1.1", b"Cookie: session=0a1b"))
put("http", "register", request(b"POST /auth/register HTTP/1.1", urlencoded,
                                body=b"username=ada&password1=12345678&password2=12345678"))
put("http", "login-json", request(b"POST /auth/login HTTP/1.1", b"Content-Type: application/json",
                                  body=b'{"username": "ada", "password": "12345678"}'))
put("http", "part", request(b"GET /songs/00000000-0000-4000-8000-000000000000/vocals.mp3 HTTP/1.1", b"Range: bytes=0-9"))
put("http", "events", request(b"GET /songs/00000000-0000-4000-8000-000000000000/events HTTP/1.1"))
put("http", "upload", request(b"POST /songs/upload HTTP/1.1", b"Content-Type: multipart/form-data; boundary=x", body=good))
put("http", "result", request(b"POST /songs/" + b"ab" * 32 + b"/upload_result HTTP/1.1",
                              b"Authorization: Bearer " + TOKEN.encode(), body=tar(regular)))
put("http", "rename", request(b"PATCH /songs/00000000-0000-4000-8000-000000000000 HTTP/1.1",
                              b"Content-Type: application/json", b"Sec-Fetch-Site: cross-site", body=b'{"title": "x"}'))
put("http", "pipelined", request(b"GET /livez HTTP/1.1") + request(b"HEAD /metrics HTTP/1.1") + b"garbage\r\n\r\n")
put("http", "chunked", request(b"POST /auth/logout HTTP/1.1", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n")
