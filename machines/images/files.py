"""The folder of pictures: IMAGES_DIR, or `generated-images` in the working directory."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from uuid import uuid4

from PIL import Image, UnidentifiedImageError

from durable_fsm import TerminalError


def folder() -> Path:
    return Path(os.environ.get("IMAGES_DIR", "generated-images")).resolve()


def place_of(name: str) -> Path:
    """The path of a picture.

    Raises:
        TerminalError: it is not in the folder.
    """
    path = (folder() / name).resolve()
    if not path.is_relative_to(folder()):
        raise TerminalError(f"{name} is not in the folder of pictures.", code=403)
    return path


def read(name: str) -> Image.Image:
    """Open a picture.

    Raises:
        TerminalError: there is none, or it is not a picture.
    """
    try:
        with Image.open(place_of(name)) as picture:
            picture.load()
            return picture
    except FileNotFoundError as error:
        raise TerminalError(f"There is no picture {name}.", code=404) from error
    except UnidentifiedImageError as error:
        raise TerminalError(f"{name} is not a picture.", code=422) from error


def write(picture: Image.Image, name: str) -> None:
    """Write a picture whole or not at all. A second attempt replaces what the first one has written."""
    text = BytesIO()
    picture.save(text, "PNG")
    write_bytes(text.getvalue(), name)


def write_bytes(png: bytes, name: str) -> None:
    """As `write`, for the bytes of a PNG."""
    path = place_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4()}")
    try:
        unfinished.write_bytes(png)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
