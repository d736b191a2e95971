# SPDX-License-Identifier: MIT
"""A WebSocket client (RFC 6455) on which the test decides about every frame."""
import base64
import hashlib
import os
import struct

from .http import Raw

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status} {body!r}")
        self.status, self.body = status, body


class WebSocket:
    def __init__(self, client, path, params=None, timeout=60, **headers):
        self.raw = Raw(client.address, timeout, client.token)
        key = base64.b64encode(os.urandom(16))
        self.raw.head("GET", path, params, Upgrade="websocket", Connection="Upgrade",
                      Sec_WebSocket_Key=key.decode(), Sec_WebSocket_Version=13, **headers)
        status, answer = self.raw.read_head()
        if status != 101:
            body = self.raw.read_exact(int(answer.get("content-length", 0)))
            self.raw.close()
            raise Refused(status, body)
        assert answer["sec-websocket-accept"] == base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        assert "sec-websocket-extensions" not in answer and "sec-websocket-protocol" not in answer
        self.closed, self.close_code, self.largest = False, None, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()

    def cut(self):
        """Leaves without a word."""
        self.raw.close()

    def message(self, opcode, data, final=True):
        mask = os.urandom(4)
        n = len(data)
        head = bytes([(0x80 if final else 0) | opcode])
        head += (bytes([0x80 | n]) if n < 126 else
                 bytes([0x80 | 126]) + struct.pack(">H", n) if n < 65536 else
                 bytes([0x80 | 127]) + struct.pack(">Q", n))
        key = int.from_bytes((mask * (n // 4 + 1))[:n], "big")
        masked = (int.from_bytes(data, "big") ^ key).to_bytes(n, "big") if n else b""
        self.raw.send(head + mask + masked)

    def close(self, code=1000):
        self.message(CLOSE, struct.pack(">H", code))

    def read_message(self):
        first, second = self.raw.read_exact(2)
        assert not second & 0x80, "a server does not mask"
        assert first & 0x80, "one frame is one message"
        n = second & 0x7f
        if n == 126:
            n = struct.unpack(">H", self.raw.read_exact(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.raw.read_exact(8))[0]
        self.largest = max(self.largest, n)
        return first & 0x0f, self.raw.read_exact(n)

    def take(self, data):
        """A binary message came."""

    def step(self):
        """Takes one message in. False when the connection is closed."""
        opcode, data = self.read_message()
        if opcode == PING:
            self.message(PONG, data)
        elif opcode == CLOSE:
            self.closed, self.close_code = True, struct.unpack(">H", data[:2])[0] if data else None
            return False
        elif opcode == BINARY:
            self.take(data)
        return True
