"""Hugging Face's GPT-2 beside train_gpt: files in both directions, and the loss of the first windows of a text.

Usage: gpt2.py make DIRECTORY TEXT       a random GPT-2, saved by its own save_pretrained
       gpt2.py load DIRECTORY TEXT       the GPT-2 of from_pretrained; train_gpt has put its export there
Both print Hugging Face's loss over the first BATCH windows, each as long as the model's context.
"""
import sys
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

CONFIG = GPT2Config(n_layer=2, n_head=2, n_embd=32, n_positions=16, vocab_size=260, resid_pdrop=0.0, embd_pdrop=0.0,
                    attn_pdrop=0.0, tie_word_embeddings=True)
BATCH = 12


def loss_of(model, text):
    length = model.config.n_positions
    data = torch.frombuffer(bytearray(Path(text).read_bytes()), dtype=torch.uint8).long()
    windows = torch.stack([data[i * length:i * length + length + 1] for i in range(BATCH)])
    logits = model(windows[:, :-1]).logits
    return model.loss_function(logits, labels=None, vocab_size=model.config.vocab_size,
                               shift_labels=windows[:, 1:].contiguous()).item()


def main():
    what, directory, text = sys.argv[1:]
    torch.manual_seed(0)
    if what == "make":
        GPT2LMHeadModel(CONFIG).save_pretrained(directory)
    else:
        CONFIG.save_pretrained(directory)
    model, report = GPT2LMHeadModel.from_pretrained(directory, dtype=torch.float64, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    with torch.no_grad():
        print(repr(loss_of(model.eval(), text)))


main()
