"""A thorax as thickness maps: how many centimetres of lung, soft tissue and bone each ray passes.

Rays run parallel from the tube to the detector, so the path through each organ has a closed form in the image plane, and no volume need
be stored. x grows to the image's right (the patient's left), y downward, both in cm from the middle of the chest.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medtl.phantom.chance import Floats

SOFT, LUNG, BONE = 0.17, 0.045, 0.42
"""Attenuation in 1/cm at about 70 keV effective (120 kV, filtered): water-like, inflated lung, bone as a whole."""
FIELD = 40.0
"""Height of the field in cm."""


@dataclass(frozen=True)
class Anatomy:
    """One patient. Lengths in cm, others are factors around 1."""

    width: float
    depth: float
    heart: float
    aorta: float
    dome: float
    """Level of the right diaphragm's top."""
    ribs: float
    """Distance from rib to rib."""
    bone: float
    breasts: float
    scale: float


@dataclass(frozen=True)
class Pose:
    """How the patient stands, lies and breathes in one image."""

    tilt: float
    """Radians."""
    shift: tuple[float, float]
    breath: float
    """How far the diaphragm is above full inspiration, cm."""
    supine: bool
    """AP: the heart is larger, the scapulae cover the lungs."""


@dataclass(frozen=True)
class Thorax:
    """What the rays pass, in cm; every map is (H, W)."""

    body: Floats
    lung: Floats
    bone: Floats
    """Counted as what bone adds: its tissue is in `body`."""
    per_cm: float
    """Pixels per cm."""

    def attenuation(self) -> Floats:
        """The sum of mu times thickness along each ray."""
        total = SOFT * (self.body - self.lung) + LUNG * self.lung + (BONE - SOFT) * self.bone
        return np.asarray(total, np.float32)


def draw_anatomy(chance: np.random.Generator, age: int, sex: str) -> Anatomy:
    """A patient: men are wider, the old have a wider aorta and thinner bones."""
    man = sex == "M"
    return Anatomy(
        width=float(chance.normal(15.0 if man else 13.8, 0.6)),
        depth=float(np.clip(chance.normal(22 if man else 20, 2.2), 15, 28)),
        heart=float(np.clip(chance.normal(1.0, 0.07), 0.85, 1.2)),
        aorta=float(0.85 + 0.3 * age / 90 + chance.normal(0, 0.05)),
        dome=float(chance.normal(6.3, 0.5)),
        ribs=float(chance.normal(2.35, 0.08)),
        bone=float(1.15 - 0.4 * age / 90 + chance.normal(0, 0.05)),
        breasts=0.0 if man else float(chance.uniform(0.5, 3.0)),
        scale=float(chance.normal(1.04, 0.03) if man else chance.normal(0.98, 0.03)),
    )


def draw_pose(chance: np.random.Generator, view: str) -> Pose:
    """One image: those taken AP are tilted more, and breathed in less."""
    supine = view == "AP"
    loose = 2.0 if supine else 1.0
    return Pose(
        tilt=float(chance.normal(0, 0.012 * loose)),
        shift=(float(chance.normal(0, 0.4 * loose)), float(chance.normal(0, 0.5 * loose))),
        breath=float(abs(chance.normal(0, 0.5)) + 1.2 * supine),
        supine=supine,
    )


def project(anatomy: Anatomy, pose: Pose, shape: tuple[int, int], chance: np.random.Generator) -> Thorax:
    """The thickness maps of one patient in one pose; `chance` draws the vessels."""
    per_cm = shape[0] / FIELD
    x, y = _plane(anatomy, pose, shape, per_cm)
    body = _body(x, y, anatomy)
    cage = _cage(y, anatomy)
    lung = np.minimum(_lungs(x, y, anatomy, pose), 0.85 * body)
    heart = _heart(x, y, anatomy, pose)
    lung = np.maximum(lung - heart, 0) * (1 - 0.35 * _vessels(x.shape, pose, anatomy, per_cm, chance))
    bubble = 3.0 * _ball((x - 7.0) / 2.3, (y - anatomy.dome - 3.0 + pose.breath) / 1.2)  # gas in the stomach
    lung = lung + np.where(y > anatomy.dome - pose.breath, bubble, 0) * (body > 8)
    bone = anatomy.bone * (_ribs(x, y, anatomy, cage) + _spine(x, y) + _shoulders(x, y, pose)) * (body > 0)
    return Thorax(body, np.asarray(lung, np.float32), np.asarray(bone, np.float32), per_cm)


