#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes C source that holds files: embed.py OUTPUT SYMBOL FILE..."""
import os
import sys


def c_bytes(data):
    rows = (data[i:i + 16] for i in range(0, len(data), 16))
    return "\n".join("\t" + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)


def main():
    output, symbol, *paths = sys.argv[1:]
    with open(output, "w", encoding="utf-8") as out:
        out.write('/* SPDX-License-Identifier: MIT */\n#include "image/embedded.h"\n\n')
        for number, path in enumerate(paths):
            with open(path, "rb") as source:
                out.write(f"static const unsigned char data{number}[] = {{\n{c_bytes(source.read())}\n}};\n")
        out.write(f"\nconst struct embedded_file {symbol}[] = {{\n")
        for number, path in enumerate(paths):
            out.write(f'\t{{"{os.path.basename(path)}", data{number}, sizeof(data{number})}},\n')
        out.write("\t{NULL, NULL, 0},\n};\n")


if __name__ == "__main__":
    main()
