"""What a training run is: as asked for (`TrainConfig`), and with nothing open (`RunConfig`).

Free of torch and Gymnasium, so that `--help` is quick.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any

import tyro
import yaml

if TYPE_CHECKING:
    from envs.spaces import TokenChoice

ALGOS = ("ppo", "dqn", "a2c", "sac", "td3")
ALGOS += ("qrdqn", "trpo", "ppo_mask", "ppo_lstm", "tqc", "crossq")
TOKENS = ("auto", "patches", "linear-patches", "cells", "entities", "features", "history")
VEC_ENVS = ("dummy", "subproc")
ACTIVATIONS = ("tanh", "relu", "elu", "gelu")
DEVICES = ("auto", "cpu", "cuda", "mps")
MECHANISMS = ("block", "readout", "attention", "normaliser", "hard", "where", "positions", "mix")
"""Options of the encoder that take a registered name."""
GAUSSIAN = ("ppo", "a2c", "trpo", "ppo_lstm", "sac", "tqc", "crossq")
OFF_POLICY_ACTORS = ("sac", "td3", "tqc", "crossq")
ONLY_FOR = {
    "noise_std": OFF_POLICY_ACTORS,
    "log_std_init": GAUSSIAN,
    "share_features_extractor": ("ppo", "a2c", "trpo", "ppo_mask", "ppo_lstm", *OFF_POLICY_ACTORS),
    "lstm_hidden_size": ("ppo_lstm",),
    "n_quantiles": ("qrdqn", "tqc"),
}
HEADS = {
    "mlp": ALGOS,
    "pointer": ("ppo", "a2c", "trpo", "ppo_mask"),
    "attention-gru": ("ppo_lstm",),
}
"""What follows the encoder, and the algorithms that take it."""
"""Words that only some algorithms know."""


def known(kind: str, name: str, names: Iterable[str]) -> str:
    """Return `name` when it is one of `names`.

    Raises:
        ValueError: it is not; the text names the nearest one, or all of them.
    """
    names = tuple(names)
    if name in names:
        return name
    near = difflib.get_close_matches(str(name), names, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    raise ValueError(f"unknown {kind} {name!r}; {advice}")


def read_pairs(words: Iterable[str]) -> dict[str, Any]:
    """Read words like `gamma:0.98` or `net_arch:[64,64]`; the values are YAML, so nothing is run.

    >>> read_pairs(["gamma:0.98", "learning_rate:lin_1e-3", "train_freq:[1, episode]"])
    {'gamma': 0.98, 'learning_rate': 'lin_1e-3', 'train_freq': [1, 'episode']}

    Raises:
        ValueError: a word has no colon, an empty key, or a value that is no YAML.
    """
    pairs: dict[str, Any] = {}
    for word in words:
        key, colon, text = word.partition(":")
        if not (key and colon):
            raise ValueError(f"expected key:value, got {word!r}")
        try:
            pairs[key] = _number(yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise ValueError(f"cannot read the value of {word!r}: {error}") from error
    return pairs


def _number(value: Any) -> Any:
    """Return a float for texts like 1e-3, which YAML 1.1 takes for a string."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Pairs = Annotated[
    dict[str, Any],
    tyro.conf.arg(help_behavior_hint="(default: none)"),
    tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="KEY:VALUE",
        instance_from_str=read_pairs,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda pairs: [f"{key}:{value}" for key, value in pairs.items()],
    ),
]


def _open(metavar: str, default: str = "preset", aliases: tuple[str, ...] = ()) -> Any:
    """Return how `--help` tells an option that may stay open."""
    hint = f"(default: {default})"
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=hint, aliases=aliases)


EVALUATED = "20 times a run; left out while those before took over a fifth of its steps so far"
Count = Annotated[int | None, _open("INT")]
Word = Annotated[str | None, _open("STR")]
Modules = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="MODULE", help_behavior_hint="(default: none)")
]


@dataclass(frozen=True)
class RunOptions:
    """What runs, how long, and where."""

    env: str = "MiniGrid-DoorKey-5x5-v0"
    """Gymnasium id, or module:Id to import a module of yours that registers it first."""
    algo: Word = None
    """ppo, a2c, trpo, ppo_lstm; discrete dqn, qrdqn, ppo_mask; continuous sac, td3, tqc, crossq."""
    n_timesteps: Annotated[int | None, _open("INT", aliases=("-n",))] = None
    """Environment steps to train for, all environments together."""
    seed: int = 0
    """Seeds the weights, the exploration and the environments."""
    n_envs: Count = None
    """Environments that are stepped side by side."""
    vec_env: str = "dummy"
    """dummy: one after the other; subproc: in processes of their own (for slow ones)."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ..."""
    threads: int = 1
    """Threads that torch may use; 1 is fastest for small networks."""
    log_folder: str = "runs"
    """The run folder is made here, as <algo>/<env>_<k>."""
    plugins: Modules = ()
    """Modules of yours that register mechanisms, in the current folder or installed."""
    progress: bool = True
    """Show the preset and the progress."""


