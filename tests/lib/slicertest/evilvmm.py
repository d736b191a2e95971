#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A hypervisor whose guest is hostile; stands in for the fake one by SLICER_FAKE_VMM. The file modes/VM beside this one's
copy names what it does; a VM without such a file gets the real fake hypervisor, whose path is in the file `real`."""
import os
import pathlib
import re
import select
import socket
import struct
import sys
import threading
import time

HERE = pathlib.Path(sys.argv[0]).parent
ARGS = dict(a.split("=", 1) for a in sys.argv[1:])
HELLO = b"hello 1 9.9.9 %032x 11111111-1111-1111-1111-111111111111 exec,cp,shell,events,health,shutdown\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


OK = b"\x88"
READY = (b'{"event":"ready","agent_version":"9.9.9","boot_id":"b","uptime_ms":1,"init":null,"user":"u","uid":1000}\n')


def listener(key):
    return socket.socket(fileno=int(ARGS[key]))


def serve(key, handle):
    """One client after the other, as a virtio port is served."""
    listening = listener(key)
    listening.setblocking(True)
    while True:
        connection, _ = listening.accept()
        connection.setblocking(True)
        try:
            handle(connection)
        except OSError:
            pass
        connection.close()


def send_forever(connection, piece):
    while True:
        connection.sendall(piece)


def lines(connection):
    buffer = b""
    while True:
        data = connection.recv(65536)
        if not data:
            return
        buffer += data
        while b"\n" in buffer:
            line, buffer = buffer.split(b"\n", 1)
            yield line


def qmp(connection):
    if MODE == "qmp-garbage":
        send_forever(connection, os.urandom(4096))
    if MODE == "qmp-endless":
        send_forever(connection, b"a" * 4096)
    connection.sendall(b'{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, '
                       b'"capabilities": []}}\r\n')
    for number, line in enumerate(lines(connection)):
        match = re.search(rb'"id": ?(\d+)', line)
        number_text = match.group(1) if match else b"0"
        if b"query-status" in line:
            connection.sendall(b'{"return": {"status": "running", "running": true}, "id": %s}\r\n' % number_text)
        elif b"quit" in line:
            os._exit(0)
        else:
            connection.sendall(b'{"return": {}, "id": %s}\r\n' % number_text)
        if MODE == "qmp-garbage-later" and number == 1:
            send_forever(connection, b'{"event": ' + os.urandom(100))


# --- control port

def control(connection):
    count = 0
    connection.sendall(HELLO % 1)
    if MODE == "control-garbage":
        send_forever(connection, os.urandom(4096))
    if MODE == "control-endless-line":
        send_forever(connection, b"a" * 4096)
    if MODE == "control-hello-flood":
        while True:
            count += 1
            connection.sendall(HELLO % count)
    if MODE == "control-await-flood":
        send_forever(connection, b"await 00000000000000000000000000000000\n")
    if MODE == "control-bye-flood":
        send_forever(connection, b"bye reboot\nbye poweroff\nfuture verb\n")
    if MODE == "control-terminal":
        connection.sendall(b"hello 1 \x1b[2J \r\n")
        time.sleep(1000)
    for line in lines(connection):
        if line.startswith(b"reset "):
            connection.sendall(b"await " + line[6:] + b"\n")
        elif line.startswith(b"hello"):
            connection.sendall(HELLO % 1)


# --- agent port

def read_exact(connection, n):
    data = b""
    while len(data) < n:
        more = connection.recv(n - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data


def agent(connection):
    nonce = read_exact(connection, 33)
    if MODE == "agent-garbage":
        send_forever(connection, os.urandom(65536))
    if MODE == "agent-no-echo":
        time.sleep(1000)
    if MODE == "agent-wrong-echo":
        connection.sendall(b"0" * 32 + b"\n")
        time.sleep(1000)
    if MODE == "agent-zeros":
        send_forever(connection, b"\0" * 65536)
    connection.sendall(os.urandom(1000) + nonce)
    if MODE == "mux-garbage":
        send_forever(connection, os.urandom(65536))
    connection.sendall(frame(SETTINGS, 0, 0))
    if MODE == "mux-ping-flood":
        send_forever(connection, frame(PING, 0, 0, b"12345678") * 100)
    if MODE == "mux-settings-flood":
        send_forever(connection, frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100)) * 100)
    if MODE == "mux-continuation-flood":
        connection.sendall(frame(HEADERS, 0, 1, OK))
        send_forever(connection, frame(CONTINUATION, 0, 1, literal(b"x" * 100, b"y" * 100) * 50))
    assert read_exact(connection, len(PREFACE)) == PREFACE
    http2(connection)


def http2(connection):
    streams = 0
    while True:
        head = read_exact(connection, 9)
        length, kind = int.from_bytes(head[:3], "big"), head[3]
        flags, stream = head[4], int.from_bytes(head[5:], "big")
        read_exact(connection, length)
        if kind == SETTINGS and not flags & ACK:
            connection.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK and MODE != "mux-no-pong":
            connection.sendall(frame(PING, ACK, 0, b"\0" * 8))
        elif kind == HEADERS:
            streams += 1
            if streams == 1:
                events(connection, stream)
            else:
                answer(connection, stream)


def events(connection, stream):
    connection.sendall(frame(HEADERS, END_HEADERS, stream, OK))
    if MODE == "events-garbage":
        connection.sendall(frame(DATA, 0, stream, os.urandom(1000) + b"\n"))
    elif MODE == "events-endless-line":
        # As much as the windows allow, and more.
        while True:
            connection.sendall(frame(DATA, 0, stream, b"a" * 16000))
    elif MODE == "events-wrong-types":
        connection.sendall(frame(DATA, 0, stream, b'{"event": 7}\n[1,2]\n{"event":"ready","user":{}}\n'))
    elif MODE == "events-flood":
        connection.sendall(frame(DATA, 0, stream, READY))
        piece = b'{"event":"address","ip":"10.1.2.3"}\n{"event":"future"}\n' * 100
        threading.Thread(target=send_quietly, args=(connection, frame(DATA, 0, stream, piece)), daemon=True).start()
    elif MODE == "events-escape":
        connection.sendall(frame(DATA, 0, stream, READY.replace(b'"u"', b'"\\u001b[2J<script>\\n' + b"x" * 5000 + b'"')))
    else:
        connection.sendall(frame(DATA, 0, stream, READY))


def send_quietly(connection, piece):
    try:
        send_forever(connection, piece)
    except OSError:
        pass


def answer(connection, stream):
    length = literal(b"content-length", b"10")
    send = connection.sendall
    if MODE == "answer-endless":
        send(frame(HEADERS, END_HEADERS, stream, OK + literal(b"content-type", b"application/octet-stream")))
        threading.Thread(target=send_quietly, args=(connection, frame(DATA, 0, stream, b"z" * 16000)), daemon=True).start()
    elif MODE == "answer-short":
        send(frame(HEADERS, END_HEADERS, stream, OK + length) + frame(DATA, END_STREAM, stream, b"12345"))
    elif MODE == "answer-long":
        send(frame(HEADERS, END_HEADERS, stream, OK + length) + frame(DATA, END_STREAM, stream, b"1234567890abcdef"))
    elif MODE == "answer-bad-status":
        send(frame(HEADERS, END_HEADERS, stream, literal(b":status", b"2x0")))
    elif MODE == "answer-split":
        send(frame(HEADERS, END_HEADERS | END_STREAM, stream,
                   OK + literal(b"content-type", b"a\r\nx-evil: 1\r\n\r\nHTTP/1.1 200 OK")))
    elif MODE == "answer-101":
        send(frame(HEADERS, END_HEADERS, stream, literal(b":status", b"101")))
    elif MODE == "answer-reset":
        send(frame(RST, 0, stream, struct.pack(">I", 2)))
    elif MODE == "answer-goaway":
        send(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 11)))
    elif MODE == "answer-other-stream":
        send(frame(DATA, 0, stream + 1000, b"x"))
    elif MODE == "answer-even-stream":
        send(frame(HEADERS, END_HEADERS, 2, OK))
    elif MODE == "answer-frames":
        body = b'{"type":"stdout","stdout":"\\u001b]0;x\\u0007"}\n' + b"{" * 100000 + b"\n"
        send(frame(HEADERS, END_HEADERS, stream, OK))
        for i in range(0, len(body), 10000):
            send(frame(DATA, 0, stream, body[i:i + 10000]))
        send(frame(DATA, END_STREAM, stream))
    # "answer-never" and the rest: nothing


if __name__ == "__main__":
    mode_file = HERE / "modes" / ARGS["name"]
    if not mode_file.exists():
        real = (HERE / "real").read_text()
        os.execv(real, [real, *sys.argv[1:]])
    MODE = mode_file.read_text()
    for key, handle in (("qmp", qmp), ("control", control), ("agent", agent)):
        threading.Thread(target=serve, args=(key, handle), daemon=True).start()
    os.write(int(ARGS["console"]), b"evil: " + MODE.encode() + b"\r\n")
    if MODE == "console-flood":
        while True:
            os.write(int(ARGS["console"]), os.urandom(65536))
    select.select([], [], [])
