"""Real S3 servers for the heavy suite, on loopback: OpenStack Swift with s3api, and Ceph RGW.

Swift is installed from PyPI into a cache folder; Ceph comes from Debian's packages where this may
install them. Both keep their state in one folder and are stopped by the process ids they left.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from botocore.config import Config
from botocore.session import Session

_CEPH_PACKAGES = ("ceph-mon", "ceph-osd", "radosgw")
_START_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServer:
    """A server that answers, with a bucket to work in."""

    name: str
    environment: Mapping[str, str]
    bucket: str


def cache_folder() -> Path:
    """Where installed servers stay between runs."""
    named = os.environ.get("ASYNCPIPE_TEST_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "asyncpipe-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def running_swift(folder: Path) -> Iterator[RealServer]:
    """Start Swift: a proxy with s3api and tempauth, and one server of each kind behind it."""
    programs = _swift_programs()
    ports = dict(zip(("proxy", "object", "container", "account"), free_ports(4), strict=True))
    _write_swift_configuration(folder, programs, ports)
    with contextlib.ExitStack() as stack:
        for kind in ("account", "container", "object", "proxy"):
            argv = [programs / f"swift-{kind}-server", folder / f"{kind}-server.conf"]
            child = stack.enter_context(_running(f"swift {kind}", argv, folder / f"{kind}.log"))
            await_http(f"http://127.0.0.1:{ports[kind]}/healthcheck", child)
        endpoint_url = f"http://127.0.0.1:{ports['proxy']}"
        yield with_bucket("swift", endpoint_url, "test:tester", "testing")


def _swift_programs() -> Path:
    programs = cache_folder() / "swift" / "bin"
    if not (programs / "swift-proxy-server").exists():
        home = programs.parent
        shutil.rmtree(home, ignore_errors=True)
        commands: list[list[str | Path]] = [
            [sys.executable, "-m", "venv", home],
            [programs / "python", "-m", "pip", "install", "-q", "swift>=2.36"],
        ]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                shutil.rmtree(home, ignore_errors=True)
                pytest.skip(f"Swift cannot be installed here: {done.stderr.strip()[-300:]}")
    return programs


def _write_swift_configuration(folder: Path, programs: Path, ports: Mapping[str, int]) -> None:
    (folder / "dev" / "sda").mkdir(parents=True)
    for name in ("cache", "lock"):
        (folder / name).mkdir()
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = loopback\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    rings = f"""
        from swift.common.ring import RingBuilder
        for name, port in {[(k, p) for k, p in ports.items() if k != "proxy"]!r}:
            builder = RingBuilder(4, 1, 1)
            builder.add_dev(dict(id=0, region=1, zone=1, ip="127.0.0.1", port=port, device="sda",
                weight=1.0, replication_ip="127.0.0.1", replication_port=port))
            builder.rebalance()
            builder.get_ring().save({str(folder)!r} + "/" + name + ".ring.gz")
    """
    subprocess.run([programs / "python", "-c", dedent(rings)], check=True, capture_output=True)
    for kind, port in ports.items():
        text = _PROXY if kind == "proxy" else _BACKEND.format(kind=kind)
        common = _COMMON.format(port=port, folder=folder, user=getpass.getuser())
        (folder / f"{kind}-server.conf").write_text(dedent(common) + dedent(text))


_COMMON = """
    [DEFAULT]
    bind_ip = 127.0.0.1
    bind_port = {port}
    workers = 0
    swift_dir = {folder}
    user = {user}
    devices = {folder}/dev
    mount_check = false
    recon_cache_path = {folder}/cache
    lock_path = {folder}/lock
    log_level = WARNING
    log_statsd_host =
    disable_fallocate = true
    fallocate_reserve = 0
"""
_BACKEND = """
    [pipeline:main]
    pipeline = healthcheck {kind}-server
    [filter:healthcheck]
    use = egg:swift#healthcheck
    [app:{kind}-server]
    use = egg:swift#{kind}
"""
_PROXY = """
    client_timeout = 120
    [pipeline:main]
    pipeline = catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth slo proxy-server
    [app:proxy-server]
    use = egg:swift#proxy
    account_autocreate = true
    allow_account_management = true
    node_timeout = 120
    [filter:catch_errors]
    use = egg:swift#catch_errors
    [filter:gatekeeper]
    use = egg:swift#gatekeeper
    [filter:healthcheck]
    use = egg:swift#healthcheck
    [filter:listing_formats]
    use = egg:swift#listing_formats
    [filter:bulk]
    use = egg:swift#bulk
    [filter:s3api]
    use = egg:swift#s3api
    max_upload_part_num = 10000
    location = us-east-1
    [filter:tempauth]
    use = egg:swift#tempauth
    user_test_tester = testing .admin
    [filter:slo]
    use = egg:swift#slo
    max_manifest_segments = 10000
    max_manifest_size = 16777216
    yield_frequency = 10