@dataclass(frozen=True)
class EnvironmentOptions:
    """What the agent lives in."""

    history: Count = None
    """Observe the last K steps of a vector observation; 0 for the present step alone."""
    max_entities: int = 32
    """Room for the members of each Sequence or Graph in the observation."""
    max_episode_steps: Annotated[int | None, _open("INT", "as registered")] = None
    """Longest episode, in steps; evaluations and replays of endless ones end after 10000."""
    env_kwargs: Pairs = field(default_factory=dict)
    """Arguments of the environment, such as continuous:true."""


@dataclass(frozen=True)
class EncoderOptions:
    """The attention encoder; its words are explained below."""

    tokens: str = "auto"
    """auto, patches, linear-patches, cells, entities, features, history; or image:cells,x:auto."""
    layers: Count = None
    """Attention layers."""
    heads: Count = None
    """Attention heads per layer."""
    width: Count = None
    """Numbers per token, a multiple of heads."""
    block: Word = None
    """What the layers before the readout are."""
    readout: Word = None
    """From tokens to one vector; most readouts are the last attention layer."""
    points: Annotated[int | None, _open("INT", "preset, else 4")] = None
    """Learned queries, slots or inducing points, for readouts and blocks that have some."""
    asker: Word = None
    """Key of a Dict observation whose tokens ask, for the readout cross."""
    attention: Word = None
    """How well a token answers a query: the score."""
    normaliser: Annotated[str | None, _open("STR", aliases=("--normalizer",))] = None
    """From scores to weights."""
    temperature: Annotated[float | None, _open("FLOAT", "preset, else 1")] = None
    """Divides the scores: below 1 sharpens, above 1 evens out."""
    hard: Word = None
    """Hard attention: which tokens are read at all."""
    budget: Annotated[int | None, _open("INT", "preset, else 4")] = None
    """Tokens that a query reads, for hard attention by top-k."""
    where: Word = None
    """Which tokens a query sees."""
    reach: Annotated[int | None, _open("INT", "preset, else 2")] = None
    """Of a local window: cells, patches or steps to each side."""
    positions: Word = None
    """What the distance between asker and token adds to the score."""
    mix: Word = None
    """How heads combine."""


@dataclass(frozen=True)
class LearningOptions:
    """The algorithm, beside its preset."""

    head: Word = None
    """mlp; pointer: actions point at entities, one action each (ppo, a2c, trpo, ppo_mask);
    attention-gru: the recurrent state asks, and is carried (ppo_lstm)."""
    learning_rate: Word = None
    """A number, or lin_X: falling linearly from X to 0."""
    normalize: Annotated[bool | None, _open("BOOL")] = None
    """True or False: normalise rewards and feature observations by their running variance."""
    hyperparams: Pairs = field(default_factory=dict)
    """Arguments such as gamma:0.98 net_arch:[7,7]; short runs cut n_steps and learning_starts."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What is measured and saved along the way."""

    eval_freq: Annotated[int | None, _open("INT", EVALUATED)] = None
    """Steps between evaluations, which choose the best checkpoint; 0 for none."""
    eval_episodes: Count = None
    """Episodes per evaluation."""
    save_freq: Annotated[int | None, _open("INT", "4 times a run")] = None
    """Steps between checkpoints; 0 for none but best and final."""


@dataclass(frozen=True)
class TrainConfig(
    EvaluationOptions, LearningOptions, EncoderOptions, EnvironmentOptions, RunOptions
):
    """Train an attention agent on a Gymnasium environment.

    What is not given comes from agents/presets.yml: tuned values for the environment, else for its
    family. Progress goes to stderr; the last line on stdout is the run folder. Ctrl-C stops after
    the present step, saves, and exits with code 130.
    """


@dataclass(frozen=True)
class EncoderConfig:
    """The attention encoder, as `AttentionExtractor` takes it.

    The words of mechanisms are looked up when an encoder is built: plugins may add some.
    """

    tokens: TokenChoice | Mapping[str, TokenChoice] = "auto"
    """A kind of token, or a kind per key of a Dict observation."""
    layers: int = 2
    heads: int = 4
    width: int = 64
    """Width of a token; a multiple of `heads`."""
    block: str = "residual"
    readout: str = "auto"
    points: int = 4
    """Learned queries, slots or inducing points."""
    asker: str = ""
    """Key of a Dict observation whose tokens ask, for the readout "cross"."""
    attention: str = "scaled-dot-product"
    """The score. Words from here on are those of a `Mechanism`."""
    normaliser: str = "softmax"
    temperature: float = 1.0
    hard: str = "none"
    budget: int = 4
    where: str = "global"
    reach: int = 2
    positions: str = "none"
    mix: str = "concat"

    def __post_init__(self) -> None:
        for kind in self.tokens.values() if isinstance(self.tokens, Mapping) else (self.tokens,):
            known("kind of token", kind, TOKENS)
        for name in ("layers", "heads", "width", "points", "budget", "reach"):
            _count(name, getattr(self, name))
        for name in (*MECHANISMS, "asker"):
            _text(name, getattr(self, name))
        _real("temperature", self.temperature)
        if self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of heads, got width={self.width}, heads={self.heads}"
            )


