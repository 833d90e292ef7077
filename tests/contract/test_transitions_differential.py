"""Random configurations run alike in transitions' own engine and in ours. `SCALE` multiplies their number."""

from __future__ import annotations

import pytest

from tests.contract.transitions_oracle import first_difference, population
from tests.scaling import SCALE

pytestmark = pytest.mark.filterwarnings("ignore::durable_fsm.errors.DefinitionWarning")

CHARTS = int(200 * SCALE)
BATCHES = 4


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_configurations_run_alike_in_both_engines(batch: int) -> None:
    differences = [found for seed in range(batch, CHARTS, BATCHES) if (found := first_difference(seed))]

    assert differences == [], f"{len(differences)} configurations differ; the first: {differences[0]}"


@pytest.mark.long
def test_the_random_configurations_have_everything_in_them() -> None:
    sample = 200
    assert sample <= CHARTS
    found = population(range(sample))

    common = ("nesting", "parallel", "internal", "reflexive", "conditions on data", "queued", "resting", "final")
    assert {feature: found[feature] for feature in common if found[feature] < sample * 0.2} == {}
    rarer = ("wildcard", "flat", "written inside")
    assert {feature: found[feature] for feature in rarer if found[feature] < sample * 0.1} == {}
