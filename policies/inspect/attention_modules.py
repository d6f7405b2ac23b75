"""Where attention stands in a Stable-Baselines3 policy, and for whom it works."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.attention_weighting import AttentionWeighting
from attention_agents.policies.attention.tappable import TappableAttention
from attention_agents.policies.registries import REGISTRIES
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.gated_extractor import GatedExtractor

ROLES = {
    "features_extractor": "actor",
    "pi_features_extractor": "actor",
    "vf_features_extractor": "critic",
    "actor.features_extractor": "actor",
    "critic.features_extractor": "critic",
    "q_net.features_extractor": "online",
    "quantile_net.features_extractor": "online",
    "lstm_actor": "actor",
    "lstm_critic": "critic",
    "mlp_extractor.value_net": "critic",
    "mlp_extractor": "actor",
    "action_net": "actor",
    "value_net": "critic",
    "actor": "actor",
    "critic": "critic",
    "q_net": "online",
    "quantile_net": "online",
}
"""For whom the parts of a policy work, by their path, in the order in which they run; the longest
path that fits counts. Target networks are left out."""

NOUNS = {
    "score": "",
    "normalizer": "",
    "hard_attention": "",
    "visibility": "",
    "positions": " positions",
    "head_mixing": " heads",
}
"""Options of an attention config, and what follows their words in a sentence."""
EXTRACTOR_PATHS = tuple(path for path in ROLES if path.endswith("features_extractor"))


class AttentionModule(NamedTuple):
    """An attention module of a policy, and where it stands."""

    role: str
    """"actor", "critic" or "online" (Q values); what both share counts as the actor's."""
    layer: int
    """0 is the layer next to the observation; what follows the extractor is counted on."""
    module: TappableAttention
    in_extractor: bool
    """Whether it is a part of a features extractor."""

    @property
    def name(self) -> str:
        """Role, layer and part, such as "actor/0" or "actor/0/time"."""
        part = self.module.part
        return f"{self.role}/{self.layer}/{part}" if part else f"{self.role}/{self.layer}"


def features_extractors(policy: nn.Module) -> dict[str, nn.Module]:
    """Return the features extractors of an SB3 policy by role, of whatever kind."""
    modules = policy.named_modules()
    return {ROLES[path]: module for path, module in modules if path in EXTRACTOR_PATHS}


def attention_extractors(policy: nn.Module) -> dict[str, AttentionExtractor]:
    """Return the attention extractors of an SB3 policy by role.

    Raises:
        ValueError: the policy has none.
    """
    extractors = {
        role: extractor
        for role, extractor in features_extractors(policy).items()
        if isinstance(extractor, AttentionExtractor)
    }
    if not extractors:
        raise ValueError(
            f"{type(policy).__name__} has no AttentionExtractor; build the model with "
            "policy_kwargs=dict(features_extractor_class=AttentionExtractor)"
        )
    return extractors


def token_layouts(policy: nn.Module) -> dict[str, TokenLayout]:
    """Return what the tokens of each extractor with attention are, by role.

    Raises:
        ValueError: the policy has none.
    """
    layouts = {
        role: extractor.layout
        for role, extractor in features_extractors(policy).items()
        if isinstance(extractor, (AttentionExtractor, GatedExtractor))
    }
    return layouts or {role: e.layout for role, e in attention_extractors(policy).items()}


def acting_role(roles: Iterable[str]) -> str:
    """Return the role whose extractor chooses the action: "actor" or "online"."""
    return next(role for role in roles if role != "critic")


def extractor_of_role(extractors: dict[str, nn.Module]) -> dict[str, str]:
    """Return whose extractor each role reads: its own, or the acting one where it has none."""
    acting = next((role for role in extractors if role != "critic"), None)
    with_extractor = {role: role for role in extractors}
    if acting is None:
        return with_extractor
    return dict.fromkeys(ROLES.values(), acting) | with_extractor


def attention_modules(policy: nn.Module) -> list[AttentionModule]:
    """Return the attention modules of a policy, role by role, in the order in which they run.

    Those of an `AttentionExtractor` or a `GatedExtractor` have its layers. All others, such as a
    recurrent part's or a pointer's, follow with a layer each.

    Raises:
        ValueError: two modules of a layer have the same name.
    """
    extractors = features_extractors(policy)
    extractor_roles = extractor_of_role(extractors)
    in_extractors = {part for extractor in extractors.values() for part in extractor.modules()}
    by_role: dict[str, list[AttentionModule]] = {role: [] for role in extractor_roles}
    for role, extractor in extractors.items():
        if isinstance(extractor, AttentionExtractor):
            layers = extractor.encoder.attention_modules()
        elif isinstance(extractor, GatedExtractor):
            layers = extractor.attention_modules()
        else:
            continue
        by_role[role] = [AttentionModule(role, *layer, True) for layer in layers]
    listed = {entry.module for entries in by_role.values() for entry in entries}
    depth = {
        role: max((entry.layer + 1 for entry in by_role[extractor_role]), default=0)
        for role, extractor_role in extractor_roles.items()
    }
    for role, module in _modules_by_path(policy):
        if module not in listed and role in extractor_roles:
            entry = AttentionModule(role, depth[role], module, module in in_extractors)
            by_role[role].append(entry)
            depth[role] += 1
    modules = [entry for entries in by_role.values() for entry in entries]
    _check_names([entry.name for entry in modules])
    return modules


def _modules_by_path(policy: nn.Module) -> list[tuple[str, TappableAttention]]:
    """Return the attention modules below known paths with their roles, in the order of `ROLES`."""
    paths, ranked = list(ROLES), []
    for path, module in policy.named_modules():
        parents = [parent for parent in paths if f"{path}.".startswith(f"{parent}.")]
        if isinstance(module, TappableAttention) and parents:
            parent = max(parents, key=len)
            ranked.append((paths.index(parent), ROLES[parent], module))
    return [(role, module) for _, role, module in sorted(ranked, key=lambda entry: entry[0])]


def _check_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"{names.count(name)} attention modules go by the name {name!r}; give each a "
                "`part` of its own"
            )


def mechanism_text(module: TappableAttention) -> str:
    """Describe how a module weighs where that is not the default: "additive, entmax15, top-k 4"."""
    weighting = next(
        (part for part in module.modules() if isinstance(part, AttentionWeighting)), None
    )
    if weighting is None:
        return ""
    config, default = weighting.config, AttentionConfig()
    words = []
    for option, noun in NOUNS.items():
        word, registry = getattr(config, option), REGISTRIES[option]
        is_default = word == getattr(default, option)
        if not is_default and type(getattr(weighting, option)) is registry[word]:
            words.append(_with_number(word, registry.words[word], config) + noun)
    if config.temperature != default.temperature:
        words.append(f"temperature {config.temperature:g}")
    return ", ".join(words)


def _with_number(word: str, help: str, config: AttentionConfig) -> str:
    """Add the number that a word's line of help names."""
    numbers = [name for name in ("top_k", "window") if f"`{name}`" in help]
    return " ".join([word, *(str(getattr(config, name)) for name in numbers)])
