"""The restaurant's menu."""

from __future__ import annotations

from typing import NamedTuple


class Product(NamedTuple):
    id: str
    name: str
    about: str
    cents: int


MENU = (
    Product("margherita", "Margherita", "Tomato, mozzarella, basil, and nothing else", 890),
    Product("funghi", "Funghi", "Chestnut mushrooms, thyme, a little garlic", 1050),
    Product("diavola", "Diavola", "Spicy salami, chilli oil, olives", 1120),
    Product("insalata", "Insalata", "Bitter leaves, fennel, orange", 640),
    Product("tiramisu", "Tiramisù", "Made this morning, enough for two", 580),
    Product("limonata", "Limonata", "Sicilian lemons, not too sweet", 320),
)
PRODUCTS = {product.id: product for product in MENU}
