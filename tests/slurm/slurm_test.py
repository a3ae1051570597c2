#!/usr/bin/env python3
"""Trains under a real Slurm of two nodes on this machine: tests/slurm/slurm_test.py [BUILD] [--quick].

Every run must end with the parameters of a run of one process, whatever carries the bytes. Where no cluster can be
started it says why and counts nothing. --quick leaves out what waits for Slurm to requeue a job (15 s). The last line
is `N passed, N failed`.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "support"))
from checks import MODEL, require, run_checks  # noqa: E402
from slurm_cluster import SlurmCluster, why_impossible  # noqa: E402

SHORT = (*MODEL, "--steps", "12")
NODE_AS_HOST = ("bash", "-c", 'TRIREME_HOST_NAME=$SLURMD_NODENAME exec "$@"', "bash")
LONG = (*MODEL, "--steps", "400")  # long enough to be stopped in the middle


def last_metrics(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1]) if lines else {}


class Checks:
    """Each method named check_... is one check, each named slow_check_... one that --quick leaves out."""

    def __init__(self, folder, build):
        self.folder, self.build, self.program = folder, build, str(build / "bin" / "train_gpt")
        self.expected = self.alone(SHORT)
        self.cluster = SlurmCluster(folder)
        self.count = 0

    def alone(self, options):
        """The params_hash of one process."""
        shown = subprocess.run([self.program, *options], capture_output=True, text=True, timeout=60, check=True)
        return shown.stdout.split()[-1]

    def file(self, name):
        self.count += 1
        return self.folder / f"{self.count}-{name}"

    def train(self, *launcher, backend, carried_by):
        metrics = self.file("metrics.jsonl")
        done = self.cluster.run(*launcher, self.program, *SHORT, "--backend", backend, "--metrics", str(metrics),
                                OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        require(done.returncode == 0, done.stdout, done.stderr)
        last = last_metrics(metrics)
        require(last.get("params_hash") == self.expected, f"{self.expected} expected", last)
        require(last.get("backend") == carried_by, f"backend {carried_by} expected", last)
        return done

    def check_two_nodes_of_one_machine_share_memory(self):
        self.train("srun", "-N2", "-n3", backend="auto", carried_by="shm")

    def check_gloo(self):
        self.train("srun", "-N2", "-n3", backend="gloo", carried_by="gloo")

    def check_mpi(self):
        self.train("srun", "--mpi=pmix", "-N2", "-n3", backend="mpi", carried_by="mpi")

    def check_nodes_with_names_of_their_own_are_two_hosts(self):
        self.train("srun", "-N2", "-n3", *NODE_AS_HOST, backend="auto", carried_by="shm+gloo")

    def check_mpirun_inside_a_job(self):
        self.train("salloc", "-N2", "-n3", "mpirun", "--oversubscribe", backend="auto", carried_by="shm")

    def check_trireme_run_inside_a_task(self):
        self.train("srun", "-n1", str(self.build / "bin" / "trireme"), "run", "--nproc-per-node", "2", "--",
                   backend="auto", carried_by="shm")

    def check_a_shell_of_the_job_trains_alone_and_says_so(self):
        done = self.train("salloc", "-n2", backend="auto", carried_by="local")
        require("inside a Slurm job of 2 tasks" in done.stderr, done.stderr)

    def check_ranks_that_fail_say_why(self):
        done = self.cluster.run("srun", "-N2", "-n3", self.program, *SHORT, "--interface", "none0")
        require(done.returncode == 2 and "it has lo (127.0.0.1)" in done.stderr, done.returncode, done.stderr)

    def submit(self, options):
        metrics, log = self.file("metrics.jsonl"), self.file("job.log")
        done = self.cluster.run("sbatch", "--parsable", "-N2", "-n3", f"--output={log}",
                                str(ROOT / "cluster/slurm/train.sbatch"), self.program, *options, "--metrics",
                                str(metrics), "--checkpoint-dir", str(self.file("checkpoints")))
        require(done.returncode == 0, done.stderr)
        return done.stdout.strip(), metrics, log

    def check_the_job_script_trains_to_the_end(self):
        job, metrics, log = self.submit(SHORT)
        state = self.cluster.wait_for_job(job, 20)
        require(state == "COMPLETED", state, log.read_text())
        require(last_metrics(metrics).get("params_hash") == self.expected, log.read_text())

    def slow_check_a_requeued_job_ends_with_the_same_bits(self):
        job, metrics, log = self.submit(LONG)
        deadline = time.monotonic() + 20
        while last_metrics(metrics).get("step", 0) < 20:
            require(time.monotonic() < deadline, "no step 20", log.read_text() if log.exists() else "")
            time.sleep(0.01)
        self.cluster.run("scancel", "--signal=USR1", "--batch", job)  # as Slurm does at preemption
        state = self.cluster.wait_for_job(job, 40)
        text = log.read_text()
        require(state == "COMPLETED", state, text)
        require("start 1 of job" in text and "back into the queue" in text, text)
        require(last_metrics(metrics).get("params_hash") == self.alone(LONG), text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", default=ROOT / "build", type=Path)
    parser.add_argument("--quick", action="store_true", help="leave out the slow checks")
    options = parser.parse_args()
    kinds = ("check_",) if options.quick else ("check_", "slow_check_")
    reason = why_impossible()
    if reason:
        print(f"skipped: {reason}\n0 passed, 0 failed")
        return 0
    with tempfile.TemporaryDirectory(prefix="trireme-slurm-") as folder:
        checks = Checks(Path(folder), options.build.resolve())
        try:
            passed, failed = run_checks(checks, kinds)
            if failed:
                print(checks.cluster.logs())
        finally:
            checks.cluster.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
