"""The examples of docs/consumers.md, run against a destination behind a plain HTTP server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import hcl2
import pytest

from asyncpipe import catalog
from asyncpipe.model.documents.release import Revocation
from asyncpipe.stores.directory.store import DirectoryStore
from tests.catalog.published import NEW, OLD, publish
from tests.page.browser import fetched, from_pypi
from tests.page.serving import served

PAGE = Path(__file__).parents[2] / "docs/consumers.md"
ADDRESS = "https://images.example/xcp-ng"
ANSIBLE = "ansible-core==2.18.6"
HTTP_PROVIDER = "1.2.0"  # the newest that is a Go module; it calls response_body body


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    folder = tmp_path / "published"

    async def fill() -> None:
        store = DirectoryStore(folder)
        old = await publish(store, OLD, body=b"the old image")
        await publish(store, NEW, body=b"the new image")
        await catalog.set_channel(store, "stable", old)

    anyio.run(fill)
    return folder


@pytest.fixture
def address(destination: Path) -> Iterator[str]:
    with served(destination) as url:
        yield url.rstrip("/")


def run(folder: Path, *argv: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def shell(address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the page's shell example."""
    for program in ("curl", "jq", "sha256sum"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed here")
    (script,) = examples("sh")
    return run(folder, "sh", "-c", script.replace(ADDRESS, address))


def test_curl_and_jq_fetch_the_latest_image_and_check_it(address: str, tmp_path: Path) -> None:
    ended = shell(address, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "debian12.xva: OK\n"
    assert (tmp_path / "debian12.xva").read_bytes() == b"the new image"


def test_the_shell_example_refuses_a_revoked_version_and_a_flipped_bit(
    address: str, destination: Path, tmp_path: Path
) -> None:
    image = destination / f"templates/debian12/{NEW}/debian12.xva"
    image.write_bytes(b"the nex image")
    assert shell(address, tmp_path).returncode == 1

    async def revoke() -> None:  # the mark alone, as a race leaves it
        store = DirectoryStore(destination)
        newest = await catalog.latest(store, "debian12")
        await catalog.revoke(store, newest, Revocation(reason="bad", by="", revoked_utc=None))

    anyio.run(revoke)
    ended = shell(address, tmp_path)
    assert ended.returncode == 1
    assert f"debian12@{NEW} is revoked" in ended.stderr


def test_the_terraform_examples_are_hcl() -> None:
    found = [hcl2.loads(text) for text in examples("hcl")]
    assert len(found) == 3


def test_the_program_of_the_external_data_source_prints_what_terraform_takes(
    destination: Path, tmp_path: Path
) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed here")
    (program,) = re.findall(r"<<-EOT\n(.*?)\n +EOT", PAGE.read_text("utf-8"), re.DOTALL)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ended = run(tmp_path, "sh", "-c", program, PATH=path, ASYNCPIPE_DESTINATION=str(destination))
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["name"] == f"debian12@{OLD}"
    assert found["url"].endswith(f"/templates/debian12/{OLD}/debian12.xva")
    assert all(isinstance(value, str) for value in found.values())


@pytest.mark.heavy("page")
def test_terraform_reads_the_channel(address: str, tmp_path: Path) -> None:
    program = shutil.which("terraform") or shutil.which("tofu")
    if program is None:
        pytest.skip("neither terraform nor tofu is installed here")
    provider = fetched(
        f"terraform-provider-http-{HTTP_PROVIDER}",
        "env",
        "GOBIN={home}/bin",
        "GOFLAGS=-buildvcs=false",
        "go",
        "install",
        f"github.com/terraform-providers/terraform-provider-http@v{HTTP_PROVIDER}",
    )
    text = examples("hcl")[0].replace(ADDRESS, address).replace("response_body", "body")
    (tmp_path / "main.tf").write_text(text, "utf-8")
    override = f'dev_overrides {{ "hashicorp/http" = "{provider}/bin" }}'
    (tmp_path / "rc").write_text(f"provider_installation {{\n  {override}\n}}\n", "utf-8")
    settings = {"TF_CLI_CONFIG_FILE": str(tmp_path / "rc"), "CHECKPOINT_DISABLE": "1"}
    applied = run(tmp_path, program, "apply", "-auto-approve", "-no-color", **settings)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    output = json.loads(run(tmp_path, program, "output", "-json", "debian12", **settings).stdout)
    assert output["name"] == f"debian12@{OLD}"
    assert output["url"] == f"{address}/templates/debian12/{OLD}/debian12.xva"


@pytest.mark.heavy("page")
def test_ansible_fetches_the_image_of_a_channel(address: str, tmp_path: Path) -> None:
    home = from_pypi(ANSIBLE)
    (play,) = examples("yaml")
    (tmp_path / "play.yml").write_text(play.replace(ADDRESS, address), "utf-8")
    ended = run(
        tmp_path,
        sys.executable,
        home / "bin/ansible-playbook",
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        "play.yml",
        PYTHONPATH=str(home),
        HOME=str(tmp_path),
        LC_ALL="C.UTF-8",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "debian12.xva").read_bytes() == b"the old image"
