"""Runs two sides alternately and compares them: A B B A, median and spread of the per-pair ratios."""
import json
import os
import statistics
import subprocess
from dataclasses import dataclass, field


@dataclass
class Side:
    """One way to do the work. `command` gets the path of its metrics file appended."""

    name: str
    command: list
    environment: dict = field(default_factory=dict)
    cores: str = ""  # taskset list; empty: all


class Failed(Exception):
    pass


def read_metrics(path):
    """Losses by step and the closing line."""
    losses, done = {}, None
    with open(path) as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("done"):
                done = row
            elif "step" in row and row.get("loss") is not None:
                losses[row["step"]] = row["loss"]
    if done is None:
        raise Failed(f"{path} has no closing line: the run did not end well")
    return losses, done


def run(side, metrics, limit_s=900):
    if os.path.exists(metrics):
        os.remove(metrics)
    pin = ["taskset", "-c", side.cores] if side.cores else []
    command = [str(part) for part in pin + side.command + [metrics]]
    done = subprocess.run(command, env={**os.environ, **side.environment}, capture_output=True, text=True,
                          timeout=limit_s, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(f"{side.name} ended with {done.returncode}: {' '.join(command)}\n{done.stderr[-2000:]}")
    return read_metrics(metrics)


def rate(done):
    return done.get("tokens_per_s") or done.get("examples_per_s") or 0.0


def largest_difference(ours, theirs):
    """Relative difference of the losses over the steps that both have."""
    common = sorted(set(ours) & set(theirs))
    if not common:
        raise Failed("the two runs have no step in common")
    return max(abs(ours[s] - theirs[s]) / abs(theirs[s]) for s in common), len(common)


def best_of(sides, folder):
    """The fastest of several configurations by one run each; those that fail are named and left out."""
    rates = []
    for side in sides:
        try:
            _, done = run(side, folder / "screening.jsonl")
            rates.append((rate(done), side))
            print(f"    {side.name:48} {rate(done):12.1f}/s", flush=True)
        except (Failed, subprocess.TimeoutExpired) as error:
            print(f"    {side.name:48} failed: {str(error).splitlines()[-1][:120]}", flush=True)
    if not rates:
        raise Failed("no configuration ran")
    return max(rates, key=lambda pair: pair[0])[1]


@dataclass
class Comparison:
    ours: list
    theirs: list

    def ratios(self):
        return [a / b for a, b in zip(self.ours, self.theirs)]

    def line(self, name, unit):
        ratios = self.ratios()
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        return (f"{name}: ours {ours:.1f}, PyTorch {theirs:.1f} {unit}; ratio {statistics.median(ratios):.3f} "
                f"(from {min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} pairs)")


def compare(ours, theirs, pairs, folder, tolerance):
    """`pairs` pairs in the order A B, B A, A B, ...; raises Failed where the losses differ by more than `tolerance`."""
    result = Comparison([], [])
    for pair in range(pairs):
        done = {}
        losses = {}
        for key in ("ours", "theirs") if pair % 2 == 0 else ("theirs", "ours"):
            losses[key], done[key] = run(ours if key == "ours" else theirs, folder / f"{key}.jsonl")
        difference, steps = largest_difference(losses["ours"], losses["theirs"])
        if difference > tolerance:
            raise Failed(f"losses differ by {difference:.2e} relative; at most {tolerance:.0e} expected")
        result.ours.append(rate(done["ours"]))
        result.theirs.append(rate(done["theirs"]))
        print(f"    pair {pair + 1}: {result.ours[-1]:.1f} against {result.theirs[-1]:.1f}, losses within "
              f"{difference:.1e} over {steps} steps", flush=True)
    return result
