"""Checks that ask the compiler and its tools; they need a configured build directory."""
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from includes import INCLUDE
from tree import CPP, Finding, LIBRARY

# Built by a script or by their own project, not by the main CMake files.
OTHER_BUILDS = ("examples/standalone/", "tests/fuzz/")


def check_format(tree):
    """Every C++ file is as clang-format writes it."""
    tool = shutil.which("clang-format")
    if tool is None:
        return [Finding("clang-format", "not installed", "run scripts/install_dependencies")]

    def differs(name):
        done = subprocess.run([tool, "--dry-run", "-Werror", name], cwd=tree.root, capture_output=True)
        return name if done.returncode else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bad = [n for n in pool.map(differs, tree.cpp()) if n]
    return [Finding(n, "not formatted", f"run clang-format -i {n}") for n in bad]


def check_headers_alone(tree):
    """Every header of the library compiles as the first include of a file."""
    done = subprocess.run(["cmake", "--build", tree.build, "--target", "trireme_headers_alone", "--", "-k", "0"],
                          capture_output=True, text=True)
    if done.returncode == 0:
        return []
    lines = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if "error" in line]
    return [Finding("header", line, "include what it uses") for line in lines[:20] or [done.stdout[-2000:]]]


def check_dead_sources(tree):
    """Every source is compiled by some target."""
    database = json.loads((tree.build / "compile_commands.json").read_text())
    compiled = {os.path.relpath(os.path.realpath(os.path.join(c["directory"], c["file"])), os.path.realpath(tree.root))
                for c in database}
    return [Finding(n, "is in no target", "delete it or put it where the CMake files look")
            for n in tree.names(".cpp", ".cu") if n not in compiled and not n.startswith(OTHER_BUILDS)]


def check_dead_headers(tree):
    """Every header of the library is included by another file."""
    used = set()
    for name in tree.cpp():
        for _, line in tree.lines(name):
            match = INCLUDE.match(line)
            if match and match[2].removeprefix("trireme/") != name:
                used.add(match[2].removeprefix("trireme/"))
    return [Finding(n, "is included by nobody", "delete it, or use it") for n in tree.names(".h", under=LIBRARY)
            if n not in used]


def check_dead_scripts(tree):
    """Every script is named in a document, in CI or in another script."""
    found = []
    for name in tree.names(under=("scripts/",)):
        if name.endswith(CPP):
            continue
        stem = name.split("/")[-1]
        if not any(stem in text for other, text in tree.text.items() if other != name):
            found.append(Finding(name, "is named nowhere", "delete it or say in CONTRIBUTING.md what it is for"))
    return found
