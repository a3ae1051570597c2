#!/usr/bin/env python3
"""Trains on several hosts, which are network namespaces of this machine.

tests/net/network_test.py [BUILD] [--full] [--measure STARTS]

However the ranks are spread, a run must end with the parameters of a run of one process; a host that is cut off, or a
rank that is killed, must end every rank with an error that names who is missing. Where no namespaces can be made it
says why and counts nothing. --measure only compares the speed of backends. The last line is `N passed, N failed`.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "tests" / "support"))
from checks import MODEL, require, run_checks  # noqa: E402
from network_hosts import NetworkHosts, why_impossible  # noqa: E402

SHORT = (*MODEL, "--steps", "12")
ENDLESS = (*MODEL, "--steps", "1000000")
LARGE = ("--layers", "4", "--heads", "4", "--width", "256", "--context", "64", "--global-batch", "4", "--lanes", "4",
         "--seed", "7", "--progress", "off", "--steps", "12")
HOSTS = 3
PORT = 29500
TIMEOUT = 2  # seconds, of the runs in which something fails
SLACK = 4    # for a machine that is busy with other things


class Run:
    """One training run: rank r on host hosts[r], started as a launcher on each host would."""

    def __init__(self, network, program, hosts, options, metrics):
        self.metrics = metrics
        self.ranks = []
        used = sorted(set(hosts))
        for rank, host in enumerate(hosts):
            environment = {"RANK": rank, "WORLD_SIZE": len(hosts), "LOCAL_RANK": hosts[:rank].count(host),
                           "LOCAL_WORLD_SIZE": hosts.count(host), "GROUP_RANK": used.index(host),
                           "MASTER_ADDR": network.address(hosts[0]), "MASTER_PORT": PORT}
            self.ranks.append(network.start(
                host, [program, *options, "--metrics", str(metrics)], {k: str(v) for k, v in environment.items()},
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))

    def lines(self):
        return self.metrics.read_text().splitlines() if self.metrics.exists() else []

    def last(self):
        return json.loads(self.lines()[-1]) if self.lines() else {}

    def wait_for_step(self, step):
        deadline = time.monotonic() + 30
        while len(self.lines()) <= step:
            require(time.monotonic() < deadline, f"no step {step} within 30 s", self.lines()[-1:])
            if any(rank.poll() is not None for rank in self.ranks):
                raise AssertionError(f"a rank has ended: {self.ends(TIMEOUT + SLACK)}")
            time.sleep(0.01)

    def ends(self, seconds):
        """Exit code and standard error of every rank, which must end by then."""
        deadline = time.monotonic() + seconds
        out = []
        for number, rank in enumerate(self.ranks):
            try:
                _, text = rank.communicate(timeout=max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"rank {number} has not ended within {seconds} s; others: {out}") from None
            out.append((rank.returncode, text))
        return out


class Checks:
    """Each method named check_... is one check."""

    def __init__(self, folder, build):
        self.folder, self.program = folder, str(build / "bin" / "train_gpt")
        self.conformance = build / "tests" / "test_comm"
        alone = subprocess.run([self.program, *SHORT], capture_output=True, text=True, timeout=60, check=True)
        self.expected = alone.stdout.split()[-1]
        self.network = NetworkHosts(HOSTS)
        self.count = 0

    def close(self):
        self.network.close()

    def start(self, hosts, options):
        self.count += 1
        return Run(self.network, self.program, hosts, options, self.folder / f"{self.count}-metrics.jsonl")

    def train(self, hosts, backend, carried_by):
        run = self.start(hosts, (*SHORT, "--backend", backend))
        for code, text in run.ends(60):
            require(code == 0, f"exit code {code}", text)
        require(run.last().get("params_hash") == self.expected, f"{self.expected} expected", run.last())
        require(run.last().get("backend") == carried_by, f"backend {carried_by} expected", run.last())

    def check_two_hosts_of_two_ranks(self):
        self.train([0, 0, 1, 1], "auto", "shm+gloo")

    def check_three_hosts_of_uneven_ranks(self):
        self.train([0, 0, 0, 1, 1, 2], "auto", "shm+gloo")

    def check_ranks_dealt_out_in_turn(self):
        self.train([0, 1, 0, 1, 0], "auto", "shm+gloo")

    def check_three_hosts_of_one_rank(self):
        self.train([0, 1, 2], "auto", "gloo")

    def pass_conformance(self, hosts):
        """The suite that every backend passes, the ranks of 1, 2, 3, 4 and 7 spread over the hosts."""
        namespaces = ":".join(f"/run/netns/{self.network.name(host)}" for host in range(hosts))
        done = subprocess.run([self.conformance, "--gtest_brief=1", "--gtest_filter=*shm_and_gloo*"], text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=300,
                              env={**os.environ, "TRIREME_TEST_HOSTS": namespaces})
        require(done.returncode == 0 and "PASSED" in done.stdout, done.stdout[-3000:], done.stderr[-1000:])

    def full_check_conformance_over_two_hosts(self):
        self.pass_conformance(2)

    def full_check_conformance_over_three_hosts(self):
        self.pass_conformance(3)

    def check_gloo_alone(self):
        self.train([0, 0, 1], "gloo", "gloo")

    def train_by_mpirun(self, hosts, backend, carried_by):
        """As mpirun on host 0 would start them with ssh, for which a script stands that enters the other hosts."""
        if shutil.which("mpirun") is None:
            print("skipped: there is no `mpirun` here (Debian: openmpi-bin)")
            return
        self.count += 1
        metrics, machines = self.folder / f"{self.count}-metrics.jsonl", self.folder / f"{self.count}-hosts"
        machines.write_text("".join(f"{self.network.address(host)} slots={hosts.count(host)}\n"
                                    for host in sorted(set(hosts))))
        subnet = f"{self.network.address(0)}/24"
        command = ["mpirun", "--mca", "plm_rsh_agent", str(self.network.remote_shell(self.folder)), "--mca",
                   "plm_rsh_no_tree_spawn", "1", "--mca", "oob_tcp_if_include", subnet, "--mca",
                   "btl_tcp_if_include", subnet, "--oversubscribe", "--hostfile", str(machines), "-np",
                   str(len(hosts)), self.program, *SHORT,
                   "--backend", backend, "--metrics", str(metrics)]
        mpirun = self.network.start(0, command, {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"},
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        _, text = mpirun.communicate(timeout=60)
        require(mpirun.returncode == 0, f"exit code {mpirun.returncode}", text)
        last = json.loads(metrics.read_text().splitlines()[-1])
        require(last.get("params_hash") == self.expected, f"{self.expected} expected", last)
        require(last.get("backend") == carried_by, f"backend {carried_by} expected", last)

    def check_mpirun_over_three_hosts(self):
        self.train_by_mpirun([0, 1, 2], "mpi", "mpi")

    def check_mpirun_over_two_hosts_of_two_ranks(self):
        self.train_by_mpirun([0, 0, 1, 1], "auto", "shm+mpi")

    def expect_errors(self, run, by, others):
        """Every rank but those of `others` ends by then, with an error that names one of those that it has lost."""
        for rank, (code, text) in enumerate(run.ends(by)):
            lost = others(rank)
            if lost:
                require(code == 1, f"exit code {code} of rank {rank}", text)
                require(any(f"rank {peer}" in text for peer in lost), f"rank {rank} names none of {lost}", text)

    def check_a_host_that_is_cut_off_is_named_by_the_others(self):
        hosts = [0, 0, 1, 1]
        run = self.start(hosts, (*ENDLESS, "--timeout", str(TIMEOUT)))
        run.wait_for_step(3)
        self.network.cut(1)
        try:
            self.expect_errors(run, TIMEOUT + SLACK, lambda rank: [2, 3] if rank < 2 else [0, 1])
        finally:
            self.network.stop_processes()
            self.network.mend(1)

    def check_a_killed_rank_is_named_by_all(self):
        run = self.start([0, 0, 1, 1], (*ENDLESS, "--timeout", "30"))
        run.wait_for_step(3)
        run.ranks[3].kill()
        self.expect_errors(run, 2 + SLACK, lambda rank: [] if rank == 3 else [3])

    def check_a_stopped_rank_is_named_at_the_deadline(self):
        run = self.start([0, 0, 1, 1], (*ENDLESS, "--timeout", str(TIMEOUT)))
        run.wait_for_step(3)
        run.ranks[2].send_signal(19)
        begin = time.monotonic()
        while any(rank.poll() is None for number, rank in enumerate(run.ranks) if number != 2):
            require(time.monotonic() < begin + TIMEOUT + SLACK, "ranks wait beyond the deadline")
            time.sleep(0.01)
        run.ranks[2].kill()
        self.expect_errors(run, 1, lambda rank: [] if rank == 2 else [2])


def measure(checks, starts):
    """Tokens per second of 4 ranks on 2 hosts; the median of some starts, taken in turn."""
    speeds = {"hierarchical": [], "gloo": []}
    for _ in range(starts):
        for backend, values in speeds.items():
            run = checks.start([0, 0, 1, 1], (*LARGE, "--backend", backend, "--threads", "1"))
            require(all(code == 0 for code, _ in run.ends(300)), "a rank has failed")
            values.append((run.last()["tokens_per_s"], run.last()["comm_bytes"]))
    for backend, values in speeds.items():
        values.sort()
        print(f"{backend}: median {values[len(values) // 2][0]:.0f} tokens/s of {[round(v) for v, _ in values]}, "
              f"{values[0][1] / 1e6:.1f} MB moved by rank 0")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", default=ROOT / "build", type=Path)
    parser.add_argument("--full", action="store_true", help="also the conformance suite of backends, a minute or two")
    parser.add_argument("--measure", type=int, metavar="STARTS", help="compare the speed of backends instead")
    options = parser.parse_args()
    kinds = ("check_", "full_check_") if options.full else ("check_",)
    reason = why_impossible()
    if reason:
        print(f"skipped: {reason}\n0 passed, 0 failed")
        return 0
    with tempfile.TemporaryDirectory(prefix="trireme-net-") as folder:
        checks = Checks(Path(folder), options.build.resolve())
        try:
            if options.measure:
                measure(checks, options.measure)
                return 0
            passed, failed = run_checks(checks, kinds, after_each=checks.network.stop_processes)
        finally:
            checks.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
