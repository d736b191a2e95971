# SPDX-License-Identifier: MIT
"""Keys of GitHub users, from a server of the test: in a create request, and in the configuration."""
import base64
import contextlib
import http.server
import json
import os
import pathlib
import select
import socket
import subprocess
import threading
import time

import pytest
from slicertest import IMAGE, until


def key(kind="ssh-ed25519", fill=b"k"):
    return f"{kind} " + base64.b64encode(len(kind).to_bytes(4, "big") + kind.encode() + fill * 32).decode()


ONE, TWO = key(), key("ssh-rsa", b"r")


class Server(http.server.ThreadingHTTPServer):
    """answers: what each path is answered with: bytes, a status, or a function of the handler."""
    daemon_threads = True

    def __init__(self):
        self.answers, self.asked = {}, []
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # clients that leave are what some tests are about


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path, 404)
        if callable(answer):
            answer(self)
            return
        self.send_response(answer if isinstance(answer, int) else 200)
        self.end_headers()
        if isinstance(answer, bytes):
            self.wfile.write(answer)


@pytest.fixture
def github():
    with Server() as server:
        server.answers["/octo.keys"] = f"{ONE} octo@home\n{TWO}\n{ONE}\nssh-dss AAAA\n".encode()
        yield server
        server.over.set()
        server.shutdown()


def hang(handler):
    handler.server.over.wait(60)


def drip(handler):
    """Something comes all the time, but never all of it."""
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while not handler.server.over.wait(0.2):
            handler.wfile.write(b"x\n")


def flood(handler):
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1000):
            handler.wfile.write(b"y" * 10000 + b"\n")


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"


# --- the program that downloads

def keys(user, url, **env):
    done = subprocess.run([IMAGE, "keys", user, "--url", url], capture_output=True, timeout=60,
                          env={**os.environ, **env})
    assert len(done.stdout.splitlines()) == 1, done
    return json.loads(done.stdout)


@pytest.mark.parametrize("slash", ["", "/"])
def test_download(github, slash):
    assert keys("octo", github.url + slash) == {"type": "result", "keys": [ONE, TWO]}
    assert github.asked == ["/octo.keys"]


def test_download_without_rights(github):
    """The program that talks to the network is nobody's."""
    github.answers["/octo.keys"] = hang
    with subprocess.Popen([IMAGE, "keys", "octo", "--url", github.url], stdout=subprocess.DEVNULL) as p:
        until(lambda: github.asked, 10)
        status = pathlib.Path(f"/proc/{p.pid}/status").read_text().splitlines()
        p.kill()
    fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    assert fields["Uid"].split() == ["65534"] * 4 and fields["Gid"].split() == ["65534"] * 4
    assert fields["Groups"].strip() == "" and fields["NoNewPrivs"] == "1"
    assert all(int(fields[cap], 16) == 0 for cap in ("CapPrm", "CapEff", "CapInh", "CapAmb"))


@pytest.mark.parametrize("answer,code,say", [
    (404, "not_found", "there is no GitHub user"),
    (b"", "not_found", "has no public keys"),
    (b"\n \n", "not_found", "has no public keys"),
    (b"<html>sign in</html>\n", "protocol", "no SSH public key"),
    (ONE.encode() + b"\0\n", "protocol", "no text"),
    (500, "protocol", "500"),
    (flood, "too_large", "more than 262144 bytes"),
])
def test_download_of_nonsense(github, answer, code, say):
    github.answers["/octo.keys"] = answer
    said = keys("octo", github.url)
    assert said["type"] == "error" and said["code"] == code and say in said["message"]
    assert github.url in said["message"]


def redirect(to):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.end_headers()
    return answer


def test_redirects(github, tmp_path):
    github.answers["/old.keys"] = redirect("/octo.keys")
    assert keys("old", github.url)["keys"] == [ONE, TWO]
    github.answers["/loop.keys"] = redirect("/loop.keys")
    assert keys("loop", github.url)["code"] == "unavailable"
    (tmp_path / "secret").write_text(ONE)
    github.answers["/file.keys"] = redirect(f"file://{tmp_path}/secret")
    assert keys("file", github.url)["code"] == "unavailable"


@pytest.mark.parametrize("answer", [hang, drip])
def test_download_that_hangs(github, answer):
    github.answers["/octo.keys"] = answer
    start = time.monotonic()
    assert keys("octo", github.url)["code"] == "timeout"
    assert 9 < time.monotonic() - start < 30


