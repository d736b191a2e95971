# SPDX-License-Identifier: MIT
"""Everything at once, at random, with clients that leave and processes that are killed; after each round the truth is
compared with what the daemon says. SLICER_SEED=N repeats a run, SLICER_RANDOM_SECONDS makes it longer."""
import http.client
import os
import random
import signal
import threading
import time

from slicertest import Shell, alive, fd_count, until
from slicertest.execs import exec_params
from slicertest.shell import Refused
from slicertest.truth import wait_for_truth

ROUND_SECONDS, THREADS = 6, 4
EXPECTED = {200, 201, 400, 403, 404, 408, 409, 500, 503}
# Of a daemon without VMs and connections; what each running VM adds: control, agent, QMP, monitor.
FDS_PER_VM = 4


class Client:
    """One user, who does this and that."""

    def __init__(self, daemon, rng, stop):
        self.daemon, self.rng, self.stop, self.done, self.failure = daemon, rng, stop, 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        verbs = [self.create, self.create_and_leave, self.exec, self.exec, self.exec_and_leave, self.copy, self.shell,
                 self.pause, self.resume, self.shutdown, self.relaunch, self.delete, self.delete_and_leave, self.tags,
                 self.look]
        while not self.stop.is_set():
            try:
                self.rng.choice(verbs)()
                self.done += 1
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)  # the daemon was killed just now
            except BaseException as e:  # noqa: B902  told by the main thread
                self.failure = e
                return

    def vm(self):
        nodes = self.daemon.client.nodes()
        return self.rng.choice(nodes)["hostname"] if nodes else f"{self.daemon.group}-1"

    def request(self, method, path, params=None, **kwargs):
        answer = self.daemon.client.request(method, path, params, timeout=30, **kwargs)
        assert answer.status in EXPECTED, (method, path, params, answer)
        if answer.status >= 400:
            assert answer.error
        return answer

    def leave(self, method, path, params=None, body=b""):
        """Goes away in the middle of the answer, or of the request."""
        with self.daemon.client.raw(10) as raw:
            raw.head(method, path, params, Content_Length=len(body) + self.rng.choice((0, 0, 1000)))
            raw.send(body)
            time.sleep(self.rng.random() * 0.3)

    def nodes_path(self, vm=None):
        return f"/hostgroup/{self.daemon.group}/nodes" + (f"/{vm}" if vm else "")

    def create_params(self):
        return {"wait": self.rng.choice((None, "agent", "agent", "userdata")), "timeout": self.rng.choice((None, "5s", "1ms"))}

    def create(self):
        if len(self.daemon.client.nodes()) > 5:
            self.delete()
            return
        self.request("POST", self.nodes_path(), self.create_params(), json={"persistent": self.rng.random() < 0.5})

    def create_and_leave(self):
        if len(self.daemon.client.nodes()) < 5:
            self.leave("POST", self.nodes_path(), self.create_params(), b'{"persistent":true}')

    def exec(self):
        self.request("POST", f"/vm/{self.vm()}/exec", exec_params("echo", "hello", buffered=True))

    def exec_and_leave(self):
        self.leave("POST", f"/vm/{self.vm()}/exec", exec_params("sleep", "1000", stdin=True))

    def copy(self):
        vm, data = self.vm(), self.rng.randbytes(self.rng.choice((10, 200_000)))
        if self.request("POST", f"/vm/{vm}/cp", {"path": "/tmp/x", "mode": "binary"}, body=data).status == 200:
            self.request("GET", f"/vm/{vm}/cp", {"path": "/tmp/x", "mode": "binary"})

    def shell(self):
        try:
            with Shell(self.daemon.client, self.vm()) as one:
                one.type("echo hello\n")
                time.sleep(self.rng.random() * 0.2)
        except (Refused, AssertionError):
            pass  # refused, or cut off: both may be

    def pause(self):
        self.request("POST", f"/vm/{self.vm()}/pause")

    def resume(self):
        self.request("POST", f"/vm/{self.vm()}/resume")

    def shutdown(self):
        self.request("POST", f"/vm/{self.vm()}/shutdown")

    def relaunch(self):
        self.request("POST", f"/vm/{self.vm()}/relaunch")

    def delete(self):
        self.request("DELETE", self.nodes_path(self.vm()))

    def delete_and_leave(self):
        self.leave("DELETE", self.nodes_path(self.vm()))

    def tags(self):
        self.request("PATCH", f"/vm/{self.vm()}/tags", json={"add": [f"t{self.rng.randrange(5)}"]})

    def look(self):
        for path in ("", "/health", "/logs", "/tags"):
            self.request("GET", f"/vm/{self.vm()}{path}")


def kill_something(daemon, rng):
    what = rng.choice(("vmm", "vmm", "monitor", "daemon"))
    if what == "daemon":
        daemon.kill()
        time.sleep(rng.random() * 0.2)
        daemon.start()
        return
    records = [r for r in daemon.records() if r.get("vmm_pid") and alive(r["vmm_pid"])]
    if records:
        try:
            os.kill(rng.choice(records)[f"{what}_pid"], signal.SIGKILL)
        except ProcessLookupError:
            pass


def one_round(daemon, rng):
    stop = threading.Event()
    clients = [Client(daemon, random.Random(rng.random()), stop) for _ in range(THREADS)]
    end = time.monotonic() + ROUND_SECONDS
    while time.monotonic() < end and not any(c.failure for c in clients):
        time.sleep(0.3 + rng.random())
        kill_something(daemon, rng)
        assert daemon.process.poll() is None, f"the daemon has died:\n{daemon.log_text()[-4000:]}"
    stop.set()
    for client in clients:
        client.thread.join(180)
        assert not client.thread.is_alive(), "a request hangs"
        if client.failure:
            raise client.failure
    return sum(c.done for c in clients)


def check(daemon):
    wait_for_truth(daemon, 5)
    nodes = daemon.client.nodes()
    service = [n for n in nodes if n["hostname"] == f"{daemon.group}-1"]
    assert service, "the service is gone"


def test_random(daemon):
    seed = int(os.environ.get("SLICER_SEED") or random.randrange(1 << 32))
    end = time.monotonic() + float(os.environ.get("SLICER_RANDOM_SECONDS", 18))
    rng, requests = random.Random(seed), 0
    print(f"SLICER_SEED={seed}")
    one = daemon(group={"count": 1}, env={"SLICER_RECONCILE_MS": "50"})
    idle = fd_count(one.pid)
    while True:
        requests += one_round(one, rng)
        check(one)
        until(lambda: fd_count(one.pid) <= idle + FDS_PER_VM * len(one.client.nodes()), 5, "fds are given back")
        if time.monotonic() > end:
            break
    print(f"{requests} requests")
    assert requests > 20
