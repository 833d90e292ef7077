"""The city: where places are, how far apart, and how long a drive takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from random import Random

from pydantic import BaseModel

REGION = "San Jose (CA)"
TOPIC = "driver-updates"
"""The topic of Kafka that the drivers' phones write their locations to."""

TICK = timedelta(seconds=float(os.environ.get("FOOD_TICK_SECONDS", "1")))
"""The pace of everything that is simulated: a driver looks for work, or drives a step, once in this time."""
STEP = float(os.environ.get("FOOD_STEP_DEGREES", "0.005"))
"""How far a driver comes in this time, in degrees of latitude and of longitude."""

DRIVERS = ("driver-01", "driver-02")
"""The drivers of the demo."""

CENTRE = (37.3382, -121.8863)
REACH = 0.0675


class Place(BaseModel):
    latitude: float
    longitude: float


def anywhere(random: Random) -> Place:
    """Some place in the city."""
    latitude, longitude = (round(middle + random.uniform(-REACH, REACH), 5) for middle in CENTRE)
    return Place(latitude=latitude, longitude=longitude)


def distance(one: Place, other: Place) -> float:
    """In degrees. A driver moves along both axes at the same time."""
    return max(abs(one.latitude - other.latitude), abs(one.longitude - other.longitude))


def duration(*places: Place) -> float:
    """How many seconds it takes to drive from each place to the next."""
    whole = sum(distance(here, there) for here, there in pairwise(places))
    return round(whole / STEP * TICK.total_seconds(), 3)


def way(start: Place, end: Place) -> Iterator[Place]:
    """The places that a driver reaches after each step; the last one is the end."""
    here = start
    while here != end:
        here = Place(
            latitude=_nearer(here.latitude, end.latitude),
            longitude=_nearer(here.longitude, end.longitude),
        )
        yield here


def _nearer(here: float, there: float) -> float:
    left = there - here
    return there if abs(left) <= STEP else round(here + (STEP if left > 0 else -STEP), 5)


def on_map(place: Place, *, width: float, height: float) -> tuple[float, float]:
    """Where a place is on a map of this size, from its upper left corner; the whole city fits on it, with a margin."""
    north, west = CENTRE[0] + REACH, CENTRE[1] - REACH
    across, down = (place.longitude - west) / (2 * REACH), (north - place.latitude) / (2 * REACH)
    return round(width * (0.08 + 0.84 * across), 1), round(height * (0.08 + 0.8 * down), 1)
