# SPDX-License-Identifier: MIT
"""A real VM from an empty machine: what is in it, what reaches it, and what is left of it."""
import base64
import fcntl
import hashlib
import http.server
import json
import os
import re
import signal
import threading
import time

from slicertest import Shell, alive, boot_id, descendants, exec_stream, fd_count, open_files, rss, run, until

MIB = 1024 * 1024
FLAT = 4 * MIB
F_GET_SEALS = 1034
SEALED = 0x0002 | 0x0004 | 0x0008 | 0x0001  # shrink, grow, write, and the seals themselves


def sh(api, vm, script, **params):
    """Output of a script in the guest, as root; it must succeed."""
    done = run(api, vm, "sh", "-c", script, **{"uid": 0, "gid": 0, **params})
    assert done.exit_code == 0, (script, done.stdout, done.stderr, done.error)
    return done.stdout.decode().strip()


# --- what the guest is

def test_a_real_kernel_and_the_image_micro(api, vm):
    assert "cloud-amd64" in sh(api, vm, "uname -r") and sh(api, vm, "hostname") == vm
    assert sh(api, vm, "cat /proc/sys/kernel/random/boot_id") != open("/proc/sys/kernel/random/boot_id").read().strip()
    assert run(api, vm, "id", "-un").stdout == b"ubuntu\n" and run(api, vm, "id", "-u").stdout == b"1000\n"
    assert run(api, vm, "sudo", "id", "-u").stdout == b"0\n"
    assert run(api, vm, "pwd").stdout == b"/home/ubuntu\n"
    assert run(api, vm, "bash", "-c", "echo $BASH_VERSION").stdout.strip()
    assert "slicer-agent" in sh(api, vm, "cat /proc/1/comm /proc/1/cmdline | tr '\\0' ' '") or \
        sh(api, vm, "slicer-agent version")
    assert len(sh(api, vm, "cat /etc/machine-id")) == 32


def test_root_is_an_overlay_with_room(api, vm):
    kind = sh(api, vm, "awk '$2 == \"/\" {print $3}' /proc/mounts | tail -1")
    assert kind == "overlay"
    blocks = int(sh(api, vm, "df -k / | awk 'NR == 2 {print $2}'"))
    assert blocks > 14 * 1024 * 1024, "16G unless said otherwise"
    assert sh(api, vm, "echo kept > /etc/x && cat /etc/x") == "kept"


def test_clock_cpu_and_memory(api, vm):
    before = time.time()
    assert before - 3 < int(sh(api, vm, "date +%s")) < time.time() + 3
    assert sh(api, vm, "nproc") == "1"
    assert sh(api, vm, "cat /sys/devices/system/clocksource/clocksource0/current_clocksource") in ("tsc", "kvm-clock")
    kib = int(re.search(r"MemTotal:\s+(\d+)", sh(api, vm, "cat /proc/meminfo")).group(1))
    assert 180 * 1024 < kib <= 256 * 1024
    times = [time.time(), int(sh(api, vm, "date +%s")), time.time()]
    time.sleep(2)
    times += [time.time(), int(sh(api, vm, "date +%s")), time.time()]
    assert times[3] - times[2] - 2 < times[4] - times[1] < times[5] - times[0] + 2, f"the guest's clock runs right: {times}"


def test_network_of_user_mode(api, vm):
    node = api.node(vm)
    assert node["ip"] in sh(api, vm, "ip -4 addr")
    assert "default via" in sh(api, vm, "ip route")
    assert sh(api, vm, "cat /etc/resolv.conf").splitlines() == ["nameserver 8.8.8.8", "nameserver 1.1.1.1"]
    assert api.get(f"/vm/{vm}/health").json["ip"] == node["ip"]


