"""What the trainer needs from a family of networks.

The loop of `train.loop.trainer` knows batches, gradients, averages, checkpoints and logs;
everything that differs between families is in one class of each, which fills `Recipe`.
`train.loop.recipes` finds it by the family's name. A recipe is made of plain values and holds no
network: what learns is handed to its methods, so the same recipe trains, validates and exports.

To add a family:

1. Subclass `Recipe` with the family's configuration (a frozen dataclass with at least ``name``,
   ``input_size`` and ``class_count``), network and targets.
2. Targets are one object a batch, a subclass of `train.samples.targets.BatchTargets`.
3. In `losses`, call ``forward(...)`` once, never the network itself: it is the network under
   autocast, and where several processes train, within DistributedDataParallel. It takes what the
   network's own ``forward`` takes, so a network that chooses proposals by the truth gets it there.
   Compute the losses after it, in float32.
4. Where a loss is a mean, divide its sum by the count of the whole batch, given as ``totals``,
   instead of one's own count: a batch may be taken in parts, and shared by processes.
5. Whatever is drawn has to depend on the seed, the item's number and the iteration alone, or on
   torch's generator, so that a resumed run draws what an uninterrupted one would have drawn.
6. Add the class to `train.loop.recipes`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from maskstream.engines.engine import Engine
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.interface.fit import FitKind
from maskstream.engines.runtimes.torch_backend import TorchBackend
from maskstream.train.errors import TrainError
from maskstream.train.evaluation.coco_ap import Metrics
from maskstream.train.loop.group import Group
from maskstream.train.options import TrainOptions
from maskstream.train.samples.coco import CocoSet, LabelledImage
from maskstream.train.samples.dataset import ShuffledBatches
from maskstream.train.samples.targets import BatchTargets

Forward = Callable[..., Any]
"""The network as a step has to call it."""


class NetworkConfig(Protocol):
    """What every family's configuration says; a frozen dataclass of plain values."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    @property
    def input_size(self) -> int:
        """Side of the square input, in pixels."""

    @property
    def class_count(self) -> int:
        """Classes, without the background."""


ConfigT = TypeVar("ConfigT", bound=NetworkConfig)
NetworkT = TypeVar("NetworkT", bound=nn.Module)
TargetsT = TypeVar("TargetsT", bound=BatchTargets)


