"""nginx in front of a service."""

import contextlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

CONFIGURATION = """
pid {folder}/pid;
error_log stderr;
daemon off;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ text/html html; text/css css; text/javascript js; application/json json; image/svg+xml svg; application/manifest+json webmanifest; }}
  server {{
    listen {address};
{locations}
  }}
}}
"""

# What a proxy needs for the page, whatever else it serves.
PASSING = "proxy_set_header Host $http_host; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; client_max_body_size 0;"


@contextlib.contextmanager
def nginx(folder, locations, probe="/livez"):
    """Runs nginx with these locations until `probe` answers, and yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config, log = folder / "nginx.conf", folder / "log"
    config.write_text(CONFIGURATION.format(folder=folder, address=address, locations=locations))
    process = subprocess.Popen(["nginx", "-c", config, "-p", folder], stderr=log.open("w"))
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://{address}{probe}").close()
                break
            except urllib.error.URLError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=30)
