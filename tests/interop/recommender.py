"""The recommender in PyTorch, f64, with Embedding(sparse=True) and the optimizers that take sparse gradients.

Usage: recommender.py FILE.json
FILE has "optimizer", "lr", "interaction", "parameters" {name: {"shape", "values"}} and "batches" [{"dense", "rows",
"labels"}].
Prints the loss of each batch before the step on it, one a line.
"""
import json
import sys

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)


def main():
    job = json.load(open(sys.argv[1]))
    p = {name: torch.tensor(x["values"]).reshape(x["shape"]) for name, x in job["parameters"].items()}
    table = torch.nn.Embedding.from_pretrained(p.pop("embedding.weight"), freeze=False, sparse=True)
    dense = {name: value.requires_grad_() for name, value in p.items()}
    lr = job["lr"]
    optimizers = {
        "sgd": lambda: [torch.optim.SGD([table.weight, *dense.values()], lr=lr)],
        "adagrad": lambda: [torch.optim.Adagrad([table.weight, *dense.values()], lr=lr, eps=1e-10)],
        "adamw": lambda: [torch.optim.SparseAdam([table.weight], lr=lr, eps=1e-12),
                          torch.optim.Adam(dense.values(), lr=lr, eps=1e-12)],
    }[job["optimizer"]]()

    def linear(name, x):
        return F.linear(x, dense[name + ".weight"], dense[name + ".bias"])

    def logits(numbers, rows):
        first = F.relu(linear("bottom.2", F.relu(linear("bottom.0", numbers))))
        z = torch.cat([first[:, None], table(rows)], 1)
        if job["interaction"] == "concat":
            x = z.flatten(1)
        else:
            i, j = torch.tril_indices(z.shape[1], z.shape[1], -1)
            x = torch.cat([first, (z @ z.transpose(1, 2))[:, i, j]], 1)
        return linear("top.4", F.relu(linear("top.2", F.relu(linear("top.0", x))))).flatten()

    for batch in job["batches"]:
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(logits(torch.tensor(batch["dense"]), torch.tensor(batch["rows"])),
                                                  torch.tensor(batch["labels"]))
        print(repr(loss.item()))
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()


main()
