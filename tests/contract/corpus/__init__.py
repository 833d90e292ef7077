"""Definitions in the words of people who know one of the libraries, an idiom each; `test_corpus` runs them."""

from tests.contract.corpus import classes, selves
from tests.contract.corpus.documents import DOCUMENTS
from tests.contract.corpus.idioms import CLASSES
from tests.contract.corpus.machines import MACHINES

__all__ = ["CLASSES", "DOCUMENTS", "MACHINES", "classes", "selves"]
