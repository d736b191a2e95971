# SPDX-License-Identifier: MIT
"""The command line against an API server that a test scripts: requests, exit codes, messages."""
import base64
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import threading
import time

import pytest
from slicertest import Cli, SLICER, peak_rss, until
from slicertest.fakeapi import FakeApi, streams

NODE = {"hostname": "vm-1", "hostgroup": "vm", "ip": "10.0.0.2/24", "ram_bytes": 4 << 30, "cpus": 2,
        "created_at": "2025-11-14T13:28:34.218182826Z", "status": "Running", "tags": ["name=web", "a=b"]}
GROUP = {"name": "vm", "count": 1, "ram_bytes": 2 << 30, "cpus": 1, "arch": "x86_64", "gpu_count": 0}


@pytest.fixture
def api():
    with FakeApi() as server:
        server.routes["GET", "/nodes"] = 200, [NODE]
        server.routes["GET", "/hostgroup"] = 200, [GROUP]
        yield server


@pytest.fixture
def cli(api, tmp_path):
    return Cli(api.url, "s3cret", cwd=tmp_path)


def text(done):
    return done.stderr.decode()


def frames(*members):
    def answer(handler, request):
        handler.begin(Content_Type="application/x-ndjson")
        for member in members:
            handler.frame(**member)
        handler.finish_chunks()
    return answer


def exit_with(code=0, **more):
    return {"type": "exit", "exit_code": code, **more}


# --- connection

def test_request_of_list(api, cli):
    out = cli.ok("vm", "list").decode().splitlines()
    assert repr(api.last) == "GET /nodes"
    assert api.last.headers["Authorization"] == "Bearer s3cret"
    assert api.last.headers["User-Agent"].startswith("slicer/")
    assert out[0].split() == ["HOSTNAME", "NAME", "IP", "RAM", "CPUS", "STATUS", "CREATED", "TAGS"]
    assert set(out[1]) == {"-", " "}
    assert out[2].split()[:6] == ["vm-1", "web", "10.0.0.2", "4GiB", "2", "Running"] and out[2].split()[-1] == "a=b"


def test_user_agent_from_environment(api, cli):
    cli.ok("ls", env={"SLICER_USER_AGENT": "mine/2"})
    assert api.last.headers["User-Agent"] == "mine/2"


def test_list_filters(api, cli):
    api.routes["GET", "/hostgroup/my group/nodes"] = 200, []
    cli.ok("list", "my group", "--tag-prefix", "a b=&")
    assert api.last.target == "/hostgroup/my%20group/nodes?tag_prefix=a%20b%3D%26"
    assert cli("list", "--tag", "a", "--tag-prefix", "b").returncode == 2


@pytest.mark.parametrize("words", [["--json"], ["--json=true"], ["--json", "true"]])
def test_json_is_the_api_s(cli, words):
    assert json.loads(cli.ok("vm", "list", *words)) == [NODE]


def test_guest_text_cannot_reach_the_terminal(api, cli):
    api.routes["GET", "/nodes"] = 200, [{**NODE, "hostname": "x\x1b]0;t\x07\n"}]
    assert b"\x1b" not in cli.ok("vm", "list")


@pytest.mark.parametrize("where", [["--url", "URL", "vm", "list"], ["vm", "--api", "URL", "list"],
                                   ["vm", "list", "--url=URL"], ["v", "l", "--url", "URL/nodes"]])
def test_url_anywhere(api, tmp_path, where):
    nobody = Cli("http://127.0.0.1:9", cwd=tmp_path)
    nobody.ok(*[w.replace("URL", api.url) for w in where])


def test_unix_sockets(tmp_path):
    with FakeApi(tmp_path / "slicer.sock") as server:
        server.routes["GET", "/nodes"] = 200, []
        cli = Cli("", cwd=tmp_path)  # ./slicer.sock is found
        cli.ok("vm", "list")
        for url in ("./slicer.sock", "slicer.sock", f"unix://{server.url}", server.url):
            cli.ok("vm", "list", "--url", url)
        cli.ok("vm", "list", "--url", "~/slicer.sock", env={"HOME": str(tmp_path)})
        assert len(server.requests) == 6


