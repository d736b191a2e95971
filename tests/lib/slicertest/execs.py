# SPDX-License-Identifier: MIT
"""POST /vm/H/exec and its NDJSON frames."""
import base64
import json
import threading


def payload(frame, key):
    data = frame.get(key) or ""
    return base64.b64decode(data, validate=True) if frame.get("encoding") == "base64" else data.encode()


class Exec:
    """All frames of an exec, checked for order: started, output, exit."""

    def __init__(self, frames):
        self.frames = frames
        types = [f.get("type") for f in frames]
        assert frames, "no frame"
        if types[0] == "started":
            assert types[-1] == "exit" and types.count("started") == types.count("exit") == 1, types
            assert set(types[1:-1]) <= {"stdout", "stderr"}, types
        else:
            assert len(frames) == 1 and frames[0]["error"], frames
        assert "exit_code" in frames[-1]
        for frame in frames[:-1]:
            assert not frame.get("error") and not frame.get("exit_code"), frame

    @property
    def exit_code(self):
        return self.frames[-1]["exit_code"]

    @property
    def signal(self):
        return self.frames[-1].get("signal")

    @property
    def error(self):
        return self.frames[-1].get("error")

    @property
    def pid(self):
        return self.frames[0].get("pid")

    @property
    def stdout(self):
        return b"".join(payload(f, "stdout") for f in self.frames if f.get("type") == "stdout")

    @property
    def stderr(self):
        return b"".join(payload(f, "stderr") for f in self.frames if f.get("type") == "stderr")


def exec_params(cmd, *args, **params):
    return {"cmd": cmd, "args": list(args), **params}


def exec_stream(client, vm, cmd, *args, body=None, timeout=60, **params):
    """Yields frames as they come. body: bytes or an iterable of bytes, which is sent while frames are read."""
    with client.raw(timeout) as raw:
        query = exec_params(cmd, *args, **params)
        if body is None:
            raw.head("POST", f"/vm/{vm}/exec", query, Content_Length=0)
        else:
            query["stdin"] = True
            raw.head("POST", f"/vm/{vm}/exec", query, Transfer_Encoding="chunked")
        sender = threading.Thread(target=_send, args=(raw, body), daemon=True) if body is not None else None
        if sender:
            sender.start()
        status, headers = raw.read_head()
        if status != 200:
            raise AssertionError(f"exec: {status} {raw.read_exact(int(headers['content-length']))!r}")
        assert headers["content-type"].startswith("application/x-ndjson"), headers
        rest, length = b"", headers.get("content-length")
        for chunk in [raw.read_exact(int(length))] if length else raw.body_chunks():
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                yield json.loads(line)
        assert rest == b"", f"the last line is not ended: {rest!r}"
        if sender:
            sender.join(timeout)


def _send(raw, body):
    try:
        for piece in [body] if isinstance(body, bytes) else body:
            if piece:
                raw.chunk(piece)
        raw.end_chunks()
    except OSError:
        pass  # a command that does not read its input ends the answer; the reader sees that


def boot_id(client, vm):
    """Of the guest's kernel: a new one for each boot. None while its agent cannot be asked."""
    answer = client.get(f"/vm/{vm}/health")
    if answer.status != 200:
        return None
    try:
        return run(client, vm, "cat", "/proc/sys/kernel/random/boot_id", timeout=10).stdout or None
    except (OSError, AssertionError):
        return None  # it went down meanwhile


def run(client, vm, cmd, *args, **kwargs):
    """Runs it to its end."""
    return Exec(list(exec_stream(client, vm, cmd, *args, **kwargs)))
