#!/usr/bin/env python3
"""A backend that handles only `POST /songs/<hash>/upload_result`: stub_backend.py FOLDER

Prints its address, stores results as FOLDER/<hash>.tar and responds as the original does.
"""
import http.server, pathlib, re, sys


class Stub(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match = re.fullmatch(r"/songs/([0-9a-f]{64})/upload_result", self.path)
        if match:
            pathlib.Path(sys.argv[1], match[1] + ".tar").write_bytes(body)
        answer = b'{"ok": true, "errors": [], "data": null}' if match else b"<h1>Not Found</h1>"
        self.send_response(200 if match else 404)
        self.send_header("Content-Type", "application/json" if match else "text/html")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