def test_unreachable(tmp_path):
    cli = Cli("http://127.0.0.1:9", cwd=tmp_path)
    done = cli("vm", "list")
    assert done.returncode == 1 and done.stdout == b""
    assert text(done) == ("slicer: error: cannot reach the slicer daemon at http://127.0.0.1:9: connection refused; "
                          "start it with: sudo slicer up vm.yaml\n")
    for verb in (["exec", "x", "--", "ls"], ["shell", "x"], ["cp", "x:/a", "b"], ["health", "x"]):
        done = cli("vm", *verb)
        assert done.returncode == 1 and "connection refused; start it with" in text(done), verb
    done = cli("vm", "list", "--url", "./none.sock")
    assert done.returncode == 1 and "there is no such socket" in text(done)


def test_tokens(api, cli, tmp_path):
    (tmp_path / "token").write_text("  from-file \n")
    (tmp_path / "empty").write_text("\n")
    cases = [([], {"SLICER_TOKEN": "", "SLICER_TOKEN_FILE": "token"}, "Bearer from-file"),
             ([], {"SLICER_TOKEN_FILE": "empty"}, "Bearer s3cret"),
             (["--token-file", "token"], {}, "Bearer from-file"),
             (["--token", "x"], {}, "Bearer x"),
             (["--token", ""], {}, None)]
    for words, env, header in cases:
        cli.ok("vm", "list", *words, env=env)
        assert api.last.headers["Authorization"] == header, words
    done = cli("vm", "list", "--token-file", "empty")
    assert done.returncode == 1 and "is empty" in text(done)


def test_unauthorized_says_which_token(api, cli):
    api.routes["GET", "/nodes"] = 401, {"error": "wrong"}
    done = cli("vm", "list")
    assert done.returncode == 1 and "refused the token from SLICER_TOKEN: wrong" in text(done)
    done = cli("vm", "list", "--token", "")
    assert done.returncode == 1 and "none was sent (--token)" in text(done) and "SLICER_TOKEN_FILE" in text(done)


@pytest.mark.parametrize("status,body,message", [
    (500, {"error": "broken"}, "broken"), (400, {"error": "bad"}, "bad"), (500, "plain\ntext", "plain\\x0atext"),
    (503, "", "HTTP status 503"), (404, {"other": 1}, "HTTP status 404"), (500, {"error": "\x1b[2J"}, "\\x1b[2J")])
def test_refusals(api, cli, status, body, message):
    api.routes["GET", "/nodes"] = status, body
    done = cli("vm", "list")
    assert done.returncode == 1 and text(done).startswith("slicer: error: " + message)


@pytest.mark.parametrize("body", ["", "{", "[1]", "{}", "null", '[{"hostname": 5}]', "[" * 100])
def test_malformed_answers(api, cli, body):
    api.routes["GET", "/nodes"] = 200, body
    done = cli("vm", "list")
    assert done.returncode in (0, 1) and b"Sanitizer" not in done.stderr
    assert (done.returncode == 0) == (body in ("[1]", '[{"hostname": 5}]'))


# --- usage

def command_words(prefix=()):
    words = subprocess.run([SLICER, "complete", "--", *prefix], capture_output=True, text=True, check=True).stdout
    return [w for w in words.split() if not w.startswith("--")]


def test_help_of_every_command(cli):
    for first in [(), *[(w,) for w in command_words()]]:
        seconds = command_words(first) if first and first[0] in ("vm", "image") else []
        for words in [first, *[(*first, w) for w in seconds]]:
            done = cli(*words, "--help")
            assert done.returncode == 0 and done.stderr == b"", words
            assert done.stdout.startswith(("Usage: slicer " + " ".join(words)).strip().encode()), words
            assert cli("help", *words).stdout == done.stdout
            assert not words or cli(words[0], *(["help"] if seconds else ["--help"]), *words[1:]).stdout == done.stdout


