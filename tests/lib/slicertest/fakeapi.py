# SPDX-License-Identifier: MIT
"""An API server whose every answer a test scripts: what the command line sends, and how it takes bad answers."""
import http.server
import json
import socketserver
import threading
import urllib.parse


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        path, _, query = target.partition("?")
        self.path = urllib.parse.unquote(path)
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)

    def __repr__(self):
        return f"{self.method} {self.target}"

    @property
    def json(self):
        return json.loads(self.body)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def chunks(self):
        """The request's body as it comes."""
        if self.headers.get("transfer-encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("content-length") or 0))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def reply(self, status, body=b"", **headers):
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self, status=200, **headers):
        """A chunked answer; chunk() and finish() follow."""
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def frame(self, **members):
        self.chunk(json.dumps(members).encode() + b"\n")

    def finish_chunks(self):
        self.wfile.write(b"0\r\n\r\n")

    def cut(self):
        self.close_connection = True
        self.connection.shutdown(2)

    def peer_left(self):
        """Waits until the client has closed the connection."""
        self.connection.settimeout(60)
        try:
            while self.connection.recv(65536):
                pass
        except ConnectionResetError:
            pass
        self.server.api.left.set()
        self.close_connection = True

    def serve_one(self):
        api = self.server.api
        answer = api.routes.get((self.command, urllib.parse.unquote(self.path.partition("?")[0])))
        streaming = callable(answer) and getattr(answer, "streams", False)
        body = b"" if streaming else b"".join(self.chunks())
        request = Request(self.command, self.path, self.headers, body)
        api.requests.append(request)
        if callable(answer):
            answer(self, request)
        elif answer:
            self.reply(*answer)
        else:
            self.reply(404, {"error": f"no route {request}"})

    do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = serve_one

    def handle(self):
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.server.api.left.set()

    def address_string(self):
        return "client"

    def log_message(self, *args):
        pass


def streams(fn):
    """Marks an answer that reads the request's body itself."""
    fn.streams = True
    return fn


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class TcpServer(http.server.ThreadingHTTPServer):
    pass


class FakeApi:
    """routes[(method, decoded path)]: (status, body) or a function of (handler, request)."""

    def __init__(self, path=None):
        self.routes, self.requests, self.left = {}, [], threading.Event()
        self.server = UnixServer(str(path), Handler) if path else TcpServer(("127.0.0.1", 0), Handler)
        self.server.api = self
        self.url = str(path) if path else f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def last(self):
        return self.requests[-1]
