"""Gloo's all_reduce through torch.distributed on f32 random data: JSON lines {"bytes", "median_us"} of rank 0."""
import argparse
import json
import statistics
import time

import torch
import torch.distributed as dist

from common import run_ranks


def measure(rank, options):
    torch.set_num_threads(1)
    for size in options.bytes:
        data = torch.randn(max(1, size // 4))
        repeats = max(5, min(200, (64 << 20) // size))
        times = []
        for repeat in range(repeats + 3):
            dist.barrier()
            begin = time.perf_counter()
            dist.all_reduce(data)
            if repeat >= 3:
                times.append(1e6 * (time.perf_counter() - begin))
            data.mul_(0.5)
        if rank == 0:
            print(json.dumps({"bytes": size, "median_us": statistics.median(times)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--bytes", type=int, nargs="+", default=[1 << 10, 1 << 20, 64 << 20])
    options = parser.parse_args()
    run_ranks(options.ranks, measure, options)


if __name__ == "__main__":
    main()