@pytest.mark.parametrize("words,message", [
    ([], "Usage: slicer"), (["vm"], "Usage: slicer vm"), (["vn"], 'unknown command "vn"; did you mean "vm"?'),
    (["vm", "list", "--jsn"], 'unknown option "--jsn"; did you mean "--json"?'),
    (["vm", "delete"], "missing argument: expected VM [GROUP]"), (["vm", "health", "a", "b"], 'unexpected argument "b"'),
    (["vm", "exec", "vm-1"], "there is no command"), (["vm", "logs", "--lines", "x"], "--lines"),
    (["vm", "list", "--url", "https://h"], "only http://"), (["vm", "exec", "--env", "X", "--", "ls"], "--env takes"),
    (["vm", "add", "--ram-gb", "1", "--ram-mb", "1"], "give one of"), (["vm", "add", "--timeout", "5m"], "needs --wait"),
    (["vm", "add", "--name", "x", "--tag", "name=y"], "exclude each other"), (["cp", "a", "b"], "is in a VM"),
    (["cp", "-", "v:/a"], "standard input here: use slicer vm exec v -- 'cat > /a'"), (["cp", "v:/a", "-"], "use slicer vm exec v -- cat /a"),
    (["vm", "add", "--rm", "--persistent"], "exclude each other"), (["cp", "a:b", "c:d"], "must be on this host")])
def test_usage_errors(api, cli, words, message):
    done = cli(*words)
    assert done.returncode == 2 and message in text(done) and done.stdout == b""
    assert api.requests == []


@pytest.mark.parametrize("words,name", [(["vm", "fork", "x"], "vm fork"), (["vm", "bg", "exec"], "vm bg"),
                                        (["secret", "list"], "secret"), (["claude", "--name", "x"], "claude"),
                                        (["wt", "push"], "wt")])
def test_verbs_of_later_versions(cli, words, name):
    done = cli(*words)
    assert (done.returncode, text(done)) == (1, f'slicer: error: "{name}" is not in this version yet\n')


def test_full_disk_is_an_error(cli):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SLICER, "--help"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"No space left" in done.stderr
    # What is larger than the buffer is not in it any more when the program ends.
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SLICER, "doctor", "--list", "--json"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"cannot write to standard output" in done.stderr


# --- names of VMs

def friendly(api, *hits):
    def nodes(handler, request):
        assert request.query == {"tag": ["name=web"]}
        handler.reply(200, [{"hostname": h} for h in hits])
    api.routes["GET", "/nodes"] = nodes


def test_friendly_name(api, cli):
    friendly(api, "vm-7")
    api.routes["GET", "/vm/vm-7/health"] = 200, {"hostname": "vm-7", "agent_uptime": 53 * 10**9}
    assert b"vm-7" in cli.ok("vm", "health", "web")
    assert [r.path for r in api.requests] == ["/vm/web/health", "/nodes", "/vm/vm-7/health"]


@pytest.mark.parametrize("hits", [[], ["vm-1", "vm-2"]])
def test_friendly_name_must_be_one(api, cli, hits):
    friendly(api, *hits)
    done = cli("vm", "health", "web")
    assert done.returncode == 1 and "no route GET /vm/web/health" in text(done)


def test_only_vm(api, cli):
    api.routes["GET", "/vm/vm-1/logs"] = 200, {"content": "x\n"}
    assert cli.ok("vm", "logs") == b"x\n"
    assert api.last.query == {"lines": ["20"]}
    api.routes["GET", "/nodes"] = 200, [NODE, {**NODE, "hostname": "vm-2"}]
    done = cli("vm", "logs")
    assert done.returncode == 2 and "there are 2 VMs, say which one: vm-1, vm-2" in text(done)
    api.routes["GET", "/nodes"] = 200, []
    assert cli("vm", "logs").returncode == 1


# --- exec

def run_exec(api, cli, *words, answer=frames(exit_with()), **kwargs):
    api.routes["POST", "/vm/vm-1/exec"] = answer
    return cli("vm", "exec", *words, **kwargs)


@pytest.mark.parametrize("words,query", [
    (["vm-1", "--", "a && b | c"], {"cmd": ["a && b | c"], "shell": ["/bin/bash"]}),
    (["--", "ls"], {"cmd": ["ls"], "shell": ["/bin/bash"]}),
    (["vm-1", "ls", "-la", "--uid", "1"], {"cmd": ["ls -la --uid 1"], "shell": ["/bin/bash"]}),
    (["vm-1", "--", "bash", "-c", "a && b's", ""], {"cmd": ["bash -c 'a && b'\\''s' ''"], "shell": ["/bin/bash"]}),
    (["vm-1", "--shell", "", "--", "/bin/sh", "-c", "x y", ""], {"cmd": ["/bin/sh"], "args": ["-c", "x y", ""]}),
    (["vm-1", "--shell=/bin/sh", "--uid", "0", "--gid", "5", "--cwd", "~/x", "--env", "A=1", "--env", "B=ü +", "--", "p"],
     {"cmd": ["p"], "shell": ["/bin/sh"], "uid": ["0"], "gid": ["5"], "cwd": ["~/x"], "env": ["A=1", "B=ü +"]})])
