"""GPT-2 on bytes in PyTorch: what train_gpt does, step by step the same losses. One process, or
DDP or FSDP2 over Gloo."""
import argparse
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from common import Metrics, read_safetensors, run_ranks


class Projection(nn.Module):
    """y = x W + b with W stored [in, out], as GPT-2's files have it."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        return torch.addmm(self.bias, x.flatten(0, -2), self.weight).unflatten(0, x.shape[:-1])


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps=1e-5), nn.LayerNorm(width, eps=1e-5)
        self.attn = nn.ModuleDict({"c_attn": Projection(width, 3 * width), "c_proj": Projection(width, width)})
        self.mlp = nn.ModuleDict({"c_fc": Projection(width, 4 * width), "c_proj": Projection(4 * width, width)})

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.attn["c_attn"](self.ln_1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn["c_proj"](mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, layers, heads, width, context, vocab):
        super().__init__()
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(vocab, width), "wpe": nn.Embedding(context, width),
            "h": nn.ModuleList(Block(width, heads) for _ in range(layers)), "ln_f": nn.LayerNorm(width, eps=1e-5)})

    def forward(self, tokens, targets):
        t = self.transformer
        x = t["wte"](tokens) + t["wpe"](torch.arange(tokens.shape[1]))
        for block in t["h"]:
            x = block(x)
        logits = F.linear(t["ln_f"](x), t["wte"].weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def batch_of(data, step, options, first, count):
    """Samples first .. first + count of the step's global batch, in the order `sequential`."""
    length = options.context
    windows = (len(data) - 1) // length
    begin = [(step * options.global_batch + first + i) % windows * length for i in range(count)]
    rows = torch.stack([data[b:b + length + 1] for b in begin]).long()
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def shard(model, options):
    """FSDP2: each block is a unit, and the rest."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    mesh = init_device_mesh("cpu", (options.ranks,))
    for block in model.transformer["h"]:
        if options.compile:
            block.compile()
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def train(rank, options):
    torch.set_num_threads(options.threads)
    dtype = torch.float64 if options.precision == "f64" else torch.float32
    torch.set_default_dtype(dtype)
    model = Gpt(options.layers, options.heads, options.width, options.context, options.vocab)
    model.load_state_dict(read_safetensors(options.init, dtype))
    if options.fsdp:
        shard(model, options)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
         {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}],
        lr=options.lr, betas=(0.9, 0.95), eps=1e-8, fused=options.fused or None)
    wrapped = nn.parallel.DistributedDataParallel(model) if options.ranks > 1 and not options.fsdp else model
    run = torch.compile(wrapped) if options.compile and not options.fsdp else wrapped

    data = torch.frombuffer(bytearray(Path(options.data).read_bytes()), dtype=torch.uint8)
    mine = options.global_batch // options.ranks
    metrics = Metrics("tokens")
    for step in range(options.steps):
        begin = time.perf_counter()
        tokens, targets = batch_of(data, step, options, rank * mine, mine)
        optimizer.zero_grad(set_to_none=True)
        loss = run(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        metrics.step(loss, options.global_batch * options.context, begin)
    if options.ranks > 1:
        losses = torch.stack(metrics.losses)
        dist.all_reduce(losses)
        metrics.losses = list(losses / options.ranks)
    if rank == 0:
        metrics.write(options.metrics, torch=torch.__version__)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("layers", 4), ("heads", 4), ("width", 128), ("context", 64), ("vocab", 256),
                        ("global-batch", 12), ("steps", 30), ("threads", 1), ("ranks", 1)):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"({value})")
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--precision", choices=("f32", "f64"), default="f32")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--fsdp", action="store_true", help="parameters sharded over the ranks (FSDP2)")
    parser.add_argument("--fused", action="store_true", help="the fused AdamW")
    for name in ("data", "init", "metrics"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    if options.global_batch % options.ranks or options.width % options.heads:
        parser.error("--global-batch must divide by --ranks, --width by --heads")
    run_ranks(options.ranks, train, options)


if __name__ == "__main__":
    main()
