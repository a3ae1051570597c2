"""The GPTs that are trained, and the options by which both sides train the same one."""
import subprocess
from dataclasses import dataclass


@dataclass
class Shape:
    layers: int
    heads: int
    width: int
    context: int
    batch: int
    steps: int  # of a run
    vocab: int = 256


SHAPES = {
    "gpt-nano": Shape(4, 4, 128, 64, 12, 60),
    "gpt-small": Shape(6, 6, 384, 256, 8, 14),
    "gpt2-124m": Shape(12, 12, 768, 512, 2, 5, 50257),
}


def shape_options(name, times=1):
    """`times`: by how much the batch is larger than the shape's."""
    s = SHAPES[name]
    return ["--layers", str(s.layers), "--heads", str(s.heads), "--width", str(s.width), "--context", str(s.context),
            "--vocab", str(s.vocab), "--global-batch", str(s.batch * times)]


def initial_gpt(c, name):
    """Both sides start from the same values: ours makes them."""
    path = c.folder / f"{name}.safetensors"
    if not path.exists():
        subprocess.run([c.bin / "train_gpt", *shape_options(name), "--data", c.text, "--steps", "0", "--lanes", "1",
                        "--progress", "off", "--export", path], check=True, stdin=subprocess.DEVNULL)
    return path


def gpt_sides(c, name, lanes, times=1):
    """Options of the rival's program, and of ours."""
    common = [*shape_options(name, times), "--data", c.text, "--steps", str(SHAPES[name].steps), "--init",
              initial_gpt(c, name)]
    return common, [*common, "--lanes", str(lanes)]
