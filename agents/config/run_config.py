"""What a training run is: as asked for (`TrainConfig`), and with nothing open (`RunConfig`).

Free of torch and Gymnasium, so that `--help` is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any

from attention_agents.agents.config.algorithms import ALGORITHMS, OPTIONS, algorithms_with
from attention_agents.agents.config.catalogue import POLICY_HEADS
from attention_agents.agents.config.cli_types import (
    Count,
    Modules,
    Normalize,
    Pairs,
    Word,
    optional_arg,
)
from attention_agents.agents.config.encoder_config import EncoderConfig, EncoderOptions
from attention_agents.agents.config.json_values import from_json_value, to_json_value
from attention_agents.agents.config.validation import (
    check_choice,
    check_count,
    check_fields,
    check_plain,
    check_word,
)

VEC_ENVS = ("dummy", "subproc")
ACTIVATIONS = ("tanh", "relu", "elu", "gelu")
DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_ENTITIES = 1024
"""The most tokens that can be attended to."""
LIMITS = {
    **dict.fromkeys(("history", "eval_freq", "save_freq", "noise_std", "eval_share"), (0, None)),
    "seed": (0, 2**32 - 1),
    "threads": (1, 1024),
    "max_entities": (1, MOST_ENTITIES),
}
"""The least and the most of fields of `RunConfig`; seeds are those of numpy's streams."""
EVALUATED = "20 times a run; left out while those before took over a fifth of its steps so far"


