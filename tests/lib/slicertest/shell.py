# SPDX-License-Identifier: MIT
"""GET /vm/H/shell: a WebSocket (RFC 6455) whose binary messages are frames of type, length and payload."""
import struct

from .ws import BINARY, PING, TEXT, Refused, WebSocket

DATA, WINDOW_SIZE, SHUTDOWN, HEARTBEAT, SESSION_CLOSE = 1, 2, 3, 4, 5

__all__ = ["BINARY", "DATA", "HEARTBEAT", "PING", "Refused", "SESSION_CLOSE", "SHUTDOWN", "Shell", "TEXT", "WINDOW_SIZE"]


class Shell(WebSocket):
    def __init__(self, client, vm, columns=80, rows=24, timeout=60, resize=True, **params):
        super().__init__(client, f"/vm/{vm}/shell", params, timeout)
        self.output, self.session_closed = b"", False
        if resize:
            self.resize(columns, rows)

    def frame(self, kind, data=b""):
        self.message(BINARY, struct.pack(">BI", kind, len(data)) + data)

    def type(self, data):
        self.frame(DATA, data if isinstance(data, bytes) else data.encode())

    def resize(self, columns, rows):
        self.frame(WINDOW_SIZE, struct.pack(">II", columns, rows))

    def take(self, data):
        kind, length = struct.unpack(">BI", data[:5])
        assert length == len(data) - 5, (kind, length, len(data))
        if kind == DATA:
            self.output += data[5:]
        elif kind == SESSION_CLOSE:
            self.session_closed = True

    def expect(self, mark):
        """Reads until the output has mark; returns what came before and drops both."""
        mark = mark if isinstance(mark, bytes) else mark.encode()
        while mark not in self.output:
            assert self.step(), f"the session ended before {mark!r}: {self.output[-500:]!r}"
        before, self.output = self.output.split(mark, 1)
        return before

    def read_to_close(self):
        while self.step():
            pass
        return self.output
