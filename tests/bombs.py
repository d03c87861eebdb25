"""Expressions and events that are made to hurt: ``python -m tests.bombs`` shows what the worst of them cost.

Each must be refused, or end, within 50 ms of processor time on a machine of today.
"""

from __future__ import annotations

import time
from typing import Any

from durable_django.engine.expressions import compile_expression
from durable_django.exceptions import InvalidExpression

LIMIT_MS = 50.0

SMALL: dict[str, Any] = {
    "data": {
        "l": list(range(10)),
        "s": "x",
        "t": "1" * 5_000 + "h",
        "d": "9" * 400 + "h",
        "e": "1e999999999s",
        "ts": "9999-99-99",
        "big": 10**300,
        "neg": -(2**63),
        "f": 1e308,
        "re": "(a+)+$" * 20,
        "evil": "a" * 5_000 + "b",
        "j": "[" * 90 + "]" * 90,
    }
}
LARGE: dict[str, Any] = {
    "data": {
        "l": [{"n": number, "s": "x" * 20} for number in range(5_000)],
        "m": {str(number): number for number in range(5_000)},
        "s": "a" * 200_000,
        "j": "[" * 100_000,
        "strings": ["a" * 1_000 + str(number) for number in range(200)],
        "patterns": [f"(a{{{number}}}b|c*d){{9}}.*.*[^x]{{50,90}}" for number in range(40)],
        "evil": "a" * 5_000 + "b",
        "t": "1" * 200_000 + "h",
        "d": "9" * 300 + "h",
    }
}
EVENTS = {"small": SMALL, "large": LARGE}

BOMBS: list[str] = [
    "event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, a+b+c>=0)))",
    "event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, event.data.l.all(d, a+b+c+d>=0))))",
    "event.data.l.map(a, [a,a]).map(b, [b,b]).map(c,[c,c]).map(d,[d,d]).map(e,[e,e]).size() == 0",
    "event.data.l.map(x, x+x).map(x, x+x).map(x, x+x) == []",
    "['ab']" + ".map(a, a+a)" * 18 + " == []",
    "(" * 200 + "true" + ")" * 200,
    "!" * 200 + "true",
    "-" * 200 + "1 == 1",
    "[" * 200 + "]" * 200 + " == []",
    "event" + "['a']" * 200 + " == 1",
    "duration(event.data.t) > duration('1s')",
    "duration(event.data.d) > duration('1s')",
    "duration(event.data.e) > duration('1s')",
    "duration(event.data.s) > duration('1s')",
    "timestamp(event.data.ts) > timestamp('2020-01-01T00:00:00Z')",
    "timestamp(event.data.t) > timestamp('2020-01-01T00:00:00Z')",
    "date(event.data.d) > date('2020-01-01T00:00:00Z')",
    "event.data.big * event.data.big * event.data.big > 1",
    "event.data.neg * event.data.neg > 1",
    "event.data.neg - 1 < 0",
    "event.data.f * event.data.f > 1.0",
    "9" * 300 + " > 1",
    "'" + "x" * 5000 + "' == event.data.s",
    "int(event.data.t) > 1",
    "int(event.data.d) > 1",
    "double(event.data.t) > 1.0",
    "string(event.data.big) == 'x'",
    "uint(event.data.d) > 1u",
    "event.data.evil.matches('(a+)+$')",
    "event.data.evil.matches(event.data.re)",
    "event.data.evil.matches('(a|aa)+$')",
    "event.data.evil.matches('(.*)*(.*)*(.*)*x')",
    "event.data.evil.matches('^(([a-z])+.)+[A-Z]([a-z])+$')",
    "event.data.evil.matches('a{1000}{1000}')",
    "event.data.evil.matches('(((a{100}){100}){100})')",
    "event.data.evil.matches('\\\\pL{900}')",
    "json_parse(event.data.j) == 1",
    "b64decode(event.data.evil) == 'x'",
    "event.data.evil.lowerAscii().upperAscii().contains('zz')",
    "'%0300000000d' % 5 == 'x'",
    "event.data.l.exists(i, event.data.evil.matches('(a+)+$' + string(i)))",
    "event.data.l.map(x, event.data.l.map(y, x.n * y.n)) == []",
    "event.data.l.exists(x, event.data.l.exists(y, x.s + 1 == y.s + 1))",
    "event.data.l.map(x, event.data.l.filter(y, true)) == []",
    "event.data.l.map(x, event.data.s + event.data.s) == []",
    "event.data.l.map(x, event.data.l + event.data.l) == []",
    "event.data.l.exists(x, event.data.s.lowerAscii() == '')",
    "event.data.l.exists(x, event.data.s.contains('ab'))",
    "event.data.l.exists(x, b64decode(event.data.s) == '')",
    "event.data.l.exists(x, json_parse(event.data.j) == 1)",
    "event.data.l.exists(x, event.data.l == event.data.l && false)",
    "event.data.l.exists(x, event.data.m == event.data.m && false)",
    "event.data.l.exists(x, {} in event.data.l)",
    "event.data.patterns.exists(p, event.data.strings.exists(s, s.matches(p)))",
    "event.data.l.all(x, event.data.l.all(y, true)) || true",
    "event.data.l.exists(i, i.n == 4999 && i.s.startsWith('x'))",
    "event.data.l.exists(x, event.data.strings.exists(s, s.matches('(a|b|c)*d')))",
    "event.data.l.map(x, json_parse('[1,2,3,4,5]')) == []",
    "event.data.l.map(x, timestamp('2020-01-01T00:00:00Z') + duration('1h')) == []",
    "event.data.m.exists(k, event.data.m.exists(j, k == j + 'x'))",
    "event.data.l == async.data.l",
    "event.data.m == async.data.m",
]


def burn(source: str, event: dict[str, Any]) -> tuple[float, str]:
    """Compile and evaluate; return the milliseconds of processor time and how it ended."""
    began = time.process_time()
    try:
        outcome = compile_expression(source, allow_async=True).evaluate(event, event)
        said = outcome.error or str(outcome.value)
    except InvalidExpression:
        said = "refused"
    return (time.process_time() - began) * 1e3, said


def main() -> int:
    """Print the ten worst and tell whether all were within the limit."""
    burn("event.data.a == async.data.a", SMALL)
    costs = [(*burn(source, event), name, source) for source in BOMBS for name, event in EVENTS.items()]
    for took, said, name, source in sorted(costs, reverse=True)[:10]:
        print(f"{took:6.1f} ms  {said:14} {name:6} {source[:90]}")
    worst = max(took for took, *_ in costs)
    print(f"{len(costs)} evaluations, the worst {worst:.1f} ms of processor time, the limit {LIMIT_MS:g} ms")
    return int(worst > LIMIT_MS)


if __name__ == "__main__":
    raise SystemExit(main())
