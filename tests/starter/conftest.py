from __future__ import annotations

from pathlib import Path

import pytest

from tests.starter.installed import Machine, built_wheel, dependencies_in


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dependencies_in(tmp_path_factory.mktemp("packages") / "site")


@pytest.fixture
def machine(tmp_path: Path, wheel: Path, dependencies: Path) -> Machine:
    return Machine(folder=tmp_path, wheel=wheel, dependencies=dependencies)
