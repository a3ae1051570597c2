"""Writes pytorch_values.h: parameters after six steps of PyTorch's optimizers, in float64, to compare ours with.

Run with any PyTorch:  python tests/core/optim/pytorch_values.py > tests/core/optim/pytorch_values.h
Start: value[i] = cos(1.3 i); gradient of step s (from 0): sin(0.7 i + s); 8 elements, rounded to float32 first.
"""
import numpy as np
import torch

COUNT, STEPS = 8, 6

CASES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.03),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.03),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1, eps=1e-8, weight_decay=0.02),
}


def f32(values):
    return torch.tensor(np.asarray(values, dtype=np.float32).astype(np.float64))


def run(make):
    index = np.arange(COUNT)
    parameter = torch.nn.Parameter(f32(np.cos(1.3 * index)))
    optimizer = make([parameter])
    for step in range(STEPS):
        parameter.grad = f32(np.sin(0.7 * index + step))
        optimizer.step()
    return parameter.detach().tolist()


def main():
    print(f"// Made by pytorch_values.py with PyTorch {torch.__version__.split('+')[0]}; see there.")
    print("#pragma once\n\n#include <map>\n#include <string>\n#include <vector>\n")
    print("namespace trireme::optim {\n")
    print("inline const std::map<std::string, std::vector<double>> kPyTorchValues = {")
    for name, make in CASES.items():
        print(f'    {{"{name}", {{' + ", ".join(f"{v:.10g}" for v in run(make)) + "}},")
    print("};\n\n}  // namespace trireme::optim")


if __name__ == "__main__":
    main()
