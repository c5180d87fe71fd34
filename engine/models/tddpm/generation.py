"""Trips for a city's map, in a stream: the first ones early, memory linear in what is asked.

The same map, wishes and seed give the same trips wherever they are made: the chunks in which
trips are made are part of the recipe, not of the machine.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from engine.diffusion.noise import sample_generator
from engine.errors import OccupancyError, ScenarioError
from engine.models.memory import return_freed_memory
from engine.models.tddpm.assembly import PieceRequest, PieceSampler, TripBuilder
from engine.models.tddpm.closed_loop import Fence, OccupancyLedger
from engine.models.tddpm.network import EncodedMap, MapReader, PieceInput
from engine.models.tddpm.occupancy import CityMap, cut_regions, network_input
from engine.models.tddpm.plans import TripPlan, TripWishes, assign_regions, draw_plan
from engine.models.tddpm.prior import TripPrior
from engine.models.tddpm.sampling import SamplerConfig, sample_pieces
from engine.models.tddpm.settling import Settler, SettlingConfig
from engine.models.tddpm.tracks import Floats, Indices, Tracks, join_tracks
from engine.models.tddpm.trip_ends import EndsRule
from engine.models.tddpm.trip_lengths import LengthLoop, planned_lengths_m

MAX_TRIPS = 10_000_000
FIRST_CHUNK = 32
"""Trips of the first chunk: few, so that something is seen soon."""
CHUNK = 256
MAX_ROUNDS, STUBBORN_ROUNDS = 12, 4
"""Tries of a chunk whose trips keep entering blocked cells; after the first few, trips that still
do are wished for anew: no way around may be as long as they were to be."""

CACHED_MAPS = 512

StepListener = Callable[[int, int], None]
"""Called after each evaluation of the network with (done, of this piece); may raise to cancel."""


@dataclass(frozen=True)
class GenerationConfig:
    """How trips are made for a map.

    Args:
        sampler: steps and guidance.
        tries: tries of each trip, of which the one that fits the map best is kept; 1 keeps all.
        follow: draw regions by what is still missing; otherwise by p(r) alone.
        wishes: what the user asks of the trips.
        settling: how tries are moved onto the map before one is kept; None leaves them as sampled.
        holds_lengths: bring trips to the lengths that are wished for them. Where those are of
            other cities, the map is met better without.
    """

    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    tries: int = 2
    follow: bool = True
    wishes: TripWishes = field(default_factory=TripWishes)
    settling: SettlingConfig | None = None
    holds_lengths: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.tries <= 16:
            raise ScenarioError("The number of tries of a trip must be 1 to 16.", str(self.tries))

    def on_ground(self, ground: CityMap | None) -> "GenerationConfig":
        """The same, with trips settled on a finer raster if they are settled at all."""
        if ground is None or self.settling is None:
            return self
        return replace(self, settling=self.settling.on_ground(ground))


@dataclass(frozen=True, eq=False)
class TrajectoryModel:
    """A trained network and what belongs to it.

    Args:
        network: the denoiser.
        prior: durations and hours of the training trips.
        piece_points: L.
        step_s: time between two points, seconds.
        side_m: side of a region, metres.
        usual: (S, S) points of the training trips in the one region of a small city; None for
            models of many regions.
        most_moved: largest share of the points that an edit moved in training.
        busy_length: correlation of busyness and trips' length in training.
        ends: how a map tells where trips begin and end; None if it does not.
    """

    network: MapReader
    prior: TripPrior
    piece_points: int
    step_s: float
    side_m: float
    usual: Floats | None = None
    most_moved: float = 0.0
    busy_length: float = 0.0
    ends: EndsRule | None = None

    @property
    def is_of_one_place(self) -> bool:
        """Whether training saw one place: only of one does a map tell trips' ends."""
        return self.usual is not None or self.ends is not None


@dataclass(frozen=True, eq=False)
class TripChunk:
    """Some of the trips that were asked for.

    Args:
        tracks: the trips.
        done: trips made so far.
        total: trips asked for.
        distance: how far the occupancy made so far is from the map, in [0, 1].
    """

    tracks: Tracks
    done: int
    total: int
    distance: float


