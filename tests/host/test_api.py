# SPDX-License-Identifier: MIT
"""Each endpoint of the API: its answers, and what they did, seen from outside."""
import contextlib
import datetime
import json
import os
import re
import signal
import threading
import time

import pytest
from slicertest import Client, Daemon, alive, descendants, exec_stream, run, state_of, until
from slicertest.daemon import LOG
from slicertest.proc import cmdline


# Until a guest that does not answer is told of: the daemon takes 4.5 s for it, and a busy machine its time for all else. Without
# that limit it would be told of after 30 s.
SOON = 20


@pytest.fixture(scope="module")
def tcp(store, tmp_path_factory):
    """A daemon on TCP with a token, one service, and groups of limits."""
    daemon = Daemon(tmp_path_factory.mktemp("tcp"), tcp=True, group={"count": 1, "vcpu": 2, "ram_mb": 512})
    daemon.config["host_groups"].append({"name": daemon.group + "b", "count": 0, "vcpu": 1, "ram_mb": 128,
                                         "network": {"mode": "user"}})
    with daemon:
        service = daemon.group + "-1"
        until(lambda: daemon.client.get(f"/vm/{service}/health").status == 200, 30, "the service's agent")
        until(lambda: daemon.console(service), what="its log")
        yield daemon


def parse_time(text):
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", text)
    assert match, text
    return datetime.datetime.fromisoformat(match.group(1) + (match.group(3) if match.group(3) != "Z" else "+00:00"))


# --- authentication

def test_healthz_needs_no_token(tcp):
    plain = Client(tcp.address)
    answer = plain.get("/healthz")
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["content-type"].startswith("text/plain")
    head = plain.request("HEAD", "/healthz")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("header", [
    None, "Bearer", "Bearer ", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x", "Bearer {token} x",
    "Bearer  {token}", "Digest {token}", "Bearer {half}"])
@pytest.mark.parametrize("method, path", [
    ("GET", "/info"), ("GET", "/nodes"), ("POST", "/hostgroup/x/nodes"), ("POST", "/vm/x/exec?cmd=id"),
    ("GET", "/no/such/path"), ("DELETE", "/info")])
def test_a_wrong_token_is_401(tcp, header, method, path):
    token = tcp.token
    headers = {"Authorization": header.format(token=token, half=token[:-1])} if header else {}
    answer = Client(tcp.address).request(method, path, headers=headers)
    assert answer.status == 401 and answer.error


def test_the_right_token_is_taken_in_any_case_of_the_scheme(tcp):
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert Client(tcp.address).get("/info", headers={"Authorization": f"{scheme} {tcp.token}"}).status == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer something", "Basic eDp5"])
def test_without_authentication_any_header_is_tolerated(fake, header):
    assert fake.client.get("/info", headers={"Authorization": header}).status == 200


def test_token_file_is_made_for_tcp_when_absent_and_is_private(daemon):
    path = "/var/lib/slicer/auth/token"
    saved = open(path).read() if os.path.exists(path) else None
    if saved is not None:
        os.unlink(path)
    try:
        d = daemon(tcp=True, start=False)
        del d.config["api"]["auth"]
        d.start()
        token = open(path).read().strip()
        assert len(token) >= 32
        assert os.stat(path).st_mode & 0o007 == 0
        assert Client(d.address).get("/info").status == 401
        assert Client(d.address, token).get("/info").status == 200
        assert token not in d.log_text()
        assert f"http://127.0.0.1:{d.address[1]}/nodes\n" in d.log_text()
        d.client = Client(d.address, token)
        d.clean()
        d.start()
        assert open(path).read().strip() == token, "a second start keeps the token"
        d.clean()
        # It says how to be asked wherever it listens.
        d.config["api"]["bind_address"] = "127.0.0.2"
        d.client = Client(("127.0.0.2", d.address[1]), token)
        d.start().clean()
        assert f"http://127.0.0.2:{d.address[1]}/nodes\n" in d.log_text()
        d.config["api"] = {"bind_address": str(d.dir / "api.sock"), "auth": {"enabled": True}}
        d.client = Client(str(d.dir / "api.sock"), token)
        d.start().clean()
        assert f'" --unix-socket {d.dir}/api.sock http://localhost/nodes\n' in d.log_text()
    finally:
        if saved is not None:
            with open(path, "w") as f:
                f.write(saved)
        elif os.path.exists(path):
            os.unlink(path)


