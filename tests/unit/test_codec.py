"""The codec: what is stored is what the first execution returns."""

from __future__ import annotations

import enum
import json
import math
import sys
import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_django.engine.codec import decode, decode_output, encode, encode_output
from durable_django.exceptions import StoredValueUnreadable, Unserializable

ZONES = [ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu"), UTC]
TEXT = st.text(st.characters(exclude_categories=[]))  # with NUL and surrogates
KEYS = TEXT | st.sampled_from(["$durable", "value", "\ud83d\ude00", "\U0001f600"])


def offsets() -> st.SearchStrategy[tzinfo]:
    return st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))


def datetimes() -> st.SearchStrategy[datetime]:
    zones = st.none() | offsets() | st.sampled_from(ZONES)
    return st.builds(
        lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold),
        st.datetimes(),
        zones,
        st.integers(0, 1),
    )


def times() -> st.SearchStrategy[time]:
    zones = st.none() | offsets() | st.sampled_from(ZONES)
    return st.builds(lambda clock, zone: clock.replace(tzinfo=zone), st.times(), zones)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**1990, 2**2010),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.sampled_from(["\ud83d\ude00", "\U0001f600", "\\ud83d", "$durable", '"$durable":']),
    datetimes(),
    st.dates(),
    times(),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.uuids(),
    st.binary(),
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20)


def same(left: Any, right: Any) -> bool:
    """Equality with type, sign of zero, fold, zone and order of keys."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()
    if isinstance(left, datetime | time):
        return (left.replace(tzinfo=None), left.fold, left.tzinfo) == (
            right.replace(tzinfo=None),
            right.fold,
            right.tzinfo,
        )
    return bool(left == right)


@given(VALUES)
def test_values_come_back_as_themselves(value: Any) -> None:
    """A value of the supported types is equal, type and all, after one trip and after two."""
    text = encode(value)
    back = decode(text)
    assert same(back, value)
    assert encode(back) == text
    assert text.isascii()
    assert "\x00" not in text


@given(VALUES)
def test_text_is_strict_json(value: Any) -> None:
    """Any strict JSON reader can read the text."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads(encode(value), parse_constant=refuse)


@pytest.mark.parametrize("value", [1e16, 1e308, -0.0, 5e-324, 0.1, 10**22, -(10**18), True, "\x00", "\ud800"])
def test_edge_scalars_are_exact(value: Any) -> None:
    """Scalars at the edges of JSON keep value and type."""
    assert same(decode(encode(value)), value)


