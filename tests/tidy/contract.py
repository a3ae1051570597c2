"""Checks that what programs and documents say is there."""
import re
import subprocess

from tree import Finding

# What scripts outside the project rely on: option -> the values that --help must name.
COMMON = {
    "--strategy": ("mirrored", "fully_sharded"), "--backend": ("auto", "local", "shm", "gloo", "mpi", "hierarchical"),
    "--device": ("auto", "cpu", "cuda"),
    "--precision": ("f32", "bf16"),
    "--threads": (), "--reduce-order": ("canonical", "fast"), "--data": (), "--steps": (), "--epochs": (),
    "--global-batch": (), "--lanes": (), "--seed": (), "--order": ("shuffled", "sequential"), "--lr": (),
    "--lr-schedule": ("constant", "cosine"), "--warmup-steps": (), "--weight-decay": (), "--clip-norm": (),
    "--config": (), "--checkpoint-dir": (), "--save-every": (), "--keep": (), "--resume": ("auto", "none"),
    "--init": (), "--export": (),
    "--metrics": (), "--progress": ("auto", "bar", "log", "off"), "--timeout": (), "--ranks": (), "--accumulate": (),
    "--on-save-error": ("stop", "continue"), "--interface": (), "--zero-stage": ("1", "2", "3"),
    "--reshard-after-forward": ("true", "false", "N"), "--shard-group": (), "--cpu-offload": (),
    "--servers": (), "--consistency": ("sync", "ssp", "async"), "--staleness": (), "--partitioner": (),
    "--tls-certificate": (), "--tls-key": (), "--tls-authority": (),
    "--param-dtype": ("f32", "bf16"), "--reduce-dtype": ("f32", "bf16"),
}
PROGRAMS = {
    "train_gpt": COMMON | {"--layers": (), "--heads": (), "--width": (), "--context": (), "--vocab": (),
                           "--sample": ()},
    "train_classifier": COMMON | {"--model": ("mlp", "resnet")},
    "train_recommender": COMMON | {"--rows": (), "--dim": (), "--tables": ("shared", "own"),
                                   "--interaction": ("dot", "concat"),
                                   "--optimizer": ("adagrad", "rowwise_adagrad", "adamw", "sgd")},
}
RUN = {"--nproc-per-node": (), "--max-restarts": (), "--log-dir": (), "--tee": (), "--standalone": (), "--nnodes": (),
       "--rdzv-endpoint": (), "--rdzv-id": ()}
PLAN = {"--nproc-per-node": (), "--nnodes": (), "--json": ()}


def help_of(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def missing_in_help(help_text, options):
    """Options and values that the text does not name. A value must stand between an option and the next one."""
    found = []
    for option, values in options.items():
        match = re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])(.*?)(?=\n\s+-|\Z)", help_text, re.S)
        if match is None:
            found.append(option)
        else:
            found += [f"{option} {v}" for v in values if not re.search(rf"(?<!\w){re.escape(v)}(?!\w)", match[1])]
    return found


def check_help(tree):
    """Every option of the contract, with its values, is in the program's --help."""
    found = []
    commands = [([tree.build / "bin" / name, "--help"], options) for name, options in PROGRAMS.items()]
    commands += [([tree.build / "bin" / "trireme", name, "--help"], options)
                 for name, options in (("run", RUN), ("plan", PLAN))]
    for command, options in commands:
        shown = " ".join(str(part) for part in (command[0].name, *command[1:]))
        if not command[0].is_file():
            found.append(Finding(shown, "the program is not there", "run scripts/build"))
            continue
        status, text = help_of(command)
        if status != 0:
            found.append(Finding(shown, f"exit code {status}", "0 expected"))
        found += [Finding(shown, f"does not name {what}", "add it to the option's description")
                  for what in missing_in_help(text, options)]
    return found


def check_links(tree):
    """Files that documents point to are there, and no document names a path that is not."""
    found = []
    for name in tree.names(".md"):
        folder = name.rsplit("/", 1)[0] + "/" if "/" in name else ""
        in_code = False
        for number, line in tree.lines(name):
            in_code ^= line.startswith("```")
            if in_code:
                continue
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", line):
                if not (tree.root / folder / target).exists():
                    found.append(Finding(f"{name}:{number}", f"links to {target}, which is not there", "mend the link"))
            for path in re.findall(r"`((?:core|comm|sharding|strategies|checkpoint|training|launcher|tests|"
                                   r"scripts|docs|examples|benchmarks|cmake)/[\w./-]*\w)`", line):
                if not (tree.root / path).exists():
                    found.append(Finding(f"{name}:{number}", f"names `{path}`, which is not there", "mend the path"))
    return found
