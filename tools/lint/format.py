#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""clang-format over the C files: what is not named in unformatted.txt must be as .clang-format has it, and what is named there
must not, so that the list can only get shorter. --update writes the list anew."""
import concurrent.futures
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIST = os.path.join(HERE, "unformatted.txt")
HEAD = "# Files that .clang-format would change: older than the rule. Format one when you work on it, and take it out here.\n"
FOLDERS = ("src", "tests")


def c_files(root):
    for folder in FOLDERS:
        for directory, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(directory, name), root)


def is_clean(root, path):
    return subprocess.run(["clang-format", "--dry-run", "-Werror", path], cwd=root, capture_output=True).returncode == 0


def listed(path=LIST):
    with open(path, encoding="utf-8") as file:
        return {line.strip() for line in file if line.strip() and not line.startswith("#")}


def judge(unclean, known, files):
    """Sentences about what is wrong."""
    return ([f"{path}: not formatted: clang-format -i {path}" for path in sorted(unclean - known)] +
            [f"{path}: is formatted now, or gone: take it out of tools/lint/unformatted.txt"
             for path in sorted(known - unclean)] if files else ["no C files found"])


def main():
    root = os.path.join(HERE, "../..")
    files = sorted(c_files(root))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        unclean = {path for path, clean in zip(files, pool.map(lambda path: is_clean(root, path), files)) if not clean}
    if "--update" in sys.argv:
        with open(LIST, "w", encoding="utf-8") as file:
            file.write(HEAD + "".join(f"{path}\n" for path in sorted(unclean)))
        return 0
    problems = judge(unclean, listed(), files)
    print("\n".join(problems) if problems else f"{len(files) - len(unclean)} of {len(files)} C files are formatted, none new is not")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
