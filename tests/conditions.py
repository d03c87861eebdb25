"""Random conditions of waits, and random data for them; the answers are a fair mix of true, false and error."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

FIELDS = ["a", "b", "c", "d"]
LITERALS = ["'x'", "'y'", "1", "1.0", "2.5", "true", "false", "null", "['x']", "[]"]
VALUES: list[Any] = [
    "x",
    "y",
    "x",
    1,
    1.0,
    2.5,
    True,
    False,
    None,
    ["x"],
    ["x", "y", 1],
    [],
    {"k": "x"},
    {"k": 1},
]

own, theirs = (st.sampled_from(FIELDS).map(prefix.__add__) for prefix in ("event.data.", "async.data."))
literals = st.sampled_from(LITERALS)
fixed = own | literals
operands = own | theirs | literals
several = st.lists(fixed, min_size=1, max_size=4).map(lambda items: f"[{', '.join(items)}]")
equalities = st.one_of(
    st.builds("{} == {}".format, theirs, fixed),
    st.builds("{} == {}".format, fixed, theirs),
    st.builds("{} in {}".format, theirs, several),
    theirs,
)
residuals = st.one_of(
    st.builds("{} == {}".format, operands, operands),
    st.builds("{} != {}".format, operands, operands),
    st.builds("{} < {}".format, operands, operands),
    st.builds("{} in {}".format, operands, own | theirs | several),
    st.builds("{}.contains({})".format, own | theirs, operands),
    st.builds("has({})".format, own | theirs),
    st.builds("has({}.k)".format, own | theirs),
    st.builds("{}.k == {}.k".format, theirs, own),
    st.builds("{}[0] == {}".format, theirs, operands),
    st.builds("size({}) == size({})".format, operands, operands),
    st.builds("{}.exists(i, i == {})".format, own | theirs, operands),
    st.builds("{} + {} == {}".format, operands, operands, operands),
    own,
    st.sampled_from(["true", "false"]),
)


def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
    )


sources = st.recursive(equalities | residuals, grow, max_leaves=7)
datas = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES), max_size=4)
