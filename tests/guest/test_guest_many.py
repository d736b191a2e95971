# SPDX-License-Identifier: MIT
"""Boots that would hang if they could: at once, and again and again."""
import threading
import time

import pytest
from slicertest import run


def boot_and_delete(qemu):
    vm = qemu.client.create(qemu.group, timeout="100s")["hostname"]
    assert run(qemu.client, vm, "echo", "up").stdout == b"up\n"
    assert qemu.client.get(f"/vm/{vm}").json["boot_retries"] == 0, "it hung once"
    qemu.client.remove(vm)


def test_six_boot_at_the_same_time(qemu):
    api, made, failed = qemu.client, [], []

    def one():
        try:
            made.append(api.create(qemu.group, timeout="140s")["hostname"])
        except AssertionError as e:
            failed.append(str(e))
    threads = [threading.Thread(target=one) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed and len(made) == 6
    ids = {run(api, vm, "cat", "/etc/machine-id").stdout for vm in made}
    assert len(ids) == 6
    for vm in made:
        described = api.get(f"/vm/{vm}").json
        assert described["status"] == "Running" and described["boot_retries"] == 0
        before = time.time()
        guest = int(run(api, vm, "date", "+%s").stdout)
        assert before - 3 < guest < time.time() + 3
    for vm in made:
        api.remove(vm)


def test_ten_boots_in_a_row(qemu):
    for _ in range(10):
        boot_and_delete(qemu)


@pytest.mark.full
def test_sixty_boots_in_a_row(qemu):
    for _ in range(60):
        boot_and_delete(qemu)


@pytest.mark.full
def test_six_at_once_ten_times(qemu):
    for _ in range(10):
        test_six_boot_at_the_same_time(qemu)