def test_the_hosts_loopback_is_not_the_guests(api, vm):
    """A server on the host's 127.0.0.1 is not there at the gateway's address."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert sh(api, vm, "timeout 5 echo there") == "there"
        gateway = sh(api, vm, "ip route | awk '/^default/ {print $3}'")
        script = f"exec 3<>/dev/tcp/{gateway}/{server.server_port} && echo GET > /dev/fd/3 && echo reached"
        done = run(api, vm, "timeout", "5", "bash", "-c", script)
        assert b"reached" not in done.stdout and done.exit_code != 0
    finally:
        server.shutdown()
        server.server_close()


def test_the_config_disk_holds_no_secret_and_is_readable_in_the_guest(qemu, api, vm):
    text = sh(api, vm, "for d in /sys/block/vd*; do [ \"$(cat $d/serial)\" != slicer-config ] || "
                       "head -c 65536 /dev/${d##*/} | tr -d '\\0'; done")
    document = json.loads(text)
    assert document["hostname"] == vm and document["version"] == 1
    assert "token" not in text


# --- what the host gives it

def test_the_vmm_has_no_privilege(qemu, vm):
    pid = qemu.vmm_pid(vm)
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
    uids, gids = set(status["Uid"].split()), set(status["Gid"].split())
    assert len(uids) == len(gids) == 1 and int(uids.pop()) >= 300000 and int(gids.pop()) >= 300000
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) & int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
    assert status["Groups"].strip() == ""


def test_guest_memory_is_a_sealed_memfd(qemu, vm):
    pid = qemu.vmm_pid(vm)
    found = [fd for fd, path in open_files(pid) if path.startswith("/memfd:")]
    assert found
    sealed = []
    for fd in found:
        mine = os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY)
        if os.fstat(mine).st_size == 256 * MIB:
            sealed.append(fcntl.fcntl(mine, F_GET_SEALS) & SEALED == SEALED)
        os.close(mine)
    assert sealed and all(sealed)


def test_nothing_of_the_host_is_open_in_the_vmm(qemu, vm):
    pid = qemu.vmm_pid(vm)
    for fd, path in open_files(pid):
        assert not path.endswith((".json", "daemon.lock", "api.sock", "slicer.yaml")), (fd, path)
    argv = open(f"/proc/{pid}/cmdline").read()
    assert "exec:" not in argv and str(qemu.state_dir) not in argv, "disks are handed over as fds"


def test_disk_is_small_and_private(qemu, vm):
    disk = qemu.state_dir / "vms" / vm / "disk.qcow2"
    assert disk.stat().st_mode & 0o077 == 0
    assert disk.stat().st_blocks * 512 < 64 * MIB


# --- exec, cp, shell

def test_frames_and_codes(api, vm):
    done = run(api, vm, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.exit_code) == (b"out\n", b"err\n", 7)
    done = run(api, vm, "sh", "-c", "kill -9 $$")
    assert (done.exit_code, done.signal) == (137, "SIGKILL")
    assert run(api, vm, "/no/such").exit_code == 127


def guest_rss(api, vm):
    """Of the agent's processes, in the guest."""
    out = sh(api, vm, "for p in /proc/[0-9]*; do case $(cat $p/comm) in slicer-*) grep VmRSS $p/status;; esac; done")
    return sum(int(n) for n in re.findall(r"VmRSS:\s+(\d+) kB", out)) * 1024


def test_a_command_has_a_control_group_of_its_own(api, vm):
    """From its start: what leaves its session ends with its client as well."""
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "sh", "args": ["-c", "setsid sleep 4321 & sleep 4321"]}, Content_Length=0)
        raw.read_head()
        # Of their own, by then: before, they are copies of the shell.
        until(lambda: len(run(api, vm, "pidof", "sleep", uid=0, gid=0).stdout.split()) == 2, 10)
        groups = sh(api, vm, "cat /proc/self/cgroup $(printf '/proc/%s/cgroup ' $(pidof sleep))").split()
        assert all(re.fullmatch(r"0::/slicer/task-\d+-\d+", g) for g in groups), groups
        assert len(groups) == 3 and groups[0] != groups[1] == groups[2], groups
    until(lambda: sleepers(api, vm) == 0, 10)


