# SPDX-License-Identifier: MIT
"""What a jail adds to a launch."""
import json
import os
import pathlib
import subprocess

from measure import pairs
from slicertest import BUILD
from slicertest.paths import MONITOR

VMMRUN, STAND_IN = BUILD / "tests/fakevmm/vmmrun", BUILD / "tests/fakevmm/jailprobe"
MOST = 0.005  # seconds


def launch_seconds(directory, kernel, jail):
    """From the opening of its files to the exec of what stands in QEMU's place: the part that a jail is in."""
    done = subprocess.run([VMMRUN, "launch", f"dir={directory}", f"jail={jail}", "net=none", f"kernel={kernel}",
                           f"binary={STAND_IN}", "cmdline=rest=yes"], check=True, capture_output=True, text=True,
                          env=os.environ | {"SLICER_MONITOR": str(MONITOR)})
    subprocess.run([VMMRUN, "destroy", f"dir={directory}"], check=True)
    return json.loads(done.stdout)["launch_us"] / 1e6


def jail(report, directory):
    directory = directory / "jail"
    directory.mkdir()
    kernel = next(pathlib.Path(os.environ["SLICER_STORE"]).glob("kernels/*/vmlinux"))
    report.add("launch until the VMM is executed, in its jail : without one",
               pairs(lambda: launch_seconds(directory, kernel, "yes"), lambda: launch_seconds(directory, kernel, "no")),
               goal=("at most 5 ms more", lambda ours, theirs, _: ours - theirs <= MOST))


LINES = {"jail": jail}
