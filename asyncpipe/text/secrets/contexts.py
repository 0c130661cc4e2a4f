r"""Secrets that show by what stands around them: names, headers, options, files' formats."""

from __future__ import annotations

import re
from typing import Final

from asyncpipe.text.secrets.kind import Accept, Kind

_TO_BLANK: Final = re.compile(rb"[^\s\"'&<>]*+")
_TO_LINE_END: Final = re.compile(rb"[^\r\n\"']*+")
_TO_TAG: Final = re.compile(rb"[^<\r\n]*+")
_TO_AMPERSAND: Final = re.compile(rb"[^\s\"'&<>,;]*+")
_WORD: Final = re.compile(rb"[\w.~+/=-]*+")
_HASH: Final = re.compile(rb"[\w./$=,+-]*+")

_NAME: Final = (
    rb"(?:passw(?:or)?d|passwort|pass_?phrase|pwd|secret(?:_?access)?(?:_?key)?|token"
    rb"|(?:api|access|account|private|encryption|signing|shared_?access|license|product|client)"
    rb"[_-]?key|credential|bind_?pw|root_?pw|join_?pw|_pw|_pass|_psk|_pat|\bpsk|key-data)"
)
_END: Final = rb"(?:s?\d{0,2}|_?(?:value|text|plain|b64|base64|hash|confirm|confirmation|crypted))"
_GAP: Final = rb"[ \t]*"
_QUOTE: Final = rb"(?:\\?[\"'])?"
_FIRST: Final = rb"[^\s\"'\\&<>]"

