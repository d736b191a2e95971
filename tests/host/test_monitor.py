# SPDX-License-Identifier: MIT
"""slicer-monitor with shell scripts in place of a VMM, looked at from outside (docs/protocol.md §5)."""
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest
from slicertest.proc import children
from slicertest.userns import has_user_namespaces, no_user_namespaces

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SLICER_BUILD", HERE.parent.parent / "build"))
MONITOR = BUILD / "src/vmm/slicer-monitor"
UID = 64901
MIB = 1 << 20
ROOT = os.geteuid() == 0
LIBC = ctypes.CDLL(None)
# prctl(2), and numbers of calls, which these have on all architectures: of a new one, and of one that there will not be for long.
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, MOUNT_SETATTR, UNUSED = 22, 2, 442, 4000


def high(fd):
    """The same file under a number that the harness does not need."""
    new = fcntl.fcntl(fd, fcntl.F_DUPFD, 20)
    os.close(fd)
    return new


def wait_for(condition, seconds=60, what="condition"):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def proc_status(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {k: v.strip() for k, v in re.findall(r"^(\w+):(.*)$", text, re.M)}


class Monitor:
    """Starts a monitor as vmm_launch() does; `script` runs as the VMM, its console is the fd $CONSOLE."""

    def __init__(self, directory, script, **options):
        directory.chmod(0o755)
        user = options.pop("user", None)  # whom the monitor runs as
        prefix, before = options.pop("prefix", []), options.pop("before", lambda: None)  # in the child, last
        options_of_user = {"user": user, "group": user, "extra_groups": []} if user else {}
        if user:
            os.chown(directory, user, user)
        self.dir, self.log, self.record = directory, directory / "console.txt", directory / "exit.json"
        self.log = options.pop("log", self.log)
        self.sock = directory / "monitor.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.sock))
        listener.listen(16)
        control = high(os.dup(listener.fileno()))
        listener.close()
        console_r, console_w = map(high, os.pipe())
        self.ready_r, ready_w = map(high, os.pipe())
        spec = {
            "version": 1, "vm": "vm-1",
            "vmm": self.program(script, options.pop("fds", []) + [console_w], console_w),
            "helpers": [self.program(h, [], 0) for h in options.pop("helpers", [])],
            "console": {"pipe_fd": console_r, "path": str(self.log), "limit": options.pop("limit", MIB)},
            "exit_record": str(self.record), "control_fd": control, "ready_fd": ready_w,
        }
        extra = spec["vmm"]["fds"]
        spec["vmm"].update(options.pop("vmm", {}))
        spec.update(options)
        text = json.dumps(spec).encode()
        memfd = high(os.memfd_create("spec"))
        os.write(memfd, text)
        given = (control, console_r, console_w, ready_w)
        self.run = dict(args=[*prefix, MONITOR, "vm-1"], preexec_fn=lambda: (os.dup2(memfd, 3), before()), stderr=subprocess.PIPE,
                        pass_fds=(3, *given, *extra), **options_of_user)
        self.first = subprocess.run(**self.run, check=False, timeout=60)
        for fd in (*given, memfd):
            os.close(fd)
        self.ready = self.read_ready()
        self.pid, self.vmm = self.ready.get("monitor_pid"), self.ready.get("vmm_pid")

    @staticmethod
    def program(script, fds, console):
        return {"argv": script if isinstance(script, list) else ["/bin/bash", "-c", script], "env": [f"CONSOLE={console}",
                "PATH=/usr/bin:/bin:/usr/sbin"], "uid": UID if ROOT else os.geteuid(), "gid": UID if ROOT else os.getegid(),
                "fds": fds}

    def read_ready(self):
        with os.fdopen(self.ready_r) as f:
            text = f.read()
        return json.loads(text) if text else {}

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(60)
        s.connect(str(self.sock))
        return s

    def ask(self, line):
        with self.connect() as s:
            s.sendall(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
            return read_line(s)

    def ended(self, seconds=60):
        """Waits for the end of the monitor; its exit record."""
        wait_for(lambda: not alive(self.pid), seconds, "the end of the monitor")
        assert not alive(self.vmm)
        return json.loads(self.record.read_text())


def read_line(s):
    data = b""
    while not data.endswith(b"\n"):
        chunk = s.recv(1)  # an answer and the event behind it may come at once
        if not chunk:
            return None
        data += chunk
    return json.loads(data)


@pytest.fixture
def start(tmp_path):
    for parent in tmp_path.parents:  # the VMM's user must get here
        with contextlib.suppress(PermissionError):
            if parent.is_relative_to("/tmp") and str(parent) != "/tmp":
                parent.chmod(0o755)
    monitors = []

    def run(script, **options):
        monitors.append(Monitor(tmp_path, script, **options))
        return monitors[-1]

    yield run
    for m in monitors:
        for pid in (m.vmm, m.pid):
            if pid and alive(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("script,expected", [
    ("exit 0", {"exit_code": 0}), ("exit 3", {"exit_code": 3}), ("kill -SEGV $$", {"signal": "SIGSEGV"}),
    ("kill -KILL $$", {"signal": "SIGKILL"})])
def test_exit_record(start, script, expected):
    wait, go = map(high, os.pipe())
    m = start(f"echo last words >&$CONSOLE; echo why >&2; read -u {wait}; " + script, fds=[wait])
    assert m.ready["monitor_pid"] > 0 and m.ready["vmm_start"] >= m.ready["monitor_start"] > 0
    with m.connect() as s:
        s.sendall(b'{"cmd":"status"}\n')
        assert read_line(s)["state"] == "running"  # the monitor knows of this client
        os.write(go, b"\n")
        event = read_line(s)
        assert m.record.exists(), "the record is there before the event"
    for fd in (wait, go):
        os.close(fd)
    record = m.ended()
    assert {k: event[k] for k in expected} == expected
    assert {k: record.get(k) for k in ("exit_code", "signal")} == {"exit_code": None, "signal": None} | expected
    assert event.pop("event") == "exit" and event == record
    assert record["vm"] == "vm-1" and record["vmm_pid"] == m.vmm
    assert record["boot_id"] == pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", record["ended_at"])
    assert record["console_tail"] == "last words\n" and record["vmm_message"] == "why"
    assert m.log.read_text() == "last words\n"
    assert m.record.stat().st_mode & 0o777 == 0o600 and m.log.stat().st_mode & 0o777 == 0o640


def test_last_words_of_one_that_says_much(start):
    """All at once for a monitor that gets to it late."""
    wait, go = map(high, os.pipe())
    m = start(f"read -u {wait}; head -c 5000 /dev/zero | tr '\\0' x >&2; echo the reason >&2", fds=[wait])
    os.kill(m.pid, signal.SIGSTOP)
    os.write(go, b"\n")
    wait_for(lambda: not alive(m.vmm), what="the end of the VMM")
    os.kill(m.pid, signal.SIGCONT)
    for fd in (wait, go):
        os.close(fd)
    assert m.ended()["vmm_message"].endswith("xthe reason")


def test_status_and_kill(start):
    m = start("sleep 60")
    assert m.ask({"cmd": "status"}) == {"ok": True, "state": "running", "helper_failed": False} | m.ready
    with m.connect() as s:
        s.sendall(b'{"cmd":"kill"}\n')
        assert read_line(s) == {"ok": True}
        assert read_line(s)["signal"] == "SIGKILL"
        assert s.recv(1) == b""
    assert m.ended()["signal"] == "SIGKILL"


def log_size(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it is just being put aside
        return 0


def test_console_flood(start):
    m = start("head -c 104857600 /dev/zero | tr '\\0' x >&$CONSOLE; printf END >&$CONSOLE", limit=MIB)
    peak = 0
    while alive(m.pid):
        sizes = [log_size(path) for path in m.dir.glob("console.txt*")]
        assert max(sizes, default=0) <= MIB and len(sizes) <= 2
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, KeyError):
            peak = max(peak, int(proc_status(m.pid)["VmRSS"].split()[0]))
        time.sleep(0.02)
    record = m.ended(60)
    assert record["exit_code"] == 0
    assert record["console_tail"].endswith("xEND") and len(record["console_tail"]) == 2048
    assert m.log.read_bytes() == b"END"  # 100 times the limit, and then that
    assert (m.dir / "console.txt.1").stat().st_size == MIB
    assert 0 < peak < 2048, f"{peak} KiB"


def test_console_without_a_directory(start, tmp_path):
    """The VMM never waits for the log; once it can be written, it is."""
    late = tmp_path / "late"
    m = start("head -c 3000000 /dev/zero >&$CONSOLE; while :; do echo tick >&$CONSOLE; sleep 0.1; done",
              log=late / "console.txt")
    wait_for(lambda: m.ask({"cmd": "status"})["ok"])
    time.sleep(0.3)
    late.mkdir()
    wait_for(lambda: m.log.exists() and b"tick" in m.log.read_bytes(), what="log")
    m.ask({"cmd": "kill"})
    assert m.ended()["console_tail"].endswith("tick\n")


@pytest.mark.skipif(not ROOT, reason="mounts a tmpfs")
def test_console_on_a_full_disk(start, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=True)
    try:
        m = start("head -c 20000000 /dev/zero | tr '\\0' x >&$CONSOLE; printf END >&$CONSOLE; exit 5",
                  log=full / "console.txt")
        record = m.ended(30)
        assert record["exit_code"] == 5 and record["console_tail"].endswith("xEND")
        assert m.log.stat().st_size <= 65536
    finally:
        subprocess.run(["umount", full], check=True)


STARTER = """
import pathlib, sys, time
sys.path[:0] = {path!r}
from test_monitor import Monitor
m = Monitor(pathlib.Path({dir!r}), {script!r}, limit=65536)
print(m.pid, m.vmm, flush=True)
time.sleep(60)
"""


def test_starter_is_killed(start, tmp_path):
    tmp_path.chmod(0o755)
    script = "trap 'exit 7' TERM; while :; do printf '%04000d\\n' 0 >&$CONSOLE; sleep 0.02; done"
    starter = subprocess.Popen([sys.executable, "-c", STARTER.format(path=sys.path, dir=str(tmp_path), script=script)],
                               stdout=subprocess.PIPE, text=True)
    pid, vmm = map(int, starter.stdout.readline().split())
    starter.kill()
    starter.wait()
    assert starter.stdout.read() == "", "nobody keeps the starter's streams open"
    log = tmp_path / "console.txt"
    wait_for(lambda: (tmp_path / "console.txt.1").exists(), what="rotation")
    assert alive(pid) and alive(vmm)
    assert os.getsid(pid) == pid and proc_status(pid)["PPid"] != str(starter.pid)
    assert wait_for(log.exists, what="a new log") and log_size(log) <= 65536
    os.kill(vmm, signal.SIGTERM)
    wait_for(lambda: not alive(pid), what="end")
    assert json.loads((tmp_path / "exit.json").read_text())["exit_code"] == 7


def test_helpers(start):
    m = start("sleep 60", helpers=["exec sleep 61", "exec sleep 62"])
    below = children(m.pid)
    assert len(below) == 3 and below[-1] == m.vmm, "helpers are started first"
    m.ask({"cmd": "kill"})
    record = m.ended()
    assert not any(alive(c) for c in below)
    assert "has ended" not in record["console_tail"]


def test_helper_dies(start):
    m = start("sleep 60", helpers=["sleep 0.2; echo no route >&2; exit 1"])
    wait_for(lambda: m.ask({"cmd": "status"})["helper_failed"], what="notice")
    assert "/bin/bash has ended" in m.log.read_text()
    m.ask({"cmd": "kill"})
    assert m.ended()["vmm_message"] == "no route"


@pytest.mark.parametrize("options", [{}, {"helpers": [["/nonexistent/helper"]]}])
def test_cannot_start(start, options):
    m = start(["/nonexistent/vmm"] if not options else "sleep 60", helpers=["exec sleep 63"] + options.get("helpers", []))
    assert list(m.ready) == ["error"]
    assert "/nonexistent/" in m.ready["error"] and "No such file" in m.ready["error"]
    assert not m.record.exists()
    look = ["pgrep", "-u", str(UID if ROOT else os.geteuid()), "-fx", "sleep 63"]
    wait_for(lambda: subprocess.run(look, stdout=subprocess.PIPE).stdout == b"", what="the end of the helper")


def protected_oom_score():
    """What a root process of this host may set itself to: containers may forbid it."""
    return subprocess.run(["sh", "-c", "echo -900 >/proc/self/oom_score_adj; exec cat /proc/self/oom_score_adj"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout


def test_rights(start):
    secret, passed = os.open("/etc/passwd", os.O_RDONLY), high(os.open("/etc/hostname", os.O_RDONLY))
    os.set_inheritable(secret, True)
    m = start("ulimit -c; umask; kill -STOP $$", fds=[passed], vmm={"groups": [64905]} if ROOT else {})
    os.close(secret)
    os.close(passed)
    # From here on it opens and closes nothing any more: a shell or loader that is still at work has files of its own.
    wait_for(lambda: proc_status(m.vmm)["State"].startswith("T"))
    s = proc_status(m.vmm)
    assert s["NoNewPrivs"] == "1" and s["Umask"] == "0077"
    for cap in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(s[cap], 16) == 0, cap
    if ROOT:
        assert s["Uid"].split() == s["Gid"].split() == [str(UID)] * 4
        assert s["Groups"].split() == ["64905"] and int(s["CapBnd"], 16) == 0
        assert pathlib.Path(f"/proc/{m.pid}/oom_score_adj").read_text() == protected_oom_score()
    assert pathlib.Path(f"/proc/{m.vmm}/oom_score_adj").read_text() == "0\n"
    fds = {int(p.name): os.readlink(p) for p in pathlib.Path(f"/proc/{m.vmm}/fd").iterdir()}
    named = {n: t for n, t in fds.items() if n > 2}
    assert len(named) == 2 and named[passed] == "/etc/hostname", named
    assert fds[0] == "/dev/null" and all(fds[n].startswith("pipe:") for n in (2,))
    # The monitor keeps nothing of the VMM's, and next to no memory.
    mine = [os.readlink(p) for p in pathlib.Path(f"/proc/{m.pid}/fd").iterdir()]
    assert "/etc/hostname" not in mine and "/etc/passwd" not in mine and len(mine) <= 8, mine
    assert int(proc_status(m.pid)["VmRSS"].split()[0]) < 2048
    m.ask({"cmd": "kill"})
    assert m.ended()["vmm_message"] == "0\n0077"


JAIL = {"paths": ["/bin", "/lib", "/lib64", "/usr/bin", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/etc/ld.so.cache",
                  "/nonexistent"], "devices": ["null"], "threads": 10, "file_bytes": 4096}


@pytest.mark.parametrize("user", [None, UID])
def test_jail(start, user):
    """As root and, in a user namespace, without."""
    m = start("echo /*; echo $$ /dev/* /proc/self /proc/[0-9]*; head -c 5000 /dev/zero >&$CONSOLE; kill -ABRT $$",
              helpers=["exec sleep 65"], vmm={"jail": JAIL}, user=user)
    record = m.ended()
    if user and not has_user_namespaces():
        assert m.ready["note"].startswith("no jail: ")
        return
    assert "note" not in m.ready
    first, last = record["vmm_message"].splitlines()[:2]
    assert set(first.split()) == {"/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/usr"}
    assert last == "2 /dev/null /proc/self /proc/2", "no process of the host, nor process 1"
    assert record["signal"] == "SIGABRT", "it is not process 1, which would ignore that"


@pytest.mark.skipif(not has_user_namespaces(), reason="needs user namespaces, to forbid them in one")
def test_without_user_namespaces_there_is_no_jail(start):
    """It says so, and runs."""
    m = start("echo /*; id -u", vmm={"jail": JAIL}, user=UID, prefix=no_user_namespaces(UID))
    record = m.ended()
    assert m.ready["note"].startswith("no jail: this host gives users no user namespaces (No space left on device)")
    seen, uid = record["vmm_message"].splitlines()
    assert "/proc" in seen.split() and "/home" in seen.split() and uid == str(UID)


def deny_system_call(number):
    """From here on, and in all children, it fails as on a kernel that does not have it. seccomp(2): a filter of four instructions."""
    load_number, jump_if_equal, leave = 0x20, 0x15, 0x06
    allow, not_there = 0x7fff0000, 0x00050000 | errno.ENOSYS
    code = b"".join(struct.pack("HBBI", *i) for i in (
        (load_number, 0, 0, 0), (jump_if_equal, 0, 1, number), (leave, 0, 0, not_there), (leave, 0, 0, allow)))
    buf = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buf)))
    assert LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0


def test_a_kernel_that_is_too_old_for_the_jail(start):
    m = start("sleep 60", vmm={"jail": JAIL}, before=lambda: deny_system_call(MOUNT_SETATTR))
    assert "its root directory needs mount_setattr(2), which Linux has from 5.12 on" in m.ready["error"]
    assert not m.record.exists()


def test_a_jail_within_a_filter_of_system_calls(start):
    """As containers and services have them."""
    m = start("exec sleep 60", vmm={"jail": JAIL}, before=lambda: deny_system_call(UNUSED))
    keeper = next(c for c in children(m.pid) if pathlib.Path(f"/proc/{c}/comm").read_text() == "jail-keeper\n")
    assert proc_status(keeper)["Seccomp_filters"] == "2" and proc_status(m.vmm)["Seccomp_filters"] == "2"
    os.kill(m.pid, signal.SIGKILL)
    wait_for(lambda: not alive(keeper) and not alive(m.vmm), what="the end of keeper and VMM")


@pytest.mark.parametrize("jail,words", [
    ({"paths": ["/bin/../etc"]}, "plain form"), ({"devices": ["nothing-like-it"]}, "its root directory")])
def test_a_jail_that_cannot_be_made(start, jail, words):
    m = start("sleep 60", vmm={"jail": jail})
    assert words in m.ready.get("error", m.first.stderr.decode()), (m.ready, m.first.stderr)
    assert not m.record.exists()


def is_removed(group):
    """Who has ended may be in it for a moment more."""
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


@pytest.fixture
def group():
    """The path of a control group that is not there yet."""
    roots = [pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/sys/fs/cgroup/unified")]
    path = next(r for r in roots if (r / "cgroup.controllers").exists()) / f"slicer-test-{os.getpid()}" / "vm-1"
    yield path
    for p in (path, path.parent):
        wait_for(lambda: is_removed(p), what="a control group that nobody is in")


def test_what_the_host_cannot_limit_is_named(start, group):
    m = start("sleep 60", cgroup={"path": str(group), "memory_bytes": 64 * MIB, "cpus": 1, "threads": 20})
    have = (group.parent.parent / "cgroup.controllers").read_text().split()
    lacking = ", ".join(c for c in ("memory", "cpu", "pids", "io") if c not in have)
    assert not lacking or m.ready["note"] == \
        f"not limited by a control group: {lacking} (cgroup2 has no such controllers on this host)"
    assert set((group / "cgroup.procs").read_text().split()) == {str(m.pid), str(m.vmm)}
    m.ask({"cmd": "kill"})
    m.ended()


def test_jail_ends_with_its_monitor(start):
    m = start("exec sleep 66", vmm={"jail": JAIL}, helpers=["exec sleep 67"])
    below = children(m.pid)
    assert len(below) == 3
    os.kill(m.pid, signal.SIGKILL)
    wait_for(lambda: not any(alive(c) for c in below), what="the end of VMM, helper and keeper")


def test_kvm_access(start):
    """Its user can use /dev/kvm whatever the host's mode says; without the device that is an error."""
    m = start("test -r /dev/kvm && test -w /dev/kvm && echo usable >&$CONSOLE; ls /run >&2", vmm={"kvm": True})
    if not pathlib.Path("/dev/kvm").exists():
        assert "/dev/kvm" in m.ready["error"]
        return
    before = os.stat("/dev/kvm")
    record = m.ended()
    assert record["console_tail"] == "usable\n"
    assert "kvm" not in record["vmm_message"].split(), "the scratch mount is gone"
    assert os.stat("/dev/kvm").st_uid == before.st_uid and os.stat("/dev/kvm").st_mode == before.st_mode


def test_monitor_is_killed(start):
    m = start("exec sleep 60", helpers=["exec sleep 64"])
    below = children(m.pid)
    os.kill(m.pid, signal.SIGKILL)
    wait_for(lambda: not any(alive(c) for c in below), what="the end of VMM and helper")


def test_monitor_is_terminated(start):
    m = start("sleep 60")
    for s in (signal.SIGHUP, signal.SIGINT):
        os.kill(m.pid, s)
    assert m.ask({"cmd": "status"})["state"] == "running"
    os.kill(m.pid, signal.SIGTERM)
    assert m.ended()["signal"] == "SIGKILL"


@pytest.mark.parametrize("line", [
    b"x\n", b"\n", b"[]\n", b"{}\n", b'{"cmd":5}\n', b'{"cmd":"reboot"}\n', b"\xff\xfe\n", b"\0\0\0\n",
    b'{"cmd":"status","cmd":"kill"}\n', b"{" * 4000 + b"\n", b"y" * 4097])
def test_garbage(start, line):
    m = start("sleep 60")
    answer = m.ask(line)
    assert answer["ok"] is False and answer["error"]
    assert m.ask({"cmd": "status"})["state"] == "running"


def test_many_and_slow_clients(start):
    m = start("sleep 60")
    clients = [m.connect() for _ in range(8)]
    with m.connect() as ninth:
        assert read_line(ninth) == {"ok": False, "error": "too many clients"}
        assert ninth.recv(1) == b""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
        clients[0].setblocking(False)  # asks on and on, and never reads
        while True:
            clients[0].send(b'{"cmd":"status"}\n' * 64)
    clients[1].sendall(b'{"cmd":"sta')
    time.sleep(0.1)
    clients[1].sendall(b'tus"}\n')
    assert read_line(clients[1])["ok"]
    for c in clients:
        c.close()
    wait_for(lambda: m.ask({"cmd": "status"})["ok"])
    wait_for(lambda: len(os.listdir(f"/proc/{m.pid}/fd")) <= 8, what="the end of all clients")


@pytest.mark.parametrize("options,words", [
    ({"version": 2}, "version 2"), ({"exit_record": "relative"}, "exit_record"), ({"vm": 5}, "vm")])
def test_bad_specification(start, options, words):
    m = start("sleep 60", **options)
    assert m.first.returncode == 2 and words in m.first.stderr.decode() and m.ready == {}


def test_started_by_hand():
    done = subprocess.run([MONITOR], stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2 and "slicer-monitor:" in done.stderr
