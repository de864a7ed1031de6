#!/usr/bin/env python3
"""A server on a Unix socket. On POST /restart it is away for a second, and starts again."""

import os
import signal
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(f"start {starts} of {name}\n")

    def do_POST(self):
        self.answer(f"start {starts + 1} comes\n")
        server.restart = self.path == "/restart"

    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_): ...


directory, name = os.path.split(sys.argv[1])
os.makedirs(directory, mode=0o700, exist_ok=True)
os.chdir(directory)
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
starts = 0
try:
    while True:
        starts += 1
        with socketserver.UnixStreamServer(name, Handler) as server:
            print(f"start {starts} listens", flush=True)
            server.restart = False
            while not server.restart:
                server.handle_request()
        os.unlink(name)
        time.sleep(1)
finally:
    if os.path.exists(name):
        os.unlink(name)
