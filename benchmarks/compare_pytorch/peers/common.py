"""What the PyTorch programs share: safetensors and IDX reading, metrics, ranks as processes."""
import json
import os
import resource
import statistics
import struct
import time
from pathlib import Path

import torch


def read_safetensors(path, dtype):
    """Tensors of a safetensors file by name. Only the f32 that train_gpt and train_classifier export."""
    raw = Path(path).read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise SystemExit(f"{path}: {name} is {entry['dtype']}, F32 expected")
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        flat = torch.frombuffer(bytearray(raw[begin:end]), dtype=torch.float32)
        tensors[name] = flat.reshape(entry["shape"]).to(dtype)
    return tensors


def read_idx(path):
    raw = Path(path).read_bytes()
    dims = raw[3]
    shape = struct.unpack(f">{dims}I", raw[4:4 + 4 * dims])
    return torch.frombuffer(bytearray(raw[4 + 4 * dims:]), dtype=torch.uint8).reshape(shape)


class Metrics:
    """Times steps, keeps losses as tensors (no synchronization inside the loop) and writes them all at the end."""

    def __init__(self, unit):
        self.unit, self.losses, self.seconds, self.counts = unit, [], [], []
        self.faults = []

    def step(self, loss, count, begin):
        self.losses.append(loss.detach())
        self.seconds.append(time.perf_counter() - begin)
        self.counts.append(count)
        self.faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)

    def write(self, path, **extra):
        skipped = 5 if len(self.seconds) >= 12 else 2
        rates = [c / s for c, s in zip(self.counts, self.seconds)][skipped:]
        faults = [b - a for a, b in zip(self.faults[skipped:], self.faults[skipped + 1:])]
        with open(path, "w") as out:
            for i, loss in enumerate(self.losses):
                out.write(json.dumps({"step": i, "loss": float(loss), "step_ms": 1e3 * self.seconds[i]}) + "\n")
            out.write(json.dumps({
                "done": True, f"{self.unit}_per_s": statistics.median(rates) if rates else 0.0,
                "minor_faults_per_step": statistics.median(faults) if faults else 0,
                "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, **extra}) + "\n")


def run_ranks(ranks, body, *args):
    """body(rank, *args) in this process, or in `ranks` processes joined over Gloo on the loopback."""
    if ranks == 1:
        body(0, *args)
        return
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ["MASTER_PORT"] = str(free_port())
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.multiprocessing.spawn(_joined, args=(ranks, body, args), nprocs=ranks)


def _joined(rank, ranks, body, args):
    torch.distributed.init_process_group("gloo", rank=rank, world_size=ranks)
    try:
        body(rank, *args)
    finally:
        torch.distributed.destroy_process_group()


def free_port():
    import socket
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
