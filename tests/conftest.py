# SPDX-License-Identifier: MIT
"""Fixtures of all suites: the image store that they share, daemons, and the look at what a test has left behind."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess

import pytest
from slicertest import AGENT, IMAGE, Daemon, leaks, reaper
from slicertest.space import space as own_space

HERE = pathlib.Path(__file__).parent
NEEDS_ROOT = ("host", "guest", "nested")


def allowed_skips():
    lines = (HERE / "skips.txt").read_text().splitlines()
    return {line.partition(" # ")[0].strip() for line in lines if line.strip() and not line.startswith("#")}


def may_skip(node):
    """Whether the test or the module of that id is in the list, whose paths begin at the tree's top, wherever pytest runs."""
    _, colons, name = node.nodeid.partition("::")
    return f"{pathlib.Path(node.fspath).relative_to(HERE.parent)}{colons}{name}" in node.config.allowed_skips


def pytest_configure(config):
    # A job in the background has this ignored, and so have the programs that it starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    reaper.start()
    config.allowed_skips = allowed_skips()
    config.module_before = None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and not may_skip(item):
        report.outcome = "failed"
        report.longrepr = f"skipped, and not listed in tests/skips.txt: {report.longrepr}"
    if call.when == "call":
        item.call_failed = report.failed


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    report = (yield).get_result()
    if report.skipped and not may_skip(collector):
        report.outcome = "failed"
        report.longrepr = f"skipped, and not listed in tests/skips.txt: {report.longrepr}"


def watched(item):
    return pathlib.Path(str(item.fspath)).parent.name in NEEDS_ROOT


def check_leaks(before):
    found = leaks.compare(before)
    assert not found, "left behind:\n" + "\n".join(found)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    """Hooks rather than a fixture: a module's fixtures end in an order that does not put this one last."""
    if watched(item) and item.config.module_before is None:
        item.config.module_before = leaks.snapshot()
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item, nextitem):
    yield
    if nextitem is None or nextitem.fspath != item.fspath:
        before, item.config.module_before = item.config.module_before, None
        if before:
            check_leaks(before)


@pytest.fixture(autouse=True)
def nothing_left_by_test(request):
    """Set up after the daemons that several tests share, so that those count as there before."""
    before = leaks.snapshot() if watched(request) else None
    yield
    if before:
        check_leaks(before)


def build_image(name, store):
    with subprocess.Popen([IMAGE, "build", name, "--store", store, "--agent", AGENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as helper:
        try:
            said, errors = helper.communicate(timeout=3000)
        finally:
            helper.terminate()  # should it have taken too long: it removes what it has half made, in which there are devices
    assert helper.returncode == 0, said + errors
    return [json.loads(line) for line in said.splitlines()]


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """With image micro, built once; SLICER_TEST_STORE names one that has it (inside of a nested guest)."""
    given = os.environ.get("SLICER_TEST_STORE")
    path = pathlib.Path(given) if given else tmp_path_factory.mktemp("store") / "store"
    os.environ["SLICER_STORE"] = str(path)
    for directory in ("/run/slicer", "/var/log/slicer"):
        os.makedirs(directory, mode=0o750, exist_ok=True)
    if not given:
        build_image("micro", path)
    return path


@pytest.fixture(scope="session")
def debian_build(store):
    """Image debian in that store, built once: what slicer-image said, the result last."""
    return build_image("debian", store)


@pytest.fixture(scope="module")
def fake(store, tmp_path_factory):
    """A daemon of the module: fake hypervisor, Unix socket, no authentication."""
    with Daemon(tmp_path_factory.mktemp("fake")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def api(fake):
    return fake.client


@pytest.fixture(scope="module")
def vm(fake):
    """The name of a running VM of that daemon."""
    return fake.create_whole()


@pytest.fixture
def space():
    """A network namespace; name it before `daemon`, which then ends first."""
    with own_space() as one:
        yield one


@pytest.fixture
def daemon(request, store, tmp_path):
    """Makes daemons that end with the test: daemon(tcp=True, …), started unless start=False. Their logs are a failed test's."""
    made = []

    def make(start=True, **kwargs):
        one = Daemon(tmp_path / f"d{len(made)}", **kwargs)
        made.append(one)
        return one.start() if start else one
    yield make
    with contextlib.ExitStack() as stack:
        for one in made:
            if getattr(request.node, "call_failed", False):
                one.tell()
            stack.push(one)
