"""Saving and loading an f32 state with PyTorch: torch.save + fsync, safetensors, distributed checkpoint (DCP).

JSON lines {"way", "what": "save" | "load", "seconds"}: medians of --repeat. The state is in tensors of 16 MiB.
A save ends when the bytes are on the disk. Every file is written anew; loads come from the page cache, or with --cold
(root) from the disk, and end when all values have been read.
"""
import argparse
import json
import os
import shutil
import statistics
import time

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

from common import run_ranks


def sync_file(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as control:
        control.write("3")


def timed(work):
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def report(rank, way, what, seconds):
    if rank == 0:
        print(json.dumps({"way": way, "what": what, "seconds": statistics.median(seconds)}), flush=True)


def add_up(tensors):
    """A mapped file has been read once all of it has been looked at."""
    for tensor in tensors.values():
        tensor.sum()
    return tensors


def ways_of_one_process():
    ways = {"torch": (torch.save, torch.load)}
    try:
        from safetensors.torch import load_file, save_file
        ways["safetensors"] = (save_file, lambda path: add_up(load_file(path)))
    except ImportError:
        print(json.dumps({"skipped": "safetensors: not installed"}), flush=True)
    return ways


def one_process(options):
    torch.set_num_threads(1)
    state = {f"layer.{i}.weight": torch.rand(1 << 22) for i in range(max(1, options.mib // 16))}
    last = next(reversed(state))
    for way, (save, load) in ways_of_one_process().items():
        if way not in options.ways:
            continue
        path = os.path.join(options.dir, f"{way}.bin")
        saves, loads = [], []
        for _ in range(options.repeat):
            if os.path.exists(path):
                os.unlink(path)
            os.sync()
            saves.append(timed(lambda: (save(state, path), sync_file(path)))[0])
            if options.cold:
                drop_caches()
            seconds, loaded = timed(lambda: load(path))
            loads.append(seconds)
            assert torch.equal(loaded[last], state[last])
            del loaded
        os.unlink(path)
        report(0, way, "save", saves)
        report(0, way, "load", loads)


def distributed(rank, options):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Shard
    torch.set_num_threads(1)
    mesh = init_device_mesh("cpu", (options.ranks,))
    rows = 1024 // options.ranks

    def make(value):
        return {f"layer.{i}.weight": DTensor.from_local(torch.full((rows, 4096), float(value)), mesh, [Shard(0)])
                for i in range(max(1, options.mib // 16))}

    state, target = make(rank + 1), make(0)
    path = os.path.join(options.dir, "dcp")
    saves, loads = [], []
    for _ in range(options.repeat):
        if rank == 0:
            shutil.rmtree(path, ignore_errors=True)
            os.sync()
        dist.barrier()
        saves.append(timed(lambda: dcp.save(state, storage_writer=dcp.FileSystemWriter(path, sync_files=True)))[0])
        dist.barrier()
        if options.cold and rank == 0:
            drop_caches()
        dist.barrier()
        loads.append(timed(lambda: dcp.load(target, checkpoint_id=path))[0])
    assert torch.equal(target["layer.0.weight"].to_local(), state["layer.0.weight"].to_local())
    slowest = torch.tensor([saves, loads])
    dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
    report(rank, "dcp", "save", slowest[0].tolist())
    report(rank, "dcp", "load", slowest[1].tolist())
    dist.barrier()
    if rank == 0:
        shutil.rmtree(path, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", default=".")
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--ranks", type=int, default=2, help="of the distributed checkpoint")
    parser.add_argument("--ways", nargs="+", default=["torch", "safetensors", "dcp"])
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    if set(options.ways) - {"dcp"}:
        one_process(options)
    if "dcp" in options.ways:
        run_ranks(options.ranks, distributed, options)


if __name__ == "__main__":
    main()
