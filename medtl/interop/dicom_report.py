"""An answer as a DICOM Structured Report: TID 1500, "Measurement Report" (DICOM PS3.16), in Comprehensive SR.

The class is a qualitative evaluation, probability, threshold and prevalence are numbers (UCUM 1); the algorithm is named with its version
and the package's fingerprint; "no answer" is a decision with its reason, and then there are no numbers.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator

import highdicom as hd
from highdicom import sr
from pydicom import Dataset
from pydicom.uid import generate_uid

import medtl
from medtl.card import RESEARCH_ONLY, SYNTHETIC_MODEL
from medtl.interop import dicom_codes as codes
from medtl.interop.case import Case
from medtl.predictions import NO_ANSWER

SERIES = 9901
"""Number of the series of reports; machines number theirs from 1."""


def structured_report(case: Case, source: Dataset) -> hd.sr.ComprehensiveSR:
    """`source`: of :func:`medtl.interop.dicom_source.source_of`. Marked preliminary and unverified: no person has read it."""
    content = sr.MeasurementReport(
        observation_context=_observer(case),
        procedure_reported=codes.IMAGING,
        imaging_measurements=[_group(case, source)],
        title=codes.TITLE,
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(codes.ENGLISH),
    )
    return sr.ComprehensiveSR(
        evidence=[source], content=content, series_instance_uid=generate_uid(prefix=None), series_number=SERIES,
        sop_instance_uid=generate_uid(prefix=None), instance_number=1, is_complete=True, is_final=False, is_verified=False,
        specific_character_set="ISO_IR 192", series_description=f"AI answer, research use only: {case.package.name}"[:64],
        **equipment(case),
    )  # fmt: skip


def equipment(case: Case) -> dict[str, str]:
    """What made the object, for both kinds of it."""
    return {
        "manufacturer": "medtl", "manufacturer_model_name": case.package.name[:64], "software_versions": medtl.__version__,
        "device_serial_number": case.package.fingerprint,
    }  # fmt: skip


def _observer(case: Case) -> sr.ObservationContext:
    """The model as a device; its UID is that of the fingerprint, the same in every report of it."""
    own = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, case.package.fingerprint).int}"
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=own, name=case.package.name[:64], manufacturer_name="medtl", model_name=case.package.name[:64],
        serial_number=case.package.fingerprint,
    )  # fmt: skip
    return sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DEVICE, device))


def _group(case: Case, source: Dataset) -> sr.MeasurementsAndQualitativeEvaluations:
    frames = [case.number] if case.count > 1 else None
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(generate_uid(prefix=None), "answer of the model"),
        algorithm_id=sr.AlgorithmIdentification(
            name=case.package.name[:64], version=f"medtl {case.package.medtl}, fingerprint {case.package.fingerprint[:16]}",
            parameters=list(_parameters(case)), family=codes.FAMILY, manufacturer="medtl",
        ),
        measurements=list(_numbers(case)) or None,
        qualitative_evaluations=list(_evaluations(case)),
        source_images=[sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID, frames)],
    )  # fmt: skip
    for name, text in _texts(case):
        group[0].ContentSequence.append(sr.TextContentItem(name, text, relationship_type=sr.RelationshipTypeValues.CONTAINS))
    return group


def _parameters(case: Case) -> Iterator[str]:
    package, point = case.package, case.package.operating_point
    yield f"fingerprint: {package.fingerprint}"
    yield f"made: {package.created}"
    yield f"classes: {', '.join(package.task.names)}"
    yield f"rule: {point.rule}"
    yield f"networks: {len(package.weights)}"


def _numbers(case: Case) -> Iterator[sr.Measurement]:
    """Probabilities of every class, thresholds and prevalences where they are known; none without an answer."""
    for name, share in case.probabilities.items():
        if math.isfinite(share):
            yield sr.Measurement(codes.probability_of(name), float(share), codes.NO_UNITS)
    if case.decision != NO_ANSWER:
        for name, cut in case.thresholds.items():
            yield sr.Measurement(codes.threshold_of(name), float(cut), codes.NO_UNITS)
        for name, share in case.prevalence.items():
            yield sr.Measurement(codes.prevalence_of(name), float(share), codes.NO_UNITS)


def _evaluations(case: Case) -> Iterator[sr.QualitativeEvaluation]:
    if case.decision == NO_ANSWER:
        yield sr.QualitativeEvaluation(codes.DECISION, codes.NO_ANSWER)
    elif not case.called:
        yield sr.QualitativeEvaluation(codes.DECISION, codes.NONE_FOUND)
    for name in case.called:
        yield sr.QualitativeEvaluation(codes.FINDING, codes.of_class(name))


def _texts(case: Case) -> Iterator[tuple[sr.CodedConcept, str]]:
    yield codes.RESEARCH_USE, RESEARCH_ONLY
    if case.package.synthetic:
        yield codes.RESEARCH_USE, SYNTHETIC_MODEL
    yield codes.IMAGE_HASH, case.sha256
    for sentence in (case.because, *case.worth, case.operating_point, *case.notes, f"Meant for: {case.scope}" if case.scope else ""):
        if sentence:
            yield codes.COMMENT, sentence
