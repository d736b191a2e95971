# SPDX-License-Identifier: MIT
"""A daemon that is told to end before it is up."""
import os
import signal

import pytest
from slicertest import until

NETWORK = {"bridge": "brstart0", "tap_prefix": "start", "gateway": "10.78.3.1/24"}


@pytest.fixture
def slow_nft(tmp_path):
    """Directory with an nft that says that it runs and then waits until it may."""
    directory, runs = tmp_path / "bin", tmp_path / "runs"
    directory.mkdir()
    (directory / "nft").write_text(f"#!/bin/sh\n: > {runs}\nuntil [ -e {tmp_path}/go ]; do sleep 0.05; done\nexec /usr/sbin/nft \"$@\"\n")
    (directory / "nft").chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}, runs, tmp_path / "go"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_made_so_far_goes(daemon, slow_nft, number):
    """Its bridge and rules, its users and its announcement; then it ends as such a signal ends a program."""
    env, runs, go = slow_nft
    d = daemon(start=False, env=env, group={"network": NETWORK})
    d.spawn()
    until(runs.exists, 20, "its network is being made")
    assert os.path.exists(f"{d.run_dir}.json")
    d.process.send_signal(number)
    go.touch()
    code, d.process = d.process.wait(90), None
    assert code == -number and "API listening" not in d.log_text()
    assert not d.run_dir.exists() and not os.path.exists(f"{d.run_dir}.json") and not os.path.exists("/sys/class/net/brstart0")


def test_a_hangup_is_heard_once_it_is_up(daemon, slow_nft):
    """By a service manager whose reload comes early."""
    env, runs, go = slow_nft
    d = daemon(start=False, env=env, group={"network": NETWORK})
    d.spawn()
    until(runs.exists, 20, "its network is being made")
    d.process.send_signal(signal.SIGHUP)
    go.touch()
    until(lambda: "API listening" in d.log_text(), 30, "it is up")
    assert d.client.get("/healthz").status == 200 and d.process.poll() is None
