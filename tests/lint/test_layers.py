# SPDX-License-Identifier: MIT
"""A folder of src/ links against the folders that tools/layers.txt allows it, and needs nothing of any other."""
import os
import subprocess
import sys

import pytest

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("SLICER_BUILD", os.path.join(SOURCE, "build"))
sys.path.insert(0, os.path.join(SOURCE, "tools"))
import layers as layer_rules  # noqa: E402

LAYERS = layer_rules.read_layers(os.path.join(SOURCE, "tools/layers.txt"))
# What a layer may link from outside; libc is always there.
EXTERNAL = {
    "base": ["-ljson-c"],
    "config": ["-lyaml"],
    "io": ["-levent_core", "-lnghttp2", "-lwslay"],
    "image": ["-larchive"],
}


def archive(layer):
    return os.path.join(BUILD, "src", layer, f"lib{layer}.a")


def external(layer):
    return [flag for name in [layer, *LAYERS[layer]] for flag in EXTERNAL.get(name, [])]


def link(tmp_path, layer, uses):
    command = ["gcc", "-shared", "-o", str(tmp_path / "layer.so"), "-Wl,-z,defs", "-Wl,--whole-archive", archive(layer),
               "-Wl,--no-whole-archive", "-Wl,--start-group", *[archive(name) for name in uses], "-Wl,--end-group",
               *external(layer)]
    return subprocess.run(command, capture_output=True, text=True)


def has_library(layer):
    return os.path.exists(archive(layer))


@pytest.mark.parametrize("layer", [name for name in LAYERS if has_library(name)])
def test_layer_links_against_what_it_may_use(tmp_path, layer):
    result = link(tmp_path, layer, [name for name in LAYERS[layer] if has_library(name)])
    assert result.returncode == 0, result.stderr


def test_an_upward_call_does_not_link(tmp_path):
    """The rule can fail: vm calls into vmm, so without vmm it must not link."""
    result = link(tmp_path, "vm", [name for name in LAYERS["vm"] if name != "vmm"])
    assert result.returncode != 0
    assert "undefined reference" in result.stderr


def test_every_folder_has_a_rule():
    folders = {name for name in os.listdir(os.path.join(SOURCE, "src")) if os.path.isdir(os.path.join(SOURCE, "src", name))}
    assert folders == set(LAYERS)


def test_rules_have_no_cycle():
    order = list(LAYERS)
    for name, uses in LAYERS.items():
        for used in uses:
            assert used in LAYERS and order.index(used) < order.index(name), f"{name} uses {used}"