def test_unix_socket_is_0660_and_gone_afterwards(daemon):
    d = daemon()
    assert os.stat(d.address).st_mode & 0o777 == 0o660
    d.clean()
    assert not os.path.exists(d.address)


def test_others_get_as_far_as_the_socket(daemon):
    """Whatever the umask: it is for a group, and the daemon makes its directory."""
    d = daemon(start=False)
    path = d.dir / "made" / "for" / "api.sock"
    d.config["api"]["bind_address"] = str(path)
    d.client = type(d.client)(str(path), None)
    d.start()
    assert [p.stat().st_mode & 0o777 for p in (path.parent, path.parent.parent)] == [0o755, 0o755]
    assert d.client.nodes() == []


def test_a_socket_in_the_home_directory(daemon):
    d = daemon(start=False)
    d.config["api"] = {"socket": "~/api/slicer.sock"}
    d.env.pop("HOME", None)
    code, said = d.fails()
    assert code == 2 and "HOME is not set" in said
    d.env["HOME"] = str(d.dir)
    d.client = Client(str(d.dir / "api" / "slicer.sock"))
    d.start()
    assert d.client.nodes() == [] and not (d.dir / "~").exists()


# --- server, groups, lists

def test_info(tcp):
    info = tcp.client.get("/info").json
    assert info["platform"] == "linux" and info["arch"] in ("amd64", "arm64")
    assert re.match(r"\d+\.\d+", info["version"])


def test_hostgroups(tcp):
    groups = tcp.client.get("/hostgroup").json
    assert [g["name"] for g in groups] == [tcp.group, tcp.group + "b"]
    assert groups[0] == {"name": tcp.group, "count": 1, "ram_bytes": 512 << 20, "cpus": 2, "arch": "x86_64",
                         "gpu_count": 0}
    assert groups[1]["count"] == 0


def test_lists_and_tag_filters(tcp):
    c, group = tcp.client, tcp.group + "b"
    one = c.create(group, tags=["role=web", "env=a"])["hostname"]
    two = c.create(group, tags=["role=webserver"])["hostname"]

    def names(path, **params):
        answer = c.get(path, params)
        assert answer.status == 200
        return [n["hostname"] for n in answer.json]
    try:
        assert names("/nodes") == [tcp.group + "-1", one, two]
        assert names(f"/hostgroup/{group}/nodes") == [one, two]
        assert names("/nodes", tag="role=web") == [one]
        assert names("/nodes", tag_prefix="role=web") == [one, two]
        assert names(f"/hostgroup/{group}/nodes", tag="env=a") == [one]
        assert names("/nodes", tag="role") == []
        # As Slicer's Go SDK asks: the query escaped as a part of the path.
        assert names(f"/hostgroup/{group}/nodes%3Ftag=env%253Da") == [one] == names("/nodes%3Ftag=env%253Da")
        assert names(f"/hostgroup/{group}/nodes%3Ftag_prefix=role%253Dweb") == [one, two]
        assert c.get("/nodes%3Ftag=%25zz").status == 400 and c.get("/info%3Ftag=a").status == 404
        node = c.node(one)
        assert node["hostgroup"] == group and node["tags"] == ["role=web", "env=a"]
        assert node["ram_bytes"] == 128 << 20 and node["cpus"] == 1 and node["arch"] == "x86_64"
        assert node["status"] == "Running" and node["persistent"] is False
        assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", node["ip"])
        assert c.get("/nodes", {"tag": "a", "tag_prefix": "b"}).status == 400
        assert c.get("/hostgroup/nosuch/nodes").status == 404
        assert c.get(f"/vm/{one}/tags").json == {"hostname": one, "tags": ["role=web", "env=a"]}
    finally:
        c.remove(one)
        c.remove(two)
    assert names(f"/hostgroup/{group}/nodes") == []


# --- create