# What stands where a secret might: a reference, a placeholder, a word of state, a path.
_HARMLESS: Final = re.compile(
    rb"""\W{0,3} | [*x.\-_]{2,} | \$?[{(<\[].* | \$\w+\b.* | %\w+%? | %\(\w+\)s
    | (?:var|local|data|env|vault|each|module|input|inputs|secrets|self|build|vars|os|process
        |config|settings|args|options|params|request|this)[.\[:].*
    | (?:true|false|yes|no|on|off|none|null|nil|undefined|unset|set|empty|required|optional|hidden
        |redacted|sensitive|masked|prompt|changed|updated|disabled|enabled|unknown|default|file
        |plain|md5|sha\d+|shadow|auto|ok|failed|expired|invalid|missing|wrong|incorrect|given
        |created|generated|random|string|number|bool|object|str|bytes|any|basic|bearer|mac
        |amd64|arm64|armhf|armel|i386|ppc64el|s390x|riscv64|mips64el)
      [.,;:!)\]]*
    | `.* | [A-Za-z_]\w*(?:\.\w+)+\(.*
    | (?:~|\.{1,2})?/(?:etc|root|home|var|usr|tmp|run|opt|srv|mnt|dev|proc|boot|lib|bin|media)/.*
    | \.{1,2}/.* | ~/.* | [A-Za-z]:\\.* | (?:file|env|https?|s3)(?::|://).*""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_STRONG: Final = re.compile(
    rb"(?=[^\s]*\d)(?=[^\s]*[A-Za-z])[^\s]{6,}|[^\s]{4,}[!@#$%^&*+=?][^\s]*"
)
# Names of credentials and of modules where others have a secret.
_NAMES_ONLY: Final = re.compile(
    rb"(?i)(?:(?:load|import|condition|assert)credential(?:encrypted)?|pkcs11:token)=\Z"
)
_LOOSE: Final = re.compile(rb"[\w>]=[ \t]+\Z")  # "Password= is ignored" is prose
_COUNT: Final = re.compile(rb"(?i)(?:token|key|secret|credential|password)s\W{1,4}\Z")
_LONGEST_JUDGED: Final = 200
# Behind "Authorization: ": a format, and words of which none can be Base64 or a token.
_PLACEHOLDER: Final = re.compile(rb"(?:[\w-]+ )?[%<{$].*")
_PROSE: Final = re.compile(rb"(?:[Bb]asic|[a-z]{1,14})(?: [a-z]{1,14}[,.]?)+\W*")


def assigned(text: bytes, begin: int, end: int) -> bool:
    """Whether what follows a telling name and ``=`` or ``:`` is a secret.

    Prose and formats of other files use the colon as well: what stands behind it must be quoted,
    or mix letters with digits or symbols.
    """
    if end - begin > _LONGEST_JUDGED:
        return True
    value = text[begin:end]
    if _HARMLESS.fullmatch(value):
        return False
    if value.rstrip(b".,;:)").isdigit() and _COUNT.search(text[max(0, begin - 16) : begin]):
        return False  # how many there are
    behind = text[max(0, begin - 32) : begin]
    if _NAMES_ONLY.search(behind) or _closes_a_quote(text, begin):
        return False
    is_telling = behind.rstrip(b" \t").endswith((b"=", b">", b'"', b"'"))
    is_loose = _LOOSE.search(behind) is not None
    return (is_telling and not is_loose) or _STRONG.match(value) is not None


def _closes_a_quote(text: bytes, begin: int) -> bool:
    """Whether ``"Password:",`` ends a quotation where ``password: "x`` begins a value."""
    if text[begin - 1 : begin] != b'"' or text[begin : begin + 1] not in b",.;:)":
        return False
    line = text[max(0, begin - _LONGEST_JUDGED, text.rfind(b"\n", 0, begin) + 1) : begin - 1]
    return line.count(b'"') % 2 == 1


def in_element(text: bytes, begin: int, end: int) -> bool:
    """Whether what follows a tag is its content: ``<pwd.h>, then`` and ``<token>.x`` are prose."""
    value = text[begin : min(end, begin + _LONGEST_JUDGED)]
    if _HARMLESS.fullmatch(value):
        return False
    is_closed = text[end : end + 2] == b"</"
    return is_closed or (b" " not in value and value[:1] not in b".,;:)")


def after_scheme(text: bytes, begin: int, end: int) -> bool:
    """Whether the value of an Authorization header is one, and no sentence about such headers."""
    value = text[begin : min(end, begin + _LONGEST_JUDGED)]
    if _PLACEHOLDER.fullmatch(value) or _HARMLESS.fullmatch(value):
        return False
    return text[begin - 1 : begin] in b"\"'" or _PROSE.fullmatch(value) is None


def after_option(text: bytes, begin: int, end: int) -> bool:
    """Whether an option's value is a secret; behind a blank it must not read as prose."""
    if text[begin - 1 : begin] in b" \t":
        return strong(text, begin, end)
    return not_harmless(text, begin, end)


def strong(text: bytes, begin: int, end: int) -> bool:
    """Whether a value in free text mixes letters with digits or symbols."""
    value = text[begin : min(end, begin + _LONGEST_JUDGED)]
    return not _HARMLESS.fullmatch(value) and _STRONG.match(value) is not None


def not_harmless(text: bytes, begin: int, end: int) -> bool:
    """Whether a value is more than a reference, a placeholder or a word of state."""
    return _HARMLESS.fullmatch(text[begin : min(end, begin + _LONGEST_JUDGED)]) is None


def userinfo(text: bytes, begin: int, end: int) -> bool:
    """``://host:8080/path@2`` has a port where a password would be."""
    return re.match(rb"\d{1,5}/", text[begin:end]) is None and not_harmless(text, begin, end)


def _after(
    name: str,
    pattern: bytes,
    *,
    first: bytes = _FIRST,
    extent: re.Pattern[bytes] | None = None,
    accept: Accept | None = not_harmless,
    least: int = 1,
) -> Kind:
    """A kind whose secret begins with the ``least`` bytes that end the match."""
    repeated = first + (b"{%d}" % least if least > 1 else b"")
    return Kind(name=name, pattern=pattern + repeated, lead=least, extent=extent, accept=accept)


def _whole(name: str, pattern: bytes, *, extent: re.Pattern[bytes] = _WORD) -> Kind:
    """A kind whose secret is all that matches, and what its extent adds."""
    return Kind(name=name, pattern=pattern, extent=extent)


def _skipping(
    name: str, pattern: bytes, skip: bytes, *, extent: re.Pattern[bytes], accept: Accept
) -> Kind:
    """A kind with more in front of the secret than can be counted."""
    return Kind(name=name, pattern=pattern, skip=re.compile(skip), extent=extent, accept=accept)


_ASSIGNMENTS: Final = (
    _after(
        "assignment",
        rb"(?i)" + _NAME + _END + rb"\\?[\"']?" + _GAP + rb"(?:=>|:=|[:=])" + _GAP + _QUOTE,
        accept=assigned,
    ),
    _after(
        "xml-element",
        rb"(?i)<(?:[\w:.-]*" + _NAME + rb"[\w:.-]*(?:[ \t][^<>\n]*)?"
        rb"|\w[^<>\n]*[ \t](?:name|key|id|property)=[\"'][^\"'<>\n]*" + _NAME + rb"[^<>\n]*)>"
        rb"(?:<Value>)?",
        extent=_TO_TAG,
        accept=in_element,
    ),
    _after("xml-plist", rb"(?i)" + _NAME + rb"</key>" + _GAP + rb"<string>", extent=_TO_TAG),
    _after(
        "option",
        rb"(?i)[ \t\"'\[,]--?(?:[\w-]*-)?(?:" + _NAME + rb"|pw|pass)[\"']?[ \t,]+" + _QUOTE,
        first=rb"[^\s\"'\\&<>-]",
        accept=strong,
    ),
    _after("dash-pw", rb"[ \t\"'\[,]-pw[\"']?[ \t=,]+" + _QUOTE),
    _after("sshpass", rb"\bsshpass[ \t]+-p[ \t]*" + _QUOTE),
    _after(
        "curl-user",
        rb"\bcurl\b[^\n|;]*[ \t](?:-u|--user|-U|--proxy-user)[ \t]*" + _QUOTE + rb"[^\s:\"']+:",
    ),
    _after("mysql", rb"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]*[ \t]-p" + _QUOTE),
    _after("redis-cli", rb"\bredis-cli\b[^\n|;]*[ \t]-a[ \t]+" + _QUOTE),
    _after(
        "ldap", rb"\bldap(?:search|add|modify|delete|passwd|whoami)\b[^\n|;]*[ \t]-w[ \t]*" + _QUOTE
    ),
    _after("ipa-join", rb"\bipa-client-install\b[^\n|;]*[ \t]-w[ \t]*" + _QUOTE),
    _after(
        "smb-user",
        rb"\b(?:smbclient|rpcclient|net)\b[^\n|;]*[ \t]-U[ \t]*" + _QUOTE + rb"[\w.\\-]+%",
    ),
    _after(
        "net-user", rb"(?i)\bnet1?(?:\.exe)?[ \t]+user[ \t]+[\w.-]+[ \t]+", first=rb"[^\s/\"'*]"
    ),
    _after("suse-code", rb"\bSUSEConnect\b[^\n|;]*[ \t]-r[ \t]*" + _QUOTE),
    _after("openssl-pass", rb"[ \t]-pass(?:in|out)?[ \t]+" + _QUOTE + rb"pass:"),
    _after("rdp", rb"(?i)\b[xw]?freerdp\b[^\n|;]*[ \t]/p:" + _QUOTE),
    _after("preseed", rb"[/-]passw(?:or)?d(?:-again|-crypted)?[ \t]+(?:password|string)[ \t]+"),
    _after(
        "kickstart",
        rb"\brootpw[ \t]+(?:--(?:plaintext|iscrypted|allow-ssh|lock)[ \t]+)*",
        first=rb"[^\s\"'\\&<>-]",
    ),
    _after(
        "kickstart-user",
        rb"\b(?:user|bootloader|sshpw)\b[^\n]*--password[= ]" + _QUOTE,
        accept=after_option,
    ),
    _after(
        "secure-string",
        rb"(?i)ConvertTo-SecureString[ \t]+(?:-String[ \t]+)?[\"']",
        first=rb"[^\s\"'$]",
    ),
    _after("plain-text", rb"(?i)\bplain_?text_?passw(?:or)?d[ \t:=\"']+"),
    _after("netrc", rb"\bmachine[ \t]+\S+[ \t]+login[ \t]+\S+[ \t]+password[ \t]+"),
    _after("docker-auth", rb"\"auth\"[ \t]*:[ \t]*\"", first=rb"[A-Za-z0-9+/=]", least=12),
    _after("wifi", rb"\bwpa-psk[ \t]+" + _QUOTE),
    _after(
        "dsn", rb"(?i);[ \t]*(?:pwd|password)[ \t]*=[ \t]*", extent=re.compile(rb"[^;\r\n\"']*+")
    ),
    _after(
        "windows-secret",
        rb"(?i)\"?DefaultPassword\"?[ \t=:]+(?:REG_SZ[ \t]+)?(?:/d[ \t]+)?" + _QUOTE,
    ),
    _skipping(
        "chpasswd",
        rb"[\w.-]+:[^\s\"'|:]+[\"']?[ \t]*\|[ \t]*(?:sudo[ \t]+)?(?:/usr)?/?(?:s?bin/)?chpasswd",
        rb"(?:\\n)?[\w.-]+:",
        extent=_TO_BLANK,
        accept=not_harmless,
    ),
)

_HEADERS: Final = (
    _after(
        "authorization",
        rb"(?i)authorization\\?[\"']?" + _GAP + rb"[:=]" + _GAP + _QUOTE,
        extent=_TO_LINE_END,
        accept=after_scheme,
    ),
    _after(
        "bearer", rb"(?i)\bbearer[ \t]+", first=rb"[\w.~+/-]", least=16, extent=_WORD, accept=None
    ),
    _after(
        "cookie",
        rb"(?i)\b(?:set-)?cookie\\?[\"']?[ \t]*:[ \t]*" + _QUOTE + rb"[^\s=;\"']+=",
        extent=re.compile(rb"[^\r\n\"'&]*+"),
        first=rb"[^\s\"';&]",
    ),
    _after(
        "secret-header",
        rb"(?i)\b(?:x-[a-z-]*)?(?:auth|token|api-?key|secret|access-?key|subscription-key)"
        rb"(?:-[a-z]+)?\\?[\"']?:[ \t]+" + _QUOTE,
        accept=strong,
    ),
    _after("vault-header", rb"(?i)\bx-vault-token\\?[\"']?[ \t]*[:=][ \t]*" + _QUOTE),
    _after(
        "signature",
        rb"(?i)[?&;](?:amp;)?(?:x-(?:amz|goog)-(?:signature|security-token|credential)"
        rb"|signature|sig|hmac|access_token|id_token|refresh_token|code_verifier|session_?key)=",
        extent=_TO_AMPERSAND,
        first=rb"[\w%+/.~=-]",
        least=6,
    ),
    _after(
        "amz-header",
        rb"(?i)\bx-amz-(?:security-token|signature|credential)\\?[\"']?[=:][ \t]*" + _QUOTE,
        extent=_TO_AMPERSAND,
    ),
    _after(
        "session-id",
        rb"session_id(?:=|%3[Dd]|[\"']?[ \t]*:[ \t]*[\"']?)",
        extent=_TO_AMPERSAND,
        accept=None,
    ),
    _after(
        "xapi-reference",
        rb"(?i)<value>(?:<string>)?OpaqueRef:",
        first=rb"[\w-]",
        extent=re.compile(rb"[\w-]*+"),
        accept=None,
    ),
    _after(
        "xapi-json",
        rb"\"(?:params|result|session)\"[ \t]*:[ \t]*\[?[ \t]*\"OpaqueRef:",
        first=rb"[\w-]",
        accept=None,
    ),
    Kind(
        name="url-password",
        pattern=rb"://[^/\s:@'\"]*:[^\s@'\"]+@",
        skip=re.compile(rb"://[^/\s:@'\"]*+:"),
        trail=1,
        extent=re.compile(rb"(?:[^\s/@'\"]{1,64}@)*+"),
        accept=userinfo,
    ),
    _skipping(
        "url-token",
        rb"://[^/\s:@'\"]{16,}@",
        rb"://",
        extent=re.compile(rb"[^/\s:@'\"]*+"),
        accept=not_harmless,
    ),
)

_SHAPES: Final = (
    _whole("crypt-hash", rb"\$(?:1|2[abxy]|5|6|y|7|gy|sha1|md5)\$[\w./$=,+-]{16}", extent=_HASH),
    _whole(
        "argon2",
        rb"\$(?:argon2id?|argon2i|scrypt|pbkdf2-sha\d+|bcrypt-sha256)\$[\w./$=,+-]{16}",
        extent=_HASH,
    ),
    _whole(
        "ldap-hash",
        rb"\{(?:S?SHA(?:256|384|512)?|S?MD5|CRYPT|PBKDF2[\w-]*)\}[\w./$=+-]{12}",
        extent=re.compile(rb"[\w./${}=+-]*+"),
    ),
    _whole("telegram", rb"\b\d{8,10}:AA[\w-]{32}"),
    _whole("mailchimp", rb"\b[0-9a-f]{32}-us\d{1,2}\b"),
    _whole("azure-client-secret", rb"\b[\w~.]{3}8Q~[\w.~-]{31}"),
    _whole("discord-bot", rb"\b[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27}"),
    _whole("discord-webhook", rb"discord(?:app)?\.com/api/webhooks/\d{10,}/[\w-]{40}"),
    _whole(
        "teams-webhook", rb"\.webhook\.office\.com/webhookb2/[\w@-]{30,}/IncomingWebhook/[\w/-]{30}"
    ),
    _whole("windows-product-key", rb"\b(?:[A-HJKMNP-TV-Y0-9]{5}-){4}[A-HJKMNP-TV-Y0-9]{5}\b"),
    _whole("putty-key", rb"Private-MAC:[ \t]*[0-9a-f]{40}"),
    _whole(
        "pem-in-one-line",
        rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----[^\r\n]",
        extent=re.compile(rb"[^\r\n]*+"),
    ),
)


def contexts() -> tuple[Kind, ...]:
    """Every kind of this module."""
    return (*_ASSIGNMENTS, *_HEADERS, *_SHAPES)
