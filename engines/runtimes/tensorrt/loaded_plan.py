"""A plan that is loaded on the GPU: its tensors, what memory it needs, and how it is run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.errors import BackendError
from maskstream.engines.runtimes.tensorrt.flavors import Flavor


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a network.

    Attributes:
        name: In the graph.
        sides: Its shape without the batch.
        dtype: Of its elements.
    """

    name: str
    sides: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def frame_bytes(self) -> int:
        """Bytes that one frame of a batch takes."""
        return math.prod(self.sides) * self.dtype.itemsize


class Context(Protocol):
    """A network set up for one batch size, with its memory."""

    def run(self, stream: int) -> None:
        """Begin the network's work."""
        ...


class Network(Protocol):
    """A loaded plan.

    Attributes:
        input: Its one input.
        outputs: In the graph's order.
        batch_max: The largest batch it runs.
        graphs_itself: Whether it launches its work as one CUDA graph without being captured.
    """

    input: Tensor
    outputs: tuple[Tensor, ...]
    batch_max: int
    graphs_itself: bool

    def scratch_bytes(self, batch: int) -> int:
        """Return the device memory that a context needs for itself."""
        ...

    def new_context(
        self, batch: int, addresses: Mapping[str, int], scratch: int, scratch_bytes: int
    ) -> Context:
        """Return a context; contexts that do not run at once may share their scratch memory."""
        ...

    def close(self) -> None:
        """Give back the weights' memory."""
        ...


class TensorRtNetwork:
    """See `Network`.

    Args:
        plan: Trusted: loading it executes what is in it.
        flavor: What built it.
        subject: What it is, as errors call it.

    Raises:
        BackendError: The runtime refuses it.
    """

    def __init__(self, plan: bytes, flavor: Flavor, subject: str) -> None:
        trt: Any = flavor.load()
        self._trt = trt
        self._subject = subject
        self.graphs_itself = flavor.builds_ahead
        self._logger = trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise BackendError(f"{subject}: {flavor.name} cannot load it on this GPU.")
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        is_input = {
            name: self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names
        }
        self.input = next(self._tensor(name) for name in names if is_input[name])
        self.outputs = tuple(self._tensor(name) for name in names if not is_input[name])
        self.batch_max = int(self._engine.get_tensor_shape(self.input.name)[0])
        if self.batch_max == -1:  # it is for the profile to say
            _, _, largest = self._engine.get_tensor_profile_shape(self.input.name, 0)
            self.batch_max = int(largest[0])
        self._probe = self._create_context()

    def _tensor(self, name: str) -> Tensor:
        sides = tuple(self._engine.get_tensor_shape(name))[1:]
        return Tensor(name, sides, np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name))))

    def scratch_bytes(self, batch: int) -> int:
        """See `Network.scratch_bytes`."""
        self._probe.set_input_shape(self.input.name, (batch, *self.input.sides))
        return int(self._probe.update_device_memory_size_for_shapes())

    def new_context(
        self, batch: int, addresses: Mapping[str, int], scratch: int, scratch_bytes: int
    ) -> Context:
        """See `Network.new_context`."""
        context = self._create_context()
        context.set_input_shape(self.input.name, (batch, *self.input.sides))
        context.update_device_memory_size_for_shapes()
        context.set_device_memory(scratch, scratch_bytes)
        for name, address in addresses.items():
            context.set_tensor_address(name, address)
        return _TensorRtContext(context, self._subject)

    def _create_context(self) -> Any:
        strategy = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not self.graphs_itself:
            return self._engine.create_execution_context(strategy)
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(strategy)
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return self._engine.create_execution_context(config)

    def close(self) -> None:
        """See `Network.close`."""
        self._probe = self._engine = self._runtime = None


class _TensorRtContext:
    """See `Context`."""

    def __init__(self, context: Any, subject: str) -> None:
        self._context = context
        self._subject = subject

    def run(self, stream: int) -> None:
        """See `Context.run`."""
        if not self._context.execute_async_v3(stream):
            raise BackendError(f"{self._subject}: TensorRT could not run it on the GPU.")


def typed(data: NDArray[np.uint8], tensor: Tensor, batch: int) -> NDArray[Any]:
    """Return bytes as a batch of a tensor; a view."""
    used = data[: batch * tensor.frame_bytes]
    return used.view(tensor.dtype).reshape(batch, *tensor.sides)