def test_a_control_group_is_given_on_when_nobody_is_in_it(api, vm):
    def group(also="", **ids):
        return sh(api, vm, f"{also}\ncat /proc/self/cgroup", **ids)
    own = "/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)"
    first = group()
    assert group() == first == group(uid=1000, gid=1000)
    assert group("setsid sleep 4321 >/dev/null 2>&1 &") == first
    second = group()
    assert second != first
    assert group(f"mkdir {own}/below") == second
    third = group()
    assert third not in (first, second)
    assert group(f"rmdir {own}/below /sys/fs/cgroup{second[3:].strip()}/below 2>/dev/null || true") == third
    sh(api, vm, f"kill $(pidof sleep); for g in /sys/fs/cgroup/slicer/task-*; do [ $g = {own} ] || rmdir $g; done")
    with api.raw() as raw:  # of two that run at once one is in a new group
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "sleep", "args": ["4321"]}, Content_Length=0)
        raw.read_head()
        assert group() != third
    until(lambda: sleepers(api, vm) == 0, 10)


def test_64_mib_both_ways_at_once_in_flat_memory(qemu, api, vm):
    block = hashlib.sha512(b"x").digest() * (MIB // 64)
    run(api, vm, "cat", body=block, stdio="base64")
    before = rss(qemu.pid), guest_rss(api, vm)
    sent, got, size, peak = hashlib.sha256(), hashlib.sha256(), 0, 0

    def blocks():
        for i in range(64):
            piece = block[i:] + block[:i]
            sent.update(piece)
            yield from (piece[j:j + 65536] for j in range(0, MIB, 65536))
    for frame in exec_stream(api, vm, "cat", body=blocks(), stdio="base64", timeout=180):
        if frame["type"] == "stdout":
            data = base64.b64decode(frame["stdout"])
            size += len(data)
            got.update(data)
            if size % (4 * MIB) < len(data):
                peak = max(peak, rss(qemu.pid))
    assert size == 64 * MIB and got.digest() == sent.digest()
    after = rss(qemu.pid), guest_rss(api, vm)
    assert max(peak, after[0]) - before[0] < FLAT and after[1] - before[1] < FLAT


def test_cp_64_mib_in_and_out(qemu, api, vm):
    block = os.urandom(MIB)
    before = rss(qemu.pid), guest_rss(api, vm)
    answer = api.post(f"/vm/{vm}/cp", {"path": "~/big"}, body=(block for _ in range(64)), chunked=True,
                      headers={"Transfer-Encoding": "chunked"}, timeout=180)
    assert answer.status == 200
    assert sh(api, vm, "sha256sum < /home/ubuntu/big").split()[0] == hashlib.sha256(block * 64).hexdigest()
    assert api.get(f"/vm/{vm}/cp", {"path": "~/big"}, timeout=180).body == block * 64
    assert sh(api, vm, "stat -c %u /home/ubuntu/big") == "1000"
    after = rss(qemu.pid), guest_rss(api, vm)
    assert after[0] - before[0] < FLAT and after[1] - before[1] < FLAT
    sh(api, vm, "rm /home/ubuntu/big")


def test_cli_copies_a_tree(qemu, api, vm, tmp_path):
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/sub/f").write_text("data")
    qemu.cli.ok("vm", "cp", "-r", tmp_path / "src", f"{vm}:/home/ubuntu/tree")
    assert sh(api, vm, "cat /home/ubuntu/tree/sub/f") == "data"
    qemu.cli.ok("vm", "cp", "-r", f"{vm}:/home/ubuntu/tree", tmp_path / "back")
    assert (tmp_path / "back/sub/f").read_text() == "data"


def test_shell(api, vm):
    with Shell(api, vm, columns=111, rows=33) as shell:
        shell.type("stty size; whoami; tty\n")
        shell.expect("33 111")
        shell.expect("ubuntu")
        shell.expect("/dev/pts/")
        shell.type("exit\n")
        shell.read_to_close()
        assert shell.session_closed


def sleepers(api, vm):
    return int(run(api, vm, "sh", "-c", "ps -o args | grep -c '[s]leep 4321'").stdout)


def test_one_who_leaves_ends_the_process_group(api, vm):
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "sh", "args": ["-c", "sleep 4321 & sleep 4321"]}, Content_Length=0)
        raw.read_head()
        until(lambda: sleepers(api, vm) == 3, 10)
    until(lambda: sleepers(api, vm) == 0, 10)


