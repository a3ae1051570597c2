"""Who may include whom: folders include what is below them, third-party headers stay in .cpp files of their owner."""
import re

from tree import Finding, LIBRARY, SOURCE_PARTS

# Lower number = lower floor (docs/architecture.md). Folders on one floor do not include each other.
FLOORS = {"core/base": 0, "core/array": 1, "core/autograd": 2, "core/ops": 3, "core/nn": 4, "core/optim": 4,
          "core/data": 4, "sharding": 5, "comm": 5, "cluster": 5, "strategies": 6, "checkpoint": 6, "training": 7,
          "launcher": 8}
FOLDERS = sorted(FLOORS, key=len, reverse=True)

# Third-party headers, by the folders whose .cpp files may include them. fmt is the one that public headers may use.
OWNERS = {
    r"dnnl": (),  # only a benchmark measures against it
    r"hwy/": ("core", "launcher"),
    r"xxhash": ("core", "checkpoint", "comm", "strategies", "training"),
    r"spdlog/": ("core/base",),
    r"nlohmann/": ("checkpoint", "comm", "training", "launcher"),
    r"google/protobuf|.*\.pb\.h": ("checkpoint", "comm", "cluster", "launcher", "strategies"),
    r"CLI/": ("launcher", "training"),
    r"grpc": ("cluster", "launcher", "strategies/parameter_server/wire/grpc"),
    r"gloo/": ("comm/gloo",),
    r"mpi\.h": ("comm/mpi",),
    r"nccl\.h": ("comm/nccl",),
    r"cu(da|blas|dnn)": ("core", "comm/nccl"),
}
INCLUDE = re.compile(r'\s*#\s*include\s+([<"])([^>"]+)[>"]')


def folder_of(path):
    return next((f for f in FOLDERS if path.startswith(f + "/")), None)


def includes(tree, name):
    for number, line in tree.lines(name):
        if match := INCLUDE.match(line):
            yield number, match[1], match[2]


def check_direction(tree):
    """Includes go downward."""
    found = []
    for name in tree.cpp(under=LIBRARY + ("launcher/",)):
        here = folder_of(name)
        if here is None:
            found.append(Finding(name, "lies in a folder that has no floor",
                                 "move it, or name the floor in tests/tidy/includes.py"))
            continue
        for number, _, path in includes(tree, name):
            if not path.startswith("trireme/"):
                continue
            there = folder_of(path.removeprefix("trireme/"))
            if there is None:
                found.append(Finding(f"{name}:{number}", f"{here} includes {path}, which is above it or nowhere",
                                     "include what it needs from the floors below"))
            elif there != here and FLOORS[there] >= FLOORS[here]:
                found.append(Finding(f"{name}:{number}", f"{here} includes {there}, which is not below it",
                                     "move what both need to a lower floor, or pass it in as data"))
    return found


def check_third_party(tree):
    """Third-party headers appear only in the .cpp files of the folder that owns them."""
    found = []
    for name in tree.cpp(under=LIBRARY + ("launcher/",)):
        for number, _, path in includes(tree, name):
            owners = next((o for pattern, o in OWNERS.items() if re.match(pattern, path)), None)
            if owners is None:
                continue
            if not name.startswith(tuple(o + "/" for o in owners)):
                found.append(Finding(f"{name}:{number}", f"includes <{path}>, which belongs to {', '.join(owners)}",
                                     "call that folder's interface instead"))
            elif name.endswith(".h") and not name.endswith(SOURCE_PARTS):
                found.append(Finding(f"{name}:{number}", f"a header includes <{path}>", "include it in the .cpp file"))
    return found


def check_style_of_includes(tree):
    """The project's own headers are written "trireme/FOLDER/file.h", as an installation has them."""
    found = []
    for name in tree.cpp(under=LIBRARY + ("launcher/",)):
        for number, quote, path in includes(tree, name):
            if quote == '"' and not path.startswith(("trireme/", "hwy/")) and not path.endswith(".pb.h"):
                found.append(Finding(f"{name}:{number}", f'includes "{path}"', 'write "trireme/FOLDER/file.h"'))
    return found
