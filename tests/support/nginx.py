"""A real nginx in front of the app and of shared pages."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port
from waiting import wait_until

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
CONFIG = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ text/html html; application/json json; }}
  gzip on;
  gzip_types application/json;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen 127.0.0.1:{port};
    location /bikes/ {{
      proxy_pass {app};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 1d;
    }}
    location /map/ {{ alias {pages}/; add_header Cache-Control no-cache; }}
  }}
  server {{ listen 127.0.0.1:{other}; root {folder}/blog; }}
}}
"""
"""As in docs/how-to/serve-the-app.md, without TLS."""


@contextmanager
def nginx_serving(folder: Path, app: str, pages: Path) -> Iterator[str]:
    """Serve the *app* below /bikes and the *pages* below /map; yield the address.

    Another site, at the address in *folder*/other, is a page that frames the app.
    """
    port, other = free_port(), free_port()
    (folder / "blog").mkdir()
    (folder / "blog/index.html").write_text(
        f"<iframe width=900 height=700 src='http://127.0.0.1:{port}/bikes/?embed=true'>",
        encoding="utf-8",
    )
    (folder / "other").write_text(f"http://127.0.0.1:{other}/", encoding="utf-8")
    user = "user root;" if os.geteuid() == 0 else ""
    path = folder / "nginx.conf"
    path.write_text(
        CONFIG.format(
            folder=folder, port=port, other=other, app=app, pages=pages, user=user
        ),
        encoding="utf-8",
    )
    with subprocess.Popen([str(NGINX), "-p", str(folder), "-c", str(path)]) as server:
        try:
            wait_until(lambda: _is_open(port), "nginx listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
