"""Types of data and payloads: what a step leaves is what the next step finds, or the type is refused by name."""

from __future__ import annotations

from dataclasses import InitVar, field, make_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasGenerator,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    SerializeAsAny,
    StringConstraints,
    create_model,
    field_serializer,
)
from pydantic import computed_field as computed
from pydantic import dataclasses as pydantic_dataclasses
from pydantic.alias_generators import to_camel, to_pascal
from statemachine import State, StateChart
from typing_extensions import TypedDict

from durable_fsm import DefinitionError, chart_from, durable, event
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.events import Event
from durable_fsm.core.step import start, step
from durable_fsm.core.values import Misfit
from durable_fsm.errors import ActionError
from durable_fsm.frontends.checks.losses import refuse_losses
from durable_fsm.frontends.values import Typed
from tests.scaling import SCALE

Made = tuple[Any, st.SearchStrategy[Any]]
"""A type, and values of it."""

FIELDS = ("amount", "customer_name", "x", "n_n")

SCALARS: list[Made] = [
    (int, st.integers(-(2**40), 2**40)),
    (str, st.text(st.characters(codec="utf-8"), max_size=4)),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=2)),
    (datetime, st.datetimes(timezones=st.just(UTC))),
    (timedelta, st.timedeltas(timedelta(days=-9), timedelta(days=9))),
    (UUID, st.uuids()),
    (set[str], st.sets(st.sampled_from("abc"))),
    (tuple[int, date], st.tuples(st.integers(0, 9), st.dates())),
    (int | str | None, st.none() | st.integers(0, 9) | st.sampled_from(["1", "", "a"])),
]

NAMES = ("nickName", "other", "amount")
ALIASES: list[dict[str, Any]] = [
    {},
    *({kind: name} for kind in ("alias", "validation_alias", "serialization_alias") for name in NAMES),
    {"alias": "a", "serialization_alias": "b"},
    {"validation_alias": AliasChoices("one", AliasPath("path", 0), "amount")},
    {"validation_alias": AliasPath("path", 1)},
    {"exclude": True},
]

CONFIGS: list[dict[str, Any]] = [
    {},
    {"populate_by_name": True},
    {"alias_generator": to_camel},
    {"alias_generator": AliasGenerator(validation_alias=to_camel)},
    {"alias_generator": AliasGenerator(validation_alias=to_camel, serialization_alias=to_pascal)},
    {"serialize_by_alias": True},
    {"validate_by_alias": False, "validate_by_name": True},
    {"extra": "forbid"},
    {"extra": "allow"},
]


def a_typed_dict(members: dict[str, tuple[Any, Any]], config: dict[str, Any]) -> Any:
    made: Any = TypedDict("Made", {name: Annotated[kind, spec] for name, (kind, spec) in members.items()})  # type: ignore[operator]
    made.__pydantic_config__ = ConfigDict(**config)
    return made


def a_dataclass(members: dict[str, tuple[Any, Any]], config: dict[str, Any]) -> Any:
    made = make_dataclass("Made", [(name, Annotated[kind, spec]) for name, (kind, spec) in members.items()])
    return pydantic_dataclasses.dataclass(made, config=ConfigDict(**config)) if config else made


def a_model(members: dict[str, tuple[Any, Any]], config: dict[str, Any]) -> Any:
    base = type("Base", (BaseModel,), {"model_config": ConfigDict(**config)})
    return create_model("Made", __base__=base, **members)


@st.composite
def types(draw: st.DrawFn, depth: int = 2) -> Made:
    """A type with a few fields, and its values."""
    make = draw(st.sampled_from([a_model, a_model, a_dataclass, a_typed_dict]))
    config = draw(st.sampled_from(CONFIGS))
    members: dict[str, tuple[Any, Any]] = {}
    values: dict[str, st.SearchStrategy[Any]] = {}
    for name in draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3, unique=True)):
        of_field = types(depth=depth - 1) | st.sampled_from(SCALARS) if depth else st.sampled_from(SCALARS)
        kind, found = draw(of_field)
        if draw(st.booleans()):
            kind, found = list[kind], st.lists(found, max_size=2)
        members[name] = (kind, Field(**draw(st.sampled_from([{}, *ALIASES]))))
        values[name] = found
    made = make(members, config)
    return made, st.fixed_dictionaries(values).map(lambda given: built(made, given))


def built(made: Any, given: dict[str, Any]) -> Any:
    """A value of the type, made past its aliases."""
    if not isinstance(made, type) or issubclass(made, dict):
        return given
    if issubclass(made, BaseModel):
        return made.model_construct(_fields_set=set(given), **by_name(made, given))
    value = object.__new__(made)
    vars(value).update(given)
    return value


def by_name(made: type[BaseModel], given: dict[str, Any]) -> dict[str, Any]:
    """The members under names that `model_construct` takes."""
    return {made.model_fields[name].alias or name: value for name, value in given.items()}


