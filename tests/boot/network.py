"""A network of its own for one machine: DHCP with short leases, router advertisements, DNS, NTP.

It is a namespace without a way out; the machine's tap is its only interface.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.templates.needs import program

GATEWAY = "192.0.2.1"
LEASE_S = 120  # the shortest that dnsmasq gives

_NTP = """
import socket, struct, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 123))
while True:
    query, peer = server.recvfrom(512)
    now = time.time() + 2208988800
    stamp = struct.pack("!II", int(now), int((now % 1) * 2**32))
    head = struct.pack("!BBbbII4s", 0x24, 1, 6, -20, 0, 0, b"TEST")
    server.sendto(head + stamp + query[40:48] + stamp + stamp, peer)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    name: str
    leases: Path

    def run(self, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command in this network."""
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *command],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def lease(self) -> tuple[float, str] | None:
        """End (Unix time) and address of the IPv4 lease, if there is one."""
        if not self.leases.exists():
            return None
        for line in self.leases.read_text().splitlines():
            words = line.split()
            if len(words) >= 3 and words[2].startswith("192.0.2."):
                return float(words[0]), words[2]
        return None


@contextlib.contextmanager
def network(name: str, work: Path) -> Iterator[Network]:
    """Bring the namespace up with its servers; all of it goes at the end."""
    dnsmasq = program("dnsmasq", "dnsmasq-base", install=True)
    leases = work / "leases"
    leases.unlink(missing_ok=True)
    subprocess.run(["ip", "netns", "add", name], check=True, timeout=30)
    children: list[subprocess.Popen[bytes]] = []
    here = Network(name=name, leases=leases)
    try:
        for command in (
            "ip link set lo up",
            "ip tuntap add tap0 mode tap",
            f"ip addr add {GATEWAY}/24 dev tap0",
            "ip -6 addr add 2001:db8::1/64 dev tap0 nodad",
            "ip link set tap0 up",
        ):
            result = here.run(*command.split())
            assert result.returncode == 0, result.stderr
        children.append(_start(name, work / "ntp.log", sys.executable, "-c", _NTP))
        children.append(_start(name, work / "dnsmasq.log", dnsmasq, *_dnsmasq(work, leases)))
        time.sleep(1)
        assert all(child.poll() is None for child in children), (work / "dnsmasq.log").read_text()
        yield here
    finally:
        for child in children:
            child.terminate()
            child.wait(30)
        subprocess.run(["ip", "netns", "del", name], check=False, timeout=30)


def _dnsmasq(work: Path, leases: Path) -> list[str]:
    return [
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--interface=tap0",
        "--bind-interfaces",
        "--log-dhcp",
        f"--pid-file={work / 'dnsmasq.pid'}",
        f"--dhcp-leasefile={leases}",
        f"--dhcp-range=192.0.2.100,192.0.2.150,{LEASE_S}",
        f"--dhcp-option=option:ntp-server,{GATEWAY}",
        f"--dhcp-range=2001:db8::100,2001:db8::1ff,64,{LEASE_S}",
        "--enable-ra",
    ]


def _start(name: str, log: Path, *command: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            ["ip", "netns", "exec", name, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
