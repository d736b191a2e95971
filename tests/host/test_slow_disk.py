# SPDX-License-Identifier: MIT
"""On a disk that is slow, a VM's state is shown while its record is still being written. What is asked for then waits for the
record instead of being refused as too early."""
import concurrent.futures

import pytest
from slicertest import BUILD, Daemon, until


@pytest.fixture
def slow(tmp_path):
    with Daemon(tmp_path / "d", env={"LD_PRELOAD": str(BUILD / "tests/fakevmm/slowsync.so"), "SLOW_SYNC_MS": "300"}) as d:
        yield d


def is_shown(d, vm, status):
    return any(n["hostname"] == vm and n["status"] == status for n in d.client.nodes())


def test_what_is_asked_for_while_a_record_is_written(slow):
    d = slow
    vm = f"{d.group}-1"

    def ask(what):
        answer = d.client.request("POST", f"/vm/{vm}/{what}", timeout=60)
        assert answer.status == 200, f"{what}: {answer.text}"

    with concurrent.futures.ThreadPoolExecutor() as pool:
        pool.submit(d.client.create, d.group, persistent=True)
        until(lambda: is_shown(d, vm, "Running"), 30)
        ask("shutdown")
        assert is_shown(d, vm, "Stopped")
        ask("relaunch")
        for what, status in (("pause", "Paused"), ("resume", "Running")):
            before = d.client.get(f"/vm/{vm}/tags").json["tags"]
            tags = pool.submit(d.client.request, "PATCH", f"/vm/{vm}/tags", json={"add": [what]}, timeout=60)
            until(lambda: d.client.get(f"/vm/{vm}/tags").json["tags"] != before, 30)
            ask(what)
            assert is_shown(d, vm, status) and tags.result().status == 200
    assert d.record(vm)["tags"] == ["pause", "resume"]