def _plane(anatomy: Anatomy, pose: Pose, shape: tuple[int, int], per_cm: float) -> tuple[Floats, Floats]:
    """The patient's own x and y at every pixel."""
    rows, columns = shape
    x = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) / per_cm - pose.shift[0]
    y = (np.arange(rows, dtype=np.float32)[:, None] - (rows - 1) / 2) / per_cm - pose.shift[1]
    cos, sin = np.float32(np.cos(pose.tilt) / anatomy.scale), np.float32(np.sin(pose.tilt) / anatomy.scale)
    return cos * x + sin * y, cos * y - sin * x


def _ball(u: Floats, v: Floats, power: float = 2.0) -> Floats:
    """Thickness (1 in the middle) of a rounded body with |u|^p + |v|^p < 1."""
    return np.asarray(np.sqrt(np.maximum(1 - np.abs(u) ** power - np.abs(v) ** power, 0)), np.float32)


def _step(distance: Floats, soft: float) -> Floats:
    """0 … 1 where `distance` passes 0, within about `soft`."""
    return np.asarray(1 / (1 + np.exp(np.clip(-4 * distance / soft, -30, 30))), np.float32)


def _body(x: Floats, y: Floats, anatomy: Anatomy) -> Floats:
    """Neck, shoulders, trunk, breasts; the arms hang beside."""
    trunk, shoulder = anatomy.width + 1.8, anatomy.width + 5.5
    half = 5.8 + (shoulder - 5.8) * _step(y + 14.8, 4.5) - (shoulder - trunk) * _step(y + 7.5, 3.0)
    depth = 13 + (anatomy.depth - 13) * _step(y + 9, 7.0)
    body = depth * _ball(x / half, np.zeros_like(y), 2.6)
    breast = anatomy.breasts * _ball((np.abs(x) - 0.52 * anatomy.width) / 6.2, (y - 3.8) / 5.6)
    return np.asarray(body + breast * (body > 0), np.float32)


def _cage(y: Floats, anatomy: Anatomy) -> Floats:
    """Half-width of the thoracic cage at each height: a dome over the apices that widens to the lowest ribs."""
    rise = np.clip((y + 14.2) / 13.5, 0, 1)
    return np.asarray(3.6 + (anatomy.width - 3.6) * np.sqrt(1 - (1 - rise) ** 2.2), np.float32)


def _dome(x: Floats, anatomy: Anatomy, pose: Pose) -> Floats:
    """Height of the diaphragm; the right one (image left) stands higher, and both fall to the costophrenic angles."""
    across = np.clip((np.abs(x) - 5.5) / (anatomy.width - 4.0), -1.2, 1.2)
    top = anatomy.dome - pose.breath + 1.3 * _step(x, 3.0)
    return np.asarray(top + 5.0 * across**2, np.float32)


def _lungs(x: Floats, y: Floats, anatomy: Anatomy, pose: Pose) -> Floats:
    """Two lungs between mediastinum and cage, cut by the diaphragm, behind which a little more lung lies."""
    outer = _cage(y, anatomy) - 0.5
    inner = 1.9 + 1.3 * np.exp(-(((y + 12.5) / 2.5) ** 2))
    inner = inner + 0.5 * np.exp(-(((y + 0.8) / 2.2) ** 2))  # the hila
    middle, half = (outer + inner) / 2, np.maximum((outer - inner) / 2, 0.05)
    long = np.clip((y + 13.8) / 26, 0, 1)
    depth = anatomy.depth * 0.74 * np.clip(np.sin(np.pi * long**0.62), 0, 1) ** 0.6
    lung = depth * _ball((np.abs(x) - middle) / half, np.zeros_like(x), 2.6) * (y > -13.8)
    return np.asarray(lung * (1 - 0.93 * _step(y - _dome(x, anatomy, pose), 0.5)), np.float32)


def _heart(x: Floats, y: Floats, anatomy: Anatomy, pose: Pose) -> Floats:
    """Thickness of heart and great vessels where they lie before lung."""
    size = anatomy.heart * (1.15 if pose.supine else 1.0)
    cx, cy = 2.7 * size, 3.6 - 0.6 * pose.breath
    u, v = 0.80 * (x - cx) + 0.60 * (y - cy), -0.60 * (x - cx) + 0.80 * (y - cy)  # its axis points down to the patient's left
    ventricle = 11 * _ball(u / (6.4 * size), v / (4.5 * size))
    atrium = 9 * _ball((x + 0.6) / (3.6 * size), (y - cy) / (5.0 * size))
    arch = 6 * _ball((x - 1.9) / (1.9 * anatomy.aorta), (y + 6.3) / (1.8 * anatomy.aorta))
    trunk = 6 * _ball((x - 2.2) / 1.9, (y + 2.4) / 2.9)
    descending = 3 * _ball((x - 1.2) / (1.5 * anatomy.aorta), np.zeros_like(y)) * _step(y + 6, 2.0)
    return np.asarray(np.maximum.reduce([ventricle, atrium, arch, trunk, descending]), np.float32)


