"""How much energy a training takes, by codecarbon, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from medtl.errors import MedtlError

_GRAMS_PER_KWH = 1000
"""Codecarbon says kilograms of CO2; at this intensity they are kilowatt hours."""


class Meter:
    """Kilowatt hours of this process and those it started, since the meter was made.

    Counted by the processor's and the GPU's own counters (RAPL, NVML) where they may be read, else estimated from the load and the usual
    power of such a processor; memory is always estimated, and GPUs count whole (Courty et al., codecarbon). Nothing is sent or written.
    Raises MedtlError where codecarbon is not installed or cannot start.
    """

    def __init__(self) -> None:
        try:
            from codecarbon import OfflineEmissionsTracker
        except ModuleNotFoundError:
            raise MedtlError("tracking.energy: codecarbon is not installed; install it with: pip install 'medtl[energy]'") from None
        self._tracker = OfflineEmissionsTracker(
            country_iso_code="DEU",  # has to be named; the intensity below takes its place
            force_carbon_intensity_g_co2e_kwh=_GRAMS_PER_KWH,
            tracking_mode="process",
            allow_multiple_runs=True,
            output_methods=[],
            log_level="critical",
        )
        self._tracker.start()
        if self._tracker.flush() is None:
            raise MedtlError("tracking.energy: codecarbon cannot measure on this machine; train without it")

    def __call__(self) -> float:
        """Kilowatt hours so far."""
        return float(self._tracker.flush())

    def stop(self) -> None:
        """End the measuring; its threads end with it."""
        self._tracker.stop()


@contextmanager
def metered(wanted: bool) -> Iterator[Meter | None]:
    """A meter for as long as it is needed, where one is wanted."""
    if not wanted:
        yield None
        return
    meter = Meter()
    try:
        yield meter
    finally:
        meter.stop()
