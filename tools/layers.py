#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes one include directory per layer that shows only the headers which the layer may use (tools/layers.txt)."""
import os
import sys


def read_layers(path):
    layers = {}
    for line in open(path, encoding="utf-8"):
        line = line.split("#")[0].strip()
        if line:
            name, _, uses = line.partition(":")
            layers[name.strip()] = uses.split()
    return layers


def make_include_dirs(source_root, build_root):
    for layer, uses in read_layers(os.path.join(source_root, "tools/layers.txt")).items():
        directory = os.path.join(build_root, "include", layer)
        os.makedirs(directory, exist_ok=True)
        wanted = {layer, *uses}
        for stale in set(os.listdir(directory)) - wanted:
            os.unlink(os.path.join(directory, stale))
        for name in wanted:
            link = os.path.join(directory, name)
            if not os.path.islink(link):
                os.symlink(os.path.join(source_root, "src", name), link)


if __name__ == "__main__":
    make_include_dirs(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
