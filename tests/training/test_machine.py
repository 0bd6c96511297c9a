"""`precision: auto` is decided by what the processor does, not by who else is on it."""

from __future__ import annotations

import time

import pytest
import torch

from medtl.training import machine


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "_cpu_has_bfloat16", lambda: True)
    settings = machine.TrainerSettings(device="cpu", threads=1)

    def by(step):
        return machine.decide_precision(settings, lambda: step(torch.is_autocast_enabled("cpu"))).precision

    return by


def test_bfloat16_is_taken_where_it_takes_less_of_the_processor(decided):
    assert decided(lambda short: burn(0.01 if short else 0.03)) == "bfloat16"
    assert decided(lambda short: burn(0.03 if short else 0.01)) == "float32"


def test_waiting_for_a_neighbour_decides_nothing(decided):
    def waits_in_float32(short: bool) -> None:
        burn(0.02)
        time.sleep(0.0 if short else 0.05)

    assert decided(waits_in_float32) == "float32"


def test_what_is_clear_at_once_is_not_asked_again(decided):
    steps = []

    def counted(gain: float):
        def step(short: bool) -> None:
            steps.append(short)
            burn(0.02 / gain if short else 0.02)

        return step

    assert decided(counted(3)) == "bfloat16"
    assert len(steps) == 4, "a warm-up and one step of each"
    steps.clear()
    assert decided(counted(1.0)) == "float32"
    assert len(steps) == 8
