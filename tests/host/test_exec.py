# SPDX-License-Identifier: MIT
"""Exec through the API and the command line: frames, streams, users, and what is left when a client leaves."""
import base64
import concurrent.futures
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest
from slicertest import (Exec, alive, descendants, exec_stream, fd_count, find_processes, open_files, peak_rss, rss, run, until)
from slicertest.http import target

MIB = 1024 * 1024
FLAT = 4 * MIB


def pattern(size, seed=1):
    """Bytes that no compression or repetition can hide an error in."""
    block = hashlib.sha256(str(seed).encode()).digest()
    out = bytearray()
    while len(out) < MIB:
        block = hashlib.sha256(block).digest()
        out += block
    return (bytes(out) * (size // MIB + 1))[:size] if size > MIB else bytes(out[:size])


def host_pid(fake, vm, *words):
    """The one process of the guest, as the host sees it, whose command line has these words."""
    def look():
        below = set(descendants(fake.vmm_pid(vm)))
        return [p for p in find_processes(*words) if p in below]
    return until(look, 10, f"a process {words}")[0]


# --- frames

def test_frames(api, vm):
    done = run(api, vm, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert [f["type"] for f in done.frames][0] == "started"
    assert (done.stdout, done.stderr, done.exit_code, done.signal) == (b"out\n", b"err\n", 7, None)
    started, ended = done.frames[0], done.frames[-1]
    assert started["pid"] > 0 and started["started_at"].endswith("Z") and ended["ended_at"].endswith("Z")
    for frame in done.frames[1:-1]:
        assert (frame["type"] in frame) and "timestamp" in frame
    assert run(api, vm, "true").frames[-1]["exit_code"] == 0


def test_output_comes_as_it_is_written(api, vm, tmp_path):
    """The second line is written when the first one has come."""
    go = tmp_path / "go"  # the fake guest has the host's files
    frames = exec_stream(api, vm, "sh", "-c", f"echo one; until [ -e {go} ]; do sleep 0.05; done; echo two", uid=0)
    assert next(frames)["type"] == "started"
    assert next(frames)["stdout"] == "one\n"
    go.touch()
    assert [f["type"] for f in frames] == ["stdout", "exit"]


def test_base64_and_text(api, vm):
    raw = bytes(range(256))
    script = "printf '" + "".join(f"\\\\{b:03o}" for b in raw).replace("\\\\", "\\") + "'"
    coded = run(api, vm, "bash", "-c", script, stdio="base64")
    assert coded.stdout == raw
    assert all(f["encoding"] == "base64" for f in coded.frames if f["type"] == "stdout")
    text = run(api, vm, "printf", "grüße ☃\\n", stdio="text")
    assert text.stdout == "grüße ☃\n".encode()
    assert all("encoding" not in f for f in text.frames)
    assert run(api, vm, "bash", "-c", script).stdout == raw, "text that is not UTF-8 is not lost"
    assert api.post(f"/vm/{vm}/exec", {"cmd": "true", "stdio": "morse"}).status == 400


def test_text_is_not_cut_within_a_character(api, vm):
    """A long text whose characters straddle every boundary of a buffer."""
    done = run(api, vm, "python3", "-c", "import sys; sys.stdout.buffer.write(('€' * 400001).encode())", stdio="text")
    assert done.stdout == ("€" * 400001).encode()
    assert all("encoding" not in f for f in done.frames)


@pytest.mark.parametrize("name, number", [("KILL", 9), ("TERM", 15), ("SEGV", 11), ("HUP", 1)])
def test_signals(api, vm, name, number):
    done = run(api, vm, "sh", "-c", f"kill -{name} $$")
    assert (done.exit_code, done.signal) == (128 + number, "SIG" + name)


def test_spawn_failure_is_one_frame(api, vm):
    done = run(api, vm, "/no/such/program")
    assert len(done.frames) == 1 and done.exit_code == 127 and "/no/such/program" in done.error
    assert run(api, vm, "no-such-program-on-the-path").exit_code == 127
    assert run(api, vm, "/etc/passwd").exit_code == 126
    assert run(api, vm, "true", cwd="/no/such/dir").error


def test_a_script_without_an_interpreter_line_is_the_shells(api, vm):
    path = run(api, vm, "sh", "-c", "f=$(mktemp) && echo 'echo $0 $1' >$f && chmod 755 $f && echo $f").stdout.decode().strip()
    assert run(api, vm, path, "there").stdout.decode() == f"{path} there\n"
    assert run(api, vm, "rm", path).exit_code == 0


def test_buffered(api, vm):
    answer = api.post(f"/vm/{vm}/exec", {"cmd": "sh", "args": ["-c", "echo o; echo e >&2; exit 3"], "buffered": True})
    assert answer.status == 200 and answer.headers["content-type"].startswith("application/json")
    body = answer.json
    assert (body["stdout"], body["stderr"], body["exit_code"]) == ("o\n", "e\n", 3)
    coded = api.post(f"/vm/{vm}/exec", {"cmd": "printf", "args": ["\\377"], "buffered": True, "stdio": "base64"}).json
    assert coded["encoding"] == "base64" and base64.b64decode(coded["stdout"]) == b"\xff"
    failed = api.post(f"/vm/{vm}/exec", {"cmd": "/no/such", "buffered": True}).json
    assert failed["exit_code"] == 127 and failed["error"]
    killed = api.post(f"/vm/{vm}/exec", {"cmd": "sh", "args": ["-c", "kill -9 $$"], "buffered": True}).json
    assert killed["exit_code"] == 137 and killed["signal"] == "SIGKILL"


def test_buffered_output_is_limited_and_says_so(api, vm):
    """The agent's memory is bounded: what does not fit is an error or is left out with a word, not a silent loss."""
    answer = api.post(f"/vm/{vm}/exec", {"cmd": "head", "args": ["-c", str(40 * MIB), "/dev/zero"], "buffered": True,
                                         "stdio": "base64"}, timeout=120)
    if answer.status == 200:
        assert answer.json.get("error") or answer.json["exit_code"] != 0
    else:
        assert answer.status in (413, 500, 507) and answer.error


@pytest.mark.parametrize("params", [
    {}, {"cmd": ""}, {"cmd": "true", "uid": "x"}, {"cmd": "true", "uid": "-1"}, {"cmd": "true", "uid": "4294967296"},
    {"cmd": "true", "buffered": "true", "stdin": "true"}, {"cmd": "true", "background": "true", "stdin": "true"},
    {"cmd": "true", "env": "NOEQUALS"}, {"cmd": "true", "buffered": "maybe"}, {"cmd": "true", "cwd": "/tmp/../etc"}])
def test_bad_requests(api, vm, params):
    answer = api.post(f"/vm/{vm}/exec", params)
    assert answer.status in (400, 501) and answer.error


# --- stdin

def test_stdin_reaches_the_program_and_its_end_too(api, vm):
    assert run(api, vm, "wc", "-c", body=b"12345").stdout.strip() == b"5"
    assert run(api, vm, "cat", body=b"").stdout == b""
    with_length = api.post(f"/vm/{vm}/exec", {"cmd": "cat", "stdin": True}, body=b"by length")
    assert Exec([json.loads(line) for line in with_length.body.splitlines()]).stdout == b"by length"


def test_input_that_cannot_be_read_is_no_end(fake, vm):
    def ended(path, flags):
        stdin = os.open(path, flags)
        process = fake.cli.popen("vm", "exec", vm, "--", "cat; echo all of it", stdin=stdin, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        os.close(stdin)
        out, said = process.communicate(timeout=60)
        return process.returncode, out, said.decode()
    assert ended(fake.dir, os.O_RDONLY) == (
        1, b"", "slicer: error: cannot read standard input: Is a directory\n")
    assert ended("/dev/null", os.O_WRONLY) == (0, b"all of it\n", ""), "as nohup(1) has it"


def test_without_stdin_the_program_reads_an_empty_one(api, vm):
    assert run(api, vm, "cat").stdout == b""
    ignored = api.post(f"/vm/{vm}/exec", {"cmd": "cat"}, body=b"not asked for")
    assert ignored.status == 200 and b"not asked" not in ignored.body


def test_a_conversation(api, vm):
    """Each line is answered before the next is sent: both directions are open at the same time."""
    with api.raw(60) as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "cat", "stdin": True}, Transfer_Encoding="chunked")
        assert raw.read_head()[0] == 200
        chunks = raw.body_chunks()
        assert json.loads(next(chunks))["type"] == "started"
        for i in range(50):
            raw.chunk(b"line %d\n" % i)
            assert json.loads(next(chunks))["stdout"] == f"line {i}\n"
        raw.end_chunks()
        assert json.loads(next(chunks))["exit_code"] == 0


def test_a_program_that_does_not_read_its_input(api, vm):
    done = run(api, vm, "sh", "-c", "exit 4", body=(pattern(65536) for _ in range(64)))
    assert done.exit_code == 4


def test_a_program_that_closes_its_input_early(api, vm):
    done = run(api, vm, "head", "-c", "10", body=(pattern(65536) for _ in range(64)), stdio="base64")
    assert done.stdout == pattern(10)


def consume(frames, digest):
    """Digests stdout as it comes; returns its size and the last frame."""
    size, last = 0, None
    for last in frames:
        if last.get("type") == "stdout":
            data = base64.b64decode(last["stdout"])
            digest.update(data)
            size += len(data)
    return size, last


def test_64_mib_both_ways_at_once_in_flat_memory(fake, api, vm):
    run(api, vm, "cat", body=pattern(MIB), stdio="base64")  # what is allocated once
    server = fake.agent_server(vm)
    watched = {"daemon": fake.pid, "agent": server}
    before = {name: rss(pid) for name, pid in watched.items()}
    peak, stop = dict(before), threading.Event()

    def watch():
        while not stop.wait(0.02):
            for name, pid in watched.items():
                peak[name] = max(peak[name], rss(pid))
    watcher = threading.Thread(target=watch)
    watcher.start()
    block, sent, got = pattern(MIB), hashlib.sha256(), hashlib.sha256()

    def blocks():
        for _ in range(64):
            sent.update(block)
            yield from (block[i:i + 65536] for i in range(0, MIB, 65536))
    size, last = consume(exec_stream(api, vm, "cat", body=blocks(), stdio="base64", timeout=120), got)
    stop.set()
    watcher.join()
    assert size == 64 * MIB and got.digest() == sent.digest() and last["exit_code"] == 0
    growth = {name: peak[name] - before[name] for name in watched}
    assert all(g < FLAT for g in growth.values()), growth


def test_a_client_that_does_not_read_holds_the_program_back(fake, api, vm):
    """yes(1) would fill any memory: everything on the way stops instead, and the rest of the VM is served."""
    before = {pid: rss(pid) for pid in (fake.pid, fake.agent_server(vm))}
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "yes"}, Content_Length=0)
        assert raw.read_head()[0] == 200
        time.sleep(2)
        for pid, size in before.items():
            assert rss(pid) - size < FLAT
        assert run(api, vm, "echo", "well").stdout == b"well\n"
        pid = host_pid(fake, vm, "yes")
    until(lambda: not alive(pid), 5, "yes is killed when its client leaves")


