from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture
def provider_server(settings):
    """A provider's system whose status can be set: `.status`; counts what it got in `.seen`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.seen.append(dict(self.headers))
            server.before()
            self.send_response(server.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.seen, server.before = 200, [], lambda: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}/api"
    settings.EGRESS_ALLOW = [f"127.0.0.1:{server.server_port}"]
    yield server
    server.shutdown()
    server.server_close()