def generate_trips(
    model: TrajectoryModel,
    city: CityMap,
    num_trips: int,
    seed: int,
    config: GenerationConfig,
    fences: Sequence[Fence] = (),
    listen: StepListener | None = None,
) -> Iterator[TripChunk]:
    """Trips whose points are spread as the map says, chunk by chunk.

    Args:
        model: the trained model; its regions must fit the raster (64 cells a side).
        city: the map, edited or not.
        num_trips: trips to make.
        seed: of the scenario.
        config: how.
        fences: where no trip may go.
        listen: progress and cancellation.

    Raises:
        ScenarioError: an impossible number of trips.
        OccupancyError: every trip enters a blocked cell.
    """
    if not 1 <= num_trips <= MAX_TRIPS:
        raise ScenarioError(
            "The number of trips is out of range.", str(num_trips), f"Use 1 to {MAX_TRIPS:,}."
        )
    source = _TripSource(model, city, seed, config, fences, listen)
    done = 0
    for number, size in enumerate(_chunk_sizes(num_trips)):
        tracks = source.make(number, size)
        done += size
        return_freed_memory()
        yield TripChunk(tracks, done, num_trips, source.ledger.distance)


def _chunk_sizes(num_trips: int) -> Iterator[int]:
    size = FIRST_CHUNK
    while num_trips > 0:
        yield min(size, num_trips)
        num_trips -= size
        size = CHUNK


class _TripSource:
    """Makes one chunk after the other.

    Each chunk owns its random numbers, so that two maps under one seed stay comparable trip by
    trip, even where one of them needed more tries.
    """

    def __init__(
        self,
        model: TrajectoryModel,
        city: CityMap,
        seed: int,
        config: GenerationConfig,
        fences: Sequence[Fence],
        listen: StepListener | None,
    ) -> None:
        self._model, self._city, self._config, self._seed = model, city, config, seed
        self._regions = cut_regions(city)
        self._fences = fences
        self._listen = listen
        self._maps = MapCache(model.network)
        self.ledger = OccupancyLedger(city, self._regions, model.ends)
        self._settler = Settler(city, config.settling) if config.settling else None
        self._lengths = LengthLoop(model.step_s) if config.holds_lengths else None

    def make(self, number: int, num: int) -> Tracks:
        """``num`` trips of chunk ``number`` that pass no fence."""
        rng = np.random.default_rng((self._seed, 5, number))
        noise = sample_generator(self._seed, number, "trips")
        model, config = self._model, self._config
        sample = network_sampler(model.network, config.sampler, noise, self._listen, self._maps)
        builder = TripBuilder(self._city, sample, model.piece_points, model.step_s)
        wanted = draw_plan(rng, num, model.prior, model.piece_points, config.wishes)
        parts: list[Tracks] = []
        open_slots = np.arange(num)
        for attempt in range(MAX_ROUNDS):
            if attempt >= STUBBORN_ROUNDS:
                num_open = len(open_slots)
                open_slots = np.arange(num_open)
                wanted = draw_plan(rng, num_open, model.prior, model.piece_points, config.wishes)
            slot = np.repeat(np.arange(len(open_slots)), config.tries)
            plan = self._place(rng, wanted.select(open_slots[slot]))
            tries = builder.build(self._lengths.told(plan) if self._lengths else plan)
            if self._settler is not None:
                tries = self._settler.settle(tries, rng, planned_lengths_m(plan, tries))
            misfit = self._lengths.note(plan, tries) if self._lengths else None
            allowed = ~self._strays(tries)
            for fence in self._fences:
                allowed &= ~fence.entered(tries)
            kept = self.ledger.choose(tries, slot, allowed, misfit)
            if len(kept):
                parts.append(tries.select(kept))
                if self._settler is not None:
                    self._settler.note(parts[-1])
            open_slots = np.delete(open_slots, slot[kept])
            if not len(open_slots):
                return join_tracks(parts)
        if self._fences:
            raise OccupancyError(
                "The blocked places leave no way for the trips.",
                f"{len(open_slots)} of {num} trips entered them in each of {MAX_ROUNDS} tries",
                "Block fewer places.",
            )
        raise OccupancyError(
            "The weights make no trips on this map.",
            f"{len(open_slots)} of {num} trips left the city in each of {MAX_ROUNDS} tries",
            "Use weights that were trained on such cities.",
        )

    def _strays(self, tries: Tracks) -> NDArray[np.bool_]:
        """(M,) tries with a point outside the city: their first piece had no usable point."""
        outside = self._city.cell_of(tries.points_m) < 0
        return np.bincount(tries.trip_of_point()[outside], minlength=len(tries)) > 0

    def _place(self, rng: np.random.Generator, plan: TripPlan) -> TripPlan:
        weight = self._regions.weight
        if self._config.follow:
            expected = float(plan.num_points.sum()) / self._config.tries
            weight = self.ledger.region_weights(expected)
        return assign_regions(rng, plan, self._regions, weight, self._model.busy_length)


