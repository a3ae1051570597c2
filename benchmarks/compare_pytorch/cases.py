"""What is compared: the same work on both sides, each side in its best configuration."""
import json
import os
import random
import statistics
import struct
import subprocess
from pathlib import Path

from gpt_shapes import gpt_sides
from measure import Comparison, Failed, Side, best_of, compare, rate, run
from sharded import sharded

HERE = Path(__file__).resolve().parent


class Context:
    """Programs, data and how often: shared by all cases."""

    def __init__(self, python, build, folder, pairs, tcmalloc):
        self.python, self.bin, self.folder, self.pairs, self.tcmalloc = python, build / "bin", folder, pairs, tcmalloc
        self.cores = os.cpu_count()
        self.text = folder / "text"
        self.text.write_bytes(self.header_text(2_000_000))

    @staticmethod
    def header_text(size):
        """Real text that every machine with a C++ compiler has."""
        files = sorted(p for p in Path("/usr/include/c++").rglob("*") if p.is_file())
        text = b"".join(p.read_bytes() for p in files)[:size]
        if len(text) < size // 4:
            raise Failed("the C++ headers in /usr/include/c++ are missing; install g++")
        return text

    def ours(self, program, options, ranks=1, threads=1, cores=""):
        launch = [self.bin / "trireme", "run", "--nproc-per-node", str(ranks), "--"] if ranks > 1 else []
        return Side(f"Trireme, {ranks} rank(s) x {threads} thread(s)",
                    launch + [self.bin / program, *options, "--order", "sequential", "--progress", "off", "--threads",
                              str(threads), "--metrics"], cores=cores)

    def theirs(self, program, options, name, cores="", preload=False):
        environment = {"LD_PRELOAD": self.tcmalloc} if preload and self.tcmalloc else {}
        return Side(f"PyTorch, {name}{', tcmalloc' if environment else ''}",
                    [self.python, "-B", HERE / "peers" / program, *options, "--metrics"], environment, cores)


def gpt(c, shape):
    """The whole machine against PyTorch's best configuration."""
    rival, own = gpt_sides(c, shape, c.cores)
    n = str(c.cores)
    print(f"{shape}: configurations", flush=True)
    theirs = best_of([
        c.theirs("gpt.py", [*rival, "--threads", n], f"eager, {n} threads"),
        c.theirs("gpt.py", [*rival, "--threads", n, "--fused"], f"eager, {n} threads, fused AdamW"),
        c.theirs("gpt.py", [*rival, "--threads", n, "--fused"], f"eager, {n} threads, fused AdamW", preload=True),
        c.theirs("gpt.py", [*rival, "--ranks", n, "--fused"], f"DDP over Gloo, {n} ranks, fused AdamW", preload=True),
        c.theirs("gpt.py", [*rival, "--threads", n, "--fused", "--compile"], f"compile, {n} threads, fused AdamW",
                 preload=True),
        c.theirs("gpt.py", [*rival, "--ranks", n, "--fused", "--compile"], f"compile, DDP, {n} ranks, fused AdamW",
                 preload=True),
    ], c.folder)
    whole = [*rival, "--lanes", "1"]
    ours = best_of([c.ours("train_gpt", own, ranks=c.cores), c.ours("train_gpt", whole, threads=c.cores)], c.folder)
    result = compare(ours, theirs, c.pairs, c.folder, 1e-4)
    return [result.line(f"{shape} ({ours.name}; {theirs.name})", "tokens/s")]