def losses_of(type_: Typed, *, is_data: bool = True) -> list[str]:
    found: list[str] = []
    refuse_losses("the data", type_, lambda what, *_: found.append(what), is_data=is_data)
    return found


@settings(
    deadline=None,
    max_examples=int(150 * SCALE),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.data())
def test_what_a_step_leaves_is_what_the_next_one_finds_or_the_field_is_named(data: st.DataObject) -> None:
    made, values = data.draw(types())
    type_ = Typed(made)

    losses = losses_of(type_)

    if losses:
        assert all(any(f"'{name}'" in loss for name in FIELDS) for loss in losses)
        return
    value = data.draw(values)
    assert type_.load(type_.dump(value)) == value
    assert type_.load(plain(value)) == value


# ── types that are read as they are written ───────────────────────────────────────────────────────────────────────────


class Cat(BaseModel):
    kind: Literal["cat"] = Field(default="cat", alias="petKind")
    lives_left: int = Field(default=9, alias="livesLeft")


class Dog(BaseModel):
    kind: Literal["dog"] = Field(default="dog", alias="petKind")


class Wide(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    pet_owned: Annotated[Cat | Dog, Field(discriminator="kind")] = Cat()
    pets_known: list[Cat | Dog] = []
    any_thing: Any = None
    short_name: Annotated[str, StringConstraints(strip_whitespace=True)] = ""

    @computed
    @property
    def pet_count(self) -> int:
        return len(self.pets_known)


@pytest.mark.parametrize(
    "value",
    [
        Wide(),
        Wide(petOwned=Dog(), petsKnown=[Cat(livesLeft=3), Dog()]),
        Wide(anyThing={"a": [1, None, "x", 2.5, True]}),
    ],
)
def test_nested_types_come_back_as_they_are(value: Wide) -> None:
    type_ = Typed(Wide)

    assert losses_of(type_) == []
    assert type_.load(type_.dump(value)) == value
    assert type_.load(plain(value)) == value


@pytest.mark.parametrize("fold", [0, 1])
def test_an_hour_that_a_clock_shows_twice_comes_back_as_the_same_instant(fold: int) -> None:
    value = {"at": datetime(2030, 10, 27, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Berlin"))}
    type_ = Typed(dict[str, datetime])

    found: Any = type_.load(type_.dump(value))

    assert found["at"].astimezone(UTC) == value["at"].astimezone(UTC)


def test_what_a_validator_changes_is_stored_as_it_will_be_found() -> None:
    type_, value = Typed(Wide), Wide()
    value.short_name = "  Ada "

    stored = type_.dump(value)

    assert isinstance(stored, dict)
    assert stored["shortName"] == "Ada"
    assert type_.dump(type_.load(stored)) == stored


class Base(BaseModel):
    number: int = 0


class Derived(Base):
    more: str = ""


class Holder(BaseModel):
    plainly: Base = Base()
    as_any: SerializeAsAny[Base] = Base()
    anything: Any = None
    listed: list[Any] = []
    text: str | bytes = ""


@pytest.mark.parametrize(
    ("members", "path", "problem"),
    [
        ({"plainly": Derived(more="x")}, "$.plainly", "a Derived would come back as a Base; declare its type"),
        ({"as_any": Derived(more="x")}, "$.as_any", "a Derived would come back as a Base; declare its type"),
        ({"anything": (1, 2)}, "$.anything", "a tuple would come back as a list; declare its type"),
        ({"anything": {"at": [datetime(2030, 1, 1, tzinfo=UTC)]}}, "$.anything.at[0]", "a datetime would come back as"),
        ({"anything": {1: "x"}}, "$.anything[1]", "it would be lost"),
        ({"text": b"x"}, "$.text", "a bytes would come back as a str; declare its type"),
        ({"anything": float("nan")}, "$.anything", "nan has no form in JSON"),
        ({"listed": [1.5, [float("-inf")]]}, "$.listed[1][0]", "-inf has no form in JSON"),
    ],
)
def test_a_value_that_would_come_back_as_another_is_refused_with_its_path(
    members: dict[str, Any], path: str, problem: str
) -> None:
    with pytest.raises(Misfit, match="^" + problem[:12]) as refused:
        Typed(Holder).dump(Holder(**members))

    assert (refused.value.path, refused.value.problem[: len(problem)]) == (path, problem)


def test_a_member_that_a_typed_dictionary_does_not_declare_is_refused() -> None:
    made = TypedDict("made", {"known": int})  # noqa: UP013 - as authors write it for names that are not identifiers

    with pytest.raises(Misfit, match=r"it would be lost at \$.other"):
        Typed(made).dump({"known": 1, "other": 2})


# ── types that are refused ────────────────────────────────────────────────────────────────────────────────────────────


class WithExclude(BaseModel):
    secret: str = Field(default="", exclude=True)


class WithPrivate(BaseModel):
    _count: int = PrivateAttr(default=0)


class Computing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @computed
    @property
    def total(self) -> int:
        return 1


class WithSecret(BaseModel):
    code: SecretStr = SecretStr("")


class OpenSecret(WithSecret):
    @field_serializer("code")
    def open(self, code: SecretStr) -> str:
        return code.get_secret_value()


class Rounding(BaseModel):
    amount: float = 1.25

    @field_serializer("amount")
    def rounded(self, amount: float) -> float:
        return round(amount)


class Inside(BaseModel):
    deep: dict[str, list[WithExclude | None]] = {}


NoInit = make_dataclass("NoInit", [("total", int, field(default=0, init=False))])
NeedsMore = make_dataclass("NeedsMore", [("seed", InitVar[int])])
Swapped = create_model("Swapped", one=(int, Field(1, alias="two")), two=(int, Field(2, alias="one")))
Outward = create_model("Outward", name=(str, Field("", serialization_alias="Name")))


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (WithExclude, "field 'secret' of WithExclude is excluded, and would be lost."),
        (Inside, "field 'secret' of WithExclude is excluded, and would be lost."),
        (WithPrivate, "private attribute '_count' of WithPrivate would be lost."),
        (
            Computing,
            "computed field 'total' of Computing is stored with the fields, which does not go with extra='forbid'.",
        ),
        (WithSecret, "field 'code' of WithSecret is a secret type, which is written as asterisks."),
        (Rounding, "its defaults would change when they are stored: it would come back as another value at $.amount."),
        (NoInit, "field 'total' of NoInit has init=False, and would be reset by every event."),
        (NeedsMore, "'seed' of NeedsMore is an InitVar, which is not stored, and has no default."),
        (Swapped, "fields 'one' and 'two' of Swapped share the name 'one'."),
        (Outward, "field 'name' of Outward is written as 'Name', and not read by that name."),
    ],
)
def test_a_type_that_would_lose_something_is_refused_with_the_field(declared: Any, told: str) -> None:
    class Lossy(StateChart[declared]):
        idle = State(initial=True)
        go = idle.to.itself(internal=True)

    with pytest.raises(DefinitionError) as refused:
        chart_from(Lossy)

    assert f"the data: {told}" in str(refused.value)


@pytest.mark.parametrize("declared", [OpenSecret, Wide, Holder])
def test_a_type_that_keeps_everything_is_accepted(declared: Any) -> None:
    assert losses_of(Typed(declared)) == []


def test_a_payload_is_refused_for_the_same_reasons_except_that_it_may_bring_a_secret() -> None:
    class Lossy(StateChart):
        idle = State(initial=True)
        go = event(idle.to.itself(internal=True), WithExclude)
        tell = event(idle.to.itself(internal=True), WithSecret)

    with pytest.raises(DefinitionError) as refused:
        chart_from(Lossy)

    assert [problem.what for problem in refused.value.problems] == [
        "payload of 'go': field 'secret' of WithExclude is excluded, and would be lost."
    ]


# ── charts with aliases ───────────────────────────────────────────────────────────────────────────────────────────────


class Profile(BaseModel):
    nick_name: str = Field(default="", alias="nickName")


class Rename(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    new_name: str


def a_chart(**options: Any) -> Chart:
    @durable(**options)
    class Member(StateChart[Profile]):
        known = State(initial=True)
        rename = event(known.to.itself(internal=True), Rename)
        relay = event(known.to.itself(internal=True), Rename)

        def on_rename(self, data: Profile, new_name: str) -> None:
            data.nick_name = new_name

        def on_relay(self, payload: Rename, effects: Any) -> None:
            effects.raise_("rename", payload)

    return chart_from(Member)


@pytest.mark.parametrize("handler", ["rename", "relay"])
@pytest.mark.parametrize("name", ["newName", "new_name"])
def test_a_payload_is_read_by_its_aliases_and_its_names_and_passed_on(handler: str, name: str) -> None:
    chart = a_chart()
    machine = step(chart, start(chart).snapshot, Event(handler, {name: "Ada"})).snapshot

    assert machine.data == {"nickName": "Ada"}


def test_data_that_was_stored_by_the_names_of_its_fields_is_read() -> None:
    assert Typed(Profile).load({"nick_name": "Ada"}) == Profile(nickName="Ada")


def test_a_redacted_member_is_hidden_under_all_its_names() -> None:
    chart = a_chart(redact=("nick_name",))

    assert chart.redaction.members({"nickName": "Ada", "nick_name": "Ada"}) == {
        "nickName": "[redacted]",
        "nick_name": "[redacted]",
    }


def test_a_callback_that_leaves_what_would_be_lost_fails_and_the_machine_is_as_it_was() -> None:
    class Keeper(StateChart[Holder]):
        idle = State(initial=True)
        go = idle.to.itself(internal=True)

        def on_go(self, data: Holder) -> None:
            data.anything = {"amount": Decimal("1.5")}

    chart = chart_from(Keeper)

    with pytest.raises(
        ActionError, match=r"a Decimal would come back as a str; declare its type at \$.anything.amount"
    ):
        step(chart, start(chart).snapshot, Event("go"))