def test_hundred_who_leave(qemu, api, vm):
    def guest():
        return sh(api, vm, "p=; for q in /proc/[0-9]*; do case $(cat $q/comm 2>/dev/null) in slicer-*) "
                           "ls $q/fd | wc -l;; esac; done; "
                           # Without the kernel's threads, of which it keeps more for minutes after it needed them.
                           "for q in /proc/[0-9]*; do [ -e $q/exe ] && echo; done | wc -l").split()
    guest()
    before, fds = guest(), fd_count(qemu.pid)
    for i in range(100):
        with api.raw() as raw:
            if i % 3 == 0:
                raw.head("POST", f"/vm/{vm}/exec", {"cmd": "sleep", "args": ["999"]}, Content_Length=0)
            elif i % 3 == 1:
                raw.head("POST", f"/vm/{vm}/cp", {"path": "/tmp/x"}, Content_Length=100000)
                raw.send(b"x" * 5000)
            else:
                raw.head("POST", f"/vm/{vm}/exec", {"cmd": "yes"}, Content_Length=0)
                raw.recv()
    # What was open for a request before may be closed by now.
    until(lambda: fd_count(qemu.pid) <= fds, 60, f"{fds} open: {open_files(qemu.pid)}")
    until(lambda: all(int(now) <= int(was) for now, was in zip(guest(), before)), 60, f"as before: {before}")


