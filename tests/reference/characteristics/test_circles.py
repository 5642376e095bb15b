"""Which items of a batch hold together: none names a refused one, and none leads back to itself."""

from hypothesis import given
from hypothesis import strategies as st

from ratemill.reference.characteristics.circles import Links, Ties, refused_together


def refused(*, faulty: list[int] | None = None, ahead: list[tuple[int, int]] | None = None, **ties: Ties) -> set[int]:
    return refused_together(faulty or [], ahead or [], ties).refused


def test_a_refused_item_takes_those_with_it_that_name_it_and_nobody_else():
    assert refused(faulty=[3], ahead=[(2, 3), (1, 2), (4, 5)]) == {1, 2, 3}


def test_a_circle_is_broken_where_the_batch_says_so_and_closed_where_that_is_refused():
    parents = Ties({1: [2], 2: [9]}, replaced={2: [1]})
    assert refused(parents=parents) == set()
    held = refused_together([2], [], {"parents": parents})
    assert held.refused == {1, 2}
    assert [sorted(each) for each in held.circles["parents"]] == [[1, 2]]


def test_items_of_the_store_are_in_circles_and_are_not_refused():
    held = refused_together([], [], {"bills": Ties({1: [-5, 2]}, stored={-5: [-6], -6: [1]})})
    assert held.refused == {1}
    assert held.circles["bills"] == [[1, -5, -6]]


def test_what_was_in_a_circle_before_is_nobodys_fault_now():
    assert refused(bills=Ties({1: [-5]}, stored={-5: [-6], -6: [-5]})) == set()


def test_a_long_way_is_gone_once():
    chain: Links = {n: [n + 1, 0] for n in range(50_000)}
    assert 49_999 in refused(bills=Ties({**chain, 50_000: [0]}), ahead=[(n, n + 1) for n in range(49_999, -1, -1)])


numbers = st.integers(-3, 9)
links = st.dictionaries(numbers, st.lists(numbers, max_size=3))


@given(
    st.sets(st.integers(0, 9)),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))),
    st.dictionaries(st.integers(0, 9), st.lists(numbers, max_size=3)),
    links,
)
def test_what_is_left_names_nothing_refused_and_makes_no_circle(
    faulty: set[int], ahead: list[tuple[int, int]], sent: dict[int, list[int]], replaced: dict[int, list[int]]
):
    before = {item: [each for each in found if each < item] for item, found in replaced.items() if item in sent}
    ties = Ties(sent, {}, before)  # the store has no circle
    left_out = refused(faulty=list(faulty), ahead=ahead, bills=ties)
    assert left_out >= faulty
    assert not [pair for pair in ahead if pair[0] not in left_out and pair[1] in left_out]
    for start in sent.keys() - left_out:
        seen: set[int] = set()
        waiting = list(ties.following(start, left_out))
        while waiting:
            item = waiting.pop()
            assert item != start, "a circle is left"
            if item not in seen:
                seen.add(item)
                waiting += ties.following(item, left_out)
