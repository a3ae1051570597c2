"""Writes model files as other programs do, for our reader: one in each floating-point type, and a tiny GPT-2.

Usage: write_models.py DIRECTORY. Element i of x [4, 3] is i / 4. The GPT-2 is Hugging Face's, saved by its own
method (in directory gpt2, and in several files with an index in gpt2_sharded); sums.txt has a line for each tensor:
name, sum of the values, sizes.
"""
import sys

import torch
from safetensors.torch import save_file

directory = sys.argv[1]
x = torch.arange(12, dtype=torch.float64).reshape(4, 3) / 4
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    name = str(dtype).removeprefix("torch.")
    save_file({"x": x.to(dtype), "note": torch.zeros(2, dtype=torch.int8)}, f"{directory}/{name}.safetensors")

try:
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError:
    sys.exit(0)
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=8, n_positions=16, vocab_size=32))
model.save_pretrained(f"{directory}/gpt2")
model.save_pretrained(f"{directory}/gpt2_sharded", max_shard_size="4KB")
with open(f"{directory}/sums.txt", "w") as file:
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            print(name, repr(tensor.double().sum().item()), *tensor.shape, file=file)
