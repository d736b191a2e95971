# SPDX-License-Identifier: MIT
"""Pairs, their ratios, and the table of what came out."""
import json
import os
import statistics
import time

PAIRS = int(os.environ.get("SLICER_BENCH_PAIRS", 11))
HEAD = ("| line | ours : baseline | ours | baseline | ratio | smallest–largest | goal |\n"
        "|---|---|---|---|---|---|---|")


def seconds(function, *args):
    before = time.monotonic()
    function(*args)
    return time.monotonic() - before


def pairs(ours, theirs, count=PAIRS):
    """[(ours, theirs)], interleaved, so that what else the machine does hits both."""
    ours(), theirs()  # warm: caches, templates
    return [(ours(), theirs()) for _ in range(count)]


def best_of(function, count):
    return min(function() for _ in range(count))


class Report:
    """Takes lines as they are measured. Goals are told, not enforced: a figure is of a machine, a failure of slicer."""

    def __init__(self, as_json):
        self.as_json, self.lines, self.name = as_json, [], None

    def begin(self):
        if not self.as_json:
            print(HEAD, flush=True)

    def add(self, what, measured, unit="ms", scale=1000, goal=None):
        """goal: (words, predicate over the medians of ours and the baseline and the median ratio)."""
        assert measured and all(a > 0 and b > 0 for a, b in measured), (what, measured)
        ours, theirs = (statistics.median(values) for values in zip(*measured))
        ratios = sorted(a / b for a, b in measured)
        ratio = statistics.median(ratios)
        met = None if goal is None else bool(goal[1](ours, theirs, ratio))
        self.lines.append({"line": self.name, "what": what, "unit": unit, "ours": ours * scale, "baseline": theirs * scale,
                           "ratio": ratio, "smallest": ratios[0], "largest": ratios[-1], "pairs": len(measured),
                           "goal": goal and goal[0], "met": met})
        if not self.as_json:
            said = "" if goal is None else f"{goal[0]}: {'met' if met else 'missed'}"
            print(f"| {self.name} | {what} | {ours * scale:.1f} {unit} | {theirs * scale:.1f} {unit} | {ratio:.2f} "
                  f"| {ratios[0]:.2f}–{ratios[-1]:.2f} | {said} |", flush=True)

    def end(self):
        if self.as_json:
            print(json.dumps(self.lines, indent=1))