@dataclass(frozen=True)
class PolicyConfig:
    """What stands between the encoder's features and the actions, in SB3's words."""

    head: str = "mlp"
    """mlp; pointer: actions point at entities; attention-gru: the state that is carried asks."""
    net_arch: tuple[int, ...] = (64,)
    """Hidden layers of the policy and of the value network, each."""
    activation: str = "tanh"
    share_features_extractor: bool | None = None
    """One encoder for actor and critic; None leaves that to SB3 (ppo, a2c: yes)."""
    log_std_init: float | None = None
    """Start of the logarithm of the Gaussian's width; None leaves it to the algorithm."""
    lstm_hidden_size: int | None = None
    """Numbers that the policy of ppo_lstm remembers; None for 64."""
    n_quantiles: int | None = None
    """Quantiles of each value, in qrdqn and tqc; None leaves it to the algorithm (200, 25)."""

    def __post_init__(self) -> None:
        known("head", self.head, HEADS)
        known("activation", self.activation, ACTIVATIONS)
        for size in self.net_arch:
            _count("every layer of net_arch", size)
        if self.share_features_extractor not in (None, True, False):
            raise ValueError(
                f"share_features_extractor must be true or false, "
                f"got {self.share_features_extractor!r}"
            )
        if self.log_std_init is not None:
            _real("log_std_init", self.log_std_init)
        for name in ("lstm_hidden_size", "n_quantiles"):
            if getattr(self, name) is not None:
                _count(name, getattr(self, name))


@dataclass(frozen=True)
class RunConfig:
    """A run with nothing left open; `config.json` of a run or checkpoint holds this."""

    env: str
    algo: str
    n_timesteps: int
    seed: int
    n_envs: int
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    hyperparams: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the SB3 algorithm; numbers, or "lin_X" for a schedule."""
    noise_std: float | None = None
    """Standard deviation of the action noise of sac, td3 and their kin; an action spans [-1, 1]."""
    normalize_obs: bool = False
    normalize_reward: bool = False
    history: int = 0
    """Past steps that an observation holds; 0 for an environment as it is."""
    max_episode_steps: int | None = None
    """Longest episode; None for the limit that the environment is registered with."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    max_entities: int = 32
    """Room for the members of each Sequence or Graph in the observation."""
    plugins: tuple[str, ...] = ()
    """Modules that registered mechanisms. A run is loaded only where they are imported already."""
    vec_env: str = "dummy"
    device: str = "auto"
    threads: int = 1
    eval_freq: int = 0
    """Steps between evaluations; 0 for none."""
    eval_share: float | None = None
    """Evaluations are left out while those before took more than this share of the steps trained;
    None for none left out."""
    eval_episodes: int = 10
    save_freq: int = 0
    """Steps between checkpoints; 0 for none."""

    def __post_init__(self) -> None:
        known("algorithm", self.algo, ALGOS)
        known("vec_env", self.vec_env, VEC_ENVS)
        known("device", self.device.partition(":")[0], DEVICES)
        for name in ("n_timesteps", "n_envs", "max_entities", "threads", "eval_episodes"):
            _count(name, getattr(self, name))
        for name in ("seed", "history", "eval_freq", "save_freq"):
            _count(name, getattr(self, name), least=0)
        if self.max_episode_steps is not None:
            _count("max_episode_steps", self.max_episode_steps)
        for name, algos in ONLY_FOR.items():
            value = self.noise_std if name == "noise_std" else getattr(self.policy, name)
            if value is not None and self.algo not in algos:
                raise ValueError(f"{name} is for {', '.join(algos)}, got algo={self.algo}")
        for name in self.plugins:
            _text("each of plugins", name)
        if self.algo not in HEADS[self.policy.head]:
            algos = ", ".join(HEADS[self.policy.head])
            raise ValueError(f"head={self.policy.head!r} is for {algos}, got algo={self.algo}")
        if self.noise_std is not None and _real("noise_std", self.noise_std) < 0:
            raise ValueError(f"noise_std must be at least 0, got {self.noise_std}")
        if self.eval_share is not None and _real("eval_share", self.eval_share) < 0:
            raise ValueError(f"eval_share must be at least 0, got {self.eval_share}")

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, numbers and texts; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunConfig:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a field is unknown or missing, or breaks a rule.
        """
        names = {each.name for each in fields(cls)}
        try:
            parts = dict(values)
            policy = dict(parts["policy"])
            policy["net_arch"] = tuple(policy["net_arch"])
            parts["plugins"] = tuple(parts.get("plugins", ()))
            parts |= {
                "encoder": EncoderConfig(**parts["encoder"]),
                "policy": PolicyConfig(**policy),
            }
            for name in parts:
                known("field of a run's config", name, names)
            return cls(**parts)
        except (TypeError, KeyError) as error:
            raise ValueError(f"not the config of a run: {error}") from error


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a word, got {value!r}")


def _count(name: str, value: Any, least: int = 1) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _real(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number, got {value!r}")
    return value