def simplenet(c):
    """SimpleNet, batch 64, against eager PyTorch and against its best."""
    images, labels = c.folder / "images", c.folder / "labels"
    generator = random.Random(1)
    count = 4096
    images.write_bytes(struct.pack(">IIII", 0x803, count, 28, 28) + generator.randbytes(count * 784))
    labels.write_bytes(struct.pack(">II", 0x801, count) + bytes(generator.randrange(10) for _ in range(count)))
    start = c.folder / "simplenet.safetensors"
    data = ["--data", images, labels]
    subprocess.run([c.bin / "train_classifier", "--model", "mlp", *data, "--global-batch", "64", "--lanes", "1",
                    "--steps", "0", "--progress", "off", "--export", start], check=True, stdin=subprocess.DEVNULL)
    common = [*data, "--global-batch", "64", "--steps", "400", "--init", start]
    ours = c.ours("train_classifier", ["--model", "mlp", *common, "--lanes", "1"])
    eager = c.theirs("simplenet.py", common, "eager, 1 thread")
    print("simplenet: configurations", flush=True)
    best = best_of([eager, c.theirs("simplenet.py", [*common, "--fused"], "eager, 1 thread, fused Adam", preload=True),
                    c.theirs("simplenet.py", [*common, "--fused", "--compile"], "compile, 1 thread, fused Adam",
                             preload=True)], c.folder)
    # Floats are summed in another order on each side; over 400 steps on noise the curves part a little more.
    lines = [compare(ours, eager, c.pairs, c.folder, 1e-4).line("simplenet (PyTorch, eager, 1 thread)", "examples/s")]
    if best is not eager:
        lines.append(compare(ours, best, c.pairs, c.folder, 1e-4).line(f"simplenet ({best.name})", "examples/s"))
    return lines


def weak_scaling(c):
    """Tokens/s of two one-core ranks with twice the batch over twice those of one; both sides, and their difference."""
    lines = []
    for shape in ("gpt-nano", "gpt-small"):
        print(f"weak scaling, {shape}", flush=True)
        efficiency = {"ours": [], "theirs": []}
        sides = {}
        for ranks, cores in ((1, "0"), (2, "0,1")):
            rival, own = gpt_sides(c, shape, ranks, times=ranks)
            sides["ours", ranks] = c.ours("train_gpt", own, ranks=ranks, cores=cores)
            sides["theirs", ranks] = c.theirs("gpt.py", [*rival, "--ranks", str(ranks), "--fused"],
                                              f"DDP, {ranks} rank(s)", cores=cores, preload=True)
        for pair in range(c.pairs):
            for who in ("ours", "theirs"):
                rates = {}
                for ranks in (1, 2) if pair % 2 == 0 else (2, 1):
                    rates[ranks] = rate(run(sides[who, ranks], c.folder / "weak.jsonl")[1])
                efficiency[who].append(rates[2] / (2 * rates[1]))
            print(f"    pair {pair + 1}: {efficiency['ours'][-1]:.3f} and {efficiency['theirs'][-1]:.3f}", flush=True)
        ours, theirs = (statistics.median(efficiency[who]) for who in ("ours", "theirs"))
        low, high = min(efficiency["ours"]), max(efficiency["ours"])
        lines.append(f"weak scaling {shape}, 1 -> 2 ranks: ours {100 * ours:.1f} % (from {100 * low:.1f} to "
                     f"{100 * high:.1f}), PyTorch DDP over Gloo {100 * theirs:.1f} %")
    return lines


def gloo_training(c):
    """Two one-thread ranks that both send their gradients through Gloo, as ranks on two hosts would."""
    lines = []
    for shape in ("gpt-nano", "gpt-small"):
        rival, own = gpt_sides(c, shape, 2)
        print(f"gloo training, {shape}: configurations", flush=True)
        theirs = best_of([c.theirs("gpt.py", [*rival, "--ranks", "2", "--fused", *more], f"DDP over Gloo, 2 ranks{how}",
                                   preload=True) for how, more in (("", []), (", compile", ["--compile"]))], c.folder)
        ours = c.ours("train_gpt", [*own, "--backend", "gloo"], ranks=2)
        lines.append(compare(ours, theirs, c.pairs, c.folder, 1e-4).line(f"training over Gloo, {shape} ({theirs.name})",
                                                                         "tokens/s"))
    return lines