"""  # noqa: E501 - a pipeline is one line


@contextlib.contextmanager
def running_ceph(folder: Path) -> Iterator[RealServer]:
    """Start Ceph RGW: one monitor, one memory-backed OSD, one gateway; no authentication inside."""
    _have_ceph()
    monitor, monitor_v1, gateway = free_ports(3)
    conf = folder / "ceph.conf"
    fsid = _uuid()
    for name in ("run", "log", "mon", "osd", "rgw"):
        (folder / name).mkdir()
    (folder / "keyring").touch()
    text = _CEPH.format(folder=folder, fsid=fsid, mon=monitor, mon_v1=monitor_v1, rgw=gateway)
    conf.write_text(dedent(text))
    address = f"[v2:127.0.0.1:{monitor},v1:127.0.0.1:{monitor_v1}]"
    _ceph("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, folder / "monmap")
    _ceph("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", folder / "monmap")
    with contextlib.ExitStack() as stack:

        def serve(name: str, *argv: str | Path) -> subprocess.Popen[bytes]:
            log = folder / "log" / f"{name}.out"
            return stack.enter_context(_running(name, [*argv, "-f"], log))

        serve("mon", "ceph-mon", "-c", conf, "-i", "a")
        osd = _uuid()
        _ceph("ceph", "-c", conf, "osd", "new", osd)
        _ceph("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        serve("osd", "ceph-osd", "-c", conf, "-i", "0")
        child = serve("rgw", "radosgw", "-c", conf, "-n", "client.rgw.a")
        user = ["--uid=test", "--display-name=test", "--access-key=test", "--secret-key=testtest"]
        _ceph("radosgw-admin", "-c", conf, "-n", "client.rgw.a", "user", "create", *user)
        endpoint_url = f"http://127.0.0.1:{gateway}"
        await_http(endpoint_url, child)
        yield with_bucket("ceph", endpoint_url, "test", "testtest")


_CEPH = """
    [global]
    fsid = {fsid}
    mon host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{mon_v1}]
    public addr = 127.0.0.1
    cluster addr = 127.0.0.1
    auth cluster required = none
    auth service required = none
    auth client required = none
    run dir = {folder}/run
    admin socket = {folder}/run/$name.asok
    log file = {folder}/log/$name.log
    crash dir = {folder}/log
    keyring = {folder}/keyring
    osd pool default size = 1
    osd pool default min size = 1
    osd pool default pg num = 8
    osd pool default pgp num = 8
    osd pool default pg autoscale mode = off
    osd crush chooseleaf type = 0
    mon allow pool size one = true
    mon max pg per osd = 2000
    mon data avail warn = 2
    mon data avail crit = 1
    mon osd full ratio = .99
    mon osd nearfull ratio = .98
    mon osd backfillfull ratio = .985
    osd failsafe full ratio = .995
    paxos propose interval = 0.02
    paxos min wait = 0.01
    ms bind ipv6 = false
    # a gateway wants 'secure' sessions, which monitors without authentication cannot give
    ms mon client mode = crc
    ms mon cluster mode = crc
    ms mon service mode = crc
    [mon.a]
    mon data = {folder}/mon
    [osd]
    osd data = {folder}/osd
    osd objectstore = memstore
    memstore device bytes = 4294967296
    osd class load list = *
    osd class default list = *
    [client]
    rgw data = {folder}/rgw
    rgw frontends = beast endpoint=127.0.0.1:{rgw}
    rgw enable apis = s3, admin
    rgw run sync thread = false
    rgw dynamic resharding = false
    rgw crypt require ssl = false
    rgw rados pool pg num min = 8
"""


def _have_ceph() -> None:
    """Make sure that Ceph's programs are there; skips with the reason where they cannot be."""
    if shutil.which("radosgw") and shutil.which("ceph-mon") and shutil.which("ceph-osd"):
        return
    packages = " ".join(_CEPH_PACKAGES)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip(f"Ceph RGW is not installed; apt-get install {packages}")
    for argv in (["update", "-q"], ["install", "-qy", "--no-install-recommends", *_CEPH_PACKAGES]):
        done = subprocess.run(
            ["apt-get", *argv],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if done.returncode:
            pytest.skip(f"Ceph RGW cannot be installed here: {done.stderr.strip()[-300:]}")


def _ceph(*argv: str | Path) -> None:
    environment = {**os.environ, "CEPH_ARGS": ""}
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=120, env=environment
    )
    assert done.returncode == 0, f"{argv[0]}: {done.stderr[-1000:]}"


@contextlib.contextmanager
def _running(name: str, argv: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield child
        assert child.poll() is None, f"{name} died: {log.read_text(errors='replace')[-2000:]}"
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def await_http(url: str, child: subprocess.Popen[bytes], *, any_status: bool = False) -> None:
    """Wait until the server answers with 200, or at all."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + _START_S
    while time.monotonic() < until and child.poll() is None:
        try:
            with opener.open(url, timeout=5) as answer:
                if any_status or answer.status == 200:
                    return
        except urllib.error.HTTPError:
            if any_status:
                return
        except OSError:
            pass
        time.sleep(0.1)  # nothing tells when another program listens
    pytest.fail(f"no answer from {url} within {_START_S} s (exit status: {child.poll()})")


def with_bucket(name: str, endpoint_url: str, access_key: str, secret_key: str) -> RealServer:
    client: Any = Session().create_client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )
    taken = client.exceptions
    with contextlib.suppress(taken.BucketAlreadyOwnedByYou, taken.BucketAlreadyExists):
        client.create_bucket(Bucket="images")
    client.close()
    environment = {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_ENDPOINT_URL_S3": endpoint_url,
    }
    return RealServer(name=name, environment=environment, bucket="images")


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _uuid() -> str:
    return Path("/proc/sys/kernel/random/uuid").read_text().strip()
