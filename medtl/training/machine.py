"""What the machine decides: device, threads, precision. Decided once per run and written into the resolved experiment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

from medtl.errors import MedtlError
from medtl.experiment.schema import TrainerSettings
from medtl.processors import processors

PAYS, CLEAR = 1.15, 1.25
"""How many times as fast bfloat16 has to be, and by what factor beyond that, or short of it, one look at it is enough."""


def why_no_gpu() -> str:
    """One sentence for a person who expected a GPU; empty where there is one."""
    if torch.cuda.is_available():
        return ""
    if torch.version.cuda is None:
        return "this build of torch has no CUDA support"
    if not os.path.exists("/proc/driver/nvidia/version") and not os.path.exists("/dev/nvidiactl"):
        return "no NVIDIA driver is loaded on this machine"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "unset") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    return f"the NVIDIA driver does not serve CUDA {torch.version.cuda}, which this torch was built for"


def decide(settings: TrainerSettings) -> TrainerSettings:
    """Replace `device: auto` and `threads: null` by what holds here; `precision: auto` is left to :func:`decide_precision`."""
    reason = why_no_gpu()
    if settings.device == "cuda" and reason:
        raise MedtlError(f"trainer.device: cuda is asked for, but {reason}; allowed here: cpu, auto")
    if settings.devices * settings.num_nodes > 1:
        raise MedtlError(
            f"trainer: {settings.devices} devices on {settings.num_nodes} nodes are asked for, but this version of medtl trains on one; "
            "set trainer.devices and trainer.num_nodes to 1"
        )
    device = settings.device if settings.device != "auto" else ("cpu" if reason else "cuda")
    return settings.model_copy(update={"device": device, "threads": settings.threads or processors()})


def decide_precision(settings: TrainerSettings, step: Callable[[], None]) -> TrainerSettings:
    """Replace `precision: auto`: bfloat16 where probe steps are at least 1.15 times as fast, else float32.

    `step` runs one forward and backward pass of the network at hand on throw-away data. Without hardware support
    (AVX-512-BF16 or AMX on a CPU) bfloat16 is emulated and never faster, so nothing is probed.
    """
    if settings.precision != "auto":
        return settings
    supported = torch.cuda.is_bf16_supported() if settings.device == "cuda" else _cpu_has_bfloat16()
    precision = "float32"
    if supported:
        precision = "bfloat16" if _gain(step, settings.device) > PAYS else "float32"
    return settings.model_copy(update={"precision": precision})


def _cpu_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _gain(step: Callable[[], None], device: str) -> float:
    """How many times as fast a step is in bfloat16: by the fastest of three after a warm-up, taking turns; by one where that is clear.

    A neighbour's load must not decide, or one config trains in two ways on two days: on a CPU its own processor time is what counts.
    """
    clock = time.perf_counter if device == "cuda" else time.process_time
    taken: dict[bool, list[float]] = {False: [], True: []}
    gain = PAYS
    for turn in range(4):
        for short, seconds in taken.items():
            with torch.autocast(device, torch.bfloat16, enabled=short):
                start = clock()
                step()
                if device == "cuda":
                    torch.cuda.synchronize()
                seconds.append(clock() - start)
        if turn:
            gain = min(taken[False][1:]) / max(min(taken[True][1:]), 1e-9)
            if not PAYS / CLEAR < gain < PAYS * CLEAR:
                break
    return gain
