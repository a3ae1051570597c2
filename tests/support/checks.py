"""Checks of a whole system from outside: for programs that start real services or networks, and say how many held."""
import subprocess
import time

# A small GPT, as arguments of train_gpt; what its steps make of it is the same bits however it is run.
MODEL = ("--layers", "2", "--heads", "2", "--width", "64", "--context", "32", "--global-batch", "12", "--lanes", "12",
         "--seed", "7", "--progress", "off")


def require(condition, *context):
    if not condition:
        raise AssertionError("\n".join(str(c) for c in context))


def run_checks(checks, kinds=("check_",), after_each=lambda: None):
    """Runs the methods whose names begin so, in the order of their names, and prints one line each. How many failed is
    the result's second number, how many held its first."""
    passed = failed = 0
    for name in [n for n in dir(checks) if n.startswith(kinds)]:
        begin = time.monotonic()
        try:
            getattr(checks, name)()
            passed += 1
            verdict = "ok    "
        except (AssertionError, subprocess.SubprocessError, OSError) as error:
            failed += 1
            verdict = f"FAILED\n{error}\n"
        after_each()
        what = name.partition("check_")[2].replace("_", " ")
        print(f"{verdict} {what} ({time.monotonic() - begin:.1f} s)", flush=True)
    return passed, failed
