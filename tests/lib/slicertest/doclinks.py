# SPDX-License-Identifier: MIT
"""The links of Markdown pages to each other."""
import re


def anchors(text):
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)}


def broken_links(path, text):
    """Targets in the page's text that are not there; nothing beyond the tree of files is looked at."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if file.startswith(("http:", "https:")):
            continue
        other = path.parent / file if file else path
        if not other.exists() or (anchor and anchor not in anchors(other.read_text() if file else text)):
            yield target
