"""PyTorch's distributed checkpoints in safetensors files, on two ranks (gloo): theirs for us, ours for them.

Usage: dcp.py write DIRECTORY          saves STATE: by two ranks in DIRECTORY/sharded, by one process in DIRECTORY/whole
       dcp.py read STEP DIRECTORY...   loads checkpoints of ours onto two ranks, each tensor sharded along its first dim
                                       and along its last; exits 0 if every part has the values of state_fixture.h
"""
import functools
import operator
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

import read_checkpoint

RANKS = 2
# name, shape, dtype, the dim along which it is sharded (None: every rank holds it). Element i is i / 4.
STATE = [
    ("model.rows", (5, 3), torch.float32, 0),
    ("model.columns", (3, 5), torch.float32, 1),
    ("model.middle", (2, 6, 4), torch.bfloat16, 1),
    ("model.short", (1, 4), torch.float32, 0),
    ("model.whole", (7,), torch.float64, None),
    ("optimizer.exp_avg.rows", (5, 3), torch.float32, 0),
]


def values(shape, dtype):
    count = functools.reduce(operator.mul, shape, 1)
    return (torch.arange(count, dtype=torch.float64) / 4).reshape(shape).to(dtype)


def write(mesh, directory):
    state = {}
    for name, shape, dtype, dim in STATE:
        tensor = values(shape, dtype)
        state[name] = tensor if dim is None else distribute_tensor(tensor, mesh, [Shard(dim)])
    dcp.save(state, storage_writer=dcp.HuggingFaceStorageWriter(f"{directory}/sharded", save_distributed=True))


def read(mesh, step, directories):
    for directory in directories:
        for last in (False, True):
            state, expected = {}, {}
            for index, (name, shape, dtype) in enumerate(read_checkpoint.SPECS):
                dim = len(shape) - 1 if last else 0
                placement = [Shard(dim)] if shape else [Replicate()]
                state[name] = distribute_tensor(torch.zeros(shape, dtype=dtype), mesh, placement)
                expected[name] = distribute_tensor(read_checkpoint.expected(index, shape, dtype, int(step)), mesh,
                                                   placement)
            dcp.load(state, storage_reader=dcp.HuggingFaceStorageReader(directory))
            for name, tensor in state.items():
                assert torch.equal(tensor.to_local(), expected[name].to_local()), (directory, name, tensor)


def rank_main(rank, store, what, arguments):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=RANKS)
    mesh = init_device_mesh("cpu", (RANKS,))
    if what == "write":
        write(mesh, *arguments)
    else:
        read(mesh, arguments[0], arguments[1:])
    dist.destroy_process_group()


def main():
    what, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        # Forked: importing PyTorch takes longer than all the rest.
        mp.start_processes(rank_main, (f"{folder}/store", what, arguments), nprocs=RANKS, start_method="fork")
    if what == "write":
        mapping = {name: 1 + index % 2 for index, (name, *_) in enumerate(STATE)}
        dcp.save({name: values(shape, dtype) for name, shape, dtype, _ in STATE}, no_dist=True,
                 storage_writer=dcp.HuggingFaceStorageWriter(f"{arguments[0]}/whole", fqn_to_index_mapping=mapping))


if __name__ == "__main__":
    main()
