"""A session of aiobotocore that reads one environment mapping, and credentials that renew."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import aioboto3
import anyio
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials, create_credential_resolver
from aiobotocore.session import AioSession
from anyio import to_thread
from botocore.configprovider import (
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    ConfigChainFactory,
    ConfigValueStore,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.model import OperationModel
from botocore.regions import EndpointResolver

from asyncpipe.errors import AccessDeniedError, TransientStoreError, UsageError
from asyncpipe.model.store import StoreOptions
from asyncpipe.stores.s3.errors import clause
from asyncpipe.stores.s3.models import use_model_loader
from asyncpipe.stores.s3.wire.transport import OneAttemptSession

_DEFAULT_REGION = "us-east-1"
# What botocore/data/endpoints.json says of S3, without the 1.2 MB of all other addresses of AWS,
# which take 20 ms and 7 MiB to read; a store with an endpoint of its own is at none of them.
_ADDRESSES: Mapping[str, Any] = {
    "version": 3,
    "partitions": [
        {
            "partition": "aws",
            "dnsSuffix": "amazonaws.com",
            "regionRegex": ".*",
            "regions": {},
            "defaults": {"hostname": "{service}.{region}.{dnsSuffix}", "signatureVersions": ["v4"]},
            "services": {
                "s3": {
                    "partitionEndpoint": "aws-global",
                    "endpoints": {
                        "aws-global": {
                            "credentialScope": {"region": "us-east-1"},
                            "hostname": "s3.amazonaws.com",
                        }
                    },
                    "defaults": {"signatureVersions": ["s3v4"]},
                }
            },
        }
    ],
}
_HOW_TO_NAME_THEM = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."


class RenewableCredentials(AioCredentials):
    """Credentials that every client shares and that can be looked up again."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__("", "", "")
        self._environment = environment
        self._inner: Any = None
        self._lock = anyio.Lock()

    async def get_frozen_credentials(self) -> Any:  # type: ignore[override]  # as aiobotocore does
        """Return what the present credentials are; botocore calls this for each request."""
        with _as_access_error():  # some renew themselves just here
            return await self._inner.get_frozen_credentials()

    async def resolve(self, resolver: Any = None) -> None:
        """Look the credentials up: environment, profile, web identity, container, instance.

        ``resolver``: that of a new session, which has cached nothing; None makes one.

        Raises:
            UsageError: there are none to begin with.
        """
        resolver = resolver or _session_of(self._environment)[1]
        found = await resolver.load_credentials()
        if found is None:
            raise UsageError(
                "There are no S3 credentials.",
                hint=_HOW_TO_NAME_THEM,
            )
        self._inner = found

    async def renew(self, expired: str) -> bool:
        """Look up again once for all who saw ``expired`` fail; True when the key is another.

        Raises:
            AccessDeniedError: there are none left.
        """
        async with self._lock:
            if await self.fingerprint() == expired:
                with _as_access_error():
                    await self.resolve()
            return await self.fingerprint() != expired

    async def fingerprint(self) -> str:
        """Something that differs when the credentials do; not for display."""
        frozen = await self.get_frozen_credentials()
        return f"{frozen.access_key}\0{frozen.token or ''}"


@contextmanager
def _as_access_error() -> Iterator[None]:
    """The source of the credentials failed while the work went on."""
    try:
        yield
    except (HTTPClientError, BotoConnectionError) as error:
        raise TransientStoreError(_not_had(error)) from error
    except (BotoCoreError, ClientError, OSError, RuntimeError, UsageError) as error:
        # botocore's RuntimeError: what was renewed has expired as well
        raise AccessDeniedError(
            _not_had(error), hint="Get fresh credentials; the upload can be resumed."
        ) from error


def _not_had(error: Exception) -> str:
    return f"The S3 credentials could not be looked up: {clause(str(error))}."


