"""Hosts on one machine: network namespaces joined by a bridge, which sits in a namespace of its own.

A process started on a host has the host's name and network and no other; memory and process numbers are the machine's.
All names begin with a prefix made from this process's number, and close() deletes these and nothing else.
"""
import os
import shutil
import subprocess


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def why_impossible():
    """Why no namespaces can be made here; an empty text if they can."""
    for tool in ("ip", "nsenter", "unshare", "hostname"):
        if shutil.which(tool) is None:
            return f"there is no `{tool}` here (Debian: iproute2, util-linux, hostname)"
    probe = f"trireme{os.getpid()}-probe"
    try:
        ip("netns", "add", probe)
    except OSError as error:
        return f"network namespaces are not allowed here: {error}"
    try:
        ip("-n", probe, "link", "add", "bridge0", "type", "bridge")
        subprocess.run(["nsenter", f"--net=/run/netns/{probe}", "unshare", "--uts", "hostname", probe], check=True,
                       capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        return f"bridges or host names of one's own are not allowed here: {error}"
    finally:
        ip("netns", "del", probe)
    return ""


class NetworkHosts:
    """Hosts 0 to count - 1; host i has the address 10.77.0.(i + 1)."""

    def __init__(self, count):
        self.prefix = f"trireme{os.getpid()}"
        self.switch = f"{self.prefix}-switch"
        self.made = []
        self.processes = []
        try:
            self.add_namespace(self.switch)
            ip("-n", self.switch, "link", "add", "bridge0", "type", "bridge")
            ip("-n", self.switch, "link", "set", "bridge0", "up")
            for host in range(count):
                self.add_host(host)
        except OSError:
            self.close()
            raise

    def add_namespace(self, name):
        ip("netns", "add", name)
        self.made.append(name)

    def add_host(self, host):
        name, port = self.name(host), f"port{host}"
        self.add_namespace(name)
        ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", port, "netns", self.switch)
        ip("-n", self.switch, "link", "set", port, "master", "bridge0", "up")
        ip("-n", name, "addr", "add", f"{self.address(host)}/24", "dev", "eth0")
        for interface in ("lo", "eth0"):
            ip("-n", name, "link", "set", interface, "up")

    def name(self, host):
        return f"{self.prefix}-host{host}"

    @staticmethod
    def address(host):
        return f"10.77.0.{host + 1}"

    def start(self, host, command, environment, **options):
        """A process on the host. Its number is the command's own: every program before it makes way for the next."""
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.name(host)}", "unshare", "--uts", "sh", "-c",
             'hostname "$1" && shift && exec "$@"', "sh", f"host{host}", *command],
            env={**os.environ, **environment}, stdin=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def remote_shell(self, folder):
        """A program that does what `ssh ADDRESS COMMAND` would."""
        script = folder / "remote_shell"
        script.write_text(f"""#!/bin/sh
while [ "${{1#-}}" != "$1" ]; do shift; done
host=$((${{1##*.}} - 1))
shift
exec nsenter --net=/run/netns/{self.prefix}-host$host unshare --uts sh -c "hostname host$host; $*"
""")
        script.chmod(0o700)
        return script

    def cut(self, host):
        """Nothing reaches the host or leaves it any more, and nobody is told: as a cable that is pulled elsewhere."""
        ip("-n", self.switch, "link", "set", f"port{host}", "down")

    def mend(self, host):
        ip("-n", self.switch, "link", "set", f"port{host}", "up")

    def stop_processes(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.processes.clear()

    def close(self):
        self.stop_processes()
        for name in reversed(self.made):
            ip("netns", "del", name)
        self.made.clear()
