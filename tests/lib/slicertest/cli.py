# SPDX-License-Identifier: MIT
"""The command line as a user runs it."""
import os
import subprocess

from .paths import SLICER


class Cli:
    def __init__(self, url, token=None, cwd=None, slicer=SLICER):
        self.slicer, self.cwd = slicer, cwd
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("SLICER_")}
        self.env["SLICER_URL"] = url
        if token:
            self.env["SLICER_TOKEN"] = token

    def popen(self, *args, env=None, **kwargs):
        kwargs.setdefault("cwd", self.cwd)
        return subprocess.Popen([str(self.slicer), *map(str, args)], env={**self.env, **(env or {})}, **kwargs)

    def __call__(self, *args, input=b"", timeout=60, env=None, **kwargs):
        """Runs it to its end; stdout and stderr are bytes."""
        kwargs.setdefault("cwd", self.cwd)
        return subprocess.run([str(self.slicer), *map(str, args)], input=input, capture_output=True, timeout=timeout,
                              env={**self.env, **(env or {})}, **kwargs)

    def ok(self, *args, **kwargs):
        done = self(*args, **kwargs)
        assert done.returncode == 0, (args, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout
