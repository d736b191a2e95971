# SPDX-License-Identifier: MIT
"""The users of VMMs are a daemon's own, for as long as it or one of its VMs runs."""
import pathlib

BLOCKS = pathlib.Path("/run/slicer/.uids")


def owners():
    return {p.read_text(): int(p.name) for p in BLOCKS.iterdir()} if BLOCKS.exists() else {}


def test_each_daemon_has_a_block(daemon):
    one, other = daemon(), daemon(config={"uid_first": 400000, "uid_last": 500000})
    third = daemon()
    have = owners()
    assert len({have[d.id] for d in (one, other, third)}) == 3
    assert have[one.id] < 400000 <= have[other.id] < 500000
    one.client.create(one.group)
    one.kill()
    assert owners() == have, "its VM runs on"
    one.start()
    assert owners() == have
    for d in (one, other, third):
        d.stop()
        assert d.id not in owners()


def test_a_range_that_is_too_narrow(daemon):
    d = daemon(start=False, config={"uid_first": 400000, "uid_last": 400100})
    assert "8192 are needed" in d.fails()[1]
