"""Whether new labels can be believed: a model that learned from them should not contradict them far more often than a reference's."""

from __future__ import annotations

import math

import pandas as pd

from medtl.contracts import Task
from medtl.estimates import number
from medtl.evaluation.answering import judge_split
from medtl.evaluation.noninferiority import Verdict


def believable(new: pd.DataFrame, reference: pd.DataFrame, task: Task, most: float) -> Verdict:
    """The same model's predictions of other patients in either table → whether it is shown that macro-recall (the mean share of a class's,
    or finding's, labels that the model agrees with) is by no more than `most` lower by the new labels than by the reference's.

    Of a model that is right, a share f of wrong labels takes f (1 - e), e being what it gets wrong. The interval of the difference is made
    of both intervals (MOVER: Zou & Donner, Statistics in Medicine 2008), 95 %, by group.
    """
    here, there = (judge_split(table, task)["balanced_accuracy"] for table in (new, reference))
    if here["value"] is None or there["value"] is None:
        reason = "a class is missing, so that how far labels and answers agree cannot be compared"
        return Verdict(False, reason, {"value": None, "reason": reason})
    value = there["value"] - here["value"]
    low = value - math.hypot(there["value"] - there["low"], here["high"] - here["value"])
    high = value + math.hypot(there["high"] - there["value"], here["value"] - here["low"])
    shown = high <= most
    interval = f"{number(value)} [{number(low)}, {number(high)}]"
    told = f"the share of labels that it contradicts, new - reference, is {interval}"
    doubt = f"; at most {most:g} must be shown, else labels are wrong or images cannot be told apart: have some labelled a second time"
    return Verdict(shown, told + ("" if shown else doubt), {"value": value, "low": low, "high": high})
