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
    "image": ["-larchive", "-lcurl", "-lseccomp"],
}


def archive(layer):
    return os.path.join(BUILD, "src", layer, f"lib{layer}.a")


def external(layer):
    return [flag for name in [layer, *LAYERS[layer]] for flag in EXTERNAL.get(name, [])]


def has_library(layer):
    return os.path.exists(archive(layer))


def gcc_shared(output, *arguments):
    return subprocess.run(["gcc", "-shared", "-o", str(output), *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Each layer as a shared object with whatever it leaves undefined: who links it gets its symbols, not those below it."""
    directory = tmp_path_factory.mktemp("layers")
    for layer in filter(has_library, LAYERS):
        made = gcc_shared(directory / f"{layer}.so", "-Wl,--whole-archive", archive(layer), "-Wl,--no-whole-archive")
        assert made.returncode == 0, made.stderr
    return directory


def link(tmp_path, shared, layer, uses):
    return gcc_shared(tmp_path / "layer.so", "-Wl,-z,defs", "-Wl,--whole-archive", archive(layer), "-Wl,--no-whole-archive",
                      *[shared / f"{name}.so" for name in uses if has_library(name)], *external(layer))


@pytest.mark.parametrize("layer", [name for name in LAYERS if has_library(name)])
def test_layer_links_against_what_it_may_use(tmp_path, shared, layer):
    result = link(tmp_path, shared, layer, LAYERS[layer])
    assert result.returncode == 0, result.stderr


def test_an_upward_call_does_not_link(tmp_path, shared):
    """The rule can fail: vm calls into vmm, so without vmm it must not link."""
    result = link(tmp_path, shared, "vm", [name for name in LAYERS["vm"] if name != "vmm"])
    assert result.returncode != 0
    assert "undefined reference" in result.stderr


def test_a_call_past_a_layer_does_not_link(tmp_path, shared):
    """What a layer may use is not passed on: net is below vm, so api, which may use vm, still must not call it."""
    source = tmp_path / "past.c"
    source.write_text("void mac_from_hostname(void); void past(void); void past(void) { mac_from_hostname(); }\n")
    result = gcc_shared(tmp_path / "past.so", "-fPIC", "-Wl,-z,defs", source, shared / "vm.so")
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
