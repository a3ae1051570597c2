"""Opens checkpoint directories with the safetensors library and with PyTorch's distributed checkpoint reader.

Usage: read_checkpoint.py STEP DIRECTORY... Exits 0 if both see every tensor with the values of
tests/checkpoint/state_fixture.h.
"""
import os
import sys

import torch
import torch.distributed.checkpoint as dcp
from safetensors import safe_open

SPECS = [
    ("model.wte.weight", (7, 3), torch.float32),
    ("model.ln.bias", (5,), torch.float32),
    ("model.half", (4, 2, 2), torch.bfloat16),
    ("optimizer.exp_avg.wte.weight", (7, 3), torch.float64),
    ("model.scalar", (), torch.float32),
    ("model.one_row", (1, 4), torch.int64),
    ("model.empty", (0, 3), torch.float32),
    ("model.flags", (3,), torch.uint8),
]


def expected(index, shape, dtype, step):
    count = 1
    for size in shape:
        count *= size
    values = [(index * 31 + i * 7 + step * 13) % 127 for i in range(count)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape).to(dtype)


def check(directory, step):
    seen = {}
    for name in sorted(os.listdir(directory)):
        if name.endswith(".safetensors"):
            with safe_open(os.path.join(directory, name), framework="pt") as file:
                for key in file.keys():
                    seen.setdefault(key, []).append(file.get_tensor(key))
    assert sorted(seen) == sorted(name for name, _, _ in SPECS), sorted(seen)
    for index, (name, shape, dtype) in enumerate(SPECS):
        whole = seen[name][0] if not shape else torch.cat(seen[name])
        assert torch.equal(whole, expected(index, shape, dtype, step)), (name, whole)

    state = {name: torch.zeros(shape, dtype=dtype) for name, shape, dtype in SPECS}
    dcp.load(state, storage_reader=dcp.HuggingFaceStorageReader(directory), no_dist=True)
    for index, (name, shape, dtype) in enumerate(SPECS):
        assert torch.equal(state[name], expected(index, shape, dtype, step)), (name, state[name])


def main():
    for directory in sys.argv[2:]:
        check(directory, int(sys.argv[1]))
    print("all tensors agree")


if __name__ == "__main__":
    main()
