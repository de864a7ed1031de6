#!/usr/bin/env python3
"""A proxy on a Unix socket: each request goes to the first server that answers, or is a 503."""

import os
import signal
import socket
import socketserver
import sys
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        for server in servers:
            connection = HTTPConnection("server")
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(2)
            try:
                connection.sock.connect(server)
                connection.request("GET", self.path)
                text = connection.getresponse().read()
            except OSError:
                continue  # this one is away: the next one
            finally:
                connection.close()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text)
            return
        self.send_response(503)
        self.end_headers()

    def log_message(self, *_): ...


path, *servers = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with socketserver.ThreadingUnixStreamServer(path, Handler) as front:
    print("listens", flush=True)
    try:
        front.serve_forever()
    finally:
        os.unlink(path)
