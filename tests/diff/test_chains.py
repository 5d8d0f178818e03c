"""The heaviest chain of pairs that keeps both orders."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from jupyter_codesave.diff.chains import Link, heaviest_chain, stretches

LINKS = st.lists(
    st.builds(Link, *[st.integers(0, 5)] * 2, st.sampled_from([0.5, 1.0, 3.0]), st.just(1)),
    max_size=8,
)


def increases(links: list[Link]) -> bool:
    return all(p.base < q.base and p.head < q.head for p, q in pairwise(links))


@given(LINKS)
def test_no_other_chain_weighs_more(links: list[Link]) -> None:
    weight: dict[tuple[int, int], float] = {}
    for link in links:
        weight[link[:2]] = max(weight.get(link[:2], 0), link.weight)
    chain = heaviest_chain(links)
    assert all(p[0] < q[0] and p[1] < q[1] for p, q in pairwise(chain))
    heaviest = max(
        sum(link.weight for link in some)
        for size in range(len(links) + 1)
        for some in combinations(sorted(links), size)
        if increases(list(some))
    )
    assert sum(weight[i, j] for i, j, _ in chain) == heaviest


def test_no_links_make_no_chain() -> None:
    assert heaviest_chain([]) == []


@given(LINKS)
def test_where_links_do_not_cross_they_are_cut_apart(links: list[Link]) -> None:
    blocks = [(i, j, 1) for i, j in sorted({link[:2] for link in links}, key=lambda x: x[::-1])]
    found = [list(stretch) for stretch in stretches(blocks)]
    assert [block for stretch in found for block in stretch] == blocks
    for n in range(1, len(blocks)):
        apart = all(p[0] < q[0] and p[1] < q[1] for p in blocks[:n] for q in blocks[n:])
        assert apart == any(stretch[0] == blocks[n] for stretch in found)
