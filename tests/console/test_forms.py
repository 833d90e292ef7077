"""The file of operators, and forms that are made of schemas."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from durable_fsm.console.forms import fields_of, filled
from durable_fsm.console.operators import Operator, OperatorBook, hash_password

# ── the file of operators, forms ──────────────────────────────────────────────────────────────────────────────────────


def test_operators_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "operators.toml"
    file.write_text(
        f'[[operator]]\nname = "ann"\npassword = "{hash_password("tea at four", cost=2)}"\nroles = ["send"]\n'
    )

    book = OperatorBook.read(file)

    assert book.admitted("ann", "tea at four") == Operator("ann", frozenset({"send"}))
    assert (book.admitted("ann", "tea"), book.admitted("bob", ""), book.named("bob")) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "missing required field `operator`"),
        ("operator = 3", "Expected `array`, got `int` - at `$.operator`"),
        ("[[operator]]\n", "missing required field `name` - at `$.operator[0]`"),
        ('[[operator]]\nname = "a"\nroles = ["rule"]', "Invalid enum value 'rule' - at `$.operator[0].roles[0]`"),
        ('[[operator]]\nname = "a"\nroles = "send"', "Expected `array`, got `str` - at `$.operator[0].roles`"),
        ('[[operator]]\nname = "a"\npasword = "x"', "unknown field `pasword` - at `$.operator[0]`"),
        ('[[operator]]\nname = "a"\npassword = "tea"', "durable-fsm hash-password"),
        ('[[operator]]\nname = "a"\n[[operator]]\nname = "a"', "two operators are called 'a'"),
        ("[[operator", "cannot be read"),
    ],
    ids=range(9),
)
def test_a_file_that_makes_no_sense_is_refused_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "operators.toml"
    file.write_text(text)

    with pytest.raises(ValueError, match=re.escape(problem)):
        OperatorBook.read(file)
    with pytest.raises(ValueError, match="cannot be read"):
        OperatorBook.read(tmp_path / "nowhere.toml")


def test_a_payload_that_is_no_object_has_one_field_of_json() -> None:
    (field_,) = fields_of({"type": "array", "items": {"type": "string"}})

    assert (field_.kind, filled((field_,), {"payload": '["a"]'}).payload) == ("json", ["a"])
    assert filled((field_,), {"payload": ""}).problem == "Payload: it is missing"
    assert fields_of(None) == ()
    assert filled((), {}).payload is None
    schema = {
        "type": "object",
        "properties": {
            "size": {"$ref": "#/$defs/Size"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
        "required": ["size"],
        "$defs": {"Size": {"enum": ["s", "m"], "type": "string"}},
    }
    size, note = fields_of(schema)
    assert (size.kind, size.choices, size.required, note.kind, note.required) == (
        "choice",
        ("s", "m"),
        True,
        "text",
        False,
    )
    assert filled((size, note), {"f.size": "m", "f.note": ""}).payload == {"size": "m"}