def test_create_makes_a_vm_and_delete_removes_all_of_it(fake, api):
    before = time.time()
    made = api.create(fake.group, persistent=False)
    vm = made["hostname"]
    assert re.fullmatch(rf"{fake.group}-\d+", vm) and made["hostgroup"] == fake.group
    assert made["ip"] and made["arch"] == "x86_64" and made["persistent"] is False
    assert before - 2 < parse_time(made["created_at"]).timestamp() < time.time() + 2
    vmm, monitor = fake.vmm_pid(vm), fake.monitor_pid(vm)
    assert alive(vmm) and alive(monitor) and fake.agent_pids(vm)
    assert (fake.run_dir / vm).is_dir() and (LOG / f"{vm}.txt").exists()
    below = descendants(vmm)

    done = api.remove(vm)
    assert done["message"] and done["disk_removed"] == "true" and not done.get("error")
    assert not alive(vmm) and not alive(monitor)
    assert until(lambda: not any(alive(p) for p in below), 5)
    assert not (fake.run_dir / vm).exists() and not (fake.state_dir / "vms" / vm).exists()
    assert not (LOG / f"{vm}.txt").exists()
    assert api.node(vm) is None and api.get(f"/vm/{vm}").status == 404


def test_create_without_wait_and_without_body(fake, api):
    answer = api.post(f"/hostgroup/{fake.group}/nodes")
    assert answer.status in (200, 201)
    vm = answer.json["hostname"]
    until(lambda: api.get(f"/vm/{vm}/health").status == 200, 30)
    assert alive(fake.vmm_pid(vm))
    api.remove(vm)


def test_exec_right_after_create_waits_for_the_agent(fake, api):
    vm = api.create(fake.group, wait=None)["hostname"]
    assert run(api, vm, "echo", "hello").stdout == b"hello\n"
    api.remove(vm)


def test_create_takes_what_it_is_asked_for(fake, api):
    made = api.create(fake.group, ram_bytes=64 << 20, cpus=1, tags=["a=b"], unknown_key={"x": 1}, count=1,
                      hostname="ignored", gpu_count=0)
    node = api.node(made["hostname"])
    assert node["ram_bytes"] == 64 << 20 and node["tags"] == ["a=b"]
    api.remove(made["hostname"])


@pytest.mark.parametrize("body", [
    b"{", b"[]", b"null", b"7", b'{"cpus": "two"}', b'{"cpus": 2}', b'{"ram_bytes": 1099511627776}', b'{"ram_bytes": -1}',
    b'{"tags": "x"}', b'{"tags": [1]}', b'{"persistent": "yes"}', b"{'cpus': 1}", b'{"cpus": 1, "cpus": 1}',
    b'{"tags": ["name=Not A Label"]}', b"\xff\xfe", b'{"userdata": "a\\u0000b"}', b'{} {}'])
def test_create_refuses_bad_bodies(fake, api, body):
    before = api.nodes()
    answer = api.post(f"/hostgroup/{fake.group}/nodes", body=body)
    assert answer.status == 400 and answer.error
    assert api.nodes() == before


@pytest.mark.parametrize("params", [
    {"wait": "never"}, {"wait": "agent", "timeout": "30"}, {"wait": "agent", "timeout": "-1s"},
    {"wait": "agent", "timeout": "soon"}, {"wait": "agent", "timeout": "1000000h"}])
def test_create_refuses_bad_queries(fake, api, params):
    answer = api.post(f"/hostgroup/{fake.group}/nodes", params)
    assert answer.status == 400 and answer.error
    assert api.nodes() == []


def test_create_in_an_unknown_group_is_404(api):
    answer = api.post("/hostgroup/nosuch/nodes")
    assert answer.status == 404 and "nosuch" in answer.error


def test_friendly_names_are_unique(fake, api):
    vm = api.create(fake.group, tags=["name=box"])["hostname"]
    answer = api.post(f"/hostgroup/{fake.group}/nodes", json={"tags": ["name=box"]})
    assert answer.status == 409 and vm in answer.error
    answer = api.post(f"/hostgroup/{fake.group}/nodes", json={"tags": [f"name={fake.group}-77"]})
    assert answer.status == 400
    api.remove(vm)


def test_names_are_reused_only_when_free(fake, api):
    one, two = (api.create(fake.group, wait=None)["hostname"] for _ in range(2))
    assert one != two
    api.remove(one)
    three = api.create(fake.group, wait=None)["hostname"]
    assert three != two
    api.remove(two)
    api.remove(three)


def test_wait_for_userdata(fake, api):
    """The fake guest runs none (it is the host): one without userdata is ready at once, one with it never is."""
    vm = api.create(fake.group, wait="userdata")["hostname"]
    api.remove(vm)
    start = time.monotonic()
    answer = api.post(f"/hostgroup/{fake.group}/nodes", {"wait": "userdata", "timeout": "2s"},
                      json={"userdata": "#!/bin/sh\ntrue\n"})
    assert answer.status == 408 and answer.error
    assert 2 <= time.monotonic() - start < 45
    assert api.nodes() == [] and list((fake.state_dir / "vms").iterdir()) == []


