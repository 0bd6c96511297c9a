"""What a picture says of how it was taken: by a camera or phone, or off a screen. By its own data, never by its looks."""

from __future__ import annotations

import PIL.Image

from medtl.imaging.image import device_of

CAMERA, SCREENSHOT = "camera", "screenshot"
_MAKE, _MODEL, _EXIF = 271, 272, 0x8769
_OF_A_LENS = (33434, 33437, 37386)
"""ExposureTime, FNumber, FocalLength (Exif 2.32, table 8): what only a camera has; scanners and programs write a make too."""
_COMMENT = 37510
_SCREEN = "screenshot"
_TEXTS = ("Software", "Comment", "Description", "Title", "XML:com.adobe.xmp")


def origin_of(picture: PIL.Image.Image, with_exif: bool = True) -> str:
    """`camera Apple iPhone 12`, `camera`, `screenshot`, or empty where nothing tells.

    `with_exif`: False where it is known to have none, for asking a PNG would decode it.

    >>> origin_of(PIL.Image.new("L", (4, 4)))
    ''
    """
    said = [str(picture.info.get(name, "")) for name in _TEXTS]
    try:
        exif = picture.getexif() if with_exif else PIL.Image.Exif()
        taken = exif.get_ifd(_EXIF)
        if any(tag in taken for tag in _OF_A_LENS):
            return f"{CAMERA} {device_of(exif.get(_MAKE), exif.get(_MODEL))}".strip()
        comment = taken.get(_COMMENT, b"")
        said.append(comment.decode("latin-1") if isinstance(comment, bytes) else str(comment))
    except Exception:  # a block of notes beside the picture, which many programs damage
        said.append("")
    return SCREENSHOT if any(_SCREEN in each[:10_000].lower() for each in said) else ""
