#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""clang-format over the C files: each must be as .clang-format has it."""
import concurrent.futures
import os
import subprocess
import sys

FOLDERS = ("src", "tests")


def c_files(root):
    for folder in FOLDERS:
        for directory, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(directory, name), root)


def is_formatted(root, path):
    return subprocess.run(["clang-format", "--dry-run", "-Werror", path], cwd=root, capture_output=True).returncode == 0


def problems(root):
    """Sentences about what is wrong below a source tree."""
    files = sorted(c_files(root))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        formatted = list(pool.map(lambda path: is_formatted(root, path), files))
    return [f"{path}: not formatted: clang-format -i {path}" for path, good in zip(files, formatted) if not good] if files \
        else ["no C files found"]


def main():
    found = problems(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    print("\n".join(found) if found else "all C files are formatted")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