class Recipe(ABC, Generic[ConfigT, NetworkT, TargetsT]):
    """How the networks of one family are trained.

    Args:
        config: Of the network.
        class_names: By class id.
        options: Of the run.
    """

    family: ClassVar[str]
    """What ``--family`` calls it."""
    default_network: ClassVar[str]
    """The one that is trained if none is named."""
    best_by: tuple[str, str] = ("segm", "AP")
    """Kind and name of the figure that says which checkpoint is best."""
    is_class_agnostic: ClassVar[bool] = False
    """Objects are learnt whatever their class, so sets may differ in their classes."""
    measures_losses: ClassVar[bool] = False
    """A validation gives the losses as well, so the best may go by them, and `test` has a use."""
    own_options: ClassVar[frozenset[str]] = frozenset()
    """Fields of `TrainOptions`, or of its ``augment``, that not every family heeds and this does:
    some of `train.options.FAMILY_OPTIONS`."""
    engine_family: ClassVar[str]
    """What the manifest of its engines says; of networks that are whole engines."""
    fit: ClassVar[FitKind] = "squash"
    """How frames are brought into the input of its engines."""
    test: CocoSet | None = None
    """Measured beside the validation set, and decides nothing."""

    def __init__(
        self, config: ConfigT, class_names: tuple[str, ...], options: TrainOptions
    ) -> None:
        self.config, self.class_names, self.options = config, class_names, options

    @classmethod
    @abstractmethod
    def choose_config(cls, name: str, *, class_count: int, input_size: int | None) -> ConfigT:
        """Return a network of the family for a number of classes, at its own size or at another.

        Args:
            name: Of the network.
            input_size: In pixels; None keeps the network's own.

        Raises:
            EngineError: There is no network of that name.
            TrainError: The size is impossible.
        """

    @classmethod
    @abstractmethod
    def read_config(cls, values: dict[str, Any]) -> ConfigT:
        """Return a configuration from the plain values of its fields, lists in place of tuples.

        Raises:
            ValueError, KeyError, TypeError: They are no such configuration.
        """

    @abstractmethod
    def make_network(self) -> NetworkT:
        """Return a network with its first values, drawn from torch's generator, on the CPU."""

    @abstractmethod
    def body(self, network: NetworkT) -> Iterable[nn.Module]:
        """Return the parts that learn at the backbone's rate, and that may be frozen."""

    @abstractmethod
    def fill_backbone(self, network: NetworkT, path: Path) -> None:
        """Fill the body from a file of tensors.

        Raises:
            TrainError: The file does not fit.
        """

    @abstractmethod
    def load_weights(self, network: NetworkT, path: Path) -> list[str]:
        """Fill a network from a checkpoint; returns the names of the tensors that were left out.

        Raises:
            TrainError: The file is none, or of another network.
        """

    @abstractmethod
    def dataset(self, images: Sequence[LabelledImage]) -> Dataset[Any]:
        """Return the training set, which has a length and is given to worker processes.

        An item's index carries the draw as well: item ``i + n * length`` is item ``i`` with its
        ``n``-th augmentation.
        """

    @abstractmethod
    def collate(self, items: list[Any]) -> tuple[Tensor, TargetsT]:
        """Join items of the dataset into (B, S, S, 3) uint8 RGB frames and their targets."""

    @abstractmethod
    def counts(self, frames: Tensor, targets: TargetsT) -> list[int]:
        """Return what losses are divided by, such as positives and pictures."""

    @abstractmethod
    def losses(
        self,
        network: NetworkT,
        forward: Forward,
        frames: Tensor,
        targets: TargetsT,
        totals: list[int],
        iteration: int,
    ) -> dict[str, Tensor]:
        """Return the losses of a part of a batch, each with its weight; their sum is minimised.

        Args:
            network: In training; for its parts.
            forward: To be called in its place.
            frames: As `collate` makes them, on the network's device.
            targets: Of these frames, on the same device.
            totals: What `counts` says, added up over the whole batch.
            iteration: 0-based.
        """

    @abstractmethod
    def evaluate(self, network: NetworkT, dataset: CocoSet) -> Metrics:
        """Return how good a network in evaluation is on a labelled set, with `best_by` in it."""

    def detector(self, network: NetworkT) -> nn.Module:
        """Return a network with its decoding: from (B, S, S, 3) uint8 frames to named outputs.

        Raises:
            TrainError: The network is only a part of an engine, as for what follows.
        """
        raise self._part_error()

    def evaluated(self, network: NetworkT) -> nn.Module:
        """Return what runs a network in evaluation on frames as `collate` joins them."""
        return self.detector(network)

    def patch_px(self) -> int:
        """Return the longest side of a mask patch of its engines."""
        raise self._part_error()

    def manifest(self) -> Manifest:
        """Return what an engine file of the network says; who writes one adds where it is from."""
        return Manifest(
            patch_px=self.patch_px(),
            family=self.engine_family,
            name=self.config.name,
            input_size=self.config.input_size,
            class_names=self.class_names,
            fit=self.fit,
            metrics={},
            tools={},
        )

    def engine(self, network: NetworkT) -> Engine:
        """Return a network in evaluation as an engine, on the device that it is on."""
        device = str(next(network.parameters()).device)
        backend = TorchBackend(self.detector(network), self.config.input_size, device)
        return Engine(backend, self.manifest())

    def export(self, network: NetworkT, manifest: Manifest, path: Path) -> None:
        """Write a network in evaluation as an engine file.

        Args:
            network: On the CPU, in float32.
            path: Replaced at once when the file is whole.
        """
        raise self._part_error()

    def _part_error(self) -> TrainError:
        return TrainError(
            f"{self.config.name}: is half an engine; name the run of a detector, and this one "
            "beside it: maskstream export DETECTOR --crops FCN -o FILE.onnx."
        )

    def draw(self, network: NetworkT, dataset: CocoSet, folder: Path) -> list[Path]:
        """Draw what else there is to see of a trained network; returns the pictures written."""
        return []


def first_batches(
    recipe: Recipe[Any, Any, Any], images: Sequence[LabelledImage], count: int, group: Group
) -> DataLoader[Any]:
    """Return the batches that a run begins with: (frames, targets) as `Recipe.collate` joins them.

    Args:
        group: The processes that share each batch.
    """
    dataset: Any = recipe.dataset(images)
    options = recipe.options
    share = group.share(options.batch)
    order = ShuffledBatches(len(dataset), options.batch, options.seed, last=count, share=share)
    return DataLoader(dataset, batch_sampler=order, collate_fn=recipe.collate)
