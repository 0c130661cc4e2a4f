"""Kinds of secrets, each with a true sample and a near miss, all invented.

Every sample is put together here, so that no scanner of repositories finds a credential in this
file. The shapes are public facts: gitleaks' and detect-secrets' rules and GitHub's list.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from typing import Final

_SOURCE: Final = random.Random(13)
_LOWER: Final = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class Sample:
    """``line`` holds ``secret``, which must go; nothing of ``near`` may be masked."""

    kind: str
    line: str
    secret: str
    near: str


def hexes(count: int) -> str:
    return "".join(_SOURCE.choices("0123456789abcdef", k=count))


def alnum(count: int) -> str:
    return "".join(_SOURCE.choices(string.ascii_letters + string.digits, k=count - 2)) + "a7"


def upper(count: int) -> str:
    return "".join(_SOURCE.choices(string.ascii_uppercase + "234567", k=count))


def lower(count: int) -> str:
    return "".join(_SOURCE.choices(_LOWER, k=count))


def letters(count: int) -> str:
    return "".join(_SOURCE.choices(string.ascii_letters, k=count))


def digits(count: int) -> str:
    return "".join(_SOURCE.choices("123456789", k=count))


def _token(kind: str, start: str, rest: str, near: str = "") -> Sample:
    secret = start + rest
    return Sample(
        kind, f"    n.x: using {secret} now", secret, near or f"n.x: {start} and {start}x"
    )


PASSWORD: Final = "Hu" + "nter-42x"


def _context(kind: str, before: str, near: str, after: str = "", secret: str = PASSWORD) -> Sample:
    return Sample(kind, f"{before}{secret}{after}", secret, near)


TOKENS: Final = (
    _token("aws-access-key-id", "AK" + "IA", upper(16), "n.x: AKIA and ASIAN food, MAKIATO"),
    _token("aws-session-key-id", "AS" + "IA", upper(16)),
    _token("github-personal", "gh" + "p_", alnum(36), "wget ghp_import.py"),
    _token("github-oauth", "gh" + "o_", alnum(36)),
    _token("github-user", "gh" + "u_", alnum(36)),
    _token("github-server", "gh" + "s_", alnum(36)),
    _token("github-refresh", "gh" + "r_", alnum(36)),
    _token(
        "github-fine-grained", "github" + "_pat_", alnum(22) + "_" + alnum(59), "github_pat_tern"
    ),
    _token("gitlab-personal", "gl" + "pat-", alnum(20), "the glpat- prefix"),
    _token("gitlab-deploy", "gl" + "dt-", alnum(20)),
    _token("gitlab-runner", "gl" + "rt-", alnum(20)),
    _token("gitlab-trigger", "gl" + "ptt-", hexes(40)),
    _token("gitlab-agent", "gl" + "agent-", alnum(50)),
    _token("gitlab-runner-registration", "GR" + "1348941", alnum(20)),
    _token("slack-bot", "xo" + "xb-", f"{digits(12)}-{digits(12)}-{alnum(24)}"),
    _token("slack-user", "xo" + "xp-", f"{digits(12)}-{digits(12)}-{hexes(32)}"),
    _token("slack-app", "xa" + "pp-", f"1-A{upper(9)}-{digits(12)}-{hexes(64)}"),
    _token(
        "slack-webhook", "hooks.slack" + ".com/services/", f"T{upper(9)}/B{upper(9)}/{alnum(24)}"
    ),
    _token("stripe-live", "sk" + "_live_", alnum(24), "pk" + "_live_" + alnum(24)),
    _token("stripe-restricted", "rk" + "_live_", alnum(24)),
    _token("stripe-webhook", "wh" + "sec_", alnum(32)),
    _token("npm", "np" + "m_", alnum(36), "npm_config_cache=/root/.npm npm_lifecycle_event"),
    _token("pypi", "py" + "pi-AgEIcHlwaS5vcmc", alnum(70), "pypi-simple and pypi-server"),
    _token("openai", "s" + "k-", alnum(48), "ask-me task-" + alnum(40)),
    _token("openai-project", "sk" + "-proj-", alnum(60)),
    _token("anthropic", "sk" + "-ant-", "api03-" + alnum(93)),
    _token("openrouter", "sk" + "-or-v1-", hexes(64)),
    _token("google-api-key", "AI" + "za", alnum(35), "AIzawa " + "AIza-short"),
    _token("google-oauth-secret", "GO" + "CSPX-", alnum(28)),
    _token("google-oauth-token", "ya" + "29.", alnum(60)),
    _token("google-refresh-token", "1/" + "/0", alnum(40), "https://x.org/1//02 and 1//0"),
    _token("digitalocean", "do" + "p_v1_", hexes(64)),
    _token("digitalocean-oauth", "do" + "o_v1_", hexes(64)),
    _token("vault-service", "hv" + "s.", alnum(90), "hvs. is short"),
    _token("vault-batch", "hv" + "b.", alnum(90)),
    _token("twilio", "S" + "K", hexes(32), "DESK" + "abcdef SKU12345"),
    _token("sendgrid", "S" + "G.", alnum(22) + "." + alnum(43), "MSG.one.two SG.x"),
    _token("mailgun", "ke" + "y-", hexes(32), "key-value key-" + "abc"),
    _token("brevo", "xkey" + "sib-", hexes(64) + "-" + alnum(16)),
    _token("shopify", "sh" + "pat_", hexes(32)),
    _token("shopify-shared", "sh" + "pss_", hexes(32)),
    _token("square", "sq" + "0atp-", alnum(22)),
    _token("square-secret", "sq" + "0csp-", alnum(43)),
    _token("doppler", "dp." + "pt.", alnum(43)),
    _token("databricks", "da" + "pi", hexes(32), "the rest dapi and udapi" + "feed"),
    _token("heroku", "HR" + "KU-", "AA" + alnum(58)),
    _token("linear", "lin" + "_api_", alnum(40)),
    _token("notion", "nt" + "n_", alnum(46)),
    _token("postman", "PM" + "AK-", hexes(24) + "-" + hexes(34)),
    _token("pulumi", "pu" + "l-", hexes(40)),
    _token("new-relic-user", "NR" + "AK-", upper(27)),
    _token("new-relic-ingest", "NR" + "II-", alnum(32)),
    _token("grafana-cloud", "gl" + "c_", alnum(60)),
    _token("grafana-service", "gl" + "sa_", alnum(32) + "_" + hexes(8)),
    _token("dynatrace", "dt0" + "c01.", upper(24) + "." + upper(64)),
    _token("sentry-org", "sntr" + "ys_", alnum(80)),
    _token("sentry-user", "sntr" + "yu_", hexes(64)),
    _token("huggingface", "h" + "f_", letters(34), "hf_transfer hf_hub_download"),
    _token("replicate", "r8" + "_", alnum(37)),
    _token("docker-hub", "dckr" + "_pat_", alnum(27)),
    _token("artifactory", "AK" + "Cp", alnum(69)),
    _token("artifactory-reference", "cmVm" + "dGtuOj", alnum(54)),
    _token("rubygems", "ruby" + "gems_", hexes(48), "rubygems_integration 1.18"),
    _token("nuget", "oy" + "2", lower(43), "joy2world oy2"),
    _token("crates-io", "ci" + "o", alnum(32), "n.x: precio and cio"),
    _token("clojars", "CLO" + "JARS_", lower(60)),
    _token("age", "AGE-SECRET" + "-KEY-1", upper(58), "age1" + lower(58)),
    _token("cloudflare-origin", "v1" + ".0-", hexes(24) + "-" + hexes(146), "release v1.0-rc1"),
    _token("planetscale", "pscale" + "_tkn_", alnum(43)),
    _token("prefect", "pn" + "u_", alnum(36)),
    _token("readme", "rd" + "me_", lower(70)),
    _token("typeform", "tf" + "p_", alnum(59)),
    _token("frameio", "fi" + "o-u-", alnum(64)),
    _token("easypost", "EZ" + "AK", alnum(54)),
    _token("duffel", "duffel" + "_live_", alnum(43)),
    _token("shippo", "shippo" + "_live_", hexes(40)),
    _token("adafruit", "ai" + "o_", alnum(28), "aio_pika aio_read"),
    _token("atlassian", "ATA" + "TT3", alnum(180)),
    _token("bitbucket", "BB" + "DC-", alnum(44)),
    _token("alibaba", "LT" + "AI", alnum(20), "n.x: FLTAI and LTAIR"),
    _token("tencent", "AK" + "ID", alnum(32)),
    _token("flutterwave", "FLW" + "SECK_TEST-", alnum(32)),
    _token("infracost", "ic" + "o-", alnum(32), "ico-converter, favicon ico-"),
    _token("onepassword", "ops" + "_eyJ", alnum(250)),
    _token("figma", "fig" + "d_", alnum(40)),
    _token("supabase", "sb" + "p_", hexes(40)),
    _token("tailscale", "ts" + "key-", f"auth-{alnum(16)}-{alnum(32)}"),
    _token("fly-io", "fm" + "2_", alnum(100)),
    _token("netlify", "nf" + "p_", alnum(36)),
    _token("circleci", "CCI" + "PAT_", alnum(22) + "_" + hexes(40)),
    _token("buildkite", "bk" + "ua_", hexes(40)),
    _token("contentful", "CF" + "PAT-", alnum(43)),
    _token("sonarqube", "sq" + "p_", hexes(40)),
    _token("snyk", "snyk" + "_uat.", f"{hexes(8)}.{alnum(60)}"),
    _token("sourcegraph", "sg" + "p_", hexes(40)),
    _token("perplexity", "pp" + "lx-", alnum(48)),
    _token("groq", "gs" + "k_", alnum(52)),
    _token("xai", "xa" + "i-", alnum(80)),
    _token("langsmith", "lsv2" + "_pt_", hexes(32) + "_" + hexes(10)),
    _token("openshift", "sha" + "256~", alnum(43), "sha256:" + hexes(64)),
    _token("mapbox-secret", "sk.e" + "yJ", alnum(60) + "." + alnum(22)),
    _token("airtable", "pa" + "t", alnum(14) + "." + hexes(64), "pattern.match path.join"),
    _token("jwt", "ey" + "J", f"{alnum(30)}.ey" + f"J{alnum(60)}.{alnum(43)}", "ey" + "Jhb.txt"),
    _token("grub-password", "grub.pbkdf2" + ".sha512.10000.", hexes(128).upper()),
    _token("crypt-sha512", "$6" + "$", f"{alnum(16)}${alnum(86)}", "costs $6$ or $5 each"),
    _token("crypt-yescrypt", "$y" + "$", f"j9T${alnum(22)}${alnum(43)}"),
    _token("crypt-bcrypt", "$2" + "b$", f"12${alnum(53)}"),
    _token("argon2", "$argon2" + "id$", f"v=19$m=65536,t=3,p=4${alnum(22)}${alnum(43)}"),
    _token("ldap-hash", "{SS" + "HA}", alnum(32), "{SSHA} is a scheme"),
    _token("telegram", digits(10), ":A" + "A" + alnum(33), "time 1234567890:AArgh"),
    _token("mailchimp", hexes(32), "-us" + "12", f"md5 {hexes(32)} us-east-1"),
    _token("azure-client-secret", "ab7", "8" + "Q~" + alnum(34), "8Q~ is no key"),
    _token("discord-bot", "M" + alnum(23), f".{alnum(6)}.{alnum(38)}", "Module.path.name"),
    _token("discord-webhook", "discord" + ".com/api/webhooks/", f"{digits(18)}/{alnum(68)}"),
    _token("windows-product-key", "VK7JG", "-NPHTM-C97JM-9MPGT-3V66T", "ABCDE-FGHIJ short"),
)

_BASIC: Final = alnum(40)

CONTEXTS: Final = (
    _context("assignment", "password=", "password=$PASSWORD password=**** password="),
    _context("assignment-colon", "db_password: ", "passwd: password updated successfully"),
    _context(
        "assignment-prose", "root password is set; password: ", "Changing password for user root."
    ),
    _context("assignment-nsswitch", "rootpw: ", "passwd:         files systemd"),
    _context("assignment-json", '{"SecretAccess' + 'Key": "', '{"SecretAccessKey": null}', '"}'),
    _context(
        "assignment-escaped", '{\\"client_secret\\": \\"', '\\"client_secret\\": \\"\\"', '\\"}'
    ),
    _context(
        "assignment-env", "export MYSQL_ROOT_PASSWORD=", "export PASSWORD_FILE=/run/secrets/x"
    ),
    _context("assignment-yaml", "  api_key: '", "  api_key: ${API_KEY}", "'"),
    _context("assignment-hcl", 'winrm_password = "', "winrm_password = var.winrm_password", '"'),
    _context(
        "azure-account-key",
        "AccountName=x;Account" + "Key=",
        "AccountKey=<your key>",
        secret=_BASIC + "==",
    ),
    _context(
        "azure-shared-access",
        "SharedAccess" + "Key=",
        "SharedAccessKeyName=RootManage",
        secret=_BASIC + "=",
    ),
    _context(
        "npmrc",
        "//registry.example.org/:_auth" + "Token=",
        "_authToken=${NPM_TOKEN}",
        secret=_BASIC,
    ),
    _context(
        "kubeconfig",
        "client-key-" + "data: ",
        "client-key: /etc/kubernetes/pki/x.key",
        secret=_BASIC,
    ),
    _context(
        "xml-element", "<AdministratorPassword><Value>", "<PlainText>true</PlainText>", "</Value>"
    ),
    _context("option", "mytool --password ", "mytool --password-stdin --token <token>"),
    _context("option-token", "vault login --token ", "curl --cacert /etc/ssl/x.pem"),
    _context("dash-pw", "xe -u root -pw ", "grep -pwd x; ls -pw"),
    _context("sshpass", "sshpass -p ", "sshpass -f /root/pw ssh x"),
    _context("curl-user", "curl -sS -u admin:", "curl -u admin https://x.org:443/a"),
    _context("mysql", "mysql -u root -p", "mysql -u root -p < x.sql"),
    _context("redis-cli", "redis-cli -h x -a ", "redis-cli -h x ping"),
    _context("ldapsearch", "ldapsearch -x -D cn=a -w ", "ldapsearch -x -b dc=x"),
    _context("ipa-join", "ipa-client-install -p admin -w ", "ipa-client-install --unattended"),
    _context("smbclient", "smbclient //h/s -U admin%", "smbclient //h/s -U admin"),
    _context("net-user", "net user packer ", "net user /domain"),
    _context("suse-code", "SUSEConnect -r ", "SUSEConnect --status"),
    _context("openssl-pass", "openssl rsa -passin pass:", "openssl rsa -passin file:/root/x"),
    _context(
        "preseed-root", "d-i passwd/root-password password ", "d-i passwd/root-login boolean false"
    ),
    _context(
        "preseed-user",
        "d-i passwd/user-password-again password ",
        "d-i passwd/make-user boolean false",
    ),
    _context("kickstart", "rootpw --plaintext ", "rootpw --lock"),
    _context("kickstart-user", "user --name=a --password=", "user --name=a --groups=wheel"),
    _context(
        "secure-string",
        'ConvertTo-SecureString "',
        "ConvertTo-SecureString $pw -Force",
        '" -AsPlainText',
    ),
    _context("netrc", "machine h login me password ", "machine h login me"),
    _context(
        "docker-auth", '{"auths":{"x":{"au' + 'th": "', '{"auth": "none"}', '"}}', secret=_BASIC
    ),
    _context("chpasswd", "echo root:", "echo $x | chpasswd", " | chpasswd"),
    _context("dsn", "Server=x;User=sa;Pwd=", "Server=x;Trusted_Connection=True", ";Encrypt=yes"),
    _context(
        "authorization",
        "Author" + "ization: Basic ",
        "Authorization is required here",
        secret=_BASIC,
    ),
    _context("bearer", "sent bea" + "rer ", "the bearer of bad news", secret=_BASIC),
    _context("cookie", "Cookie: JSESSIONID=", "Cookies are enabled; Cookie: none", secret=_BASIC),
    _context("set-cookie", "Set-Cookie: sid=", "the Set-Cookie header", "; HttpOnly"),
    _context("vault-header", "X-Vault-Token: ", "X-Vault-Request: true"),
    _context("api-key-header", "X-Api-Key: ", "X-Api-Version: 2026-01-01", secret=_BASIC),
    _context("gitlab-header", "Private-Token: ", "token: see the manual", secret=_BASIC),
    _context(
        "sigv4",
        "GET /o?X-Amz-Signature=",
        "X-Amz-Date=20261123T170000Z&X-Amz-Expires=60",
        "&x=1",
        hexes(64),
    ),
    _context("sigv2", "GET /o?Expires=1&Signature=", "Good signature from x", "&k=1", alnum(28)),
    _context(
        "azure-sas",
        "https://a.blob.core.windows.net/c?sv=1&sig=",
        "&significant=1",
        "&se=2",
        alnum(43),
    ),
    _context(
        "session-id",
        "GET /export?session_id=OpaqueRef:",
        "session_id is missing",
        "&task_id=x",
        "5a39290c-9231",
    ),
    _context(
        "xapi-xml",
        "<param><value><string>OpaqueRef:",
        "Found SR 'OpaqueRef:d67a2a7d'",
        "</string>",
        "5a39290c-9231",
    ),
    _context(
        "xapi-json",
        '{"method":"VM.start","params":["OpaqueRef:',
        '"vm": "OpaqueRef:d67a"',
        '"]}',
        "5a39290c-9231",
    ),
    _context("url-password", "git clone https://me:", "http://h:8080/a@2 ssh://git@h/x", "@h/x"),
    _context(
        "url-password-slash",
        "https://me:",
        "https://registry.example.org:443/@scope/x",
        "@h/x",
        "pa/" + PASSWORD,
    ),
    _context("url-token", "https://", "https://deploy@host/x", "@github.com/x", _BASIC),
)

SAMPLES: Final = (*TOKENS, *CONTEXTS)