def check_env_kwargs(env_kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that no environment of a run can have.

    Raises:
        ValueError: JSON cannot hold them, or they choose how frames are drawn.
    """
    for name, value in env_kwargs.items():
        check_plain(f"{name} of env_kwargs", to_json_value(value))
    if "render_mode" in env_kwargs:
        raise ValueError("env_kwargs cannot have a render_mode: replay draws the episodes")


@dataclass(frozen=True)
class RunOptions:
    """What runs, how long, and where."""

    env: str = "MiniGrid-DoorKey-5x5-v0"
    """Gymnasium id, or module:Id to import a module of yours that registers it first."""
    algo: Word = None
    """ppo, a2c, trpo, ppo_lstm; discrete dqn, qrdqn, ppo_mask; continuous sac, td3, tqc, crossq."""
    n_timesteps: Annotated[int | None, optional_arg("INT", aliases=("-n",))] = None
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
    """Observe the last K steps. Pictures, grids and entities keep their tokens, and what stands
    beside these in a Dict is of the present."""
    max_entities: int = 32
    """Room for the members of each Sequence or Graph in the observation."""
    max_episode_steps: Annotated[int | None, optional_arg("INT", "as registered")] = None
    """Longest episode, in steps; evaluations and replays of endless ones end after 10000."""
    env_kwargs: Pairs = field(default_factory=dict)
    """Arguments of the environment, such as continuous:true."""


@dataclass(frozen=True)
class LearningOptions:
    """The algorithm, beside its preset."""

    policy_head: Annotated[str | None, optional_arg("STR", aliases=("--head",))] = None
    """What follows the encoder; explained below."""
    learning_rate: Word = None
    """A number, or lin_X: falling linearly from X to 0."""
    normalize: Normalize = None
    """True or False: normalize rewards and feature observations by their running variance."""
    hyperparams: Pairs = field(default_factory=dict)
    """Arguments such as gamma:0.98 net_arch:[7,7]; short runs cut n_steps and learning_starts."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What is measured and saved along the way."""

    eval_freq: Annotated[int | None, optional_arg("INT", EVALUATED)] = None
    """Steps between evaluations, which choose the best checkpoint; 0 for none."""
    eval_episodes: Count = None
    """Episodes per evaluation."""
    save_freq: Annotated[int | None, optional_arg("INT", "4 times a run")] = None
    """Steps between checkpoints; 0 for none but best and final."""


@dataclass(frozen=True)
class TrainConfig(
    EvaluationOptions, LearningOptions, EncoderOptions, EnvironmentOptions, RunOptions
):
    """Train an attention agent on a Gymnasium environment.

    What is not given comes from agents/config/presets.yml: tuned values for the environment, else
    for its family; what is not there either is SB3's own. Progress goes to stderr; the last line on
    stdout is the run folder. Ctrl-C stops after the present step, saves, and exits with code 130.
    """


@dataclass(frozen=True)
class PolicyConfig:
    """What stands between the encoder's features and the actions, in SB3's words."""

    head: str = "mlp"
    """mlp; pointer: actions point at entities; attention-gru: the state that is carried asks."""
    net_arch: tuple[int, ...] | None = None
    """Hidden layers of the policy and of the value network, each; None leaves them to SB3."""
    activation: str | None = None
    """A word of `ACTIVATIONS`; None leaves it to SB3 (tanh in ppo and its kin, else relu)."""
    share_features_extractor: bool | None = None
    """One encoder for actor and critic; None leaves that to SB3 (ppo, a2c: yes)."""
    log_std_init: float | None = None
    """Start of the logarithm of the Gaussian's width; None leaves it to the algorithm."""
    lstm_hidden_size: int | None = None
    """Numbers that the LSTM of ppo_lstm remembers; None leaves it to SB3 (256)."""
    n_quantiles: int | None = None
    """Quantiles of each value, in qrdqn and tqc; None leaves it to the algorithm (200, 25)."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("policy head", self.head, POLICY_HEADS)
        if self.activation is not None:
            check_choice("activation", self.activation, ACTIVATIONS)
        if self.net_arch is not None:
            self._check_layers(self.net_arch)
        if self.head == "attention-gru" and self.lstm_hidden_size is not None:
            raise ValueError(
                "the state of policy_head='attention-gru' is as wide as a token: use width, not "
                f"lstm_hidden_size={self.lstm_hidden_size}"
            )

    def _check_layers(self, net_arch: Any) -> None:
        if not isinstance(net_arch, (list, tuple)):
            raise ValueError(
                f"net_arch must be a list of layer sizes such as [64,64], got {net_arch!r}"
            )
        for size in net_arch:
            check_count("every layer of net_arch", size)
        object.__setattr__(self, "net_arch", tuple(net_arch))


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
        check_fields(self, LIMITS)
        check_choice("algorithm", self.algo, ALGORITHMS)
        check_choice("vec_env", self.vec_env, VEC_ENVS)
        check_choice("device", self.device.partition(":")[0], DEVICES)
        for name in self.plugins:
            check_word("each of plugins", name)
        object.__setattr__(self, "plugins", tuple(self.plugins))
        for name, value in self.hyperparams.items():
            check_plain(f"{name} of hyperparams", value)
        check_env_kwargs(self.env_kwargs)
        self._check_algorithm()

    def _check_algorithm(self) -> None:
        """Refuse words that the algorithm does not know."""
        algorithm, head = ALGORITHMS[self.algo], self.policy.head
        values = {"noise_std": self.noise_std, **vars(self.policy)}
        refused = {
            name: name
            for name in OPTIONS
            if values[name] is not None and name not in algorithm.options
        }
        if head not in algorithm.policy_heads:
            refused[head] = f"policy_head={head!r}"
        for name, text in refused.items():
            algos = ", ".join(algorithms_with(name))
            raise ValueError(f"{text} is for {algos}, got algo={self.algo}")
        kind = self.encoder.kind
        if head != "mlp" and kind != "pooled":
            raise ValueError(
                f"policy_head={head!r} reads single tokens, which encoder={kind!r} does not hand "
                "on; use encoder='pooled', or policy_head='mlp'"
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, numbers and texts; `from_json` reads them back."""
        values = asdict(self)
        return values | {"env_kwargs": to_json_value(values["env_kwargs"])}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunConfig:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a field is unknown or missing, or breaks a rule.
        """
        names = {field.name for field in fields(cls)}
        try:
            parts = dict(values)
            parts["encoder"] = EncoderConfig.from_json(parts["encoder"])
            parts["policy"] = PolicyConfig(**parts["policy"])
            parts["env_kwargs"] = from_json_value(dict(parts.get("env_kwargs", {})))
            for name in parts:
                check_choice("field of a run's config", name, names)
            return cls(**parts)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not the config of a run: {error}") from error