class Expectation:
    """Whether parts are sent with ``Expect: 100-continue``; some servers and proxies refuse it.

    Anything smaller is sent sooner than a server would say that it may.
    """

    def __init__(self) -> None:
        self.is_sent = True

    def apply(self, model: OperationModel, params: dict[str, Any], **_: Any) -> None:
        """Take the header out of a request that botocore is about to sign."""
        if model.name != "UploadPart" or not self.is_sent:
            params["headers"].pop("Expect", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Client:
    """aiobotocore's client of one endpoint, which never repeats a call, and its settings."""

    raw: Any
    credentials: RenewableCredentials
    endpoint: str
    expectation: Expectation


@asynccontextmanager
async def open_client(
    environment: Mapping[str, str], options: StoreOptions
) -> AsyncIterator[S3Client]:
    """Open the client; UsageError: no credentials, or a bad profile, endpoint or bundle."""
    async with AsyncExitStack() as stack:
        try:
            client = await _opened(stack, environment, options)
        except (BotoCoreError, ClientError, OSError) as error:
            hint = _HOW_TO_NAME_THEM if isinstance(error, PartialCredentialsError) else ""
            why = clause(str(error))
            raise UsageError(f"The S3 settings cannot be used: {why}.", hint=hint) from error
        yield client


async def _opened(
    stack: AsyncExitStack, environment: Mapping[str, str], options: StoreOptions
) -> S3Client:
    core, resolver = _session_of(environment)
    credentials = RenewableCredentials(environment)
    await credentials.resolve(resolver)
    setattr(core, "_credentials", credentials)  # noqa: B010 - set_credentials() takes plain keys
    await to_thread.run_sync(_read_models, core)
    with _few_addresses(core) if endpoint_of(environment, options) else nullcontext():
        raw = await _client(stack, core, environment, options)
    expectation = Expectation()
    raw.meta.events.register_last("before-call.s3", expectation.apply)
    return S3Client(
        raw=raw,
        credentials=credentials,
        endpoint=str(raw.meta.endpoint_url),
        expectation=expectation,
    )


def _read_models(core: AioSession) -> None:
    """Read 2 MB of JSON, which the session's loader then keeps."""
    for kind in ("service-2", "endpoint-rule-set-1"):
        core.get_component("data_loader").load_service_model("s3", kind)


@contextmanager
def _few_addresses(core: AioSession) -> Iterator[None]:
    """Build a client without all addresses of AWS; those of credentials' services have them."""
    unstubbed: Any = core
    components = unstubbed._internal_components  # noqa: SLF001 - botocore has no public way
    components.register_component("endpoint_resolver", EndpointResolver(_ADDRESSES))
    try:
        yield
    finally:
        unstubbed._register_endpoint_resolver()  # noqa: SLF001


class _Clients(aioboto3.Session):
    """A session of clients alone: what aioboto3 adds to them would load s3transfer, 25 ms."""

    def _register_default_handlers(self) -> None:
        pass


async def _client(
    stack: AsyncExitStack, core: AioSession, environment: Mapping[str, str], options: StoreOptions
) -> Any:
    session = _Clients(botocore_session=core)
    bundle = options.ca_bundle or environment.get("AWS_CA_BUNDLE")
    verify: str | bool | None = str(bundle) if bundle else None
    if (endpoint_of(environment, options) or "").startswith("http://"):
        verify = False  # there is no certificate: reading the authorities twice costs 40 ms
    elif verify:
        await to_thread.run_sync(_check_bundle, str(verify))
    try:
        client = session.client(
            "s3",
            region_name=_region(core, environment, options),
            endpoint_url=endpoint_of(environment, options),
            verify=verify,
            config=_config(options),
        )
        opened = await stack.enter_async_context(client)
    except ValueError as error:
        raise UsageError(
            f"The S3 endpoint is not a URL: {clause(str(error))}.",
            hint="AWS_ENDPOINT_URL_S3 is written https://HOST:PORT.",
        ) from error
    if endpoint_of(environment, options):
        opened.meta.events.register_last("before-parameter-build.s3", _stay_here)
    return opened


def _stay_here(context: dict[str, Any], **_: Any) -> None:
    """Keep botocore from looking for the bucket's region: a private endpoint has only one.

    It would ask again and again where every answer is a redirect; AWS names regions rightly.
    """
    context["s3_redirect"]["redirected"] = True


def _check_bundle(path: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:  # ssl.SSLError is one
        why = clause(error.strerror or str(error))
        raise UsageError(
            f"The certificates to trust cannot be read from {clause(path)}: {why}.",
            hint="--ca-bundle and AWS_CA_BUNDLE name a file of PEM certificates.",
        ) from error


def endpoint_of(environment: Mapping[str, str], options: StoreOptions) -> str | None:
    """Return the endpoint that was set, None for AWS or what the profile says."""
    return (
        options.endpoint_url
        or environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL")
        or None
    )


def _region(core: AioSession, environment: Mapping[str, str], options: StoreOptions) -> str:
    found = options.region or environment.get("AWS_REGION") or core.get_config_variable("region")
    return str(found or _DEFAULT_REGION)


def _config(options: StoreOptions) -> AioConfig:
    """No SDK checksums (ours are precomputed), payload signature or retries; explicit limits."""
    return AioConfig(
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"payload_signing_enabled": False, "addressing_style": options.addressing.value},
        signature_version="s3v4",
        max_pool_connections=options.max_connections,
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        retries={"total_max_attempts": 1, "mode": "standard"},
        user_agent_appid="asyncpipe",
        http_session_cls=OneAttemptSession,
    )


def _session_of(environment: Mapping[str, str]) -> tuple[AioSession, Any]:
    """Build a session and its credential resolver that see ``environment`` and nothing else."""
    session = AioSession()
    chains = ConfigChainFactory(session=session, environ=environment)
    store: ConfigValueStore = session.get_component("config_store")
    for name, (key, variables, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items():
        chain = chains.create_config_chain(
            instance_name=name,
            env_var_names=variables,
            config_property_names=key,
            default=default,
            conversion_func=convert,
        )
        store.set_config_provider(name, chain)
    use_model_loader(session)
    resolver = create_credential_resolver(session, region_name=environment.get("AWS_REGION"))
    for provider in resolver.providers:
        for attribute in ("environ", "_environ"):
            if attribute in vars(provider):
                setattr(provider, attribute, environment)
    return session, resolver
