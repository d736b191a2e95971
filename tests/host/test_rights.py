# SPDX-License-Identifier: MIT
"""What a daemon and its VMs run as, and who may touch what they make."""
import os
import pathlib
import stat

# capabilities(7), by number: what src/host/rights.c keeps.
KEPT = {"chown": 0, "dac_override": 1, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6, "setuid": 7, "setpcap": 8,
        "net_bind_service": 10, "net_admin": 12, "net_raw": 13, "sys_chroot": 18, "sys_ptrace": 19, "sys_admin": 21,
        "sys_resource": 24, "mknod": 27, "audit_write": 29, "setfcap": 31}

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


def test_the_user_of_a_vm_that_is_deleted_is_free(daemon):
    d = daemon()

    def slots():
        return {r["hostname"]: r["uid_slot"] for r in d.records()}
    a, b = (d.client.create(d.group)["hostname"] for _ in range(2))
    before = slots()
    assert before[a] != before[b]
    d.client.remove(a)
    c = d.client.create(d.group)["hostname"]
    assert slots() == {b: before[b], c: before[a]}


def test_a_range_that_is_too_narrow(daemon):
    d = daemon(start=False, config={"uid_first": 400000, "uid_last": 400100})
    assert "8192 are needed" in d.fails()[1]


def capabilities(pid):
    lines = dict(line.split(":\t") for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line[:3] == "Cap")
    return {name: {bit for bit in range(64) if int(value, 16) >> bit & 1} for name, value in lines.items()}


def test_the_daemon_keeps_what_it_needs(daemon):
    d, kept = daemon(), set(KEPT.values())
    for pid in (d.pid, *(int(t) for t in os.listdir(f"/proc/{d.pid}/task"))):
        have = capabilities(pid)
        assert have["CapPrm"] <= kept and have["CapEff"] <= kept and have["CapBnd"] <= kept
    assert 16 not in capabilities(d.pid)["CapBnd"], "nothing that it starts can load modules"


def test_modes(daemon):
    """Directories are the daemon's alone, files too; the API's socket is for its group."""
    d = daemon()
    vm = d.client.create(d.group, persistent=True)["hostname"]
    d.vmm_pid(vm)  # from which on nothing is being written
    for top in (d.state_dir, d.run_dir):
        for path in (top, *top.rglob("*")):
            s = path.lstat()
            loose = stat.S_IMODE(s.st_mode) & 0o077
            # A VM's disks belong to the user that it runs as, which has no way to them.
            assert (s.st_uid == 0 or path.suffix in (".raw", ".qcow2")) and (loose == 0 or path.is_symlink()), f"{path}: {oct(s.st_mode)}"
    assert stat.S_IMODE(os.stat(d.address).st_mode) == 0o660
    assert stat.S_IMODE(os.stat(f"/var/log/slicer/{vm}.txt").st_mode) == 0o640
