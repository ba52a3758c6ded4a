"""The factors of a drawn face, as plain data: `minigan.data.drawn.faces` paints from them; they are also its labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FaceFactors:
    """All factors of one face: its image is a function of these fields and of nothing else.

    The categorical fields take the values listed in `minigan.data.drawn.faces.FACTOR_VALUES` and are drawn
    independently of each other.

    Attributes
    ----------
    hair_style, bangs, hair_colour, ahoge : str
        Back hair and side locks; front hair; colour; whether a single lock stands up from the top of the head.
    eye_shape, eye_colour, brow, mouth, skin, face_shape, blush : str
        The face.
    accessory, clothes, clothes_colour, background : str
        The rest of the image. Ornaments take the clothes' colour.
    turn : float
        Sideways turn of the head, -1 (to the left of the image) to 1.
    tilt : float
        Tilt of the head in degrees, -11 to 11, positive to the right.
    zoom : float
        Size of the head, 0.96 to 1.14.
    shift_x, shift_y : float
        Position of the head, -0.02 to 0.02 image widths from the middle.
    gaze : float
        Sideways look of the eyes, -1 to 1.
    eye_size : float
        0.89 to 1.05.
    hair_tint, hair_depth : float
        Shifts of the hair colour's warmth and lightness, -1 to 1.
    background_hue : float
        0 to 1; unused where the background is white.
    strands : tuple of float
        Numbers from -1 to 1 that move single locks of hair.
    """

    hair_style: str
    bangs: str
    hair_colour: str
    ahoge: str
    eye_shape: str
    eye_colour: str
    brow: str
    mouth: str
    skin: str
    face_shape: str
    blush: str
    accessory: str
    clothes: str
    clothes_colour: str
    background: str
    turn: float
    tilt: float
    zoom: float
    shift_x: float
    shift_y: float
    gaze: float
    eye_size: float
    hair_tint: float
    hair_depth: float
    background_hue: float
    strands: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the factors as a dict of plain str, float and list, ready for JSON."""
        return {**asdict(self), "strands": list(self.strands)}
