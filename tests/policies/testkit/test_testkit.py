"""The kit refuses what is wrong; that what is right passes, every other test of it shows."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.head_mixing.talking import TalkingHeads
from attention_agents.policies.attention.multi_head import MultiHead, QueryAttention, SelfAttention
from attention_agents.policies.attention.normalizers.normalizer import Normalizer
from attention_agents.policies.attention.scores.score import Score
from attention_agents.policies.attention.tappable import AttentionWeights
from attention_agents.policies.testkit import (
    FAR_SCORES,
    check_far_scores,
    check_mechanism,
    check_parameters,
    check_reads,
    example_tokens,
    layer_context,
    record_reads,
)
from tests.policies.reads import Ask
from tests.policies.scenes import SCENES

PLACE = layer_context(heads=3)
NOT_READ = "the weights reported are not those that tokens were read with"


class Even(SelfAttention):
    """Tells even weights, whatever it read with."""

    def report_weights(self, weighed, mask):
        seen = weighed.weights.gt(0).to(weighed.weights.dtype)
        super().report_weights(
            AttentionWeights(seen / seen.sum(-1, keepdim=True).clamp(min=1), None), mask
        )


class Swapped(SelfAttention):
    """Tells the weights of each head as those of another."""

    def report_weights(self, weighed, mask):
        super().report_weights(AttentionWeights(weighed.weights.flip(1), None), mask)


class Nothing(SelfAttention):
    """Tells that nothing was read."""

    def report_weights(self, weighed, mask):
        super().report_weights(AttentionWeights(torch.zeros_like(weighed.weights), None), mask)


class Silent(SelfAttention):
    """Tells nothing."""

    def report_weights(self, weighed, mask):
        pass


class Further(SelfAttention):
    """Gives more than it has read."""

    def forward(self, tokens):
        return super().forward(tokens) + tokens.values


class EvenQuery(QueryAttention):
    """Tells even weights for the queries of a readout."""

    def report_weights(self, weighed, mask):
        super().report_weights(
            AttentionWeights(torch.full_like(weighed.weights, 1 / 5), None), mask
        )


class AskEvenly(Ask):
    def __init__(self, place):
        super().__init__(place)
        self.attention = EvenQuery(place)


@pytest.mark.parametrize("wrong", [Even, Swapped, Nothing, Further, AskEvenly])
def test_weights_that_were_not_read_are_refused(wrong):
    with pytest.raises(AssertionError, match=NOT_READ):
        check_reads(lambda: wrong(PLACE), example_tokens(PLACE))
    if wrong not in (AskEvenly, Nothing):
        with pytest.raises(AssertionError, match=NOT_READ):
            check_mechanism(lambda: wrong(PLACE), PLACE, compiles=False)


def test_silence_is_refused():
    with pytest.raises(AssertionError, match="Silent: a pass reported no weights"):
        check_reads(lambda: Silent(PLACE), example_tokens(PLACE))


def test_a_mix_that_the_fused_kernel_leaves_out_is_refused():
    class Unheard(TalkingHeads):
        """Mixes weights, and says that it does not."""

    Unheard.changes_weights = False

    def made() -> SelfAttention:
        module = SelfAttention(PLACE)
        module.weighting.head_mixing = Unheard(PLACE)
        nn.init.normal_(module.weighting.head_mixing.after)
        assert module.weighting.is_fused
        return module

    with pytest.raises(AssertionError, match=NOT_READ):
        check_reads(made, example_tokens(PLACE))


class Fixed(Score):
    """A score whose only parameter learns nothing."""

    def __init__(self, place):
        super().__init__(place)
        self.sharpness = nn.Parameter(torch.ones(place.heads, 1, 1))

    def forward(self, q, k):
        return self.sharpness.detach() * self.scale * q @ k.transpose(-2, -1)


class Idle(Fixed):
    """A score whose only parameter changes nothing."""

    def forward(self, q, k):
        return self.scale * q @ k.transpose(-2, -1) + 0 * self.sharpness


@pytest.mark.parametrize("wrong", [Fixed, Idle])
def test_a_parameter_that_learns_nothing_is_refused(wrong):
    def made() -> SelfAttention:
        module = SelfAttention(PLACE)
        module.weighting.score, module.weighting.is_fused = wrong(PLACE), False
        return module

    lost = "nothing is learned: weighting.score.sharpness$"
    with pytest.raises(AssertionError, match=lost):
        check_mechanism(made, PLACE, compiles=False)
    with pytest.raises(AssertionError, match=lost):
        check_parameters(made, example_tokens(PLACE), idle=("weighting.score.scale",))
    check_parameters(made, example_tokens(PLACE), idle=("weighting.score.sharpness",))


class Shallow(Normalizer):
    """Loses its norm where all scores are far below 0."""

    def forward(self, scores, visible):
        weights = F.softplus(scores)
        if visible is not None:
            weights = torch.where(visible, weights, 0.0)
        return weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)


def test_a_normaliser_that_loses_its_norm_far_from_0_is_refused():
    def made() -> SelfAttention:
        module = SelfAttention(PLACE)
        module.weighting.normalizer, module.weighting.is_fused = Shallow(PLACE), False
        return module

    with pytest.raises(AssertionError, match=r"Shallow: rows of scores near \[-110.0, -25.0"):
        check_mechanism(made, PLACE, compiles=False)
    with pytest.raises(AssertionError, match="Shallow: rows of scores near"):
        check_far_scores(made, PLACE)
    assert FAR_SCORES.abs().max() > -torch.log(torch.tensor(torch.finfo(torch.float32).tiny))


def test_values_times_weights_are_the_read():
    """`read = weights @ values`, in plain loops, for self-attention."""
    place = layer_context(
        heads=3, layout=SCENES["features"], attention=AttentionConfig(normalizer="entmax15")
    )
    (one,) = record_reads(SelfAttention(place), example_tokens(place))
    assert isinstance(one.report, AttentionWeights)
    values, weights = one.attention.project_values(*one.inputs), one.report.weights
    B, H, Q, N = weights.shape
    read = torch.zeros(B, H, Q, values.shape[-1])
    for b in range(B):
        for h in range(H):
            for q in range(Q):
                read[b, h, q] = sum(weights[b, h, q, n] * values[b, h, n] for n in range(N))
    joined = read.transpose(1, 2).flatten(2)
    torch.testing.assert_close(one.attention.output(joined), one.out, atol=1e-5, rtol=1e-4)


def test_listening_to_passes_leaves_no_trace():
    module = SelfAttention(PLACE)
    record_reads(module, example_tokens(PLACE))
    assert not module.listeners and "report" not in vars(module) and not module._forward_hooks


def test_multi_head_attention_must_say_what_it_reads():
    with pytest.raises(NotImplementedError):
        MultiHead(PLACE).project_values()