# Writes for as long as anybody takes it and tells how much that was: when it ends, its pipes are full. A child has them, too.
WRITER = """
import os, time
os.set_blocking(1, False)
total, idle = 0, 0
while idle < 20:
    try:
        total, idle = total + os.write(1, b"x" * 4096), 0
    except BlockingIOError:
        idle += 1
        time.sleep(0.05)
os.write(2, b"%d" % total)
if os.fork() == 0:
    os.execvp("sleep", ["sleep", "60.125"])
"""


def let_run_in_steps(pid, n):
    """So little at a time, and so rarely, that what it has timed is due at each of them."""
    for _ in range(n):
        os.kill(pid, signal.SIGCONT)
        end = time.perf_counter() + random.uniform(2e-5, 1.5e-4)
        while time.perf_counter() < end:
            pass
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.25)
    os.kill(pid, signal.SIGCONT)


def test_slow_clients_get_all_of_programs_that_have_ended(fake, api, vm):
    """Though the agent is slow as well, and does not wait long for the silence of others who have the programs' pipes."""
    n, server = 8, fake.agent_server(vm)
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(n) as pool:
        clients = [stack.enter_context(api.raw()) for _ in range(n)]
        for raw in clients:
            raw.head("POST", f"/vm/{vm}/exec", {"cmd": "python3", "args": ["-c", WRITER], "stdio": "base64"}, Content_Length=0)
            assert raw.read_head()[0] == 200
        until(lambda: len(find_processes("sleep 60.125")) == n and not find_processes("os.set_blocking"), 60)
        time.sleep(2.5)  # from then on the agent waits for nobody
        os.kill(server, signal.SIGSTOP)
        bodies = [pool.submit(lambda raw: b"".join(raw.body_chunks()), raw) for raw in clients]
        let_run_in_steps(server, 20)
        done = [Exec([json.loads(line) for line in body.result().splitlines()]) for body in bodies]
    for pid in find_processes("sleep 60.125"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert [len(one.stdout) for one in done] == [int(one.stderr or b"0") for one in done]


# --- users and environment

def whoami(api, vm, **params):
    return run(api, vm, "sh", "-c", "id -u; id -g; pwd; echo $HOME; echo $USER; echo $SHELL", **params).stdout.decode().split("\n")


def test_users(api, vm):
    import pwd
    default = next((p for p in sorted(pwd.getpwall(), key=lambda p: p.pw_uid) if 1000 <= p.pw_uid < 65534),
                   pwd.getpwuid(0))
    for params in ({}, {"uid": 4294967295}, {"uid": 4294967295, "gid": 4294967295}, {"uid": ""}):
        who = whoami(api, vm, **params)
        assert who[:2] == [str(default.pw_uid), str(default.pw_gid)], params
        assert who[3:6] == [default.pw_dir, default.pw_name, default.pw_shell]
    root = whoami(api, vm, uid=0, gid=0)
    assert root[:2] == ["0", "0"] and root[3:5] == ["/root", "root"]
    assert whoami(api, vm, uid=65534, gid=12345)[:2] == ["65534", "12345"]
    assert whoami(api, vm, uid=31337)[0] == "31337", "a uid without an entry in passwd"


def test_working_directory(api, vm):
    assert run(api, vm, "pwd", uid=0).stdout == b"/root\n"
    assert run(api, vm, "pwd", uid=0, cwd="/usr").stdout == b"/usr\n"
    assert run(api, vm, "pwd", uid=0, cwd="~").stdout == b"/root\n"


def test_environment(api, vm):
    done = run(api, vm, "env", env=["A=b c", "EMPTY=", "X=1=2", "PATH=/bin:/usr/bin"])
    env = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    assert env["A"] == "b c" and env["EMPTY"] == "" and env["X"] == "1=2" and env["PATH"] == "/bin:/usr/bin"
    plain = dict(line.split("=", 1) for line in run(api, vm, "env").stdout.decode().splitlines())
    assert {"HOME", "USER", "SHELL", "PATH"} <= set(plain) and "/usr/bin" in plain["PATH"]
    assert not [k for k in plain if k.startswith("SLICER_")]


def test_arguments_stay_words(api, vm):
    words = ["a b", "", "'", '"', "$HOME", "`id`", "*", "ü", "new\nline", "--", "-n"]
    show = "import sys, json; print(json.dumps(sys.argv[1:]))"
    assert json.loads(run(api, vm, "python3", "-c", show, *words).stdout) == words
    # With a shell they are quoted, word for word.
    assert json.loads(run(api, vm, "python3", "-c", show, *words, shell="/bin/bash").stdout) == words


def test_a_script_as_an_argument_may_be_long(fake, api, vm):
    """As SDKs send scripts. What is too long even so is refused as such."""
    script = f"echo {'y' * 45000} | wc -c"
    assert run(api, vm, "sh", "-c", script).stdout == b"45001\n"
    assert fake.cli.ok("exec", vm, "--", script) == b"45001\n"
    assert api.post(f"/vm/{vm}/exec", {"cmd": "echo", "args": "y" * 50000}).status == 414


def test_shell_runs_a_script(api, vm):
    done = run(api, vm, "echo $((6*7)) | tr 2 3", shell="/bin/bash")
    assert done.stdout == b"43\n"
    assert run(api, vm, "shopt -q login_shell && echo login", shell="/bin/bash").stdout == b"login\n"


def test_limits_of_the_child_are_sane(api, vm):
    out = run(api, vm, "sh", "-c", "ulimit -n; cat /proc/self/oom_score_adj; ls -l /proc/self/fd | wc -l").stdout.split()
    assert int(out[0]) >= 1024 and out[1] == b"0"
    fds = run(api, vm, "ls", "/proc/self/fd").stdout.split()
    assert fds == [b"0", b"1", b"2", b"3"], "only its streams, and what ls itself opens"
    masks = run(api, vm, "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status").stdout.decode().split()
    assert masks[1] == "0" * 16 and masks[3] == "0" * 16, "no signal is blocked or ignored"


# --- ends

def test_a_grandchild_that_holds_the_pipes_does_not_hold_the_answer(fake, api, vm):
    start = time.monotonic()
    done = run(api, vm, "sh", "-c", "sleep 333.25 & echo out")
    assert done.stdout == b"out\n" and done.exit_code == 0
    assert time.monotonic() - start < 45, "far less than it sleeps"
    for pid in find_processes("sleep 333.25"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_leaving_ends_the_process_group(fake, api, vm):
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "sh", "args": ["-c", "sleep 444.5 & sleep 444.5; true"]},
                 Content_Length=0)
        assert raw.read_head()[0] == 200
        pids = until(lambda: (lambda p: p if len(p) == 3 else None)(find_processes("sleep 444.5")), 10)
    until(lambda: not any(alive(p) for p in pids), 5, "the whole group is gone")