def test_bytes_that_look_like_control_lines_do_nothing(qemu, api, vm):
    lines = b"".join([b"hello 1\n", b"reset " + b"0" * 32 + b"\n", b"await " + b"0" * 32 + b"\n", b"bye reboot\n",
                      b"0" * 32 + b"\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]) * 500
    log = qemu.log_text()
    assert run(api, vm, "cat", body=lines, stdio="base64").stdout == lines
    api.write(vm, "/tmp/lines", lines)
    assert api.read(vm, "/tmp/lines") == lines
    assert qemu.log_text() == log


def test_logs_are_the_console(api, vm):
    sh(api, vm, "echo on the console > /dev/console")
    until(lambda: "on the console" in api.get(f"/vm/{vm}/logs").json["content"], 5)


# --- its life

def test_a_guest_whose_console_nobody_reads_runs_on(qemu, api, vm):
    """Its monitor stands still: more than a pipe holds does not stop the guest or its VMM."""
    monitor = qemu.monitor_pid(vm)
    os.kill(monitor, signal.SIGSTOP)
    try:
        flood = exec_stream(api, vm, "sh", "-c", "seq 40000 > /dev/console; echo unread > /dev/console", uid=0, gid=0)
        next(flood)
        for _ in range(3):
            assert run(api, vm, "echo", "well").stdout == b"well\n"
    finally:
        os.kill(monitor, signal.SIGCONT)
    list(flood)
    sh(api, vm, "echo read again > /dev/console")
    until(lambda: b"read again" in qemu.console(vm), 30, "the console goes on")


def test_userdata_runs_as_root_after_the_network(qemu, api):
    script = "#!/bin/sh\nid -u > /root/out\nip route >> /root/out\necho said\nexit 3\n"
    vm = api.create(qemu.group, wait="userdata", timeout="120s", userdata=script)["hostname"]
    out = sh(api, vm, "cat /root/out")
    assert out.startswith("0\n") and "default" in out
    health = api.get(f"/vm/{vm}/health").json
    assert health["userdata_ran"] is True and health["userdata_exit_code"] == 3
    until(lambda: "said" in api.get(f"/vm/{vm}/logs", {"lines": 0}).json["content"])
    api.remove(vm)


def test_userdata_that_does_not_end_is_408_and_all_is_gone(qemu, api):
    answer = api.post(f"/hostgroup/{qemu.group}/nodes", {"wait": "userdata", "timeout": "8s"},
                      json={"userdata": "#!/bin/sh\nsleep 1000\n"}, timeout=60)
    assert answer.status == 408 and answer.error
    assert len(qemu.records()) == len(api.nodes())


def test_reboot_from_inside(qemu, api):
    vm = api.create(qemu.group, timeout="120s", persistent=True)["hostname"]
    vmm = qemu.vmm_pid(vm)
    sh(api, vm, "echo kept > /root/kept; sync")
    first = boot_id(api, vm)
    run(api, vm, "sh", "-c", "(sleep 0.3; sudo reboot) > /dev/null 2>&1 &")
    until(lambda: boot_id(api, vm) not in (None, first), 180, "a new session")
    assert sh(api, vm, "cat /root/kept") == "kept"
    assert qemu.vmm_pid(vm) == vmm and alive(vmm), "in place"
    api.remove(vm)


def test_poweroff_from_inside_and_relaunch_keep_the_disk(qemu, api):
    vm = api.create(qemu.group, timeout="120s", persistent=True)["hostname"]
    vmm = qemu.vmm_pid(vm)
    sh(api, vm, "echo kept > /root/kept")
    run(api, vm, "sh", "-c", "(sleep 0.3; sudo poweroff) > /dev/null 2>&1 &")
    until(lambda: api.node(vm)["status"] == "Stopped", 120)
    assert not alive(vmm)
    assert api.post(f"/vm/{vm}/relaunch").status in (200, 201)
    until(lambda: boot_id(api, vm), 180, "it answers")  # for which a command would wait half a minute
    assert sh(api, vm, "cat /root/kept") == "kept"
    assert api.post(f"/vm/{vm}/shutdown", timeout=90).status == 200
    assert api.node(vm)["status"] == "Stopped"
    api.remove(vm)


def test_a_guest_that_panics_is_not_left_hanging(qemu, api):
    """It counts as stopped, and what it said last is told."""
    vm = api.create(qemu.group, timeout="120s", persistent=True)["hostname"]
    vmm = qemu.vmm_pid(vm)
    run(api, vm, "sh", "-c", "(sleep 0.5; echo c > /proc/sysrq-trigger) & exit 0", uid=0, gid=0)
    until(lambda: api.node(vm)["status"] == "Stopped", 120)
    assert not alive(vmm) and "panic" in api.node(vm)["last_error"]
    assert "sysrq" in api.get(f"/vm/{vm}/logs", {"lines": 0}).json["content"].lower()
    api.remove(vm)


def test_pause_stops_its_cpu(qemu, api, vm):
    assert api.post(f"/vm/{vm}/pause").status == 200

    def ticks():
        return sum(int(x) for x in open(f"/proc/{qemu.vmm_pid(vm)}/stat").read().rpartition(")")[2].split()[11:13])
    first = ticks()
    time.sleep(1)
    assert ticks() - first < 10
    assert api.post(f"/vm/{vm}/resume").status == 200
    assert run(api, vm, "echo", "on").stdout == b"on\n"


def test_a_vm_outlives_a_killed_daemon(store, daemon):
    d = daemon(hypervisor="qemu")
    vm = d.client.create(d.group, timeout="120s", persistent=True)["hostname"]
    vmm = d.vmm_pid(vm)
    # An emulated serial port is slow: that the log is cut is seen in test_daemon.py, here that it is read at all.
    script = "sleep 1; head -c 300000 /dev/zero | tr '\\0' x > /dev/console; echo flooded > /dev/console"
    run(d.client, vm, "sh", "-c", f"setsid sh -c \"{script}\" > /dev/null 2>&1 < /dev/null & echo", uid=0, gid=0)
    d.kill()
    until(lambda: b"flooded" in d.console(vm)[-1000:], 240, "the guest has written 300 kB")
    assert alive(vmm) and d.console(vm).count(b"x") >= 300000
    d.start()
    assert d.client.node(vm)["status"] == "Running" and d.vmm_pid(vm) == vmm
    assert sh(d.client, vm, "echo again") == "again"
    d.kill()
    os.kill(vmm, signal.SIGKILL)
    record = until(lambda: (d.state_dir / "vms" / vm / "exit.json").exists() and
                   json.loads((d.state_dir / "vms" / vm / "exit.json").read_text()), 10)
    assert record["signal"] == "SIGKILL" and record["vmm_pid"] == vmm
    d.start()
    until(lambda: d.client.node(vm)["status"] == "Stopped", 10)


def test_deleting_leaves_nothing(qemu, api):
    vm = api.create(qemu.group, timeout="120s")["hostname"]
    pids = [qemu.monitor_pid(vm), *descendants(qemu.monitor_pid(vm))]
    api.remove(vm)
    assert not any(alive(p) for p in pids)
    assert not (qemu.state_dir / "vms" / vm).exists() and not (qemu.run_dir / vm).exists()