def test_exec_request(api, cli, words, query):
    assert run_exec(api, cli, *words).returncode == 0
    assert api.last.query == {"stdio": ["base64"], "stdin": ["true"], **query}


def test_exec_without_stdin(api, cli):
    assert run_exec(api, cli, "vm-1", "--stdin=false", "--", "x", input=b"not read").returncode == 0
    assert "stdin" not in api.last.query and api.last.body == b""


@pytest.mark.parametrize("frame,code", [(exit_with(0), 0), (exit_with(7), 7), (exit_with(137, signal="SIGKILL"), 137),
                                        ({"error": "not found", "exit_code": 127}, 127)])
def test_exec_exit_codes(api, cli, frame, code):
    done = run_exec(api, cli, "vm-1", "--", "x", answer=frames({"type": "started", "pid": 1}, frame))
    assert done.returncode == code
    assert text(done) == ("slicer: error: not found\n" if code == 127 else "")


@pytest.mark.parametrize("members", [[], [{"type": "started"}], [{"type": "stdout", "stdout": 3}],
                                     [{"type": "stdout", "stdout": "?", "encoding": "base64"}]])
def test_exec_bad_frames(api, cli, members):
    done = run_exec(api, cli, "vm-1", "--", "x", answer=frames(*members))
    assert done.returncode == 1 and text(done).startswith("slicer: error: ")


def test_exec_connection_lost(api, cli):
    def cut(handler, request):
        handler.begin()
        handler.frame(type="stdout", stdout="part")
        handler.cut()
    done = run_exec(api, cli, "vm-1", "--", "x", answer=cut)
    assert done.returncode == 1 and done.stdout == b"part" and "ended before the command did" in text(done)


def test_exec_output_is_separate_and_prompt(api, cli):
    go_on = threading.Event()

    def answer(handler, request):
        handler.begin()
        handler.frame(type="stdout", stdout="first\n")
        assert go_on.wait(60)
        handler.frame(type="stderr", stderr=base64.b64encode(b"\xff\0").decode(), encoding="base64")
        handler.frame(**exit_with())
    api.routes["POST", "/vm/vm-1/exec"] = answer
    with cli.popen("exec", "vm-1", "--", "x", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                   stderr=subprocess.PIPE) as p:
        assert p.stdout.readline() == b"first\n"
        go_on.set()
        assert p.communicate(timeout=60) == (b"", b"\xff\0") and p.returncode == 0


@streams
def echo(handler, request):
    handler.begin()
    for data in handler.chunks():
        handler.frame(type="stdout", stdout=base64.b64encode(data).decode(), encoding="base64", exit_code=0)
    handler.frame(**exit_with())
    handler.finish_chunks()


def test_exec_both_ways_with_flat_memory(api, cli, tmp_path):
    data = os.urandom(1 << 20) * 64
    api.routes["POST", "/vm/vm-1/exec"] = echo
    peaks = []
    for size in (1 << 20, len(data)):
        (tmp_path / "in").write_bytes(data[:size])
        with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as out:
            p = cli.popen("exec", "vm-1", "--", "cat", stdin=source, stdout=out)
            peaks.append(peak_rss(p))
        assert p.returncode == 0
        assert (tmp_path / "out").read_bytes() == data[:size]
    assert peaks[1] < 24 << 20, peaks


def test_exec_stdin_is_sent_to_the_vm_s_real_name(api, cli):
    friendly(api, "vm-1")

    @streams
    def refuse(handler, request):
        handler.reply(404, {"error": "no VM"}, Connection="close")
        handler.close_connection = True
    api.routes["POST", "/vm/web/exec"] = refuse
    api.routes["POST", "/vm/vm-1/exec"] = echo
    assert cli.ok("exec", "web", "--", "cat", input=b"precious") == b"precious"


def test_exec_with_an_answer_only_after_the_input(api, cli):
    done = run_exec(api, cli, "vm-1", "--", "cat", answer=frames(exit_with(4)), input=b"all of it")
    assert done.returncode == 4 and api.last.body == b"all of it"


