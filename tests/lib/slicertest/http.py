# SPDX-License-Identifier: MIT
"""HTTP clients: a usual one, and a raw one for what no usual client would send."""
import http.client
import json as jsonlib
import socket
from urllib.parse import quote, urlencode


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return jsonlib.loads(self.body)

    @property
    def error(self):
        """The message of an error answer, which must have the form of one."""
        assert self.headers.get("content-type", "").startswith("application/json"), (self.status, self.body[:500])
        message = self.json["error"]
        assert isinstance(message, str) and message
        return message

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def target(path, params=None):
    """params: a dict; lists become repeated keys, None is left out."""
    pairs = []
    for key, value in (params or {}).items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is not None:
                pairs.append((key, str(one).lower() if isinstance(one, bool) else one))
    return path + ("?" + urlencode(pairs) if pairs else "")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("unix", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    """One request per connection. address: (host, port) or the path of a Unix socket."""

    def __init__(self, address, token=None, timeout=60):
        self.address, self.token, self.timeout = address, token, timeout

    def connection(self, timeout=None):
        if isinstance(self.address, tuple):
            return http.client.HTTPConnection(*self.address, timeout=timeout or self.timeout)
        return UnixConnection(str(self.address), timeout or self.timeout)

    def headers(self, extra=None):
        own = {"Authorization": f"Bearer {self.token}"} if self.token is not None else {}
        return {**own, **(extra or {})}

    def open(self, method, path, params=None, body=None, json=None, headers=None, timeout=None, chunked=False):
        """The http.client response with its connection, unread; close with .connection.close()."""
        connection = self.connection(timeout)
        headers = self.headers(headers)
        if json is not None:
            body = jsonlib.dumps(json).encode()
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, target(path, params), body=body, headers=headers, encode_chunked=chunked)
        response = connection.getresponse()
        response.connection = connection
        return response

    def request(self, method, path, params=None, **kwargs):
        response = self.open(method, path, params, **kwargs)
        try:
            body = response.read()
            return Response(response.status, {k.lower(): v for k, v in response.getheaders()}, body)
        finally:
            response.connection.close()

    def get(self, path, params=None, **kwargs):
        return self.request("GET", path, params, **kwargs)

    def post(self, path, params=None, **kwargs):
        return self.request("POST", path, params, **kwargs)

    def delete(self, path, params=None, **kwargs):
        return self.request("DELETE", path, params, **kwargs)

    # What nearly every test asks for.
    def create(self, group, wait="agent", timeout="120s", **body):
        params = {"wait": wait, "timeout": timeout if wait else None}
        response = self.post(f"/hostgroup/{group}/nodes", params, json=body, timeout=250)
        assert response.status in (200, 201), response
        return response.json

    def remove(self, vm):
        group = vm.rpartition("-")[0]
        response = self.delete(f"/hostgroup/{group}/nodes/{vm}", timeout=90)
        assert response.status == 200, response
        return response.json

    def nodes(self):
        return self.get("/nodes").json

    def node(self, vm):
        found = [n for n in self.nodes() if n["hostname"] == vm]
        return found[0] if found else None

    def write(self, vm, path, data, **params):
        response = self.post(f"/vm/{vm}/cp", {"path": path, "mode": "binary", **params}, body=data)
        assert response.status == 200, response

    def read(self, vm, path, **params):
        response = self.get(f"/vm/{vm}/cp", {"path": path, "mode": "binary", **params})
        assert response.status == 200, response
        return response.body

    def raw(self, timeout=None):
        return Raw(self.address, timeout or self.timeout, self.token)


class Raw:
    """A connection on which the test writes every byte itself."""

    def __init__(self, address, timeout=60, token=None):
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(address if isinstance(address, tuple) else str(address))
        self.token = token
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def head(self, method, path, params=None, **headers):
        """Sends a request's head; keyword x_y is the header X-Y."""
        lines = [f"{method} {target(quote(path, safe='/%:~'), params)} HTTP/1.1", "Host: test"]
        if self.token is not None:
            lines.append(f"Authorization: Bearer {self.token}")
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
        self.send("\r\n".join(lines) + "\r\n\r\n")

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end_chunks(self):
        self.send(b"0\r\n\r\n")

    def recv(self, n=65536):
        if self.buffer:
            data, self.buffer = self.buffer[:n], self.buffer[n:]
            return data
        return self.sock.recv(n)

    def read_until(self, mark):
        while mark not in self.buffer:
            data = self.sock.recv(65536)
            assert data, f"the connection ended before {mark!r}: {self.buffer[:500]!r}"
            self.buffer += data
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def read_head(self):
        """Status and headers of the answer."""
        lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        return int(lines[0].split(" ")[1]), headers

    def read_exact(self, n):
        data = b""
        while len(data) < n:
            more = self.recv(n - len(data))
            assert more, f"the connection ended after {len(data)} of {n} bytes"
            data += more
        return data

    def body_chunks(self):
        """The chunks of an answer that has been begun, as they come."""
        while True:
            size = int(self.read_until(b"\r\n").split(b";")[0], 16)
            data = self.read_exact(size)
            assert self.read_exact(2) == b"\r\n"
            if size == 0:
                return
            yield data

    def read_response(self):
        """The whole answer as a Response; by length, chunks, or to the end of the connection."""
        status, headers = self.read_head()
        if "content-length" in headers:
            body = self.read_exact(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join(self.body_chunks())
        else:
            body = self.read_to_end()
        return Response(status, headers, body)

    def read_to_end(self):
        """What comes until the other side closes."""
        data, self.buffer = self.buffer, b""
        while True:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                return data
            if not more:
                return data
            data += more
