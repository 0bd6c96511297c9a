"""How often the 95 % intervals hold the truth, by how many patients are ill: sensitivity, specificity, F1, AUROC of clustered images.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/coverage.py [RUNS]

Made cohorts: so many ill patients and three times as many well ones, 1 to 4 images each, half of the noise shared within a patient; AUROC
0.76 or 0.92, the threshold where 80 % of ill images are found. The truth is known in closed form. An interval that is not there counts as
neither. Prints a table: share held, and mean width. AUROC, whose bootstrap takes time, is judged on every fourth cohort.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import Estimate, class_figures, ranks
from medtl.evaluation.resampling import resample

ILL, SEPARATIONS, DRAWS = (5, 10, 20, 50, 200), (1.0, 2.0), 500
WELL_FOR_ONE, MOST_IMAGES, FOUND, RARELY = 3, 4, 0.8, 4


@dataclass(frozen=True)
class World:
    """What is true of all patients who could have come."""

    separation: float

    @property
    def threshold(self) -> float:
        return float(self.separation - norm.ppf(FOUND))

    def truth(self) -> dict[str, float]:
        alarms = float(norm.sf(self.threshold))
        return {
            "sensitivity": FOUND,
            "specificity": 1 - alarms,
            "F1": 2 * FOUND / (2 * FOUND + (1 - FOUND) + WELL_FOR_ONE * alarms),
            "AUROC": float(norm.cdf(self.separation / np.sqrt(2))),
        }

    def cohort(self, random: np.random.Generator, ill: int) -> Cases:
        of_patient = np.repeat([1, 0], [ill, WELL_FOR_ONE * ill])
        groups = np.repeat(np.arange(len(of_patient)), random.integers(1, MOST_IMAGES + 1, len(of_patient)))
        truth = of_patient[groups]
        noise = random.normal(size=len(of_patient))[groups] + random.normal(size=len(groups))
        score = self.separation * truth + noise / np.sqrt(2)
        p = expit(self.separation * score)
        called = (score >= self.threshold).astype(np.int64)
        return Cases(("well", "ill"), 1, truth, called, np.column_stack([1 - p, p]), groups, len(truth), len(of_patient))


def judged(cases: Cases, seed: int) -> dict[str, Estimate]:
    """The intervals as metrics.json has them."""
    ill, well = class_figures(cases, 1), class_figures(cases, 0)
    shares = {"sensitivity": ill["recall"], "specificity": well["recall"], "F1": ill["f1"]}
    return shares if seed % RARELY else {**shares, "AUROC": ranks(cases, resample(cases, seed, DRAWS))[0]}


def coverage(separation: float, ill: int, runs: int) -> dict[str, tuple[float, float]]:
    """Figure -> (share of the intervals that hold the truth, their mean width)."""
    random, world = np.random.default_rng(ill), World(separation)
    truth = world.truth()
    held: dict[str, int] = dict.fromkeys(truth, 0)
    widths: dict[str, list[float]] = {name: [] for name in truth}
    for run in range(runs):
        for name, found in judged(world.cohort(random, ill), run).items():
            if found.get("low") is not None:
                held[name] += found["low"] <= truth[name] <= found["high"]
                widths[name].append(found["high"] - found["low"])
    return {name: (held[name] / len(widths[name]), float(np.mean(widths[name]))) for name in truth}


def main(runs: int) -> None:
    errors = [3 * np.sqrt(0.95 * 0.05 / each) for each in (runs, runs / RARELY)]
    print(f"{runs} cohorts each; three standard errors of 0.95: {errors[0]:.3f}, of AUROC {errors[1]:.3f}")
    print("| ill patients | AUROC | sensitivity | specificity | F1 | AUROC's interval |\n|---|---|---|---|---|---|")
    for separation in SEPARATIONS:
        for ill in ILL:
            found = coverage(separation, ill, runs)
            cells = [f"{share:.3f} (width {width:.3f})" for share, width in found.values()]
            print(f"| {ill} | {World(separation).truth()['AUROC']:.2f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