@streams
def endless(handler, request):
    handler.begin()
    handler.frame(type="started", pid=1)
    handler.frame(type="stdout", stdout="y\n")
    handler.peer_left()


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_exec_signals_close_the_connection(api, cli, number, code):
    api.routes["POST", "/vm/vm-1/exec"] = endless
    with cli.popen("exec", "vm-1", "--", "x", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                   stdin=subprocess.DEVNULL) as p:
        assert p.stdout.readline() == b"y\n"
        p.send_signal(number)
        assert p.communicate(timeout=60)[1] == b"" and p.returncode == code
    assert api.left.wait(60)


def test_exec_reader_that_leaves(api, cli):
    @streams
    def yes(handler, request):
        handler.begin()
        try:
            while True:
                handler.frame(type="stdout", stdout="y\n" * 5000)
        except OSError:
            api.left.set()
            handler.close_connection = True
    api.routes["POST", "/vm/vm-1/exec"] = yes
    with cli.popen("exec", "vm-1", "--", "yes", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                   stdin=subprocess.DEVNULL) as p:
        assert p.stdout.readline() == b"y\n"
        time.sleep(0.3)  # a reader that is slow stops the sender …
        p.stdout.close()  # … and one that leaves ends it
        assert p.stderr.read() == b"" and p.wait(60) == 141
    assert api.left.wait(60)


def test_exec_does_not_change_its_standard_input(cli, api):
    """The other end of an open file may be a shell that cannot stand O_NONBLOCK."""
    import fcntl
    read, write = os.pipe()
    api.routes["POST", "/vm/vm-1/exec"] = echo
    os.write(write, b"x")
    os.close(write)
    assert cli.popen("exec", "vm-1", "--", "cat", stdin=read, stdout=subprocess.DEVNULL).wait(60) == 0
    assert not fcntl.fcntl(read, fcntl.F_GETFL) & os.O_NONBLOCK
    os.close(read)


def test_exec_command_too_long(api, cli):
    done = cli("exec", "vm-1", "--", "x" * 60000)
    assert done.returncode == 2 and "too long" in text(done) and api.requests == []


# --- add, delete, ready

CREATED = {"hostname": "vm-2", "hostgroup": "vm", "ip": "192.168.138.2/24",
           "created_at": "2025-09-09T09:45:27+01:00", "persistent": False}


def made(api):
    """The last request that made something."""
    return [r for r in api.requests if r.method == "POST"][-1]


def test_add(api, cli, tmp_path):
    api.routes["POST", "/hostgroup/vm/nodes"] = 201, CREATED
    (tmp_path / "boot.sh").write_text("#!/bin/sh\n")
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA me\n")
    out = cli.ok("vm", "add", "vm", "--cpus", "1", "--ram-mb", "512", "--name", "web", "--tag", "a=b", "--tag", "c",
                 "--userdata-file", "boot.sh", "--ssh-key", "key.pub", "--ssh-key", "ssh-rsa BBBB x", "--secrets", "x,y",
                 "--import-user", "octo", "--rm", "--wait-userdata", "--timeout", "90s")
    assert made(api).query == {"wait": ["userdata"], "timeout": ["1m30s"]}
    assert made(api).json == {
        "cpus": 1, "ram_bytes": 512 << 20, "userdata": "#!/bin/sh\n", "tags": ["a=b", "c", "name=web"],
        "ssh_keys": ["ssh-ed25519 AAAA me", "ssh-rsa BBBB x"], "import_user": "octo", "secrets": ["x", "y"],
        "persistent": False}
    assert out.decode() == ("VM created\n  Hostname: vm-2\n  Group:    vm\n  IP:       192.168.138.2/24\n"
                            "  Specs:    1 vCPU, 512MB RAM, GPUs: 0\n  Persistent: false\n"
                            "  Created:  2025-09-09T09:45:27+01:00\n")


@pytest.mark.parametrize("words,body,query", [
    ([], {"persistent": True}, {}), (["--persistent=false"], {"persistent": False}, {}),
    (["--wait"], {"persistent": True}, {"wait": ["agent"], "timeout": ["5m0s"]}),
    (["--ready", "userdata", "--secrets="], {"persistent": True, "secrets": []},
     {"wait": ["userdata"], "timeout": ["5m0s"]}),
    (["--ram-gb", "2"], {"persistent": True, "ram_bytes": 2 << 30}, {})])
