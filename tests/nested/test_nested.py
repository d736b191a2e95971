# SPDX-License-Identifier: MIT
"""Tests inside a guest that has systemd, cgroup v2 and KVM (slicertest/nested.py). Those that run there are in inside/,
which the host does not collect."""
import pytest
from slicertest import nested


def run_inside(work, store, name, **kwargs):
    code, said = nested.run(work, f"exec /usr/bin/python3 -m pytest -q -p no:cacheprovider -rs --durations=20 "
                            f"--durations-min=1 --basetemp=/var/tmp/t nested/inside/{name}\n", store, **kwargs)
    print(said)
    assert code == 0 and " passed" in said, said[-6000:]
    return said


def test_kvm(store, tmp_path):
    """VMs with accel: kvm, by the programs of this build. One boot for all."""
    said = run_inside(tmp_path, store, "kvm_boot.py nested/inside/limits.py nested/inside/doctor.py nested/inside/clock.py "
                      "host/test_doctor.py::test_kvm_kinds", seconds=1800)
    assert "skipped" not in said


@pytest.mark.full
def test_service_unit(store, tmp_path):
    run_inside(tmp_path, store, "service.py", seconds=1800)


@pytest.mark.full
def test_slot_units(store, tmp_path):
    run_inside(tmp_path, store, "slots.py", seconds=1800)


@pytest.mark.full
def test_host_suite_on_systemd(store, tmp_path):
    """The API tests once more on a host that has only cgroup v2 and systemd."""
    code, said = nested.run(tmp_path, "exec /usr/bin/python3 -m pytest -q -p no:cacheprovider --basetemp=/var/tmp/t "
                            "host/test_exec.py -k 'frames or signals or buffered or users'\n", store, seconds=1800)
    assert code == 0, said[-6000:]
