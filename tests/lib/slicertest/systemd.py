# SPDX-License-Identifier: MIT
"""slicer as a service of the systemd of the outer guest (nested.py), at the places of an installation."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess

from . import leaks, proc
from .wait import until

GROUPS = pathlib.Path("/sys/fs/cgroup/slicer")


class SystemdHost:
    """work: where the configuration is; unit: the daemon's."""

    def __init__(self, work, unit):
        self.work, self.unit = pathlib.Path(work), unit
        self.store = pathlib.Path("/var/lib/slicer/store")

    def prepare(self):
        """Returns what is there before, as leaks.compare() takes it."""
        for directory in (self.work, "/var/log/slicer", self.store.parent, "/run/slicer"):
            os.makedirs(directory, exist_ok=True)
        found = leaks.snapshot()
        shutil.copytree(os.environ["SLICER_TEST_STORE"], self.store, symlinks=True, copy_function=os.link)
        return found

    def remove(self, *more):
        """The daemon's unit, and more of them by their files' names."""
        self.sh(f"systemctl disable --now {self.unit}", check=False)
        for name in (self.unit, *more):
            pathlib.Path(f"/etc/systemd/system/{name}").unlink(missing_ok=True)
        self.sh("systemctl daemon-reload", check=False)
        shutil.rmtree(self.store)
        shutil.rmtree(self.work)

    def sh(self, command, check=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SLICER_")}
        done = subprocess.run(command, shell=True, cwd=self.work, env=env, capture_output=True, text=True, timeout=240)
        said = f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert not check or done.returncode == 0, said + self.sh("journalctl -n 60 --no-pager", check=False)
        return done.stdout

    def show(self, name, unit=None):
        return self.sh(f"systemctl show -P {name} {unit or self.unit}").strip()

    def journal(self):
        return self.sh(f"journalctl --no-pager -o cat -u {self.unit}")

    def vmm(self, vm):
        """Its pid, by the control group that holds all of the VM."""
        group = next(GROUPS.glob(f"*/{vm}"), None)
        with contextlib.suppress(OSError):  # of one that just ended
            for pid in (group / "cgroup.procs").read_text().split() if group else []:
                if "qemu" in os.readlink(f"/proc/{pid}/exe"):
                    return int(pid)
        return None

    def states(self):
        """{} while nobody answers."""
        return {node["hostname"]: node["status"] for node in json.loads(self.sh("slicer vm list --json", check=False) or "[]")}

    def wait_for_states(self, **wanted):
        """Keyword vm_1 is VM vm-1."""
        wanted = {name.replace("_", "-"): state for name, state in wanted.items()}
        until(lambda: self.states() == wanted, 240, f"the VMs are {wanted}", pause=0.5)

    def nothing_runs(self):
        return not any(proc.find_processes(name) for name in ("qemu-system", "slicer-monitor", "slicer-netns")) and \
            not [path for path in GROUPS.glob("*/*") if path.is_dir()]
