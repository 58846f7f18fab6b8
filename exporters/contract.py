"""The time contract that a model carries in `metadata_props["retempo"]`.

It names all that a runtime must know to step the graph rightly and that no graph can say: how
long a step is, how the coefficients came about, how old the fed-back spikes must be, how events
become inputs, and from what any other resolution follows.
"""

import math

import msgspec

from retempo.exporters.description import NetworkSpec, check_network
from retempo.exporters.errors import ContractError, NetworkError
from retempo.exporters.neurons import neuron_named
from retempo.exporters.resolution import Resolution
from retempo.exporters.statistics import Statistics

CONTRACT_VERSION = 1
METADATA_KEY = "retempo"
# A scan over time keeps its contract under another key: it is no step, and no runtime steps it.
SCAN_KEY = "retempo-scan"


class ResolutionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The resolution whose coefficients are the graph's defaults.

    `statistics` are what the rule `measured` took; other rules have none.
    """

    target_dt_us: int
    method: str
    normalisation: str
    lag: float
    substeps: int
    statistics: Statistics | None = None


class StateSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor that a stream carries from step to step; `-1` in its shape is the batch axis.

    The step reads what it wrote `lag` inner steps ago, between whole steps the two nearest,
    weighted.
    """

    name: str
    next: str
    shape: list[int]
    lag: float


class ReadoutSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `y` is, and how long the readout remembers.

    `tau_us` has one time constant a label, None where its readout does not decay.
    """

    output: str
    tau_us: list[float | None]


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole contract."""

    version: int
    resolution: ResolutionSpec
    network: NetworkSpec
    states: list[StateSpec]
    readout: ReadoutSpec


def contract_of(network: NetworkSpec, resolution: Resolution) -> Contract:
    """Write the contract of a network at a resolution."""
    return Contract(
        version=CONTRACT_VERSION,
        resolution=ResolutionSpec(
            target_dt_us=resolution.dt_us,
            method=resolution.method,
            normalisation=resolution.normalisation,
            lag=resolution.lag,
            substeps=resolution.substeps,
            statistics=resolution.statistics,
        ),
        network=network,
        states=states_of(network, resolution.lag),
        readout=ReadoutSpec(output=network.output, tau_us=_readout_tau_us(network)),
    )


def states_of(network: NetworkSpec, lag: float) -> list[StateSpec]:
    """Return every state of the step function, in the order of its inputs."""
    states = []
    for layer in network.layers:
        neuron = neuron_named(layer.neuron)
        name = f"{layer.name}.state"
        states.append(StateSpec(name, f"{name}_next", [neuron.variables, -1, layer.neurons], 1))
        if neuron.spiking:
            name = f"{layer.name}.spikes"
            states.append(StateSpec(name, f"{name}_next", [-1, layer.neurons], lag))
    return states


def encode_contract(contract: Contract) -> str:
    """Return the contract as JSON."""
    return msgspec.json.encode(contract).decode()


def decode_contract(text: str, model: str) -> Contract:
    """Read a contract and check it in itself.

    Args:
        text: the JSON of the metadata.
        model: the model's name, for messages.

    Raises:
        ContractError: it is malformed, of another version or inconsistent.
    """
    try:
        version = msgspec.json.decode(text, type=dict[str, object]).get("version")
        if version != CONTRACT_VERSION:
            raise ContractError(
                f"{model} carries contract version {version}, this Retempo reads "
                f"{CONTRACT_VERSION}; export it again"
            )
        contract = msgspec.json.decode(text, type=Contract)
        check_network(contract.network)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"{model} carries a damaged contract: {error}") from error
    except NetworkError as error:
        raise ContractError(f"{model} carries a contract that cannot be kept: {error}") from error
    resolution = contract.resolution
    for name in ("target_dt_us", "lag", "substeps"):
        if not 1 <= getattr(resolution, name) < math.inf:
            raise ContractError(
                f"{model}: resolution.{name} is {getattr(resolution, name)}, not 1 or more"
            )
    statistics = resolution.statistics
    if statistics is not None and (resolution.normalisation != "measured" or statistics.bins < 1):
        raise ContractError(
            f"{model}: resolution.statistics are of {statistics.bins} bins and the normalisation "
            f"is {resolution.normalisation}; only measured has statistics, of 1 bin or more"
        )
    if contract.states != states_of(contract.network, resolution.lag):
        raise ContractError(f"{model}: the contract's states are not those of its layers")
    if contract.readout.tau_us != _readout_tau_us(contract.network):
        raise ContractError(f"{model}: the contract's readout is not that of its last layer")
    return contract


def _readout_tau_us(network: NetworkSpec) -> list[float | None]:
    decay = network.layers[-1].parameters.get("alpha", [])
    return [
        -network.source_dt_us / math.log(alpha) if 0.0 < alpha < 1.0 else None for alpha in decay
    ]
