"""Windows media: by product and year, by build number, by edition."""

# ruff: noqa: E501 -- Microsoft names its media this long
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

# Build -> (client, its release, server); https://learn.microsoft.com/windows/release-health/.
_BUILDS: Final[dict[str, tuple[str, str, str]]] = {
    "2195": ("2000", "", "2000"),
    "2600": ("xp", "", ""),
    "3790": ("xp", "", "2003"),
    "6000": ("vista", "", ""),
    "6001": ("vista", "", "2008"),
    "6002": ("vista", "", "2008"),
    "7600": ("7", "", "2008r2"),
    "7601": ("7", "", "2008r2"),
    "9200": ("8", "", "2012"),
    "9600": ("8.1", "", "2012r2"),
    "10240": ("10", "1507", ""),
    "10586": ("10", "1511", ""),
    "14393": ("10", "1607", "2016"),
    "15063": ("10", "1703", ""),
    "16299": ("10", "1709", ""),
    "17134": ("10", "1803", ""),
    "17763": ("10", "1809", "2019"),
    "18362": ("10", "1903", ""),
    "18363": ("10", "1909", ""),
    "19041": ("10", "2004", ""),
    "19042": ("10", "20h2", ""),
    "19043": ("10", "21h1", ""),
    "19044": ("10", "21h2", ""),
    "19045": ("10", "22h2", ""),
    "20348": ("", "", "2022"),
    "25398": ("", "", "23h2"),
    "22000": ("11", "21h2", ""),
    "22621": ("11", "22h2", ""),
    "22631": ("11", "23h2", ""),
    "26100": ("11", "24h2", "2025"),
    "26200": ("11", "25h2", ""),
    "28000": ("11", "26h1", ""),
}
_BUILD = re.compile(rf"(?<![0-9.])({'|'.join(_BUILDS)})(\.\d{{1,5}})?(?![0-9])")
_SIGNAL = re.compile(
    r"windows|(?<![a-z])(?:win(?=[-_ ]?(?:\d|xp|vista|server|svrs?|srv|pro|ent|edu|nt|std|ltsc))|ws(?=20[0-9]{2})|w2k|win2k"
    r"|sw_dvd|sss_|svc_refresh|hyper-?v[-_ ]server)|(?:server|client\w*)[-_ ]?(?:eval|standard|datacenter)"
    r"|_(?:rtm|release)_(?:svc|server|client)|rs\d_release|th\d_release|winblue|wint(?=_)|_ccoma_|_cor_|microsoft"
)
_SERVER = re.compile(
    r"server|(?<![a-z])(?:srv|svrs?)|w(?:in)?2k(?=[0-9])|(?<![a-z])ws(?=20)|hyper-?v|datacenter|(?<![a-z])winsrv"
)
_YEAR = re.compile(
    r"(?<![0-9])(2000|2003|2008|2012|2016|2019|2022|2025)(?:[-_ .]?(r2))?(?![0-9a-z])"
)
_SHORT_YEAR = re.compile(r"w(?:in)?2k(3|8|12|16|19|22|25)(?:[-_ ]?(r2))?(?![0-9])")
_CLIENT = re.compile(
    r"(?<![a-z])(?:windows?|win|w)(?:[-_ ]?(?:pro|ent|edu|home|enterprise|business|consumer|iot|client|desktop|n|nt|os)s?)*[-_ ]?"
    r"(xp|vista|8[._]1|81|7|8|10|11)(?![0-9.]\d|[0-9])"
)
_FEATURE = re.compile(
    r"(?<![0-9a-z])v?(1507|1511|1607|1703|1709|1803|1809|1903|1909|2004|2[0-9]h[12])(?![0-9])"
)
_AZURE = re.compile(r"azure[-_ ]?stack[-_ ]?hci|azure[-_ ]?local(?=[-_ ]?\d)")
# Build -> release; https://learn.microsoft.com/azure/azure-local/release-information-23h2.
_AZURE_BUILDS: Final = {
    "17784": "20h2", "20348": "21h2", "20349": "22h2", "25398": "23h2", "26100": "24h2",
}  # fmt: skip
_AZURE_BUILD = re.compile(rf"(?<![0-9.])({'|'.join(_AZURE_BUILDS)})(\.\d{{1,5}})?(?![0-9])")
_LTSC = re.compile(r"lts[bc][-_ ]?(20\d\d)|(20\d\d)[-_ ]?lts[bc]")
_LTSC_CLIENT = {"2015": "10", "2016": "10", "2019": "10", "2021": "10", "2024": "11"}

