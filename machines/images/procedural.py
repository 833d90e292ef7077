"""Pictures without a model: hills under a sky, painted from a hash of the prompt. The same prompt makes the same picture."""

from __future__ import annotations

import colorsys
import hashlib
import math
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Colour = tuple[int, int, int]


def draw(prompt: str, size: tuple[int, int], before: Image.Image | None) -> Image.Image:
    """Paint a landscape; or paint another picture in the colours of the prompt."""
    chance = Random(hashlib.sha256(prompt.encode()).digest())
    hue = 0.58 + 0.5 * chance.random()  # skies from blue over red to yellow
    return _landscape(chance, hue, size) if before is None else _repainted(chance, hue, before)


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _landscape(chance: Random, hue: float, size: tuple[int, int]) -> Image.Image:
    width, height = size
    picture = _gradient(_colour(hue - 0.12, 0.72, 0.46), _colour(hue + 0.06, 0.42, 1), size)
    sun = chance.uniform(0.2, 0.8) * width, chance.uniform(0.28, 0.5) * height
    for radius, strength in ((0.34, 40), (0.2, 60), (0.1, 255)):
        light = Image.new("L", size)
        edge = radius * height
        box = (sun[0] - edge, sun[1] - edge, sun[0] + edge, sun[1] + edge)
        ImageDraw.Draw(light).ellipse(box, fill=strength)
        light = light.filter(ImageFilter.GaussianBlur(edge / (3 if strength < 255 else 40)))
        picture.paste(_colour(hue + 0.08, 0.18, 1), mask=light)
    layers = 5
    for layer in range(layers):
        near = (layer + 1) / layers
        colour = _colour(hue - 0.02 - 0.22 * near, 0.3 + 0.4 * near, 0.86 - 0.68 * near)
        ridge = _ridge(chance, width, (0.48 + 0.13 * layer) * height, (0.1 - 0.012 * layer) * height)
        ImageDraw.Draw(picture).polygon([(0, height), *ridge, (width, height)], fill=colour)
    return picture


def _ridge(chance: Random, width: int, level: float, rise: float) -> list[tuple[float, float]]:
    waves = [(chance.uniform(1, 2.4) * 2**octave, chance.uniform(0, 7), 0.5**octave) for octave in range(5)]
    places = [*range(0, width, 4), width]
    return [
        (at, level - rise * sum(share * math.sin(often * at / width * 6 + start) for often, start, share in waves))
        for at in places
    ]


def _gradient(above: Colour, below: Colour, size: tuple[int, int]) -> Image.Image:
    column = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, below), Image.new("RGB", size, above), column)


def _repainted(chance: Random, hue: float, before: Image.Image) -> Image.Image:
    """The picture in three colours of the prompt, with some of its own light, and with its contours drawn."""
    grey = ImageOps.autocontrast(before.convert("L"))
    painted = ImageOps.colorize(
        grey, _colour(hue + 0.6, 0.75, 0.16), _colour(hue, 0.3, 1), _colour(hue + chance.uniform(0.3, 0.5), 0.55, 0.7)
    )
    contours = ImageOps.invert(grey.filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.CONTOUR))
    ink = Image.merge("RGB", [contours.point([round(level * 0.55) for level in range(256)])] * 3)
    return ImageChops.subtract(Image.blend(painted, before, 0.22), ink)
