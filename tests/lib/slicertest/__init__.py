# SPDX-License-Identifier: MIT
"""What the tests of running daemons share: the daemon itself, its clients, and looks at the host from outside."""
from .cli import Cli
from .daemon import Daemon, UpFailed
from .execs import Exec, boot_id, exec_stream, run
from .http import Client, Raw, Response
from .paths import AGENT, BUILD, FAKE_VMM, IMAGE, MONITOR, SLICER, SOURCE
from .proc import (alive, children, descendants, fd_count, find_processes, open_files, peak_rss, process_group_alive, rss,
                   state_of)
from .shell import Shell
from .wait import until
from .ws import WebSocket

__all__ = ["AGENT", "BUILD", "Cli", "Client", "Daemon", "Exec", "FAKE_VMM", "IMAGE", "MONITOR", "Raw", "Response",
           "SLICER", "SOURCE", "Shell", "UpFailed", "WebSocket", "alive", "boot_id", "children", "descendants",
           "exec_stream", "fd_count", "find_processes", "open_files", "peak_rss", "process_group_alive", "rss", "run",
           "state_of", "until"]