EXAMPLES: Final = (
    ("17763.737.190906-2324.rs5_release_svc_refresh_SERVER_EVAL_x64FRE_en-us_1.iso", "windows-server", "2019"),
    ("22621.525.220925-0207.ni_release_svc_refresh_CLIENTENTERPRISEEVAL_OEMRET_x64FRE_en-us.iso", "windows", "11"),
    ("19045.2006.220908-0225.22h2_release_svc_refresh_CLIENTENTERPRISEEVAL_OEMRET_x64FRE_en-us.iso", "windows", "10"),
    ("26100.1742.240906-0331.ge_release_svc_refresh_SERVER_EVAL_x64FRE_en-us.iso", "windows-server", "2025"),
    ("26100.1742.240906-0331.ge_release_svc_refresh_CLIENTENTERPRISEEVAL_OEMRET_x64FRE_en-us.iso", "windows", "11"),
    ("26200.6584.250915-1905.25h2_ge_release_svc_refresh_CLIENTENTERPRISEEVAL_OEMRET_x64FRE_en-us.iso", "windows", "11"),
    ("9600.17050.WINBLUE_REFRESH.140317-1640_X64FRE_SERVER_EVAL_EN-US-IR3_SSS_X64FREE_EN-US_DV9.ISO", "windows-server", "2012r2"),
    ("9600.17050.WINBLUE_REFRESH.140317-1640_X64FRE_ENTERPRISE_EVAL_EN-US-IR3_CENA_X64FREE_EN-US_DV9.ISO", "windows", "8.1"),
    ("14393.0.160715-1616.RS1_RELEASE_SERVER_EVAL_X64FRE_EN-US.ISO", "windows-server", "2016"),
    ("Windows_Server_2016_Datacenter_EVAL_en-us_14393_refresh.ISO", "windows-server", "2016"),
    ("en_windows_server_2019_updated_july_2020_x64_dvd_94453821.iso", "windows-server", "2019"),
    ("en_windows_server_2012_r2_with_update_x64_dvd_6052708.iso", "windows-server", "2012r2"),
    ("en_windows_10_enterprise_ltsc_2019_x64_dvd_5795bb03.iso", "windows", "10"),
    ("en-us_windows_11_business_editions_version_23h2_x64_dvd_a9092734.iso", "windows", "11"),
    ("en-us_windows_server_2022_x64_dvd_620d7eac.iso", "windows-server", "2022"),
    ("SW_DVD9_Win_Server_STD_CORE_2022_2108.15_64Bit_English_DC_STD_MLF_X23-31801.ISO", "windows-server", "2022"),
    ("SW_DVD5_WIN_ENT_LTSC_2021_64BIT_English_MLF_X22-84414.ISO", "windows", "10"),
    ("SW_DVD9_Win_Pro_11_22H2_64BIT_English_Pro_Ent_EDU_N_MLF_X23-22789.ISO", "windows", "11"),
    ("Win10_22H2_English_x64v1.iso", "windows", "10"),
    ("Win11_24H2_English_x64.iso", "windows", "11"),
    ("Win8.1_English_x64.iso", "windows", "8.1"),
    ("en_windows_7_enterprise_with_sp1_x64_dvd_u_677651.iso", "windows", "7"),
    ("7601.17514.101119-1850_x64fre_server_eval_en-us-GRMSXEVAL_EN_DVD.iso", "windows-server", "2008r2"),
    ("win-2019.iso", "windows-server", "2019"),
    ("SW_DVD9_Win_Svr_STD_Core_and_DataCtr_Core_2016_64Bit_English_-2_MLF_X21-22843.ISO", "windows-server", "2016"),
    ("win2k22.iso", "windows-server", "2022"),
    ("AzureStackHCI_17784.1408_EN-US.iso", "azure-stack-hci", "20h2"),
    ("AzureStackHCI_20348.587_en-us.iso", "azure-stack-hci", "21h2"),
    ("25398.469.231004-1141.zn_release_svc_refresh_SERVERAZURESTACKHCICOR_OEMRET_x64FRE_en-us.iso", "azure-stack-hci", "23h2"),
    ("AzureLocal23H2.25398.469.LCM.12.2411.1.3034_x64_en-us.iso", "azure-stack-hci", "23h2"),
    ("SERVER_EVAL_x64FRE_en-us.iso", None, None),
    ("windows.iso", None, None),
)  # fmt: skip


