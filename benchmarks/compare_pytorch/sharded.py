"""Two one-thread ranks over shared memory: mirrored, ZeRO 1 to 3, and PyTorch's FSDP2 over Gloo."""
import statistics

from gpt_shapes import gpt_sides
from measure import Failed, largest_difference, rate, run


def one_shape(c, shape):
    """Turns of all ways, each turn in another order; ratios are taken within a turn."""
    rival, own = gpt_sides(c, shape, 2)
    sides = {"mirrored": c.ours("train_gpt", own, ranks=2)}
    for stage in ("1", "2", "3"):
        sides[f"ZeRO {stage}"] = c.ours("train_gpt", [*own, "--strategy", "fully_sharded", "--zero-stage", stage],
                                        ranks=2)
    sides["FSDP2"] = c.theirs("gpt.py", [*rival, "--ranks", "2", "--fused", "--fsdp"], "FSDP2 over Gloo, 2 ranks",
                              preload=True)
    names = list(sides)
    rates, peaks, hashes = {n: [] for n in names}, dict.fromkeys(names, 0), set()
    for turn in range(c.pairs):
        start = turn % len(names)
        losses = {}
        for name in names[start:] + names[:start]:
            losses[name], done = run(sides[name], c.folder / "sharded.jsonl")
            rates[name].append(rate(done))
            peaks[name] = max(peaks[name], done["peak_rss_bytes"])
            hashes.add(done.get("params_hash"))
            difference, _ = largest_difference(losses[name], next(iter(losses.values())))
            if difference > 1e-4:
                raise Failed(f"{name}: losses differ by {difference:.2e} relative; at most 1e-4 expected")
        print(f"    turn {turn + 1}: " + ", ".join(f"{n} {rates[n][-1]:.1f}" for n in names), flush=True)
    if len(hashes - {None}) != 1:
        raise Failed(f"params_hash differs between mirrored and ZeRO: {hashes}")
    lines = []
    for name in names:
        ratios = [a / b for a, b in zip(rates[name], rates["mirrored"])]
        lines.append(f"{shape}, {name}: {statistics.median(rates[name]):.1f} tokens/s, {statistics.median(ratios):.3f} "
                     f"of mirrored (from {min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} turns), the most of "
                     f"rank 0 {peaks[name] / 2**20:.0f} MiB")
    return lines


def sharded(c):
    """ZeRO against mirrored training and against FSDP2. A page that ranks share counts for each in `the most`."""
    lines = []
    for shape in ("gpt-small", "gpt2-124m"):
        print(f"sharded, {shape}", flush=True)
        lines += one_shape(c, shape)
    return lines
