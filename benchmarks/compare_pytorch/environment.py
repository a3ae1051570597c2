"""Where PyTorch comes from, and what this machine is."""
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

VERSION = "torch"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trireme" / "pytorch"
TCMALLOC = ["libtcmalloc_minimal.so.4", "libtcmalloc.so.4"]


def torch_version(python):
    done = subprocess.run([python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def find_python():
    """A Python that has PyTorch: $TRIREME_PYTHON, else a virtual environment of our own, made on first use.

    None, with a line on stderr that says why, where there is none and none can be made.
    """
    chosen = os.environ.get("TRIREME_PYTHON")
    if chosen:
        if torch_version(chosen) is None:
            raise SystemExit(f"compare_pytorch: TRIREME_PYTHON={chosen} cannot import torch; install it or unset it")
        return chosen
    python = CACHE / "bin" / "python"
    if python.exists() and torch_version(python):
        return str(python)
    print(f"installing PyTorch into {CACHE} (once)", file=sys.stderr)
    try:
        subprocess.run([sys.executable, "-m", "venv", CACHE], check=True, stdout=sys.stderr)
        subprocess.run([python, "-m", "pip", "install", "--quiet", VERSION, "numpy"], check=True, stdout=sys.stderr)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"skipped: PyTorch could not be installed ({error}); TRIREME_PYTHON may name a Python that has it",
              file=sys.stderr)
        return None
    return str(python)


def find_tcmalloc():
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"):
        for name in TCMALLOC:
            if (path := Path(folder) / name).exists():
                return str(path)
    return None


def describe(python):
    """Lines for the head of a report."""
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    flags = Path("/proc/cpuinfo").read_text()
    isa = "AVX-512" if " avx512f" in flags else "AVX2" if " avx2" in flags else "baseline"
    return [f"date {date.today()}",
            f"machine {cpu}, {os.cpu_count()} cores, {isa}, Linux {platform.release()}",
            f"PyTorch {torch_version(python)}", f"load before the start {os.getloadavg()[0]:.2f}"]
