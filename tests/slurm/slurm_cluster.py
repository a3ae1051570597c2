"""A Slurm cluster of two nodes on this machine: munged, slurmctld and two slurmd, on loopback, in a temporary folder.

Needs root (slurmd starts processes as other users) and Debian's packages slurmctld, slurmd, slurm-client,
slurm-wlm-basic-plugins and munge. Touches nothing outside its folder: munged has its own key and socket there, and
every port is a free one. close() ends what was started, by process id; what Slurm's daemons leave behind becomes a
child of this process, and is ended too.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "sinfo")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

PR_SET_CHILD_SUBREAPER = 36

CONF = """\
ClusterName=trireme
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/spool-%n
TmpFS={folder}/tmp-%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPort={ports[0]}
SlurmctldTimeout=30
SlurmdTimeout=30
KillWait=5
MinJobAge=60
Waittime=0
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 RealMemory=2000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 RealMemory=2000 State=UNKNOWN
PartitionName=low  Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def why_impossible():
    """None where a cluster can be started; else the reason."""
    if os.geteuid() != 0:
        return "slurmd must run as root"
    missing = [p for p in PROGRAMS if shutil.which(p, path=PATH) is None]
    if missing:
        return (f"{', '.join(missing)} not installed (apt-get install --no-install-recommends slurmctld slurmd "
                "slurm-client slurm-wlm-basic-plugins munge)")
    return None


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class SlurmCluster:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.conf = self.folder / "slurm.conf"
        self.daemons = []
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
        self.environment.update(PATH=PATH, SLURM_CONF=str(self.conf))
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for name in ("ctld", "spool-n1", "spool-n2", "tmp-n1", "tmp-n2"):
            (self.folder / name).mkdir(exist_ok=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.conf.write_text(CONF.format(host=socket.gethostname(), folder=self.folder, ports=free_ports(3)))
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self.folder}/munge.sock",
                     f"--pid-file={self.folder}/munged.pid", f"--seed-file={self.folder}/munged.seed")
        self._wait(lambda: (self.folder / "munge.sock").exists(), 10, "munged has no socket")
        self._daemon("slurmctld", "-D", "-c", "-f", str(self.conf))
        for node in ("n1", "n2"):
            self._daemon("slurmd", "-D", "-f", str(self.conf), "-N", node)
        self._wait(lambda: self._idle_nodes() == 2, 30, "the nodes do not become idle")

    def _daemon(self, *command):
        with open(self.folder / "daemons.log", "ab") as log:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=log, start_new_session=True))

    def _idle_nodes(self):
        shown = self.run("sinfo", "-h", "-N", "-p", "low", "-o", "%t")
        return shown.stdout.split().count("idle")

    def _wait(self, condition, seconds, complaint):
        deadline = time.monotonic() + seconds
        while not condition():
            dead = [d.args[0] for d in self.daemons if d.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise RuntimeError(f"{complaint}{' (' + dead[0] + ' has ended)' if dead else ''}:\n{self.logs()}")
            time.sleep(0.05)

    def logs(self):
        texts = [p.read_text(errors="replace")[-1500:] for p in sorted(self.folder.glob("*.log"))]
        return "\n".join(texts)

    def run(self, *command, seconds=60, **environment):
        """A client command, ended after so many seconds; stdout and stderr are texts."""
        process = subprocess.Popen(command, env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err += f"\n(ended after {seconds} s)"
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def job_state(self, job):
        shown = self.run("scontrol", "show", "job", job, "--oneliner").stdout
        return next((w.removeprefix("JobState=") for w in shown.split() if w.startswith("JobState=")), "gone")

    def wait_for_job(self, job, seconds):
        """The state in which the job ended, or that it was in at the deadline."""
        deadline = time.monotonic() + seconds
        while (state := self.job_state(job)) in ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "CONFIGURING"):
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        return state

    def close(self):
        if len(self.daemons) > 1:
            self.run("scancel", "--signal=KILL", "--user=root", seconds=5)
            self.run("scancel", "--user=root", seconds=5)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons = []
        self._reap()

    def _reap(self):
        """Children that this process has inherited: a moment to end, then killed."""
        deadline = time.monotonic() + 2
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0 and time.monotonic() > deadline:
                listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
                for child in listed:
                    os.kill(int(child), signal.SIGKILL)
            if pid == 0:
                time.sleep(0.02)