def silent_agent(tmp_path):
    """In the agent's place: a program that says nothing."""
    path = tmp_path / "slicer-agent"
    path.write_text("#!/bin/sh\nexec sleep 1000\n")
    path.chmod(0o755)
    return path


def test_wait_for_a_silent_guest(daemon, tmp_path):
    d = daemon(env={"SLICER_FAKE_AGENT": str(silent_agent(tmp_path))})
    answer = d.client.post(f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "1500ms"})
    assert answer.status == 408 and answer.error
    assert d.client.nodes() == [] and d.records() == []

    vm = d.client.create(d.group, wait=None)["hostname"]
    start = time.monotonic()
    health = d.client.get(f"/vm/{vm}/health")
    assert health.status == 500 and health.error and time.monotonic() - start < SOON
    d.client.remove(vm)


def test_client_that_leaves_while_it_waits_undoes_the_launch(daemon, tmp_path):
    d = daemon(env={"SLICER_FAKE_AGENT": str(silent_agent(tmp_path))})
    with d.client.raw() as raw:
        raw.head("POST", f"/hostgroup/{d.group}/nodes", {"wait": "agent", "timeout": "60s"}, Content_Length=0)
        until(lambda: [r for r in d.records() if r.get("vmm_pid")], 10, "the VMM runs")
        vmm = d.records()[0]["vmm_pid"]
    until(lambda: d.client.nodes() == [], 10, "the VM is gone")
    assert not alive(vmm) and d.records() == []


def test_client_that_leaves_without_wait_does_not_stop_the_launch(fake, api):
    with api.raw() as raw:
        raw.head("POST", f"/hostgroup/{fake.group}/nodes", Content_Length=0)
        until(api.nodes, 5, "the VM is listed")
    vm = api.nodes()[0]["hostname"]
    until(lambda: api.get(f"/vm/{vm}/health").status == 200, 20)
    api.remove(vm)


