"""The files of the tree, as the checks see them."""
import subprocess
from dataclasses import dataclass
from pathlib import Path

LIBRARY = ("core/", "comm/", "sharding/", "cluster/", "strategies/", "checkpoint/", "training/")
PROGRAMS = ("launcher/", "examples/", "benchmarks/", "tests/")
CPP = (".h", ".cpp", ".cu")
# Headers that are parts of vector kernels' sources: compiled once for each instruction set, never alone, not installed.
SOURCE_PARTS = ("-inl.h", "core/base/simd.h")


@dataclass
class Tree:
    """`text` maps a path relative to the root to its contents. Tests of the checks make small ones by hand."""

    text: dict
    root: Path = None
    build: Path = None

    def names(self, *suffixes, under=("",)):
        return [n for n in sorted(self.text) if n.endswith(suffixes or "") and n.startswith(tuple(under))]

    def cpp(self, under=("",)):
        return self.names(*CPP, under=under)

    def lines(self, name):
        return enumerate(self.text[name].split("\n"), 1)


@dataclass
class Finding:
    """One place that breaks a rule, and how to mend it."""

    place: str
    what: str
    mend: str

    def __str__(self):
        return f"{self.place}: {self.what}; {self.mend}"


def load(root, build):
    """Tracked and new files of a checkout; everything but build folders where there is no git."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root,
                            capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.splitlines()
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
        names = [n for n in names if not n.startswith(("build", ".git/")) and "__pycache__" not in n]
    contents = {n: (root / n).read_bytes() for n in names if (root / n).is_file()}
    return Tree({n: c.decode(errors="replace") for n, c in contents.items() if b"\0" not in c}, root, build)
