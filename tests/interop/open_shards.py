"""Opens every *.safetensors below a directory with the safetensors library and prints the tensors, sorted: name, shape.

Usage: open_shards.py DIRECTORY
"""
import sys
from pathlib import Path

from safetensors import safe_open


def main():
    shapes = {}
    for path in sorted(Path(sys.argv[1]).rglob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():
                shapes.setdefault(name, []).append(list(file.get_tensor(name).shape))
    for name, found in sorted(shapes.items()):
        print(name, found)


main()
