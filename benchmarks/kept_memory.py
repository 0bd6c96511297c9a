"""What keeping freed memory is worth (`medtl.memory.keep_freed_memory`): the same training steps with and without it.

python benchmarks/kept_memory.py [SIDE]

Alternating fresh processes, one thread; prints JSON: CPU seconds per step (user + system, median of all) and their ratio.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys

STEPS, BATCH, ROUNDS = 6, 32, 3


def steps(side: int, keep: bool) -> None:
    """Print CPU seconds of each training step of MobileNetV2."""
    import timm
    import torch

    from medtl.memory import keep_freed_memory

    torch.set_num_threads(1)
    if keep:
        keep_freed_memory()
    network = timm.create_model("mobilenetv2_100", num_classes=2).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    images = torch.rand(BATCH, 3, side, side).contiguous(memory_format=torch.channels_last)
    targets = torch.randint(0, 2, (BATCH,))
    spent = []
    for _ in range(STEPS + 2):
        before = cpu()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), targets).backward()
        optimizer.step()
        spent.append(cpu() - before)
    print(json.dumps(spent[2:]))


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(side: int) -> None:
    taken: dict[str, list[float]] = {"keep": [], "return": []}
    for _ in range(ROUNDS):
        for name in taken:
            done = subprocess.run([sys.executable, __file__, str(side), name], capture_output=True, text=True, check=True)
            taken[name] += json.loads(done.stdout)
    medians = {name: round(statistics.median(values), 3) for name, values in taken.items()}
    print(
        json.dumps({"side": side, "batch": BATCH, "cpu_seconds_per_step": medians, "ratio": round(medians["return"] / medians["keep"], 2)})
    )


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 160
    if len(sys.argv) > 2:
        steps(size, sys.argv[2] == "keep")
    else:
        main(size)
