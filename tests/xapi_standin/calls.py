"""XAPI's calls on the state: what the plugin and asyncpipe use, strict about everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from xmlrpc.client import DateTime

from tests.xapi_standin.state import CLASSES, NULL, State, XapiError

Call = Callable[..., Any]
_SETTABLE = {
    "VM": {
        "is_a_template", "name_label", "name_description", "VCPUs_max", "VCPUs_at_startup",
        "platform", "other_config", "tags", "HVM_boot_policy", "HVM_boot_params",
    },
    "VDI": {"name_label", "name_description", "other_config", "tags"},
}  # fmt: skip
_CREATED = {"VBD": {"VM", "VDI"}, "VIF": {"VM", "network"}}


class Calls:
    """Answers one call after the other."""

    def __init__(self, state: State, users: dict[str, str], master: str | None) -> None:
        self._state = state
        self._users = users
        self._master = master

    def answer(self, method: str, arguments: Sequence[Any]) -> Any:
        """The value of a call; XapiError."""
        if method == "session.login_with_password":
            return self._login(*arguments)
        self.require_session(arguments[0] if arguments else "")
        rest = list(arguments[1:])
        if method == "session.logout":
            return self._drop("session", str(arguments[0]))
        kind, _, verb = method.partition(".")
        if kind not in CLASSES or (kind == "session" and not verb.startswith("get_")):
            raise XapiError("MESSAGE_METHOD_UNKNOWN", method)
        own: Call | None = getattr(self, f"_{kind}_{verb}", None)
        try:
            return own(*rest) if own else self._generic(kind, verb, rest)
        except TypeError:
            raise XapiError("MESSAGE_PARAMETER_COUNT_MISMATCH", method) from None

    def follow(self, master: str) -> None:
        """Be a slave of that host from now on."""
        self._master = master

    def require_session(self, reference: object) -> None:
        """SESSION_INVALID unless it is open."""
        if str(reference) not in self._state.tables["session"]:
            raise XapiError("SESSION_INVALID", str(reference))

    def _login(self, user: str, password: str, *_: str) -> str:
        if self._master:
            raise XapiError("HOST_IS_SLAVE", self._master)
        if self._users.get(user) != password:
            raise XapiError("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
        return self._state.add("session", is_local_superuser=self._state.permissions is None)

    def _generic(self, kind: str, verb: str, rest: list[Any]) -> Any:
        state, table = self._state, self._state.tables[kind]
        common: dict[str, Call] = {
            "get_all": lambda: list(table),
            "get_all_records": lambda: {ref: state.view(kind, ref) for ref in table},
            "get_record": lambda ref: state.view(kind, ref),
            "get_by_uuid": lambda uuid: state.by_uuid(kind, uuid),
            "get_by_name_label": lambda name: state.where(kind, "name_label", name),
            "destroy": lambda ref: self._drop(kind, ref),
            "add_to_other_config": lambda *words: self._add_entry(kind, *words),
            "remove_from_other_config": lambda *words: self._remove_entry(kind, *words),
            "add_tags": lambda ref, tag: self._tag(kind, ref, tag, present=True),
            "remove_tags": lambda ref, tag: self._tag(kind, ref, tag, present=False),
        }
        if kind in _CREATED:
            common["create"] = lambda fields: self._create(kind, fields)
        return common[verb](*rest) if verb in common else self._field(kind, verb, rest)

    def _create(self, kind: str, fields: dict[str, Any]) -> str:
        for name in _CREATED[kind]:
            if fields.get(name) != NULL:
                self._state.raw(name, fields.get(name))
        return self._state.add(kind, **fields)

    def _add_entry(self, kind: str, ref: str, key: str, value: str) -> str:
        other_config = self._state.raw(kind, ref)["other_config"]
        if key in other_config:
            raise XapiError("MAP_DUPLICATE_KEY", kind, "other_config", ref, key, value)
        other_config[key] = value
        return ""

    def _remove_entry(self, kind: str, ref: str, key: str) -> str:
        self._state.raw(kind, ref)["other_config"].pop(key, None)
        return ""

    def _tag(self, kind: str, ref: str, tag: str, *, present: bool) -> str:
        tags = self._state.raw(kind, ref)["tags"]
        tags[:] = [one for one in tags if one != tag] + [tag] * present
        return ""

    def _field(self, kind: str, verb: str, rest: list[Any]) -> Any:
        action, _, name = verb.partition("_")
        if action == "get" and len(rest) == 1:
            record = self._state.view(kind, rest[0])
            if name in record:
                return record[name]
        if action == "set" and len(rest) == 2 and name in _SETTABLE.get(kind, ()):
            self._state.raw(kind, rest[0])[name] = rest[1]
            return ""
        raise XapiError("MESSAGE_METHOD_UNKNOWN", f"{kind}.{verb}")

    def _drop(self, kind: str, ref: str) -> str:
        self._state.raw(kind, ref)
        del self._state.tables[kind][ref]
        return ""

    # -- what is more than a field -----------------------------------------------------------

    def _session_get_this_host(self, _: str) -> str:
        return next(iter(self._state.tables["host"]))

    def _session_get_rbac_permissions(self, _: str) -> list[str]:
        return list(self._state.permissions or ())

    def _host_get_servertime(self, ref: str) -> DateTime:
        self._state.raw("host", ref)
        moment = datetime.now(UTC) + timedelta(seconds=self._state.clock_offset_s)
        return DateTime(moment.strftime("%Y%m%dT%H:%M:%SZ"))

    def _task_create(self, label: str, description: str) -> str:
        return self.new_task(label, description)

    def new_task(self, label: str, description: str = "") -> str:
        """Make a task, pending."""
        return self._state.add(
            "task",
            name_label=label,
            name_description=description,
            status="pending",
            progress=0.0,
            result="",
            error_info=[],
        )

    def _task_cancel(self, ref: str) -> str:
        self._state.raw("task", ref)
        self._state.cancelled.add(ref)
        return ""

    def _VDI_create(self, fields: dict[str, Any]) -> str:  # noqa: N802 - XAPI's name
        storage = fields["SR"]
        return self._state.add_vdi(storage, **{k: v for k, v in fields.items() if k != "SR"})

    def _VDI_destroy(self, ref: str) -> str:  # noqa: N802
        self._state.raw("VDI", ref)
        for vbd in self._state.where("VBD", "VDI", ref):
            vm = self._state.raw("VM", self._state.raw("VBD", vbd)["VM"])
            if vm["power_state"] != "Halted":
                raise XapiError("VDI_IN_USE", ref, "destroy")
            del self._state.tables["VBD"][vbd]
        self._state.contents.pop(ref, None)
        return self._drop("VDI", ref)

    def _VBD_unplug(self, ref: str) -> str:  # noqa: N802
        self._state.raw("VBD", ref)
        raise XapiError("DEVICE_ALREADY_DETACHED", ref)

    def _VM_clone(self, ref: str, name: str) -> str:  # noqa: N802
        source = self._state.raw("VM", ref)
        if source["power_state"] != "Halted":
            raise XapiError("VM_BAD_POWER_STATE", ref, "halted", source["power_state"].lower())
        copied = {key: value for key, value in source.items() if key != "uuid"}
        copied |= {
            "name_label": name,
            "is_default_template": False,
            "other_config": dict(source["other_config"]),
            "tags": list(source["tags"]),
            "current_operations": {},
        }
        return self._state.add("VM", **copied)

    def _VM_provision(self, ref: str) -> str:  # noqa: N802
        self._state.raw("VM", ref)["other_config"].pop("disks", None)
        return ""

    def _VM_set_memory_limits(self, ref: str, *_: str) -> str:  # noqa: N802
        self._state.raw("VM", ref)
        return ""

    def _VM_start(self, ref: str, paused: object, _force: object) -> str:  # noqa: N802
        return self.start(ref, "Paused" if paused else "Running")

    def start(self, ref: str, state: str = "Running") -> str:
        """Start a VM; it has a console and an address at once."""
        self._move(ref, "Halted", state)
        where = f"https://{self._state.address}:{self._state.port}/console"
        console = self._state.add("console", VM=ref, protocol="rfb")
        self._state.raw("console", console)["location"] = f"{where}?ref={console}"
        boot, metrics = self._state.boot, NULL
        if boot.has_agent:
            said = {"networks": dict(boot.networks), "os_version": {"name": "Debian 12"}}
            metrics = self._state.add("VM_guest_metrics", **said)
        host = next(iter(self._state.tables["host"]))
        fields = {
            "consoles": [console],
            "guest_metrics": metrics,
            "resident_on": host,
            "domid": "7",
        }
        self._state.raw("VM", ref).update(fields)
        return ""

    def _VM_unpause(self, ref: str) -> str:  # noqa: N802
        return self._move(ref, "Paused", "Running")

    def _VM_clean_shutdown(self, ref: str) -> str:  # noqa: N802
        if not self._state.boot.heeds_shutdown:
            raise XapiError("VM_LACKS_FEATURE", ref)
        return self._move(ref, "Running", "Halted")

    def _VM_hard_shutdown(self, ref: str) -> str:  # noqa: N802
        state = self._state.raw("VM", ref)["power_state"]
        if state == "Halted":
            raise XapiError("VM_BAD_POWER_STATE", ref, "running", "halted")
        return self._move(ref, state, "Halted")

    def _move(self, ref: str, before: str, after: str) -> str:
        vm = self._state.raw("VM", ref)
        if vm["power_state"] != before:
            raise XapiError("VM_BAD_POWER_STATE", ref, before.lower(), vm["power_state"].lower())
        vm["power_state"] = after
        if after == "Halted":
            vm["domid"] = "-1"
        return ""

    def _VM_get_allowed_VBD_devices(self, ref: str) -> list[str]:  # noqa: N802
        self._state.raw("VM", ref)
        return [str(number) for number in range(16) if str(number) not in self._devices(ref)]

    def _devices(self, vm: str) -> set[str]:
        state = self._state
        return {state.raw("VBD", vbd)["userdevice"] for vbd in state.where("VBD", "VM", vm)}

    def _VBD_create(self, fields: dict[str, Any]) -> str:  # noqa: N802
        device = fields.get("userdevice", "autodetect")
        self._state.raw("VM", fields["VM"])
        if device in self._devices(fields["VM"]):
            raise XapiError("DEVICE_ALREADY_EXISTS", device)
        if device == "autodetect":
            device = self._VM_get_allowed_VBD_devices(fields["VM"])[0]
        return self._create("VBD", {**fields, "userdevice": device})

    def _VDI_resize(self, ref: str, size_bytes: str) -> str:  # noqa: N802
        vdi, storage = self._state.raw("VDI", ref), self._state.raw("VDI", ref)["SR"]
        more_bytes = int(size_bytes) - int(vdi["virtual_size"])
        if more_bytes < 0:
            raise XapiError("VDI_INCOMPATIBLE_TYPE", ref, "shrinks")
        room = int(self._state.raw("SR", storage)["physical_size"])
        if self._state.used_bytes(storage) + more_bytes > room:
            raise XapiError("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")
        vdi["virtual_size"] = size_bytes
        return ""

    def _VM_destroy(self, ref: str) -> str:  # noqa: N802
        vm = self._state.raw("VM", ref)
        if vm["current_operations"]:
            operation = next(iter(vm["current_operations"].values()))
            raise XapiError("OTHER_OPERATION_IN_PROGRESS", "VM", ref, operation)
        if vm["power_state"] != "Halted" or vm["is_default_template"]:
            raise XapiError("OPERATION_NOT_ALLOWED", "VM.destroy")
        self._state.destroy_vm(ref)
        return ""
