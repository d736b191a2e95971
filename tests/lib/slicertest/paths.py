# SPDX-License-Identifier: MIT
"""Where the programs under test are: SLICER_BUILD is the build directory (default ./build)."""
import os
import pathlib

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("SLICER_BUILD", SOURCE / "build")).resolve()
BUILD_ASAN = pathlib.Path(os.environ.get("SLICER_BUILD_ASAN", SOURCE / "build-asan")).resolve()


def programs(build):
    return {
        "slicer": build / "src/slicer",
        "agent": build / "src/agent/slicer-agent",
        "monitor": build / "src/vmm/slicer-monitor",
        "image": build / "src/image/slicer-image",
        "netns": build / "src/net/slicer-netns",
        "fakevmm": build / "tests/fakevmm/fakevmm",
    }


SLICER = programs(BUILD)["slicer"]
AGENT = programs(BUILD)["agent"]
MONITOR = programs(BUILD)["monitor"]
IMAGE = programs(BUILD)["image"]
FAKE_VMM = programs(BUILD)["fakevmm"]