def test_ending_only_the_input_is_not_leaving(api, vm):
    with api.raw() as raw:
        raw.head("POST", f"/vm/{vm}/exec", {"cmd": "sh", "args": ["-c", "cat; sleep 1.5; echo end"], "stdin": True},
                 Transfer_Encoding="chunked")
        raw.chunk(b"begin\n")
        raw.end_chunks()
        body = raw.read_response().body
    assert Exec([json.loads(line) for line in body.splitlines()]).stdout == b"begin\nend\n"


def test_many_at_once(api, vm):
    results = {}

    def one(i):
        results[i] = run(api, vm, "sh", "-c", f"echo {i}; cat; exit {i % 50}", body=str(i).encode())
    threads = [threading.Thread(target=one, args=(i,)) for i in range(100)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 100
    for i, done in results.items():
        assert done.stdout == f"{i}\n{i}".encode() and done.exit_code == i % 50


def test_keep_alive_serves_exec_after_exec(fake, api, vm):
    connection = api.connection()
    for i in range(20):
        connection.request("POST", target(f"/vm/{vm}/exec", {"cmd": "echo", "args": [str(i)]}))
        lines = connection.getresponse().read().splitlines()
        assert Exec([json.loads(line) for line in lines]).stdout == f"{i}\n".encode()
    connection.close()


def test_thousand_execs_leave_nothing_open(fake, api, vm):
    run(api, vm, "true")
    server = fake.agent_server(vm)

    def counts():
        return fd_count(fake.pid), fd_count(server), len(descendants(fake.vmm_pid(vm)))
    until(lambda: counts() == counts(), 2)
    before, memory = counts(), (rss(fake.pid), rss(server))
    for _ in range(10):
        threads = [threading.Thread(target=lambda: [run(api, vm, "true") for _ in range(10)]) for _ in range(10)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    until(lambda: all(now <= was for now, was in zip(counts(), before)), 10, f"{before}, {open_files(fake.pid)}, {open_files(server)}")
    assert rss(fake.pid) - memory[0] < FLAT and rss(server) - memory[1] < FLAT


# --- the command line

def test_cli_exec(fake, vm):
    cli = fake.cli
    done = cli("vm", "exec", vm, "--", "echo out; echo err >&2; exit 9")
    assert (done.returncode, done.stdout, done.stderr) == (9, b"out\n", b"err\n")
    assert cli.ok("vm", "exec", vm, "--", "printf", "%s|", "a b", "$x", "'") == b"a b|$x|'|"
    assert cli.ok("vm", "exec", vm, "--uid", "0", "--", "id -u") == b"0\n"
    assert cli.ok("vm", "exec", vm, "--env", "A=1", "--cwd", "/usr", "--", "echo $A $PWD") == b"1 /usr\n"
    assert cli.ok("vm", "exec", vm, "--", "cat", input=b"\0\xff in") == b"\0\xff in"
    assert cli("vm", "exec", vm, "--", "kill -TERM $$").returncode == 143
    assert cli("vm", "exec", vm, "--shell", "", "--", "/no/such").returncode == 127
    nothing = cli("vm", "exec", "nosuch-1", "--", "true")
    assert nothing.returncode == 1 and b"nosuch-1" in nothing.stderr
    assert cli("vm", "exec", vm).returncode == 2


def test_cli_exec_64_mib_both_ways(fake, vm, tmp_path):
    source, sink = tmp_path / "in", tmp_path / "out"
    source.write_bytes(pattern(64 * MIB))
    with open(source, "rb") as i, open(sink, "wb") as o:
        process = fake.cli.popen("vm", "exec", vm, "--", "cat", stdin=i, stdout=o)
        peak = peak_rss(process)
    assert process.returncode == 0
    assert sink.read_bytes() == source.read_bytes()
    assert peak < 24 * MIB, "the client holds only what is under way"


def test_cli_interrupt_ends_the_command_in_the_guest(fake, vm):
    process = fake.cli.popen("vm", "exec", vm, "--", "sleep 555.5", stdin=subprocess.DEVNULL)
    pid = until(lambda: [p for p in find_processes("sleep 555.5") if p in descendants(fake.vmm_pid(vm))], 10)[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    until(lambda: not alive(pid), 5)
