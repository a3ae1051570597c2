"""Control groups that count and limit the memory of one process each. The kernel charges a shared page once, to the
group of the process that touched it first.

All names begin with a prefix made from this process's number, and close() deletes these and nothing else.
"""
import os
from pathlib import Path

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")


def find_root():
    """Where groups can be made, and whether it is version 2."""
    return (V1, False) if (V1 / "memory.limit_in_bytes").exists() else (V2, True)


def why_impossible():
    """Why no groups can be made here; an empty text if they can."""
    root, unified = find_root()
    if unified and "memory" not in _read(root / "cgroup.subtree_control").split():
        return f"no memory control groups can be made below {root}"
    probe = root / f"trireme{os.getpid()}-probe"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"control groups are not allowed here: {error}"
    return ""


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return ""


class MemoryGroup:
    """Used as a context; processes that join() it must have ended before."""

    count = 0

    def __init__(self, limit=None):
        root, self.unified = find_root()
        MemoryGroup.count += 1
        self.path = root / f"trireme{os.getpid()}-{MemoryGroup.count}"
        self.path.mkdir()
        if limit is not None:
            (self.path / ("memory.max" if self.unified else "memory.limit_in_bytes")).write_text(str(limit))

    def join(self):
        """The calling process moves in; for preexec_fn."""
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def bytes(self):
        """Memory that the group's processes hold for themselves or were the first to touch: no files, no kernel."""
        numbers = dict(line.split() for line in _read(self.path / "memory.stat").splitlines())
        names = ("anon", "shmem") if self.unified else ("total_rss", "total_shmem")
        return sum(int(numbers.get(name, 0)) for name in names)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.path.rmdir()
