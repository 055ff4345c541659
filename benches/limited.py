#!/usr/bin/env python3
"""Serves the files of a directory on loopback, each connection at a limited rate whatever it asks for.

    benches/limited.py PORT DIRECTORY BYTES_PER_SECOND

nginx limits each request anew, which favours short ones. Knows HEAD, GET and single ranges.
"""

import http.server
import os
import re
import socketserver
import sys
import time

PORT, DIRECTORY, RATE = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
STEP = 64 << 10


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.began, self.sent = time.monotonic(), 0

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, body):
        path = os.path.join(DIRECTORY, os.path.basename(self.path))
        if not os.path.isfile(path):
            self.send_error(404)
            return
        size = os.path.getsize(path)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, size - 1
        if wanted:
            first = int(wanted[1])
            last = min(int(wanted[2] or last), last)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("ETag", f'"{size}"')
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if not body:
            return
        # What a connection did not use of its rate while it was idle is lost.
        self.began = max(self.began, time.monotonic() - self.sent / RATE)
        with open(path, "rb") as file:
            file.seek(first)
            left = last + 1 - first
            while left > 0:
                piece = file.read(min(STEP, left))
                self.wfile.write(piece)
                left -= len(piece)
                self.sent += len(piece)
                ahead = self.sent / RATE - (time.monotonic() - self.began)
                if ahead > 0:
                    time.sleep(ahead)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


Server(("127.0.0.1", PORT), Handler).serve_forever()
