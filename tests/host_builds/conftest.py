"""A stand-in host with a bench per test; the real Packer and plugin in the heavy run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host_builds.bench import Bench
from tests.templates.real_packer import real_packer
from tests.xapi_standin.server import running_xapi
from tests.xapi_standin.standin import XapiStandIn

NewBench = Callable[..., Bench]


@pytest.fixture
def xapi() -> Iterator[XapiStandIn]:
    with running_xapi() as standin:
        yield standin


@pytest.fixture(
    params=[
        "scripted",
        pytest.param("real", marks=[pytest.mark.heavy("packer"), pytest.mark.real_packer]),
    ]
)
def new_bench(request: pytest.FixtureRequest, tmp_path: Path, xapi: XapiStandIn) -> NewBench:
    """Make a bench; keyword arguments are variables of the environment."""

    def make(**more: str) -> Bench:
        if request.param == "scripted":
            return Bench(tmp_path / "bench", xapi, more=more)
        real = real_packer()
        plugins = {"PACKER_PLUGIN_PATH": str(real.plugin_path)}
        return Bench(tmp_path / "bench", xapi, packer=real.packer, more=more | plugins)

    return make
