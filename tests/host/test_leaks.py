# SPDX-License-Identifier: MIT
"""Clients that leave in the middle, a thousand of them, and guests that come and go: nothing stays behind."""
import os
import random
import threading
import time

import pytest
from slicertest import (Shell, alive, descendants, fd_count, find_processes, open_files, rss, run, until)

MIB = 1024 * 1024
LEAVERS = 1000
WORD = "123456.75"     # of sleep; no other process has it


@pytest.fixture
def counted(fake, api, vm):
    """Counts before; afterwards all are as before."""
    run(api, vm, "true")
    server = fake.agent_server(vm)

    def counts():
        return {"daemon's fds": fd_count(fake.pid), "agent's fds": fd_count(server),
                "processes of the guest": len(descendants(fake.vmm_pid(vm))),
                "threads of the daemon": len(os.listdir(f"/proc/{fake.pid}/task"))}
    until(lambda: counts() == (time.sleep(0.2), counts())[1], 10)
    before, memory = counts(), (rss(fake.pid), rss(server))
    yield
    until(lambda: all(now <= was for now, was in zip(counts(), before)), 20,
          f"{before}, not {counts()}\n{open_files(fake.pid)}\n{open_files(server)}")
    until(lambda: not find_processes(f"sleep {WORD}"))
    assert rss(fake.pid) - memory[0] < 4 * MIB and rss(server) - memory[1] < 4 * MIB


def leave_exec(api, vm, path):
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "sh", "args": ["-c", f"sleep {WORD} & sleep {WORD}"]},
                 Content_Length=0)
        raw.recv(random.choice([1, 4096]))


def leave_exec_with_input(api, vm, path):
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "cat", "stdin": True}, Transfer_Encoding="chunked")
        raw.chunk(b"x" * random.randrange(1, 100000))
        raw.send(b"ffff\r\n" + b"y" * random.randrange(1, 100))


def leave_exec_with_output(api, vm, path):
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "yes"}, Content_Length=0)
        raw.recv()
        raw.recv()


def leave_at_once(api, vm, path):
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "sleep", "args": [WORD]}, Content_Length=0)


def leave_within_the_head(api, vm, path):
    with api.raw() as raw:
        raw.send(f"POST /vm/{vm}/exec?cmd=true HTTP/1.1\r\nHost")


def leave_upload(api, vm, path):
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/cp", {"path": f"{path}/up-{threading.get_ident()}", "uid": 0}, Content_Length=10 * MIB)
        raw.send(b"z" * random.randrange(1, 200000))


def leave_download(api, vm, path):
    with api.raw() as raw:
        raw.head("GET", f"/vm/{vm}/cp", {"path": f"{path}/big", "uid": 0})
        raw.recv()


def leave_shell(api, vm, path):
    with Shell(api, vm, shell="/bin/sh") as shell:
        shell.type(f"sleep {WORD} & sleep {WORD}\n")
        if random.random() < 0.5:
            shell.step()


def leave_health(api, vm, path):
    with api.raw() as raw:
        raw.head("GET", f"/vm/{vm}/health")


WAYS = [leave_exec, leave_exec_with_input, leave_exec_with_output, leave_at_once, leave_within_the_head, leave_upload,
        leave_download, leave_shell, leave_health]


def run_leavers(api, vm, path, ways, at_once=20):
    failures = []

    def work(mine):
        for way in mine:
            try:
                way(api, vm, path)
            except (OSError, AssertionError) as e:
                failures.append((way.__name__, repr(e)))
    threads = [threading.Thread(target=work, args=(ways[i::at_once],)) for i in range(at_once)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[:5]


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.__name__)
def test_one_who_leaves(api, vm, tmp_path, counted, way):
    (tmp_path / "big").write_bytes(b"\0" * (8 * MIB))
    for _ in range(3):
        way(api, vm, tmp_path)


def test_thousand_who_leave(api, vm, tmp_path, counted):
    (tmp_path / "big").write_bytes(b"\0" * (8 * MIB))
    ways = [WAYS[i % len(WAYS)] for i in range(LEAVERS)]
    random.Random(7).shuffle(ways)
    run_leavers(api, vm, tmp_path, ways)
    until(lambda: sorted(os.listdir(tmp_path)) == ["big"], 10, "no part of an upload is left")
    assert run(api, vm, "echo", "well").stdout == b"well\n"


def test_leaving_while_the_vm_is_deleted(fake, api, tmp_path):
    (tmp_path / "big").write_bytes(b"\0" * MIB)
    for _ in range(3):
        vm = api.create(fake.group)["hostname"]
        thread = threading.Thread(target=lambda: api.remove(vm))
        sleepers = []
        for way in (leave_exec, leave_shell, leave_exec_with_input):
            way(api, vm, tmp_path)
        with api.raw() as raw:
            raw.head("POST", f"/vm/{vm}/exec", {"cmd": "sleep", "args": [WORD]}, Content_Length=0)
            raw.read_head()
            sleepers += find_processes(f"sleep {WORD}")
            thread.start()
        thread.join()
        until(lambda: not any(alive(p) for p in sleepers), 5)
    until(lambda: not find_processes(f"sleep {WORD}"))


def test_vms_that_come_and_go_leave_no_fd(fake, api):
    api.remove(api.create(fake.group)["hostname"])
    until(lambda: len(api.nodes()) <= 1, 5)
    before, memory = fd_count(fake.pid), rss(fake.pid)
    for _ in range(20):
        api.remove(api.create(fake.group, wait=None)["hostname"])
    until(lambda: fd_count(fake.pid) <= before, 20, str(open_files(fake.pid)))  # connections end meanwhile
    assert rss(fake.pid) - memory < 4 * MIB


def test_hundred_vms(daemon):
    d = daemon()
    names = [d.client.create(d.group, wait=None)["hostname"] for _ in range(100)]
    until(lambda: all(d.client.get(f"/vm/{n}/health").status == 200 for n in (names[0], names[50], names[99])), 180)
    assert len(d.client.nodes()) == 100
    assert d.stop(300) == 0
    assert d.records() == []