def _ribs(x: Floats, y: Floats, anatomy: Anatomy, cage: Floats) -> Floats:
    """Ten pairs: each runs behind from the spine outward, and in front from the cage's wall down to the cartilage."""
    far = np.abs(x)
    share = np.clip(far / cage, 0, 1)
    edge = 1 / np.sqrt(np.clip(1 - share**2, 0.16, 1))  # seen end-on at the wall
    behind = y + 12.6 + 0.9 * np.sin(np.pi * share) - 4.2 * share**2
    front = y + 12.6 - 4.2 - 7.5 * (1 - share) ** 1.15
    inside = (share < 1) & (y > -14)
    back = _bands(behind, anatomy.ribs, 0.62, 10) * np.clip((far - 1.6) / 1.5, 0, 1)
    fore = 0.6 * _bands(front, anatomy.ribs, 0.72, 7) * np.clip((far - 5.0) / 2.0, 0, 1)
    return np.asarray(0.95 * edge * (back + fore) * inside, np.float32)


def _bands(distance: Floats, period: float, half: float, number: int) -> Floats:
    """Tubes with a dense rim at 0, 1, 2 … periods."""
    index = np.rint(distance / period)
    across = np.clip(np.abs(distance - index * period) / half, 0, 1.0)
    tube = np.sqrt(1 - across**2) * (0.75 + 0.5 * across**2)
    return np.asarray(tube * (index >= 0) * (index < number), np.float32)


def _spine(x: Floats, y: Floats) -> Floats:
    """Vertebral bodies with discs between, wider downward."""
    half = 1.55 + 0.012 * (y + 18)
    bodies = 0.85 + 0.15 * np.tanh(3 * np.cos(2 * np.pi * y / 2.45) + 1.5)
    return np.asarray(1.5 * bodies * _ball(x / half, np.zeros_like(y), 3.0), np.float32)


def _shoulders(x: Floats, y: Floats, pose: Pose) -> Floats:
    """Clavicles, scapulae, heads of the humeri."""
    far = np.abs(x)
    line = -10.4 - 0.24 * (far - 1.6) + 0.55 * np.sin((far - 1.6) * 0.5)
    clavicle = 1.2 * _ball((y - line) / 0.62, np.zeros_like(x)) * _step(far - 1.5, 0.6) * _step(15.2 - far, 0.6)
    out = 12.6 if pose.supine else 14.6
    u, v = (far - out) + 0.18 * (y + 5), (y + 5.5)
    scapula = 0.42 * _ball(u / 2.6, v / 5.8, 2.5) + 0.35 * _ball((u + 2.1) / 0.35, v / 5.6)
    humerus = 1.6 * _ball((far - 18.3) / 2.3, (y + 10.6) / 2.4)
    return np.asarray(clavicle + scapula + humerus, np.float32)


def _vessels(shape: tuple[int, ...], pose: Pose, anatomy: Anatomy, per_cm: float, chance: np.random.Generator) -> Floats:
    """(H, W) in 0 … 1: branches that leave the hila and thin out."""
    canvas = np.zeros(shape, np.uint8)
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2]) / per_cm + pose.shift
    for side in (-1, 1):
        for angle in np.linspace(-1.25, 1.3, 15) + chance.normal(0, 0.08, 15):
            place, heading = np.array([3.0 * side, -0.9 + 0.6 * angle]) * anatomy.scale, angle
            for thick in (0.42, 0.3, 0.2, 0.12):
                heading += chance.normal(0, 0.16)
                end = place + np.array([side * np.cos(heading), np.sin(heading)]) * chance.uniform(1.5, 2.6)
                points = np.rint((np.stack([place, end]) + middle) * per_cm * 8).astype(np.int32)
                cv2.polylines(canvas, [points], False, 255 * min(1, thick * 3), max(1, round(thick * per_cm)), cv2.LINE_AA, 3)
                place = end
    return np.asarray(cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), max(0.6, 0.12 * per_cm)), np.float32)