def test_many_at_once(fake, api):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(api.create(fake.group)["hostname"])) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(answers)) == 8
    assert sorted(n["hostname"] for n in api.nodes()) == sorted(answers)
    threads = [threading.Thread(target=api.remove, args=(vm,)) for vm in answers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert api.nodes() == []


# --- delete

def test_delete_of_a_service_is_403(tcp):
    service = tcp.group + "-1"
    answer = tcp.client.delete(f"/hostgroup/{tcp.group}/nodes/{service}")
    assert answer.status == 403 and answer.error
    assert alive(tcp.vmm_pid(service)) and tcp.client.node(service)["status"] == "Running"


def test_delete_of_what_is_not_there_is_404(fake, api):
    assert api.delete(f"/hostgroup/{fake.group}/nodes/{fake.group}-99").status == 404
    vm = api.create(fake.group, wait=None)["hostname"]
    assert api.delete(f"/hostgroup/other/nodes/{vm}").status == 404
    api.remove(vm)
    assert api.delete(f"/hostgroup/{fake.group}/nodes/{vm}").status == 404


def test_delete_while_it_starts(fake, api):
    for _ in range(5):
        vm = api.create(fake.group, wait=None)["hostname"]
        assert api.delete(f"/hostgroup/{fake.group}/nodes/{vm}").status == 200
    assert api.nodes() == [] and fake.records() == []


def test_two_deletes_at_once_both_succeed_or_find_nothing(fake, api):
    vm = api.create(fake.group)["hostname"]
    statuses = []
    path = f"/hostgroup/{fake.group}/nodes/{vm}"
    threads = [threading.Thread(target=lambda: statuses.append(api.delete(path).status)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert 200 in statuses and set(statuses) <= {200, 404}


# --- one VM

def test_describe(tcp):
    service = tcp.group + "-1"
    d = tcp.client.get(f"/vm/{service}").json
    assert d["hostname"] == service and d["status"] == "Running" and d["hostgroup"] == tcp.group
    assert d["storage"] == "overlay" and d["image"] == "micro"
    assert d["network"]["mode"] == "user" and d["network"]["ipv6"] == "off" and d["network"]["policy_source"] == "host_group"
    assert d["network"]["host_group"] == {"allow": [], "drop": []} == d["network"]["effective"]
    assert "override" not in d["network"]
    assert tcp.client.get("/vm/nosuch-1").status == 404


def test_health_is_in_nanoseconds(tcp):
    service, c = tcp.group + "-1", tcp.client

    def uptime():
        with open("/proc/uptime") as f:
            return float(f.read().split()[0])
    before = uptime()
    one = c.get(f"/vm/{service}/health").json
    assert one["hostname"] == service and one["agent_version"]
    assert before - 1 < one["system_uptime"] / 1e9 < uptime() + 1
    assert 0 < one["agent_uptime"] <= one["system_uptime"]
    time.sleep(0.3)
    two = c.get(f"/vm/{service}/health").json
    assert 0.25e9 < two["agent_uptime"] - one["agent_uptime"] < (uptime() - before + 0.1) * 1e9
    head = c.request("HEAD", f"/vm/{service}/health")
    assert head.status == 200 and head.body == b""
    assert c.get("/vm/nosuch-1/health").status == 404


def test_health_of_a_hung_guest_is_500_within_5_seconds(fake, api):
    vm = api.create(fake.group)["hostname"]
    agents = fake.agent_pids(vm)
    for pid in agents:
        os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    answer = api.get(f"/vm/{vm}/health")
    assert answer.status == 500 and answer.error
    assert time.monotonic() - start < SOON
    assert api.node(vm)["status"] == "Running"
    for pid in agents:
        os.kill(pid, signal.SIGCONT)
    until(lambda: api.get(f"/vm/{vm}/health").status == 200, 30)
    api.remove(vm)


def test_logs(fake, api, vm):
    console = LOG / f"{vm}.txt"
    until(lambda: b"boots" in console.read_bytes(), what="all that the guest says of itself")
    # As the guest would write it: by the console's device, here the file that the monitor appends to.
    with open(console, "ab") as f:
        f.write(b"".join(b"line %d\n" % i for i in range(100)))
    answer = api.get(f"/vm/{vm}/logs").json
    assert answer["hostname"] == vm and answer["lines"] == 20
    assert answer["content"] == "".join(f"line {i}\n" for i in range(80, 100))
    assert api.get(f"/vm/{vm}/logs", {"lines": 3}).json["content"] == "line 97\nline 98\nline 99\n"
    everything = api.get(f"/vm/{vm}/logs", {"lines": 0}).json
    assert everything["lines"] == len(everything["content"].splitlines()) >= 100
    assert everything["content"].encode() == console.read_bytes().replace(b"\0", b" ")
    assert api.get(f"/vm/{vm}/logs", {"lines": 100000}).json["content"] == everything["content"]
    for bad in ("-1", "x", "1.5", "99999999999999999999"):
        assert api.get(f"/vm/{vm}/logs", {"lines": bad}).status == 400
    assert api.get("/vm/nosuch-1/logs").status == 404


def test_logs_go_on_in_what_was_put_aside(api, vm):
    """As the monitor does when the log is full: there is less than was asked for in the new one, or for a moment none."""
    console, aside = LOG / f"{vm}.txt", LOG / f"{vm}.txt.1"
    lines = [f"line {i} {'x' * 100}\n" for i in range(70010)]

    def said(n):
        answer = api.get(f"/vm/{vm}/logs", {"lines": n}).json
        return answer["content"]
    kept = console.rename(console.with_suffix(".kept"))
    try:
        aside.write_text("".join(lines[:70000]) + "half a ")
        assert api.get(f"/vm/{vm}/logs", {"lines": 2}).json["content"] == lines[69999] + "half a "
        console.write_text("line\n" + "".join(lines[70000:70010]))
        assert said(11) == "half a line\n" + "".join(lines[70000:70010])
        assert said(5) == "".join(lines[70005:70010])
        assert said(5000) == "".join(lines[65011:70000]) + "half a line\n" + "".join(lines[70000:70010])
        everything = said(0)
        assert everything.endswith(said(5000)) and len(everything) == len(aside.read_bytes()) + len(console.read_bytes())
        aside.write_bytes(b"y" * (8 << 20))
        assert len(said(0)) == 8 << 20
        aside.unlink()
        os.link(console, aside)  # put aside just then
        assert said(20) == console.read_text()
    finally:
        aside.unlink(missing_ok=True)
        kept.rename(console)
    assert api.get(f"/vm/{vm}/logs").status == 200


def test_logs_with_hostile_bytes_are_json(fake, api, vm):
    with open(LOG / f"{vm}.txt", "ab") as f:
        f.write(b"\xff\xfe\x00 bad \x1b[31m \xc3\x28\n")
    content = api.get(f"/vm/{vm}/logs", {"lines": 1}).json["content"]
    assert "bad" in content and "\0" not in content


@pytest.mark.parametrize("kwargs", [
    {"params": {"action": "shutdown"}}, {"params": {"action": "reboot"}}, {"json": {"action": "shutdown"}}, {"json": {}},
    {}, {"params": {"action": "shutdown"}, "json": {"action": "nonsense"}}])
def test_shutdown_of_an_ephemeral_vm_removes_it(fake, api, kwargs):
    vm = api.create(fake.group)["hostname"]
    vmm = fake.vmm_pid(vm)
    answer = api.post(f"/vm/{vm}/shutdown", **kwargs)
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain")
    until(lambda: not alive(vmm), 10)
    until(lambda: api.node(vm) is None, 10)


def test_shutdown_with_a_bad_action(fake, api, vm):
    for kwargs in ({"params": {"action": "explode"}}, {"json": {"action": "explode"}}, {"body": b"{"}):
        answer = api.post(f"/vm/{vm}/shutdown", **kwargs)
        assert answer.status == 400 and answer.error
    assert api.node(vm)["status"] == "Running"
    assert api.post("/vm/nosuch-1/shutdown").status == 404


def test_relaunch_of_a_persistent_vm(fake, api):
    made = api.create(fake.group, persistent=True)
    vm, first = made["hostname"], fake.vmm_pid(made["hostname"])
    assert made["persistent"] is True
    assert api.post(f"/vm/{vm}/relaunch").status == 409
    assert api.post(f"/vm/{vm}/shutdown").status == 200
    assert api.node(vm)["status"] == "Stopped" and not alive(first)
    assert api.post(f"/vm/{vm}/shutdown").status == 409
    answer = api.post(f"/vm/{vm}/exec", {"cmd": "true"})
    assert answer.status == 409 and "relaunch" in answer.error

    answer = api.post(f"/vm/{vm}/relaunch")
    assert answer.status in (200, 201) and answer.json["hostname"] == vm and answer.json["ip"] == made["ip"]
    second = fake.vmm_pid(vm)
    assert second != first and alive(second)
    assert run(api, vm, "echo", "again").stdout == b"again\n"
    assert api.node(vm)["status"] == "Running"
    api.remove(vm)


def test_relaunch_of_a_service(daemon):
    d = daemon(group={"count": 1})
    vm, c = d.group + "-1", d.client
    until(lambda: c.get(f"/vm/{vm}/health").status == 200, 30)
    assert c.post(f"/vm/{vm}/shutdown").status == 200
    assert c.node(vm)["status"] == "Stopped"
    assert c.post(f"/vm/{vm}/relaunch").status in (200, 201)
    until(lambda: c.get(f"/vm/{vm}/health").status == 200, 30)


def test_pause_and_resume(fake, api):
    vm = api.create(fake.group)["hostname"]
    params = {"cmd": "sh", "args": ["-c", "while :; do :; done"]}
    busy = api.open("POST", f"/vm/{vm}/exec", params)
    pid = json.loads(busy.readline())["pid"]
    below = [p for p in descendants(fake.vmm_pid(vm)) if "while :" in " ".join(cmdline(p))]
    assert pid and len(below) == 1
    assert api.post(f"/vm/{vm}/pause").status == 200
    assert api.node(vm)["status"] == "Paused"
    until(lambda: state_of(below[0]) == "T", 5, "its processes stand still")
    for method, path in (("POST", "exec?cmd=true"), ("GET", "cp?path=/etc/passwd"), ("POST", "cp?path=/tmp/x"),
                         ("POST", "pause")):
        answer = api.request(method, f"/vm/{vm}/{path}")
        assert answer.status == 409 and answer.error, path
    assert api.post(f"/vm/{vm}/resume").status == 200
    assert api.node(vm)["status"] == "Running"
    until(lambda: state_of(below[0]) == "R", 5)
    assert api.post(f"/vm/{vm}/resume").status == 409
    assert run(api, vm, "echo", "on").stdout == b"on\n"
    busy.connection.close()
    until(lambda: not alive(below[0]), 5)
    api.remove(vm)


# --- what is not there

@pytest.mark.parametrize("method, path, status", [
    ("GET", "/", 404), ("GET", "/vm", 404), ("GET", "/vm/", 404), ("GET", "/nosuch", 404),
    ("POST", "/info", 405), ("DELETE", "/nodes", 405), ("PUT", "/hostgroup", 405), ("GET", "/vm/x/shutdown", 405),
    ("PATCH", "/vm/x", 405), ("POST", "/vm/x/shell", 405), ("BREW", "/info", 405), ("GET", "/vm/x/y/z", 404)])
def test_unknown_paths_and_methods(api, method, path, status):
    answer = api.request(method, path)
    assert answer.status == status and answer.error
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize("method, path", [
    ("GET", ""), ("GET", "/logs"), ("GET", "/health"), ("POST", "/shutdown"), ("POST", "/pause"), ("POST", "/resume"),
    ("POST", "/relaunch"), ("POST", "/exec?cmd=true"), ("GET", "/cp?path=/x"), ("POST", "/cp?path=/x"), ("GET", "/tags")])
def test_an_unknown_vm_is_404(api, method, path):
    answer = api.request(method, "/vm/nosuch-1" + path)
    assert answer.status == 404 and "nosuch-1" in answer.error


def test_names_with_odd_characters_are_404(api):
    for name in ("%2e%2e", "a%2Fb", "%00", "a%0d%0ax", "%ff", "x" * 300):
        answer = api.get(f"/vm/{name}")
        assert answer.status in (400, 404) and answer.error


def test_a_guest_that_crashes_comes_back(fake, api):
    """The agent of the fake guest is its whole system: when it dies, the guest is reset."""
    vm = api.create(fake.group)["hostname"]
    vmm, before = fake.vmm_pid(vm), set(fake.agent_pids(vm))
    for pid in before:
        with contextlib.suppress(ProcessLookupError):  # one of them has ended with another
            os.kill(pid, signal.SIGKILL)
    until(lambda: fake.agent_pids(vm) and not set(fake.agent_pids(vm)) & before, 60, "a new agent")

    def answers():
        with contextlib.suppress(AssertionError, OSError):  # the daemon may not have noticed yet
            return run(api, vm, "echo", "back").stdout == b"back\n"
    until(answers, 30, "the new agent answers")
    assert fake.vmm_pid(vm) == vmm
    api.remove(vm)


def test_a_vmm_that_dies_ends_an_ephemeral_vm_and_stops_a_persistent_one(fake, api):
    kept, gone = (api.create(fake.group, persistent=p)["hostname"] for p in (True, False))
    for vm in (kept, gone):
        os.kill(fake.vmm_pid(vm), signal.SIGKILL)
    until(lambda: api.node(gone) is None, 10)
    until(lambda: api.node(kept)["status"] == "Stopped", 10)
    assert "SIGKILL" in api.node(kept)["last_error"]
    exit_record = json.loads((fake.state_dir / "vms" / kept / "exit.json").read_text())
    assert exit_record["signal"] == "SIGKILL"
    api.remove(kept)


def test_frames_of_a_running_exec_end_when_the_vm_is_deleted(fake, api):
    vm = api.create(fake.group)["hostname"]
    frames = exec_stream(api, vm, "sleep", "1000")
    assert next(frames)["type"] == "started"
    api.remove(vm)
    last = list(frames)[-1]
    assert (last["type"], last["exit_code"], last["error"]) == ("exit", 255, f'VM "{vm}" was deleted')


@pytest.mark.parametrize("path", ["metrics", "nodes/stats", "node/{vm}/stats", "secrets", "secrets/token", "proxy/v1/clients/a",
                                  "vm/commits", "vm/commits/c1/fork", "vm/{vm}/commit", "vm/{vm}/suspend", "vm/{vm}/restore", "vm/{vm}/fork", "vm/{vm}/fs/readdir?path=/", "vm/{vm}/exec/e1/logs"])
def test_what_is_not_in_this_version_is_501(api, path):
    answer = api.post("/" + path.format(vm="any-1"))
    assert answer.status == 501 and answer.error.endswith("is not in this version yet"), answer.text
    assert api.get("/vm/commits").status == 501
    assert api.get("/vm/any-1/exec").status == 501, "the list of what runs in the background"
    assert api.post("/nosuch/" + path).status == 404
