# SPDX-License-Identifier: MIT
"""`vm relaunch` as units of slots have it, against an API server that a test scripts."""
import os
import pathlib
import subprocess

import pytest
from slicertest import Cli
from slicertest.fakeapi import FakeApi

NODE = {"hostname": "vm-1", "hostgroup": "vm", "ip": "10.0.0.2/24"}


@pytest.fixture
def api():
    with FakeApi() as server:
        yield server


@pytest.fixture
def cli(api, tmp_path):
    return Cli(api.url, "s3cret", cwd=tmp_path)


def answers(*list_of):
    """One after the other; the last for ever."""
    left = list(list_of)
    return lambda handler, request: handler.reply(*(left.pop(0) if len(left) > 1 else left[0]))


@pytest.mark.parametrize("statuses, starts", [
    (["Running"], False), (["Starting", "Starting", "Running"], False), (["Stopping", "Stopped"], True), (["Starting", "Stopped"], True)])
def test_relaunch_if_stopped_waits_for_what_is_under_way(api, cli, statuses, starts):
    api.routes["GET", "/healthz"] = 200, {}
    api.routes["GET", "/vm/vm-1"] = answers(*[(200, {**NODE, "status": status}) for status in statuses])
    api.routes["POST", "/vm/vm-1/relaunch"] = 200, {"ip": "10.0.0.2"}
    out = cli.ok("vm", "relaunch", "--if-stopped", "--wait", "60s", "vm-1")
    assert out == (b"vm-1: relaunched, IP 10.0.0.2\n" if starts else b"vm-1: runs already\n")
    assert len([r for r in api.requests if repr(r) == "GET /vm/vm-1"]) == len(statuses)


@pytest.fixture
def no_token():
    """Where a daemon keeps its token, on a host that has not had one."""
    os.makedirs("/var/lib/slicer", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/var/lib/slicer"], check=True)
    yield pathlib.Path("/var/lib/slicer/auth/token")
    subprocess.run(["umount", "/var/lib/slicer"], check=True)


def test_relaunch_waits_for_the_first_daemon_of_a_host_and_its_token(no_token, api, tmp_path):
    """Which systemd starts together with its slots."""
    def healthz(handler, request):
        ready = len(api.requests) > 2
        if ready and not no_token.exists():
            no_token.parent.mkdir()
            no_token.write_text("fr3sh\n")
            no_token.chmod(0o600)
        handler.reply(*((200, {}) if ready else (503, {"error": "not yet"})))

    def needs_token(handler, request):
        known = request.headers.get("Authorization") == "Bearer fr3sh"
        handler.reply(*((200, {**NODE, "status": "Running"}) if known else (401, {"error": "this API needs a token"})))
    api.routes["GET", "/healthz"] = healthz
    api.routes["GET", "/vm/vm-1"] = needs_token
    assert Cli(api.url, None, cwd=tmp_path).ok("vm", "relaunch", "--if-stopped", "--wait", "60s", "vm-1") == b"vm-1: runs already\n"
