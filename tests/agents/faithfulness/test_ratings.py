"""Curves, ranks, saliency and the verdict, on numbers that can be followed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from attention_agents.agents.faithfulness.deletion_curves import (
    GRID,
    CurveAreas,
    RemovalOrder,
    area_under,
    areas_of_order,
    change_share,
    curve_counts,
    tokens_by_weight,
    top_count,
)
from attention_agents.agents.faithfulness.rank_metrics import (
    PointingResult,
    compute_ranks,
    pointing_game,
    rank_correlation,
)
from attention_agents.agents.faithfulness.recorded_episode import spread_evenly
from attention_agents.agents.faithfulness.report import FaithfulnessReport
from attention_agents.agents.faithfulness.saliency import relevance, sarfa, sarfa_of_parts
from attention_agents.agents.faithfulness.scoring import MapResults, RecordingScorer
from attention_agents.agents.faithfulness.verdict import (
    Estimate,
    estimate_mean,
    estimate_to_json,
    rate_map,
    verdict_for,
    verdict_sentence,
)

PRESENT = np.array([True, True, False, True, True])


def test_an_order_removes_the_first_and_gives_back_the_first():
    order = RemovalOrder.from_tokens(np.array([3, 0, 4]), 5)
    assert order.counts.tolist() == [0, 1, 2, 3]
    assert order.deleted.astype(int).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0],
        [1, 0, 0, 1, 0],
        [1, 0, 0, 1, 1],
    ]
    assert order.inserted.astype(int).tolist() == [
        [1, 0, 0, 1, 1],
        [1, 0, 0, 0, 1],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 97, 1024])
def test_counts_run_from_none_to_all_and_hold_the_first_three(n):
    counts = curve_counts(n)
    assert (counts[0], counts[-1]) == (0, n)
    assert (np.diff(counts) > 0).all()
    assert set(range(min(n, 3) + 1)) <= set(counts.tolist())
    assert len(counts) <= 16


def test_the_heaviest_present_token_is_first_and_equal_ones_in_random_order():
    weights = np.array([0.1, 0.5, 0.9, 0.2, 0.5])
    rng = np.random.default_rng(0)
    orders = [tuple(tokens_by_weight(weights, PRESENT, rng).tolist()) for _ in range(200)]
    assert set(orders) == {(1, 4, 3, 0), (4, 1, 3, 0)}
    assert 60 < sum(order[0] == 1 for order in orders) < 140


def test_areas_by_hand():
    counts = np.array([0, 1, 3, 4])
    assert area_under(np.array([0.0, 0.4, 0.4, 1.0]), counts) == pytest.approx(
        (0.2 + 0.8 + 0.7) / 4
    )
    assert area_under(np.array([0.3]), np.array([0])) == 0.3
    found = areas_of_order(
        counts,
        np.array([0.0, 0.4, 0.4, 1.0]),
        np.array([1.0, 0.5, 0.5, 0.0]),
        np.array([False, False, True, True]),
    )
    assert found.deletion == pytest.approx(0.425)
    assert found.insertion == pytest.approx((0.25 + 1.0 + 0.75) / 4)
    assert found.both == pytest.approx((0.425 + 0.5) / 2)
    assert found.flips == 1
    assert found.deletion_curve.shape == (len(GRID),)
    np.testing.assert_allclose(found.deletion_curve[[0, -1]], [0, 1])
    np.testing.assert_allclose(found.insertion_curve[[0, -1]], [0, 1])


def test_with_three_tokens_or_fewer_no_action_is_compared():
    three = areas_of_order(np.arange(4), np.zeros(4), np.zeros(4), np.ones(4, bool))
    assert np.isnan(three.flips)


def test_of_few_tokens_one_is_removed_to_see_whether_the_action_changes():
    assert [top_count(N) for N in (2, 11, 12, 400)] == [1, 1, 3, 3]
    counts, flipped = np.arange(3), np.array([False, True, False])
    zeros = np.zeros(3)
    assert areas_of_order(counts, zeros, zeros, flipped, 1).flips == 1
    assert np.isnan(areas_of_order(counts, zeros, zeros, flipped, 2).flips)


def test_several_orders_are_averaged():
    a = CurveAreas(0.3, 0.7, np.array([0.2, 0.4]), np.array([0.0, 1.0]), 0)
    b = CurveAreas(0.5, 0.9, np.array([0.2, 0.8]), np.array([0.0, 0.0]), 1)
    mean = CurveAreas.mean([a, b])
    assert mean[:2] == pytest.approx((0.4, 0.8)) and mean.flips == 0.5
    np.testing.assert_allclose(mean.deletion_curve, [0.2, 0.6])
    np.testing.assert_allclose(mean.insertion_curve, [0.0, 0.5])


def test_a_share_grows_from_0_to_1():
    np.testing.assert_allclose(change_share(np.array([0, 2.0, 1e9]), 2.0), [0, 1 - np.exp(-1), 1])


def test_rank_correlation_is_that_of_scipy_over_present_tokens():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = rng.integers(0, 4, (2, 7)).astype(float)
        there = rng.random(7) < 0.8
        if there.sum() < 2 or np.ptp(b[there]) == 0 or np.ptp(a[there]) == 0:
            continue
        expected = stats.spearmanr(a[there], b[there]).statistic
        assert rank_correlation(a, b, there) == pytest.approx(expected)
        np.testing.assert_allclose(compute_ranks(a), stats.rankdata(a) - 1)


def test_an_even_map_has_no_correlation_and_an_even_causal_map_no_say():
    even, one = np.full(5, 0.2), np.arange(5.0)
    assert rank_correlation(even, one, PRESENT) == 0
    assert np.isnan(rank_correlation(one, even, PRESENT))
    assert np.isnan(rank_correlation(one, one, np.arange(5) == 1))


def test_the_pointing_game():
    true = np.array([False, True, True, False, False])
    found = pointing_game(np.array([0.1, 0.6, 9.0, 0.1, 0.2]), true, PRESENT)
    assert found is not None
    assert found == pytest.approx((1, 0.6, 0.25))  # the absent one does not count
    tie = pointing_game(np.array([0.4, 0.4, 0, 0.1, 0.1]), true, PRESENT)
    assert tie == pytest.approx((0.5, 0.4, 0.25))
    assert pointing_game(np.zeros(5), true, PRESENT) == pytest.approx((0.25, 0.25, 0.25))
    assert pointing_game(np.ones(5), np.arange(5) == 2, PRESENT) is None


def test_sarfa_by_hand():
    before = np.log([0.5, 0.25, 0.25])
    without = np.log([[0.2, 0.4, 0.4], [0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.25, 0.25]])
    found = sarfa(before, without, 0)
    assert found[0] == pytest.approx(2 * 1 * 0.3 / 1.3)  # the others keep their shares: K = 1
    assert found[1] == 0  # it has become likelier
    apart = 7 / 8 * np.log((7 / 8) / 0.5) + 1 / 8 * np.log((1 / 8) / 0.5)
    K = 1 / (1 + apart)
    assert found[2] == pytest.approx(2 * K * 0.3 / (K + 0.3))
    assert found[3] == 0
    assert (sarfa(np.array([3.0]), np.array([[1.0], [2.0]]), 0) == 0).all()


def test_sarfa_of_parts_is_their_mean():
    before, without = np.log([0.5, 0.5, 0.9, 0.1]), np.log([[0.1, 0.9, 0.2, 0.8]])
    both = sarfa_of_parts(before, without, np.array([0, 0]), [2, 2])
    first = sarfa(before[:2], without[:, :2], 0)
    second = sarfa(before[2:], without[:, 2:], 0)
    np.testing.assert_allclose(both, (first + second) / 2)


def test_relevance_by_hand():
    first, second = np.array([[0.0, 0.5], [0.0, 0.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])
    found = relevance([first, second], np.array([0.0, 1.0]), np.ones(2, bool))
    # R = (I + second) (I + first); its second row
    np.testing.assert_allclose(found, ((np.eye(2) + second) @ (np.eye(2) + first))[1])


def test_steps_are_evenly_spread_over_episodes():
    steps = [np.arange(10), np.arange(0), np.arange(5, 95)]
    chosen = spread_evenly(steps, 10)
    assert [len(part) for part in chosen] == [1, 0, 9]
    assert chosen[2][-1] == 94
    assert [part.tolist() for part in spread_evenly(steps[:2], 99)] == [list(range(10)), []]


def test_an_estimate_leaves_out_what_says_nothing():
    found = estimate_mean([1.0, np.nan, 3.0])
    assert found is not None
    assert (found.mean, found.low, found.high, found.steps) == (2, 1, 3, 2)
    assert estimate_mean([np.nan]) is None and estimate_mean([]) is None
    assert estimate_to_json(None) is None
    assert estimate_to_json(found) == {"mean": 2, "low": 1, "high": 3, "steps": 2}


def sure(mean):
    return Estimate(mean, mean - 0.01, mean + 0.01, 9)


UNSURE, AHEAD, BEHIND = Estimate(0.1, -0.1, 0.3, 9), sure(0.2), sure(-0.2)


@pytest.mark.parametrize(
    ("gain", "closed", "correlation", "over_shuffled", "changes", "verdict"),
    [
        (AHEAD, 0.9, AHEAD, AHEAD, True, "explains"),
        (AHEAD, 0.9, AHEAD, None, True, "explains"),
        (AHEAD, 0.49, AHEAD, AHEAD, True, "explains in part"),
        (AHEAD, 0.9, UNSURE, AHEAD, True, "explains in part"),
        (AHEAD, None, AHEAD, AHEAD, True, "explains in part"),
        (AHEAD, 0.9, AHEAD, BEHIND, True, "does not explain"),
        (AHEAD, 0.9, AHEAD, UNSURE, True, "undecided"),
        (UNSURE, 0.9, AHEAD, AHEAD, True, "undecided"),
        (UNSURE, 0.2, AHEAD, AHEAD, True, "does not explain"),
        (BEHIND, -1.0, BEHIND, AHEAD, True, "does not explain"),
        (None, None, None, None, True, "does not explain"),
        (AHEAD, 0.9, AHEAD, AHEAD, False, "nothing to explain"),
    ],
)
def test_the_rule(gain, closed, correlation, over_shuffled, changes, verdict):
    assert verdict_for(gain, closed, correlation, over_shuffled, changes) == verdict


def areas(both, flips=0.0):
    curve = np.zeros(len(GRID))
    return [CurveAreas(value, value, curve, curve, flips) for value in both]


def results(name, both, correlations=(), shuffled=None):
    control = [] if shuffled is None else areas(shuffled)
    return MapResults(
        name, "attention", "", areas(both), list(correlations), shuffled_areas=control
    )


def test_a_finding_weighs_a_map_against_chance_the_causal_map_and_shuffled_weights():
    chance, causal = np.array([0.3, 0.5, 0.4]), np.array([0.8, 0.9, 0.7])
    shuffled = np.array([0.35, 0.45, 0.4])
    own = results("actor/1", [0.7, 0.8, 0.6], [0.5, np.nan, 0.7], shuffled)
    found = rate_map(own, chance, causal, policy_changes=True)
    assert found["gain"] is not None and found["over_shuffled"] is not None
    assert found["gain"].mean == pytest.approx(0.3)
    assert found.closed == pytest.approx(0.75)
    assert found["over_shuffled"].mean == pytest.approx(0.3)
    assert found["sanity"] is not None and found["sanity"].mean == pytest.approx(0)
    assert found["correlation"] is not None and found["correlation"].steps == 2
    assert found.verdict == "explains"
    even = rate_map(results("random", chance), chance, causal, policy_changes=True)
    text = verdict_sentence(found, even)
    assert text.startswith("The map actor/1 explains the policy: its order scores 0.70 against")
    assert "75% of the way to the causal map, rank correlation with it +0.60." in text


def test_every_sentence_names_the_map_that_it_speaks_of():
    """It is read beside other maps too: what is drawn may be another one than the best."""
    chance, causal = np.array([0.3, 0.5, 0.4]), np.full(3, 0.9)
    rows = {"actor/1": [0.7, 0.8, 0.6], "actor/0": [0.2, 0.3, 0.2]}
    found = [rate_map(results(n, row), chance, causal, True) for n, row in rows.items()]
    even = rate_map(results("random", chance), chance, causal, True)
    facts: dict[str, Any] = dict(recording="seen", facts={}, scorer=RecordingScorer(), truth="")
    report = FaithfulnessReport(**facts, drawn="actor/0", ratings=(*found, even))
    assert report.verdict.startswith("The map actor/0 does not explain the policy: its order")
    assert report.notes[0].startswith("Best: the map actor/1 explains the policy in part: its")
    own = FaithfulnessReport(**facts, drawn="actor/1", ratings=(*found, even))
    assert own.verdict.startswith("The map actor/1 ") and "Best" not in own.notes[0]


def test_a_sentence_says_what_speaks_against_a_map():
    """Shuffled weights gain too; the heaviest tokens flip less, and miss what matters."""
    chance, causal, control = np.full(10, 0.3), np.full(10, 0.9), np.full(10, 0.4)

    def found(name, both, flips, hit, shuffled=None):
        pointing = [PointingResult(float(hit), float(hit), 0.5)] * 10
        own = results(name, both, [0.5] * 10, shuffled)
        own.areas, own.pointing = areas(both, flips), pointing
        return rate_map(own, chance, causal, policy_changes=True)

    even = found("random", chance, 0.5, 0.5)
    text = verdict_sentence(found("actor/1", np.full(10, 0.8), 0.25, 0.25, control), even)
    assert text.startswith("The map actor/1 explains the policy")
    assert "; yet with shuffled weights too it gains +0.10 to +0.10 over random order" in text
    assert "the action changes in 25% of states, without 3 random ones in 50%" in text
    assert "what weighs most is what matters in 25% of states, a random token in 50%" in text
    assert "yet" not in verdict_sentence(
        found("actor/1", np.full(10, 0.8), 0.75, 0.75, chance), even
    )


def test_sentences_say_so_when_a_map_does_not_explain():
    chance, causal = np.array([0.3, 0.5, 0.4]), np.array([0.8, 0.9, 0.7])
    even = rate_map(results("random", chance), chance, causal, policy_changes=True)

    def said(both, shuffled=None, policy_changes=True):
        own = results("actor/0", both, [0.5], shuffled)
        return verdict_sentence(rate_map(own, chance, causal, policy_changes), even)

    assert "does not explain the policy: its order scores 0.33" in said([0.2, 0.5, 0.3])
    assert "there is nothing to explain" in said([0.8, 0.9, 0.7], policy_changes=False)
    assert "is not shown to explain the policy, for the steps are too few" in said([0.2, 0.9, 0.8])
    beaten = said([0.8, 0.9, 0.7], shuffled=[0.9, 1.0, 0.8])
    assert "does not explain the policy" in beaten
    assert "over the same map of networks with shuffled weights it gains -0.10 to -0.10" in beaten
    for text in (said([0.2, 0.5, 0.3]), beaten):
        assert text.count(". ") == 0 and text.endswith(".")
