"""Small servers for what a page of the documentation talks to."""

import http.server
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers 200 to any GET."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}\n')

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Have a server answer, in a thread, until the block is left."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    """Return a port of 127.0.0.1 at which nobody listens just now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