class MapCache:
    """Encoded maps of a city's regions; those used longest ago are dropped.

    Args:
        network: the denoiser.
        most: maps kept; one takes about 0.5 MB.
    """

    def __init__(self, network: MapReader, most: int = CACHED_MAPS) -> None:
        self._network = network
        self._most = most
        self._kept: OrderedDict[tuple[int, int], EncodedMap] = OrderedDict()

    @torch.no_grad()
    def encode(self, place: Indices, counts: Floats, device: torch.device) -> EncodedMap:
        """The encoded maps of U regions.

        Args:
            place: (U, 2) which regions.
            counts: (U, S, S) their maps; always the same for the same place.
            device: of the network.
        """
        keys = [(int(row), int(col)) for row, col in place]
        missing = [i for i, key in enumerate(keys) if key not in self._kept]
        if missing:
            maps = torch.from_numpy(network_input(counts[missing])).to(device)
            fresh = self._network.encode(maps)
            for number, i in enumerate(missing):
                # a copy: a view would keep the whole batch in memory
                part = fresh.select(torch.tensor([number], device=device))
                self._kept[keys[i]] = part
        found = [self._kept[key] for key in keys]
        for key in keys:
            self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return EncodedMap(
            torch.cat([part.tokens for part in found]),
            torch.cat([part.fine for part in found]),
            torch.cat([part.coarse for part in found]),
        )


def network_sampler(
    network: MapReader,
    config: SamplerConfig,
    generator: torch.Generator,
    listen: StepListener | None = None,
    maps: MapCache | None = None,
) -> PieceSampler:
    """The network as a source of pieces, for :class:`engine.models.tddpm.assembly.TripBuilder`.

    Args:
        network: the denoiser.
        config: steps and guidance.
        generator: of the noise; on the CPU.
        listen: progress and cancellation.
        maps: encoded maps that are kept from call to call.
    """
    device = next(network.parameters()).device
    cache = maps or MapCache(network)

    def sample(request: PieceRequest) -> NDArray[np.float32]:
        groups = group_by_region(request.region)
        # a place of the last piece's row that holds no piece repeats it, and is dropped again
        place = torch.from_numpy(np.maximum(groups, groups[:, :1])).to(device)
        encoded = cache.encode(request.place, request.counts, device)
        seen = encoded.select(torch.from_numpy(request.region[groups[:, 0]]).to(device))
        filled = torch.from_numpy(groups >= 0).to(device)
        given = PieceInput(
            torch.from_numpy(request.valid).to(device)[place] & filled[..., None],
            torch.from_numpy(request.known).to(device)[place],
            torch.from_numpy(request.points).to(device)[place],
            torch.from_numpy(request.conditions.as_input()).to(device)[place],
        )
        estimate = torch.zeros_like(given.points)
        for step in sample_pieces(network, seen, given, config, generator):
            estimate = step.estimate
            if listen is not None:
                listen(step.evaluations, step.total)
        out = torch.zeros(request.points.shape, device=device)
        out[place[filled]] = estimate[filled].float()
        return np.asarray(out.cpu().numpy(), dtype=np.float32)

    return sample


def group_by_region(region: Indices) -> Indices:
    """(G, K) pieces side by side that share a region; -1 where a row has fewer than K.

    Args:
        region: (N,) the region of each piece.
    """
    order = np.argsort(region, kind="stable")
    counts = np.bincount(region)
    counts = counts[counts > 0]
    width = int(np.ceil(len(region) / len(counts)))
    rows = []
    for begin, count in zip(np.cumsum(counts) - counts, counts, strict=True):
        for first in range(0, count, width):
            part = order[begin + first : begin + min(first + width, count)]
            rows.append(np.pad(part, (0, width - len(part)), constant_values=-1))
    return np.stack(rows)
