#!/usr/bin/env python3
"""Is memory what `trireme plan` says, and what ZeRO's formula says? tests/memory/memory_test.py [BUILD] [--full]

Every rank runs in a memory control group of its own, so the kernel counts, and a shared page counts once, for the rank
that touched it first. --full trains GPT-2's 124 M parameters, which takes minutes and gigabytes. Where no groups can be
made it says why and counts nothing. The last line is `N passed, N failed`.
"""
import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "support"))
from checks import require, run_checks  # noqa: E402
from memory_groups import MemoryGroup, why_impossible  # noqa: E402

SMALL = ("--layers", "6", "--heads", "8", "--width", "512", "--vocab", "8192", "--context", "64")  # 23 M parameters
GPT2 = ("--layers", "12", "--heads", "12", "--width", "768", "--vocab", "50257")  # 124 M with 512 positions
TOLERANCE = 0.02
OWN = 4 << 20  # by which a process without a model differs from start to start
MIB = 1 << 20


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def file_bytes(pid):
    """Pages of the program's own files that a process has in memory."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile:"))


class Job:
    """One training run, from start to end: exit codes and messages of the ranks, and the most memory of each."""

    def __init__(self, command, ranks, metrics, limit=None):
        self.metrics, self.peaks = metrics, [0] * ranks
        port = free_port()
        with ExitStack() as stack:
            self.groups = [stack.enter_context(MemoryGroup(limit)) for _ in range(ranks)]
            self.processes = [self.start(command, rank, ranks, port, group) for rank, group in enumerate(self.groups)]
            try:
                self.watch(time.monotonic() + 300)
                self.ends = [(p.returncode, p.communicate()[1]) for p in self.processes]
            finally:
                for process in self.processes:
                    process.kill()
                    process.wait()

    def start(self, command, rank, ranks, port, group):
        environment = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": ranks,
                       "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return subprocess.Popen([*command, "--metrics", str(self.metrics)], preexec_fn=group.join, text=True,
                                env={**os.environ, **{k: str(v) for k, v in environment.items()}},
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def watch(self, deadline):
        while any(process.poll() is None for process in self.processes):
            require(time.monotonic() < deadline, "the job has not ended within five minutes")
            for rank, group in enumerate(self.groups):
                files = file_bytes(self.processes[rank].pid)
                self.peaks[rank] = max(self.peaks[rank], group.bytes() + files)
            time.sleep(0.005)

    def last(self):
        return json.loads(self.metrics.read_text().splitlines()[-1])


class Checks:
    """Each method named check_... is one check."""

    def __init__(self, folder, build):
        self.folder, self.bin, self.count = folder, build / "bin", 0

    def command(self, shape, ranks, *options, lanes=None):
        lanes = lanes or ranks
        return [str(self.bin / "train_gpt"), *shape, "--global-batch", str(lanes), "--lanes", str(lanes), "--threads",
                "1", "--steps", "4", "--progress", "off", *options]

    def plan(self, command, ranks):
        done = subprocess.run([self.bin / "trireme", "plan", "--json", "--nproc-per-node", str(ranks), "--", *command],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        require(done.returncode == 0, f"exit code {done.returncode}", done.stderr)
        return json.loads(done.stdout)

    def run(self, command, ranks, limit=None):
        self.count += 1
        return Job(command, ranks, self.folder / f"{self.count}.jsonl", limit)

    def expect_planned(self, shape, ranks, *options, lanes=None):
        command = self.command(shape, ranks, *options, lanes=lanes)
        plan = self.plan(command, ranks)
        job = self.run(command, ranks)
        require(all(code == 0 for code, _ in job.ends), job.ends)
        planned, measured = plan["memory"]["peak_bytes"], max(job.peaks)
        text = (f"{ranks} ranks, {' '.join(options)}: the most of a rank {measured / MIB:.1f} MiB, planned "
                f"{planned / MIB:.1f} MiB ({100 * measured / planned - 100:+.1f} %)")
        print(f"       {text}", flush=True)
        require(abs(measured - planned) <= TOLERANCE * planned + OWN, text)
        return plan

    def check_mirrored(self):
        self.expect_planned(SMALL, 2)

    def check_stage_1(self):
        self.expect_planned(SMALL, 2, "--strategy", "fully_sharded", "--zero-stage", "1")

    def check_stage_2_with_lanes(self):
        self.expect_planned(SMALL, 2, "--strategy", "fully_sharded", "--zero-stage", "2", lanes=8)

    def check_stage_3(self):
        self.expect_planned(SMALL, 4, "--strategy", "fully_sharded")

    def check_stage_3_gathered(self):
        self.expect_planned(SMALL, 4, "--strategy", "fully_sharded", "--backend", "gloo", "--interface", "lo")

    def check_activation_checkpointing(self):
        self.expect_planned((*SMALL, "--context", "512"), 2, "--strategy", "fully_sharded",
                            "--activation-checkpointing")

    def check_checkpoints(self):
        self.expect_planned(SMALL, 2, "--checkpoint-dir", str(self.folder / "checkpoints"), "--save-every", "2")

    def check_a_model_that_one_rank_cannot_hold_trains_on_four(self):
        """The limit is what four ranks need and an eighth; a rank that holds everything needs three times as much."""
        sharded = self.command(SMALL, 4, "--strategy", "fully_sharded")
        expected = self.run(sharded, 4).last()["params_hash"]
        limit = int(self.plan(sharded, 4)["memory"]["peak_bytes"] * 1.125) + 24 * MIB  # page tables, mapped files
        alone = self.run(self.command(SMALL, 1, lanes=4), 1, limit)
        code, text = alone.ends[0]
        require(code == 1 and "memory" in text, f"exit code {code}", text)
        job = self.run(sharded, 4, limit)
        require(all(code == 0 for code, _ in job.ends), job.ends)
        require(job.last()["params_hash"] == expected, job.last())

    def full_check_gpt2_follows_the_formula(self):
        """16 P/n bytes persistent, and at the peak as planned, at 1, 2 and 4 ranks."""
        for ranks in (1, 2, 4):
            plan = self.expect_planned((*GPT2, "--context", "512"), ranks, "--strategy", "fully_sharded")
            formula = 16 * plan["parameters"] / ranks
            persistent = plan["memory"]["persistent_bytes"]
            text = f"persistent {persistent / MIB:.1f} MiB, 16 P/n {formula / MIB:.1f} MiB"
            print(f"       {text}", flush=True)
            require(abs(persistent - formula) <= TOLERANCE * formula, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", default=ROOT / "build", type=Path)
    parser.add_argument("--full", action="store_true", help="also GPT-2 with 124 M parameters")
    options = parser.parse_args()
    reason = why_impossible()
    if reason:
        print(f"skipped: {reason}\n0 passed, 0 failed")
        return 0
    kinds = ("check_", "full_check_") if options.full else ("check_",)
    with tempfile.TemporaryDirectory(prefix="trireme-memory-") as folder:
        passed, failed = run_checks(Checks(Path(folder), options.build.resolve()), kinds)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
