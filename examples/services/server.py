#!/usr/bin/env python3
"""A server that logs to a file, and restarts on POST /restart without missing a request."""

import os
import shutil
import signal
import socket
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(f"version {version}\n")

    def do_POST(self):
        self.answer("restarting\n")
        server.restart = self.path == "/restart"

    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format, *args):
        with open(log, "a") as file:
            print(format % args, file=file)


# A restart executes this file again, with the socket that goes on listening meanwhile.
if len(sys.argv) == 1:
    listening = socket.create_server(("127.0.0.1", 0))
    directory, version = tempfile.mkdtemp(), 1
else:
    listening = socket.socket(fileno=int(sys.argv[1]))
    directory, version = sys.argv[2], int(sys.argv[3])

log = os.path.join(directory, "access.log")
open(log, "a").close()
server = HTTPServer(listening.getsockname(), Handler, bind_and_activate=False)
server.socket.close()
server.socket = listening
server.restart = False
signal.signal(signal.SIGTERM, lambda *_: sys.exit())

# Its first test waits for these lines. Without flush they would stay in a buffer.
print(f"logging to {log}", flush=True)
print(f"listening on http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
try:
    while not server.restart:
        server.handle_request()
except SystemExit:
    shutil.rmtree(directory)
    raise
listening.set_inheritable(True)
words = [__file__, str(listening.fileno()), directory, str(version + 1)]
os.execv(sys.executable, [sys.executable, *words])