def test_add_defaults(api, cli, words, body, query):
    api.routes["POST", "/hostgroup/vm/nodes"] = 200, CREATED
    for verb in ("add", "launch", "create", "new"):
        assert json.loads(cli.ok("vm", verb, "--json", *words)) == CREATED
        assert made(api).json == body and made(api).query == query


def test_add_says_that_the_userdata_failed(api, cli):
    api.routes["POST", "/hostgroup/vm/nodes"] = 201, CREATED
    for code, said in ((0, ""), (9, "slicer: warning: the userdata of vm-2 ended with exit code 9\n")):
        api.routes["GET", "/vm/vm-2/health"] = 200, {"userdata_ran": True, "userdata_exit_code": code}
        done = cli("vm", "add", "--wait-userdata", "--userdata", f"exit {code}", "--json")
        assert (done.returncode, text(done)) == (0, said) and json.loads(done.stdout) == CREATED


def test_add_needs_a_group(api, cli):
    api.routes["GET", "/hostgroup"] = 200, [GROUP, {**GROUP, "name": "db"}]
    done = cli("vm", "add")
    assert done.returncode == 2 and "there are 2 host groups, say which one: vm, db" in text(done)
    done = cli("vm", "add", "no")
    assert done.returncode == 1 and 'there is no host group "no"' in text(done)


def test_delete(api, cli):
    api.routes["DELETE", "/hostgroup/vm/nodes/vm-1"] = 200, {"message": "gone", "disk_removed": "true", "error": ""}
    for words in (["vm-1"], ["web"], ["vm-1", "vm"]):
        assert cli.ok("vm", "delete", *words) == b"VM vm-1 deleted, its disk removed\n"
    done = cli("vm", "delete", "nosuch")
    assert done.returncode == 1 and 'there is no VM "nosuch"' in text(done)
    api.routes["DELETE", "/hostgroup/vm/nodes/vm-1"] = 200, {"message": "", "disk_removed": "false", "error": "stuck"}
    done = cli("vm", "delete", "vm-1")
    assert done.returncode == 1 and "stuck" in text(done)


def test_ready_waits(api, cli):
    answers = [(500, {"error": "agent unreachable"}), (200, {"agent_uptime": 1, "userdata_ran": False}),
               (200, {"agent_uptime": 1, "userdata_ran": True, "userdata_exit_code": 3})]
    api.routes["GET", "/vm/vm-1/health"] = lambda handler, request: handler.reply(*answers.pop(0))
    done = cli("vm", "ready", "--userdata", "--interval", "10ms")
    assert done.returncode == 0 and not answers and "exit code 3" in text(done)
    api.routes["GET", "/vm/vm-1/health"] = 500, {"error": "agent unreachable"}
    done = cli("vm", "ready", "--interval", "10ms", "--timeout", "100ms")
    assert done.returncode == 1 and "not ready after 100ms: agent unreachable" in text(done) and "waiting" not in text(done)
    api.routes["GET", "/vm/vm-1"] = 200, {**NODE, "status": "Stopped", "last_error": "no room"}
    done = cli("vm", "ready", "--interval", "10ms", "--timeout", "100ms")
    assert text(done).count("waiting for vm-1 to be started, it is Stopped: no room") == 1, "said once, before the time is over"


def test_ready_says_that_it_waits_for_the_daemon(api, cli):
    for url in ("./nosuch.sock", "http://127.0.0.1:1"):
        done = cli("--url", url, "vm", "ready", "vm-1", "--interval", "10ms", "--timeout", "100ms")
        waits, fails = text(done).splitlines()
        assert done.returncode == 1 and waits.startswith(f"slicer: waiting for the daemon: cannot reach the slicer daemon at {url}")
        assert "not ready after 100ms: cannot reach" in fails and "logs" not in fails


def test_shutdown_and_power(api, cli):
    for verb in ("pause", "resume", "shutdown"):
        api.routes["POST", f"/vm/vm-1/{verb}"] = 200, "ok"
        cli.ok("vm", verb, "vm-1")
    assert api.last.query == {"action": ["shutdown"]}
    api.routes["POST", "/vm/vm-1/pause"] = 409, {"error": "it is stopped"}
    done = cli("vm", "pause", "vm-1")
    assert done.returncode == 1 and "it is stopped" in text(done)


