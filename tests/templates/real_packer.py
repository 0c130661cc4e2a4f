"""Current Packer and the real xenserver plugin, built once from Go modules into the cache.

Both modules replace a dependency, which ``go install`` refuses; a module of one's own that
repeats the replacement builds them. Where the module proxy does not have the plugin, one that
stands in the cache's folder (``plugins/``, as ``packer plugins install`` lays it) is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.templates.needs import cache_dir

PACKER = "v1.16.0"
PLUGIN = "v0.11.4"
GO = "1.26.3"
PLUGIN_MODULE = "github.com/xenserver/packer-builder-xenserver"
PLUGIN_REPOSITORY = "github.com/vatesfr/packer-plugin-xenserver"
BUILD_TIMEOUT_S = 1800

_REPLACE = "replace github.com/zclconf/go-cty => github.com/nywilken/go-cty v1.13.3\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealPacker:
    packer: Path
    plugin_path: Path

    def run(self, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Packer with no plugin but ours, no network call home, and PKR_VAR_* as given."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.plugin_path.parent),
            "PACKER_PLUGIN_PATH": str(self.plugin_path),
            "CHECKPOINT_DISABLE": "1",
            "PACKER_NO_COLOR": "1",
            **{f"PKR_VAR_{name}": value for name, value in variables.items()},
        }
        return subprocess.run(
            [str(self.packer), *arguments],
            cwd=cwd,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )


def current_packer() -> RealPacker:
    """Packer alone, from the cache or built now; skips with the reason where it cannot be."""
    folder = cache_dir() / f"packer-{PACKER}-plugin-{PLUGIN}"
    built = RealPacker(packer=folder / "packer", plugin_path=folder / "plugins")
    if not built.packer.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _build(folder, "packer", f"require github.com/hashicorp/packer {PACKER}\n", "-s -w")
    return built


def real_packer() -> RealPacker:
    """Packer with the plugin installed beside it; skips likewise."""
    built = current_packer()
    folder = built.packer.parent
    done = folder / "done"
    if not done.exists():
        _build_plugin(folder)
        plugin = str(folder / "packer-plugin-xenserver")
        arguments = ("plugins", "install", "--path", plugin, "github.com/vatesfr/xenserver")
        installed = built.run(*arguments, cwd=folder)
        assert installed.returncode == 0, installed.stdout
        done.touch()
    return built


def _go() -> str:
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not Path(go).exists():
        pytest.skip("no Go: current Packer and the real plugin cannot be built here")
    return go


def _build_plugin(folder: Path) -> None:
    source = f"{PLUGIN_REPOSITORY} {PLUGIN}"
    version = f"{PLUGIN_MODULE}/version"
    _build(
        folder,
        "packer-plugin-xenserver",
        f"require {PLUGIN_MODULE} {PLUGIN}\nreplace {PLUGIN_MODULE} => {source}\n",
        f"-s -w -X {version}.Version={PLUGIN.removeprefix('v')} -X {version}.VersionPrerelease=",
    )


def _build(folder: Path, name: str, requires: str, ldflags: str) -> None:
    module = folder / f"module-{name}"
    module.mkdir(exist_ok=True)
    (module / "go.mod").write_text(f"module build\n\ngo {GO}\n\n{requires}{_REPLACE}")
    what = "github.com/hashicorp/packer" if name == "packer" else PLUGIN_MODULE
    command = [_go(), "build", "-mod=mod", "-trimpath", "-ldflags", ldflags]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOFLAGS": ""}
    result = subprocess.run(
        [*command, "-o", str(folder / name), what],
        cwd=module,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
    )
    if result.returncode:
        reason = " ".join(result.stderr.split("\n")[-3:]).split() or ["no message"]
        pytest.skip(f"{name} cannot be built from Go modules here: {' '.join(reason)[-300:]}")
