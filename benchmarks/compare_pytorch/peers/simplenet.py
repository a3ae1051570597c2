"""SimpleNet (784-128-10, Adam) in PyTorch on IDX files: what train_classifier --model mlp does, step by step."""
import argparse
import time

import torch
import torch.nn.functional as F
from torch import nn

from common import Metrics, read_idx, read_safetensors


class SimpleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, images, labels):
        return F.cross_entropy(self.fc(images), labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs=2, required=True, metavar=("IMAGES", "LABELS"))
    parser.add_argument("--test", nargs=2, metavar=("IMAGES", "LABELS"), help="their accuracy ends the metrics")
    parser.add_argument("--precision", choices=("f32", "f64"), default="f32")
    parser.add_argument("--global-batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--fused", action="store_true")
    parser.add_argument("--init", required=True)
    parser.add_argument("--metrics", required=True)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    dtype = torch.float64 if options.precision == "f64" else torch.float32
    torch.set_default_dtype(dtype)
    model = SimpleNet()
    model.load_state_dict(read_safetensors(options.init, dtype))
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=options.fused or None)
    run = torch.compile(model) if options.compile else model
    images = read_idx(options.data[0]).flatten(1)
    labels = read_idx(options.data[1]).long()
    metrics = Metrics("examples")
    size = options.global_batch
    for step in range(options.steps):
        begin = time.perf_counter()
        index = torch.arange(step * size, (step + 1) * size) % len(images)
        batch = images[index].to(dtype) / 255
        adam.zero_grad(set_to_none=True)
        loss = run(batch, labels[index])
        loss.backward()
        adam.step()
        metrics.step(loss, size, begin)
    extra = {}
    if options.test:
        tests = [read_idx(path) for path in options.test]
        with torch.no_grad():
            best = model.fc(tests[0].flatten(1).to(dtype) / 255).argmax(1)
        extra["accuracy"] = (best == tests[1]).double().mean().item()
    metrics.write(options.metrics, torch=torch.__version__, **extra)


if __name__ == "__main__":
    main()