def test_tags(api, cli):
    api.routes["PATCH", "/vm/vm-1/tags"] = 200, {"hostname": "vm-1", "tags": ["a", "b"]}
    for verb, words, body in (("add", ["--tag", "a"], {"add": ["a"]}), ("remove", ["b"], {"remove": ["b"]}),
                              ("replace", [], {"replace": []})):
        assert cli.ok("vm", "tag", verb, "vm-1", *words) == b"a\nb\n"
        assert api.last.json == body
    assert cli("vm", "tag", "add", "vm-1").returncode == 2


# --- cp

CP = "/vm/vm-1/cp"


def test_upload_file(api, cli, tmp_path):
    api.routes["POST", CP] = 200, ""
    data = os.urandom(300000)
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "file").chmod(0o750)
    cli.ok("cp", "file", "vm-1:/tmp/", "--uid", "0", "--gid", "0")
    assert api.last.body == data and api.last.headers["Content-Type"] == "application/octet-stream"
    assert api.last.query == {"path": ["/tmp/"], "mode": ["cp-v1-binary"], "copy_semantics": ["cp-v1"], "uid": ["0"],
                              "gid": ["0"], "source_name": ["file"], "source_type": ["file"], "permissions": ["0750"]}
    (tmp_path / "link").symlink_to("file")
    cli.ok("cp", "link", "vm-1:~/x", "--permissions", "0600")
    assert api.last.body == data and api.last.query["permissions"] == ["0600"] and api.last.query["path"] == ["~/x"]


def test_upload_tree(api, cli, tmp_path):
    api.routes["POST", CP] = 200, ""
    src = tmp_path / "src"
    for name, content in {"a": "A", "sub/b": "BB", "sub/c.o": "x", "log/d": "x", ".slicerignore": "log/\n"}.items():
        (src / name).parent.mkdir(parents=True, exist_ok=True)
        (src / name).write_text(content)
    (src / "link").symlink_to("a")
    done = cli("vm", "cp", "-r", "src/.", "vm-1:/dst", "--exclude", "*.o")
    assert done.returncode == 0 and "1 symbolic links or special files were not copied" in text(done)
    assert api.last.headers["X-Slicer-Unpacked-Size"] == "8"
    assert api.last.query == {"path": ["/dst"], "mode": ["cp-v1-tar"], "copy_semantics": ["cp-v1"], "exclude": ["*.o"],
                              "source_name": ["src"], "source_type": ["directory"], "copy_contents": ["true"]}
    names = tarfile.open(fileobj=io.BytesIO(api.last.body)).getnames()
    assert names == [".slicerignore", "a", "sub", "sub/b"]
    assert cli("cp", "-r", "src/link", "vm-1:/x").returncode == 2
    assert cli("cp", "src", "vm-1:/x").returncode == 2


def old_agent(handler, request):
    mode = request.query["mode"][0]
    if mode.startswith("cp-v1"):
        handler.reply(400, {"error": f"cp produced an unexpected error: 400: invalid mode: {mode}"})
    elif request.method == "POST":
        handler.reply(200)
    elif mode == "binary" and request.query["path"] == ["/dir"]:
        handler.reply(400, {"error": "must specify a file not a directory"})
    else:
        handler.reply(200, b"content" if mode == "binary" else make_tar({"f": b"1"}))


def make_tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_old_agents(api, cli, tmp_path):
    api.routes["POST", CP] = api.routes["GET", CP] = old_agent
    (tmp_path / "f").write_text("hello")
    cli.ok("cp", "f", "vm-1:/f")
    assert api.last.query == {"path": ["/f"], "mode": ["binary"], "permissions": ["0644"]} and api.last.body == b"hello"
    cli.ok("cp", "vm-1:/x/name", ".")
    assert (tmp_path / "name").read_text() == "content" and (tmp_path / "name").stat().st_mode & 0o777 == 0o600
    cli.ok("cp", "-r", "vm-1:/dir", "new")
    assert (tmp_path / "new/f").read_text() == "1"
    assert [r.query["mode"][0] for r in api.requests[-3:]] == ["cp-v1-recursive", "binary", "tar"]


