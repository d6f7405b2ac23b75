"""The set attention block: every token reads every other, normed after each addition."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import SelfAttention
from attention_agents.policies.blocks.block import Block, FeedForward
from attention_agents.policies.registries import BLOCKS
from attention_agents.policies.tokens import Tokens


class PostNorm(nn.Module):
    """Add what was read to those who asked, and what they make of it, with a norm after each.

    `h = norm(x + read)`, then `norm(h + ffn(h))`. With `read = attention(x, y)` this is the
    multihead attention block MAB(x, y) of Set Transformer.

    Source: Lee et al. 2019, Set Transformer, equations 6 and 7, https://arxiv.org/abs/1810.00825.
    """

    def __init__(self, context: LayerContext):
        super().__init__()
        self.attention_norm, self.ffn_norm = (
            nn.LayerNorm(context.width),
            nn.LayerNorm(context.width),
        )
        self.ffn = FeedForward(context)

    def forward(
        self, x: Float[Tensor, "B Q D"], read: Float[Tensor, "B Q D"]
    ) -> Float[Tensor, "B Q D"]:
        h = self.attention_norm(x + read)
        return self.ffn_norm(h + self.ffn(h))


@BLOCKS.register("sab", "set attention: every token reads every other, norms last, O(N^2)")
class SAB(Block):
    """`SAB(x) = MAB(x, x)`: tokens read each other, normed after each addition, in O(N^2).

    Source: Lee et al. 2019, Set Transformer, equation 8, https://arxiv.org/abs/1810.00825.
    Differs: the feed-forward layer has an inner layer, with a gelu.
    """

    def __init__(self, context: LayerContext):
        super().__init__(context)
        self.attention = SelfAttention(context)
        self.after = PostNorm(context)

    def forward(self, tokens: Tokens) -> Tokens:
        return tokens._replace(values=self.after(tokens.values, self.attention(tokens)))
