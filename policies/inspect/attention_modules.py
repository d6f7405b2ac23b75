"""Where attention stands in a Stable-Baselines3 policy, and for whom it works."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from attention_agents.policies.attention import (
    MIXES,
    NORMALISERS,
    POSITIONS,
    SCORES,
    SELECTIONS,
    WHERES,
    Attentive,
    Mechanism,
    Registry,
    Weighing,
)
from attention_agents.policies.sb3.extractor import AttentionExtractor

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

EXTRACTORS = tuple(path for path in ROLES if path.endswith("features_extractor"))


class Seat(NamedTuple):
    """An attention module of a policy, and where it stands."""

    role: str
    """"actor", "critic" or "online" (Q values); what both share counts as the actor's."""
    layer: int
    """0 is the layer next to the observation; what follows the extractor is counted on."""
    attention: Attentive
    inside: bool
    """Whether it is a part of a features extractor."""

    @property
    def name(self) -> str:
        """Role, layer and part, such as "actor/0" or "actor/0/time"."""
        part = self.attention.part
        return f"{self.role}/{self.layer}/{part}" if part else f"{self.role}/{self.layer}"


def extractors_of(policy: nn.Module) -> dict[str, AttentionExtractor]:
    """Return the attention extractors of an SB3 policy by role.

    Raises:
        ValueError: the policy has none.
    """
    every = any_extractors_of(policy).items()
    found = {role: each for role, each in every if isinstance(each, AttentionExtractor)}
    if not found:
        raise without_attention(policy)
    return found


def any_extractors_of(policy: nn.Module) -> dict[str, nn.Module]:
    """Return the features extractors of an SB3 policy by role, of whatever kind."""
    return {ROLES[path]: each for path, each in policy.named_modules() if path in EXTRACTORS}


def without_attention(policy: nn.Module) -> ValueError:
    return ValueError(
        f"{type(policy).__name__} has no AttentionExtractor; build the model with "
        "policy_kwargs=dict(features_extractor_class=AttentionExtractor)"
    )


def seats_of(policy: nn.Module) -> list[Seat]:
    """Return the attention modules of a policy, role by role, in the order in which they run.

    Those of an `AttentionExtractor` have its layers. All others, such as a recurrent part's or a
    pointer's, follow with a layer each.

    Raises:
        ValueError: two modules of a layer go by one name.
    """
    extractors = any_extractors_of(policy)
    homes = home_of_roles(extractors)
    inside = {module for each in extractors.values() for module in each.modules()}
    seats: dict[str, list[Seat]] = {role: [] for role in homes}
    for role, each in extractors.items():
        if isinstance(each, AttentionExtractor):
            seats[role] = [Seat(role, *placed, True) for placed in each.encoder.attentions()]
    known = {seat.attention for each in seats.values() for seat in each}
    layers = {role: max((s.layer + 1 for s in each), default=0) for role, each in seats.items()}
    layers = {role: layers[home] for role, home in homes.items()}
    for role, module in _elsewhere(policy):
        if module not in known and role in homes:
            seats[role].append(Seat(role, layers[role], module, module in inside))
            layers[role] += 1
    found = [seat for each in seats.values() for seat in each]
    names = [seat.name for seat in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"{names.count(name)} attention modules go by the name {name!r}; give each a "
                "`part` of its own"
            )
    return found


def home_of_roles(extractors: dict[str, nn.Module]) -> dict[str, str]:
    """Return whose extractor each role reads: its own, or the acting one where it has none."""
    acting = next((role for role in extractors if role != "critic"), None)
    homes = {role: role for role in extractors}
    return homes if acting is None else dict.fromkeys(ROLES.values(), acting) | homes


def _elsewhere(policy: nn.Module) -> list[tuple[str, Attentive]]:
    """Return the attention modules below known paths with their roles, in the order of `ROLES`."""
    paths, found = list(ROLES), []
    for path, module in policy.named_modules():
        fitting = [each for each in paths if f"{path}.".startswith(f"{each}.")]
        if isinstance(module, Attentive) and fitting:
            under = max(fitting, key=len)
            found.append((paths.index(under), ROLES[under], module))
    return [(role, module) for _, role, module in sorted(found, key=lambda each: each[0])]


def mechanism_text(module: Attentive) -> str:
    """Say how a module weighs where that is not the default: "additive, entmax15, top-k 4"."""
    weighing = next((each for each in module.modules() if isinstance(each, Weighing)), None)
    if weighing is None:
        return ""
    mechanism, plain = weighing.mechanism, Mechanism()
    used: list[tuple[str, Registry, nn.Module, str]] = [
        ("score", SCORES, weighing.score, ""),
        ("normaliser", NORMALISERS, weighing.normaliser, ""),
        ("hard", SELECTIONS, weighing.selection, ""),
        ("where", WHERES, weighing.where, ""),
        ("positions", POSITIONS, weighing.positions, " positions"),
        ("mix", MIXES, weighing.mix, " heads"),
    ]
    words = []
    for field, registry, piece, noun in used:
        word = getattr(mechanism, field)
        if word != getattr(plain, field) and type(piece) is registry[word]:
            words.append(_numbered(word, registry.help(word), mechanism) + noun)
    if mechanism.temperature != plain.temperature:
        words.append(f"temperature {mechanism.temperature:g}")
    return ", ".join(words)


def _numbered(word: str, help: str, mechanism: Mechanism) -> str:
    """Add the number that a mechanism's line of help names."""
    numbers = [name for name in ("budget", "reach") if f"`{name}`" in help]
    return " ".join([word, *(str(getattr(mechanism, name)) for name in numbers)])