def all_reduce(c):
    """Two ranks, f32, against Gloo through torch.distributed."""
    sizes = [1 << 10, 1 << 20, 64 << 20]
    rival = [c.python, "-B", HERE / "peers" / "all_reduce.py", "--bytes", *map(str, sizes)]
    own = [c.bin / "bench_all_reduce", "--json", "--sizes", ",".join(map(str, sizes))]
    times = {"ours": {s: [] for s in sizes}, "theirs": {s: [] for s in sizes}}
    for pair in range(c.pairs):
        for who in ("ours", "theirs") if pair % 2 == 0 else ("theirs", "ours"):
            done = subprocess.run([str(a) for a in (own if who == "ours" else rival)], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                raise Failed(f"all_reduce, {who}: exit {done.returncode}\n{done.stderr[-1000:]}")
            for row in map(json.loads, done.stdout.splitlines()):
                times[who][row["bytes"]].append(row["median_us"])
    lines = []
    for size in sizes:
        speed = Comparison([1e6 / t for t in times["ours"][size]], [1e6 / t for t in times["theirs"][size]])
        lines.append(speed.line(f"all_reduce of {size} bytes, 2 ranks (Gloo)", "operations/s"))
    return lines


CHECKPOINT_MIB = 2048
CHECKPOINT_ROWS = {"save": "save, recycled file", "load": "load: open, verify and read"}


def json_lines(command, cwd):
    done = subprocess.run([str(a) for a in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=cwd)
    if done.returncode != 0:
        raise Failed(f"{command[0]}: exit {done.returncode}\n{done.stderr[-1000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def checkpoint(c):
    """A state of 2 GiB, durably saved and loaded, against torch.save + fsync, safetensors and DCP; beside them what the
    disk itself gives. Loads come from the page cache on both sides."""
    size = ["--mib", CHECKPOINT_MIB, "--repeat", "3", "--dir", c.folder / "checkpoint"]
    own = [c.bin / "bench_checkpoint", "--json", *size]
    rival = [c.python, "-B", HERE / "peers" / "checkpoint.py", *size]
    (c.folder / "checkpoint").mkdir(exist_ok=True)
    ours, theirs = {}, {}
    for pair in range(c.pairs):
        for who in ("ours", "theirs") if pair % 2 == 0 else ("theirs", "ours"):
            for row in json_lines(own if who == "ours" else rival, c.folder):
                if who == "ours":
                    ours.setdefault(row["name"], []).append(row["seconds"])
                elif "way" in row:
                    theirs.setdefault((row["way"], row["what"]), []).append(row["seconds"])
        print(f"    pair {pair + 1}: saved in {ours[CHECKPOINT_ROWS['save']][-1]:.3f} s, loaded in "
              f"{ours[CHECKPOINT_ROWS['load']][-1]:.3f} s", flush=True)
    gb = CHECKPOINT_MIB * (1 << 20) / 1e9
    speeds = {name: [gb / s for s in seconds] for name, seconds in ours.items()}
    lines = [f"checkpoint of {CHECKPOINT_MIB} MiB, {name}: {statistics.median(rates):.3f} GB/s (from {min(rates):.3f} "
             f"to {max(rates):.3f})" for name, rates in speeds.items()]
    for (way, what), seconds in theirs.items():
        rates = [gb / s for s in seconds]
        ratios = [a / b for a, b in zip(speeds[CHECKPOINT_ROWS[what]], rates)]
        lines.append(f"checkpoint, {what}: ours {statistics.median(speeds[CHECKPOINT_ROWS[what]]):.3f}, {way} "
                     f"{statistics.median(rates):.3f} GB/s; ratio {statistics.median(ratios):.2f} (from "
                     f"{min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} pairs)")
    return lines


CASES = {"gpt-nano": lambda c: gpt(c, "gpt-nano"), "gpt-small": lambda c: gpt(c, "gpt-small"), "simplenet": simplenet,
         "weak-scaling": weak_scaling, "gloo-training": gloo_training, "sharded": sharded,
         "all-reduce": all_reduce, "checkpoint": checkpoint}