def download(api, body, kind="file", name="remote", **headers):
    encoded = base64.urlsafe_b64encode(name.encode()).rstrip(b"=").decode()
    api.routes["GET", CP] = lambda handler, request: handler.reply(
        200, body, X_Slicer_Source_Type=kind, X_Slicer_Source_Name_Base64=encoded, **headers)


def test_download_file(api, cli, tmp_path):
    download(api, b"data", X_Slicer_File_Mode="0644")
    cli.ok("cp", "vm-1:/etc/remote", "new")
    assert api.last.query == {"path": ["/etc/remote"], "mode": ["cp-v1-binary"], "copy_semantics": ["cp-v1"]}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o644
    cli.ok("cp", "vm-1:/etc/remote", ".", "--permissions", "0700")
    assert (tmp_path / "remote").read_bytes() == b"data" and (tmp_path / "remote").stat().st_mode & 0o777 == 0o700
    assert cli.ok("cp", "vm-1:/etc/remote", "/dev/stdout") == b"data"
    done = cli("cp", "vm-1:/etc/remote", "no/such/dir")
    assert done.returncode == 1 and "no/such" in text(done)


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "nul\0", "x" * 300])
def test_download_with_an_evil_name(api, cli, tmp_path, name):
    download(api, b"data", name=name)
    done = cli("cp", "vm-1:/etc/x", ".")
    assert done.returncode == 1 and "impossible name" in text(done) and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("files", [{"../up": b"1"}, {"/abs": b"1"}, {"ok": b"1", "a/../../b": b"2"}])
def test_download_of_an_evil_tree(api, cli, tmp_path, files):
    (tmp_path / "in").mkdir()
    download(api, make_tar(files), kind="directory")
    done = cli("cp", "-r", "vm-1:/d", "in/new")
    assert done.returncode == 1 and "not allowed" in text(done)
    assert list((tmp_path / "in").iterdir()) == [] and [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("kind,words", [("file", []), ("directory", ["-r"])])
def test_broken_download_leaves_nothing(api, cli, tmp_path, kind, words):
    def cut(handler, request):
        handler.begin(X_Slicer_Source_Type=kind, X_Slicer_Source_Name_Base64="eA")
        handler.chunk(make_tar({"f": b"1" * 5000})[:3000])
        handler.cut()
    api.routes["GET", CP] = cut
    done = cli("cp", *words, "vm-1:/x", "new")
    assert done.returncode == 1 and list(tmp_path.iterdir()) == []


def test_interrupted_download_leaves_nothing(api, cli, tmp_path):
    def stall(handler, request):
        handler.begin(X_Slicer_Source_Type="file", X_Slicer_Source_Name_Base64="eA")
        handler.chunk(b"part")
        handler.peer_left()
    api.routes["GET", CP] = stall
    with cli.popen("cp", "vm-1:/x", "new", stderr=subprocess.PIPE) as p:
        until(lambda: list(tmp_path.iterdir()), 10, "the temporary file")
        p.send_signal(signal.SIGINT)
        assert p.wait(60) == 130
    assert list(tmp_path.iterdir()) == [] and api.left.wait(60)


def test_upload_is_sent_again_to_the_vm_s_real_name(api, cli, tmp_path):
    friendly(api, "vm-1")
    api.routes["POST", CP] = 200, ""
    (tmp_path / "f").write_text("hello")
    cli.ok("cp", "f", "web:/f")
    assert api.last.body == b"hello"
    download(api, b"data")
    cli.ok("cp", "web:/f", "g")
    assert (tmp_path / "g").read_bytes() == b"data"


def test_paused_vm(api, cli, tmp_path):
    api.routes["GET", CP] = 409, {"error": "it is paused"}
    done = cli("cp", "vm-1:/x", "y")
    assert done.returncode == 1 and "it is paused" in text(done)


# --- cost

def test_start_up_is_quick(cli):
    """It takes some milliseconds of a CPU; Python, which is measured beside it, some twenty."""
    def cpu(run):
        before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        run()
        return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    runs = [(cpu(lambda: cli.ok("version")), cpu(lambda: subprocess.run([sys.executable, "-ISc", ""], check=True))) for _ in range(10)]
    own, python = map(min, zip(*runs))
    assert own < python, runs
