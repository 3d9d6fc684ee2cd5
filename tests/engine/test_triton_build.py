"""Ahead-of-time builds of the launches that the Triton engine makes: registers and shared memory without a GPU."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

triton = pytest.importorskip("triton")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("builds need the compiler, TRITON_INTERPRET=1 replaces it", allow_module_level=True)

from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

from snnrun.data.batch import EventBatch  # noqa: E402
from snnrun.engine.triton.inputs import EventInputs  # noqa: E402
from snnrun.engine.triton.kernels import events, scan  # noqa: E402
from snnrun.engine.triton.layer import DeviceLayer, Equations  # noqa: E402
from snnrun.engine.triton.models import MODELS, READOUT, DeviceModel  # noqa: E402
from snnrun.neurons.adaptive import AdLif  # noqa: E402
from snnrun.neurons.lif import CubaLif  # noqa: E402
from snnrun.surrogates import SHAPES, Surrogate  # noqa: E402

SHARED_LIMIT = {80: 163 * 1024, 90: 227 * 1024}  # bytes a block may have, CUDA C++ programming guide
RESERVED = 1024  # bytes of shared memory that the driver takes
POINTERS = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.uint8: "*u8",
    torch.int32: "*i32",
    torch.int64: "*i64",
}
WORST = Surrogate("multi_gaussian", 2.0, 0.15, cutoff=0.01)


class Recorder:
    """Stands for a kernel: keeps what it was launched with."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.launches: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return lambda *args, **options: self.launches.append((args, options))

    def build(self, capability: int) -> Any:
        """Compile the last launch, specialised as at run time: pointers are aligned, integers are not."""
        args, options = self.launches[-1]
        given = dict(zip(self.kernel.arg_names, args, strict=False)) | options
        constants = {name: given[name] for name in self.kernel.arg_names if name.isupper()}
        signature = {name: "constexpr" if name in constants else _type(given[name]) for name in self.kernel.arg_names}
        aligned = {(k,): [["tt.divisibility", 16]] for k, kind in enumerate(signature.values()) if kind[0] == "*"}
        source = ASTSource(self.kernel, signature, {**constants}, aligned)
        chosen = {name: value for name, value in options.items() if name.islower() and name not in signature}
        return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=chosen)


def _type(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return POINTERS[value.dtype]
    return "i32" if isinstance(value, int) else "fp32"


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> dict[str, Recorder]:
    """Recorders in the place of all kernels."""
    found = {}
    names = [(scan, "forward"), (scan, "replay"), (scan, "reverse"), (events, "gather"), (events, "scatter")]
    for module, name in names:
        found[name] = Recorder(getattr(module, f"{name}_kernel"))
        monkeypatch.setattr(module, f"{name}_kernel", found[name])
    return found


def layer_of(
    neurons: int,
    products: str,
    recurrent: bool,
    model: DeviceModel = MODELS[CubaLif],
    reset: str = "zero",
    surrogate: Surrogate | None = WORST,
    batch: int = 128,
) -> DeviceLayer:
    """A layer whose launches are recorded."""
    equations = Equations(model, reset, False, surrogate)
    matrix = torch.zeros(neurons, neurons) if recurrent else None
    constants = torch.zeros(model.constants, neurons)
    return DeviceLayer(equations, constants, matrix, False, batch, products, 32)


def launch(layer: DeviceLayer) -> None:
    """Launch the three scans of a layer."""
    model, steps = layer.equations.model, 64
    current = layer.empty(steps)
    emitted = layer.empty(steps + 1).to(torch.uint8 if model.spiking else torch.float32)
    kept = layer.empty(2, model.states)
    layer.forward(current, emitted, kept[0], kept)
    states, _ = layer.replay(current, emitted, kept)
    layer.reverse(current, emitted, states, current, layer.zero_gradients(True), current)


def check(built: Any, capability: int, folder: Path) -> None:
    """Assert that the kernel keeps everything in registers and fits the shared memory."""
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(built.asm["cubin"])
    command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", str(cubin)]
    usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    numbers = dict(re.findall(r"(REG|STACK|LOCAL):(\d+)", usage))
    assert int(numbers["REG"]) > 0
    assert (numbers["STACK"], numbers["LOCAL"]) == ("0", "0"), f"spills: {usage}"
    assert built.metadata.shared + RESERVED <= SHARED_LIMIT[capability]


def check_layer(layer: DeviceLayer, capability: int, kernels: dict[str, Recorder], folder: Path) -> None:
    launch(layer)
    for name in ("forward", "replay", "reverse"):
        check(kernels[name].build(capability), capability, folder)


@pytest.fixture(autouse=True, scope="module")
def _fresh_builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("neurons", [128, 200, 512, 600])
@pytest.mark.parametrize("batch", [128, 300])
def test_recurrent_layer(capability, neurons, batch, kernels, tmp_path):
    check_layer(layer_of(neurons, "float32", recurrent=True, batch=batch), capability, kernels, tmp_path)


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("products", ["float32", "bfloat16"])
@pytest.mark.parametrize("neurons", [128, 200])
def test_the_model_of_most_state(capability, products, neurons, kernels, tmp_path):
    check_layer(layer_of(neurons, products, recurrent=True, model=MODELS[AdLif]), capability, kernels, tmp_path)


@pytest.mark.parametrize("capability", [80, 90])
def test_feedforward_layer(capability, kernels, tmp_path):
    check_layer(layer_of(300, "float32", recurrent=False), capability, kernels, tmp_path)


@pytest.mark.parametrize("capability", [80, 90])
def test_readout(capability, kernels, tmp_path):
    layer = layer_of(20, "float32", recurrent=False, model=READOUT, surrogate=None)
    check_layer(layer, capability, kernels, tmp_path)


@pytest.mark.parametrize("capability", [80, 90])
def test_events(capability, kernels, tmp_path):
    inputs = EventInputs(EventBatch.from_dense(torch.ones(2, 3, 4)))
    weight = torch.zeros(4, 200)
    inputs.add_gradient(weight, torch.zeros_like(weight), inputs.current(weight, 0, 3), 0)
    for name in ("gather", "scatter"):
        check(kernels[name].build(capability), capability, tmp_path)


def test_rows_of_the_matrix_are_read_by_16_bytes(kernels):
    launch(layer_of(200, "float32", recurrent=True))
    ptx = kernels["reverse"].build(90).asm["ptx"]
    assert "ld.global.v4" in ptx


def test_a_build_that_spills_is_noticed(kernels, tmp_path):
    launch(layer_of(256, "bfloat16", recurrent=True))
    args, options = kernels["reverse"].launches[-1]
    squeezed = options | {"maxnreg": 40}
    kernels["reverse"].launches.append((args, squeezed))
    with pytest.raises(AssertionError, match="spills"):
        check(kernels["reverse"].build(80), 80, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("products", ["float32", "bfloat16"])
@pytest.mark.parametrize("neurons", [1, 20, 32, 64, 128, 129, 256, 257])
def test_every_size(capability, products, neurons, kernels, tmp_path):
    for model in MODELS.values():
        check_layer(layer_of(neurons, products, True, model), capability, kernels, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("products", ["float32", "bfloat16"])
@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
def test_every_surrogate_and_reset(capability, products, reset, kernels, tmp_path):
    for name, cutoff in product(SHAPES, (0.0, 0.01)):
        surrogate = Surrogate(name, 5.0, cutoff=cutoff)
        check_layer(layer_of(256, products, True, reset=reset, surrogate=surrogate), capability, kernels, tmp_path)