def read(text: str, make: Callable[..., T]) -> T | None:
    """Return ``make(os_type=..., os_version=..., release=...)``; None without a version.

    ``text`` is in lower case with architectures masked. A medium that says neither year nor build
    (``SERVER_EVAL_x64FRE_en-us.iso``) does not count.
    """
    text = text.replace("/", "-")  # of a label: windows/desktop/11
    if _AZURE.search(text) is not None:
        return _azure_stack(text, make)
    build = _BUILD.search(text)
    if _SIGNAL.search(text) is None and (build is None or build.start() != 0):
        return None
    server = _SERVER.search(text) is not None
    version = _server_version(text) if server else _client_version(text)
    release = None
    if build is not None:
        client, _, server_year = _BUILDS[build[1]]
        by_build = server_year if server else client or server_year
        server = server or (not client and bool(server_year))
        version = version or by_build or None
        release = build[1] + (build[2] or "")
    if version is None and (year := _YEAR.search(text)) is not None:
        server, version = True, year[1] + (year[2] or "")  # "win-2019": clients have no years
    if version is None:
        return None
    feature = _FEATURE.search(text)
    if release is None and feature is not None and not server:
        release = f"{version}-{feature[1]}"
    return make(
        os_type="windows-server" if server else "windows", os_version=version, release=release
    )


def _azure_stack(text: str, make: Callable[..., T]) -> T | None:
    build = _AZURE_BUILD.search(text)
    feature = re.search(r"(?<![0-9])2[0-9]h2(?![0-9])", text)
    version = feature[0] if feature else _AZURE_BUILDS[build[1]] if build else None
    if version is None:
        return None
    release = build[1] + (build[2] or "") if build else None
    return make(os_type="azure-stack-hci", os_version=version, release=release)


def is_ambiguous(build: str) -> bool:
    """Whether a build number is one of a client and of a server, or unknown."""
    client, _, server = _BUILDS.get(build.partition(".")[0], ("", "", ""))
    return bool(client) == bool(server)


def _server_version(text: str) -> str | None:
    word = _SERVER.search(text)
    for where in (text[word.start() :] if word else text, text):
        year = _YEAR.search(where)
        if year is not None:
            return year[1] + (year[2] or "")
    short = _SHORT_YEAR.search(text)
    if short is None:
        return None
    return f"20{int(short[1]):02d}{short[2] or ''}"


def _client_version(text: str) -> str | None:
    client = _CLIENT.search(text)
    if client is not None:
        return client[1].replace("_", ".").replace("81", "8.1")
    long_term = _LTSC.search(text)
    if long_term is not None:
        return _LTSC_CLIENT.get(long_term[1] or long_term[2])
    return None