def test_download_from_nobody():
    assert keys("octo", closed_port())["code"] == "unavailable"
    for user, url in (("../x", "http://localhost"), ("", "http://localhost"), ("a" * 40, "http://localhost"),
                      ("octo", "file:///etc"), ("octo", "")):
        said = keys(user, url)
        assert said["code"] == "invalid", said


# --- a create request

def keys_of(d, vm):
    return next(r for r in d.records() if r["hostname"] == vm)["ssh_keys"]


@pytest.mark.parametrize("name", ["import_user", "github_user"])
def test_create(daemon, github, name):
    d = daemon(env={"SLICER_GITHUB_URL": github.url}, config={"ssh_keys": [TWO]})
    vm = d.client.create(d.group, ssh_keys=["ssh-rsa AAAAmine me"], **{name: "octo"})["hostname"]
    assert keys_of(d, vm) == [TWO, "ssh-rsa AAAAmine me", ONE]
    vm = d.client.create(d.group, **{name: ""})["hostname"]
    assert keys_of(d, vm) == [TWO]
    assert b"Hostname" in d.cli.ok("vm", "add", d.group, "--github", "octo", "--rm")
    assert len(github.asked) == 2


def test_create_that_fails(daemon, github):
    d = daemon(env={"SLICER_GITHUB_URL": github.url})
    path = f"/hostgroup/{d.group}/nodes"
    github.answers.update({"/broken.keys": 503, "/html.keys": b"<html>", "/none.keys": b""})
    for user, status in (("nobody", 400), ("none", 400), ("broken", 502), ("html", 502)):
        answer = d.client.post(path, json={"import_user": user})
        assert answer.status == status and user in answer.error, answer
    asked = len(github.asked)
    # What can be known without is said without.
    for body, status in (({"import_user": "a/b"}, 400), ({"import_user": "octo", "cpus": 200}, 400)):
        assert d.client.post(path, json=body).status == status
    assert d.client.post("/hostgroup/nosuch/nodes", json={"import_user": "octo"}).status == 404
    assert d.client.post(path, {"wait": "never"}, json={"import_user": "octo"}).status == 400
    assert len(github.asked) == asked
    assert d.client.nodes() == []


def test_create_while_the_server_hangs(daemon, github):
    """Nothing else waits for it, and a client that leaves ends it."""
    github.answers["/slow.keys"] = hang
    d = daemon(env={"SLICER_GITHUB_URL": github.url})
    path = f"/hostgroup/{d.group}/nodes"
    body = b'{"import_user":"slow"}'
    with contextlib.ExitStack() as stack:
        raws = [stack.enter_context(d.client.raw()) for _ in range(5)]
        for raw in raws:
            raw.head("POST", path, Content_Length=len(body))
            raw.send(body)
        until(lambda: github.asked, 10)
        vm = d.client.create(d.group, wait=None)["hostname"]
        assert not select.select([raw.sock for raw in raws], [], [], 0)[0], "none of them is over"
    d.client.remove(vm)
    github.over.set()
    time.sleep(0.5)
    assert d.client.nodes() == []


# --- the configuration

def test_up(daemon, github):
    config = {"github_user": "octo", "ssh_keys": [ONE]}
    d = daemon(env={"SLICER_GITHUB_URL": github.url}, config=config)
    vm = d.client.create(d.group)["hostname"]
    assert keys_of(d, vm) == [ONE, TWO]
    d.stop()

    # Without network it comes up with what it knew.
    d.env["SLICER_GITHUB_URL"] = closed_port()
    d.start()
    assert "keys of the last time" in d.log_text()
    vm = d.client.create(d.group, github_user="OCTO")["hostname"]
    assert keys_of(d, vm) == [ONE, TWO]
    d.stop()

    # But not when there is no such user any more.
    d.env["SLICER_GITHUB_URL"] = github.url
    github.answers["/octo.keys"] = 404
    code, said = d.fails()
    assert code == 1 and "github_user" in said and "octo" in said


def test_up_that_fails_creates_nothing(daemon):
    d = daemon(start=False, env={"SLICER_GITHUB_URL": closed_port()}, config={"github_user": "octo"},
               group={"count": 1})
    code, said = d.fails()
    assert code == 1 and "ssh_keys" in said and "github_user" in said
    assert d.records() == []
