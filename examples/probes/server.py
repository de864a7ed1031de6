#!/usr/bin/env python3
"""A server on a Unix socket. On POST /restart it is away for a moment, and starts again."""

import os
import signal
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(f"start {starts}\n")

    def do_POST(self):
        self.answer(f"start {starts + 1} comes\n")
        server.restart = self.path == "/restart"

    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_): ...


path = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
starts = 0
try:
    while True:
        starts += 1
        with socketserver.UnixStreamServer(path, Handler) as server:
            print(f"start {starts} listens", flush=True)
            server.restart = False
            while not server.restart:
                server.handle_request()
        os.unlink(path)
        time.sleep(1.5)
finally:
    if os.path.exists(path):
        os.unlink(path)