def test_int_beyond_the_digit_limit_survives() -> None:
    """An int of 20,000 digits is stored and returned although decimal text of it is refused by CPython."""
    number = -(7 ** (20_000 * 4 // 3))
    with pytest.raises(ValueError, match="digit"):
        str(number)
    assert decode(encode({"n": [number]})) == {"n": [number]}


def test_int_text_never_reaches_the_strictest_limit() -> None:
    """Untagged ints stay below the lowest digit limit that a host may set, so every host reads them."""
    limit = sys.get_int_max_str_digits()
    text = encode([2**2000 - 1, 2**2000, -(2**2000)])
    sys.set_int_max_str_digits(640)
    try:
        back = decode(text)
    finally:
        sys.set_int_max_str_digits(limit)
    assert back == [2**2000 - 1, 2**2000, -(2**2000)]


def test_plain_json_is_stored_as_plain_json() -> None:
    """JSON types carry no tags."""
    value = {"a": [1, 2.5, None, True, "é😀"], "b": {}}
    assert json.loads(encode(value)) == value


def test_two_lone_surrogates_do_not_melt_into_one_character() -> None:
    """Two lone surrogates stay two, as text and as key beside the character that they would spell."""
    value = {"\ud83d\ude00": "\ud83d\ude00", "\U0001f600": 1}
    back = decode(encode(value))
    assert back == value
    assert len(back["\ud83d\ude00"]) == 2


def test_tag_key_in_user_data_is_no_tag() -> None:
    """A dict of the user's that looks like a tag comes back as that dict."""
    value = {"$durable": "decimal", "value": "1.10", "in": {"$durable": [{"$durable": None}]}}
    assert same(decode(encode(value)), value)
    assert same(decode(encode([value, Decimal("1.10")])), [value, Decimal("1.10")])


class Shade(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Status(enum.StrEnum):
    PAID = "paid"


class Loud(str):
    def __str__(self) -> str:
        return "LOUD"


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (Level.HIGH, 3),
        (Status.PAID, "paid"),
        (HTTPStatus.OK, 200),
        (Loud("quiet"), "quiet"),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        ({Status.PAID: Level.HIGH}, {"paid": 3}),
        (type("Ratio", (float,), {})(1.5), 1.5),
        (type("Names", (list,), {})(["a"]), ["a"]),
        (type("Moment", (datetime,), {})(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_subclasses_become_their_plain_base(value: Any, plain: Any) -> None:
    """tuple, namedtuple, mixed-in Enums and other subclasses come back as the plain type."""
    assert same(decode(encode(value)), plain)


def nest(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def cycle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = [value]
    return value


async def never() -> None:
    """Exists to be an unawaited coroutine function."""


class OddZone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        raise RuntimeError("no offset today")


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        (float("nan"), "$", "nan"),
        ({"a": [1, 2, 3, float("inf")]}, "$.a[3]", "inf"),
        ([Decimal("NaN")], "$[0]", "finite"),
        ([Decimal("-Infinity")], "$[0]", "finite"),
        ({"a": {1: 2}}, "$.a", "key of type int"),
        ({None: 1}, "$", "NoneType"),
        ({"a b": {1}}, "$['a b']", "sorted list"),
        ({"a": Shade.RED}, "$.a", ".value"),
        ([bytearray(b"x")], "$[0]", "return bytes"),
        ([object()], "$[0]", "builtins.object"),
        ([never], "$[0]", "function"),
        ((x for x in [1]), "$", "list"),
        ({"t": datetime(2026, 1, 1, tzinfo=OddZone())}, "$.t", "RuntimeError"),
        (
            {"t": time(1, tzinfo=type("Mute", (OddZone,), {"utcoffset": lambda *_: None})())},
            "$.t",
            "ValueError",
        ),
        ([time(1, tzinfo=timezone(timedelta(microseconds=1)))], "$[0]", "fraction of a second"),
        (1j, "$", "complex"),
    ],
)
def test_refusals_name_path_and_reason(value: Any, path: str, reason: str) -> None:
    """What cannot be stored is refused with its path, the reason and the caller's words."""
    with pytest.raises(Unserializable) as caught:
        encode(value, what="step 'load': ")
    assert caught.value.details["path"] == path
    assert reason in caught.value.details["reason"]
    assert "step 'load': the value at" in str(caught.value)


def test_depth_is_limited_to_200_levels() -> None:
    """200 levels are stored, also when each level needs an escape; 201 and cycles are refused."""
    assert decode(encode(nest(200))) == nest(200)
    tagged: Any = {}
    for _ in range(199):
        tagged = {"$durable": tagged}
    assert decode(encode(tagged)) == tagged
    for value in (nest(201), nest(1500), cycle()):
        with pytest.raises(Unserializable, match="nested deeper") as caught:
            encode(value)
        assert len(caught.value.details["path"]) < 200


def test_zone_is_kept_by_name() -> None:
    """A ZoneInfo comes back as that zone, in the hour that a clock change repeats and in its gap."""
    paris = ZoneInfo("Europe/Paris")
    for fold in (0, 1):
        repeated = datetime(2026, 10, 25, 2, 30, tzinfo=paris, fold=fold)
        gap = datetime(2026, 3, 29, 2, 30, tzinfo=paris, fold=fold)
        assert same(decode(encode([repeated, gap])), [repeated, gap])


def test_instant_outranks_clock_time_when_zone_data_changed() -> None:
    """If the zone's offset differs from the stored one, the instant is kept."""
    text = encode(datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Paris"))).replace("+02:00", "+03:00")
    back = decode(text)
    assert back == datetime(2026, 7, 1, 9, tzinfo=UTC)
    assert back.tzinfo == ZoneInfo("Europe/Paris")


def test_unknown_zone_falls_back_to_its_offset() -> None:
    """On a host without that zone the instant is kept."""
    text = encode(datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Paris"))).replace(
        "Europe/Paris", "Mars/Base"
    )
    assert decode(text) == datetime(2026, 7, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[Infinity]",
        '{"$durable":"later","value":1}',
        '{"$durable":[]}',
        '{"$durable":"decimal","value":"x"}',
        '{"$durable":"uuid"}',
        '{"$durable":"datetime","value":5}',
        '{"$durable":"bytes","value":"a"}',
    ],
)
def test_damaged_text_is_a_coded_error(text: str) -> None:
    """Damaged text and tags of a newer release give one coded error, no stray exception."""
    with pytest.raises(StoredValueUnreadable):
        decode(text)


@dataclass
class Item:
    sku: str
    price: Decimal
    shade: Shade | None = None


@dataclass(frozen=True)
class Order:
    placed: datetime
    items: list[Item]
    by_name: dict[str, Item]
    size: tuple[int, int]
    labels: set[str] = field(default_factory=set)
    total: int = field(init=False, default=0)


def order() -> Order:
    item = Item("a", Decimal("1.10"), Shade.RED)
    return Order(datetime(2026, 1, 1, tzinfo=UTC), [item], {"x": Item("b", Decimal(2))}, (3, 4), {"new"})


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (order(), Order),
        ([order()], list[Order]),
        ({"o": order()}, dict[str, Order]),
        (order(), Order | None),
        (None, Order | None),
        (Shade.RED, Shade),
        ((1, "a"), tuple[int, str]),
        ((Shade.RED,) * 3, tuple[Shade, ...]),
        (frozenset({1}), frozenset[int]),
        ({"a": 1}, dict[str, int]),
        (uuid.UUID(int=5), uuid.UUID),
        (date(2026, 1, 1), date | None),
        ([1], Any),
    ],
)
def test_output_type_rebuilds_the_users_classes(value: Any, hint: Any) -> None:
    """With output_type, dataclasses, Enums and collections of them come back as themselves."""
    assert decode_output(encode_output(value, hint), hint) == value


def test_without_output_type_dataclasses_are_refused_with_advice() -> None:
    """A dataclass without output_type is refused, and the error says what to do."""
    with pytest.raises(Unserializable, match="output_type="):
        encode_output(order())


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"nope": 1}, Item),
        ("blue", Shade),
        (Item("a", Decimal(1)), Item | Order),
        ([1, 2, 3], tuple[int, int]),
    ],
)
def test_output_that_does_not_fit_is_a_coded_error(value: Any, hint: Any) -> None:
    """A stored value that does not fit output_type is refused, coded, on the first execution as on replay."""
    with pytest.raises(Unserializable, match="output_type does not fit"):
        decode_output(encode_output(value, hint), hint, what="step 'x': ")


class Model:
    """Has pydantic's two methods, which is all that the codec asks for."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.n == other.n

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return {"n": self.n}

    @classmethod
    def model_validate(cls, value: dict[str, Any]) -> Model:
        return cls(int(value["n"]))


def test_models_are_known_by_their_methods() -> None:
    """A class with model_dump and model_validate makes the trip without pydantic being imported."""
    assert decode_output(encode_output([Model(3)], list[Model]), list[Model]) == [Model(3)]
    with pytest.raises(Unserializable, match="KeyError"):
        decode_output('{"m":1}', Model)


def test_pydantic_models_make_the_trip() -> None:
    """Real pydantic models, strict and with aliases, come back equal."""
    pydantic = pytest.importorskip("pydantic")
    bill = pydantic.create_model(
        "Bill",
        __config__=pydantic.ConfigDict(strict=True),
        at=(datetime, ...),
        total=(Decimal, pydantic.Field(alias="Total")),
    )
    value = bill(at=datetime(2026, 1, 1, tzinfo=UTC), Total=Decimal("1.10"))
    assert decode_output(encode_output(value, bill), bill) == value
