r"""Tokens with a recognisable beginning, whoever issued the value.

The shapes are public facts of the services (gitleaks' and detect-secrets' rules and GitHub's list
of supported patterns name them). One row: the kind, its beginnings, what follows at least.
"""

from __future__ import annotations

import re
from typing import Final

from asyncpipe.text.secrets.kind import Kind

#: ``~``: the beginning is so short that no letter or digit may stand before it.
_ROWS: Final = r"""
aws-access-key-id ~ AKIA ASIA ABIA ACCA  [A-Z0-9]{16}
github ghp_ gho_ ghu_ ghs_ ghr_  \w{30}
github-fine-grained github_pat_  \w{30}
gitlab glpat- gldt- glrt- glcbt- glptt- glft- glimt- glagent- gloas- glsoat- glffct-  [\w-]{20}
gitlab-runner GR1348941  [\w-]{20}
gitlab-session _gitlab_session=  [0-9a-z]{32}
slack xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xoxc- xoxd-  [\w-]{10}
slack-app xapp-  \d-[\w-]{10}
slack-webhook hooks.slack.com/services/ hooks.slack.com/workflows/  [\w/-]{20}
stripe sk_live_ sk_test_ rk_live_ rk_test_ sk_prod_ rk_prod_  [A-Za-z0-9]{10}
stripe-webhook whsec_  [A-Za-z0-9+/=]{24}
npm npm_  [A-Za-z0-9]{36}
pypi pypi-AgEIcHlwaS5vcmc pypi-AgENdGVzdC5weXBpLm9yZ  [\w-]{40}
openai-project sk-proj- sk-svcacct- sk-admin- sk-None-  [\w-]{20}
openai ~ sk-  [A-Za-z0-9]{32}
anthropic sk-ant-  [\w-]{24}
openrouter sk-or-v1-  [0-9a-f]{32}
google-api-key AIza  [\w-]{35}
google-oauth-secret GOCSPX-  [\w-]{24}
google-oauth-token ya29.  [\w-]{20}
google-refresh-token ~ 1//0  [\w-]{30}
digitalocean dop_v1_ doo_v1_ dor_v1_  [0-9a-f]{32}
vault hvs. hvb. hvr.  [\w-]{20}
terraform-cloud .atlasv1.  [\w-]{40}
twilio ~ SK  [0-9a-f]{32}
sendgrid SG.  [\w-]{16,}\.[\w-]{16}
mailgun ~ key-  [0-9a-f]{32}
brevo xkeysib- xsmtpsib-  [0-9a-f]{32}
shopify shpat_ shpca_ shppa_ shpss_  [0-9A-Fa-f]{32}
square sq0atp- sq0csp- sq0idp-  [\w-]{22}
doppler dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.  [\w.-]{40}
databricks ~ dapi  [0-9a-f]{32}
heroku HRKU-  [\w-]{30}
linear lin_api_ lin_oauth_  [A-Za-z0-9]{32}
notion ntn_  [A-Za-z0-9]{40}
postman PMAK-  [0-9a-f]{24}-[0-9a-f]{16}
pulumi pul-  [0-9a-f]{40}
new-relic NRAK- NRII- NRJS- NRRA- NRIQ-  [A-Za-z0-9_-]{19}
grafana-cloud glc_  [A-Za-z0-9+/=]{32}
grafana-service glsa_  [A-Za-z0-9]{32}_[0-9a-fA-F]{8}
dynatrace dt0c01. dt0s01. dt0s02. dt0s16.  [A-Z0-9]{24}\.[A-Z0-9]{32}
sentry sntrys_ sntryu_ sntrya_  [\w+/=-]{40}
huggingface hf_ api_org_  [A-Za-z]{34}
replicate r8_  [A-Za-z0-9]{37}
docker-hub dckr_pat_ dckr_oat_  [\w-]{20}
artifactory AKCp  [A-Za-z0-9]{60}
artifactory-reference cmVmdGtuOj  [A-Za-z0-9]{40}
rubygems rubygems_  [0-9a-f]{48}
nuget ~ oy2  [0-9a-z]{43}
crates-io ~ cio  [A-Za-z0-9]{32}
clojars CLOJARS_  [0-9A-Za-z]{60}
age AGE-SECRET-KEY-1 AGE-SECRET-KEY-PQ-1  [0-9A-Z]{50}
cloudflare-origin v1.0-  [0-9a-f]{24}-[0-9a-f]{100}
planetscale pscale_tkn_ pscale_pw_ pscale_oauth_  [\w=.-]{32}
prefect pnu_ pnb_  [A-Za-z0-9]{36}
readme rdme_  [0-9a-z]{60}
typeform tfp_  [\w.=-]{40}
frameio fio-u-  [\w=-]{40}
easypost EZAK EZTK  [A-Za-z0-9]{54}
duffel duffel_test_ duffel_live_  [\w=-]{40}
shippo shippo_live_ shippo_test_  [0-9a-fA-F]{40}
adafruit aio_  [A-Za-z0-9]{28}
atlassian ATATT3 ATCTT3 ATBB ATOA BBDC-  [\w=-]{28}
alibaba ~ LTAI  [A-Za-z0-9]{16}
tencent ~ AKID  [A-Za-z0-9]{32}
flutterwave FLWSECK_TEST- FLWSECK- FLWPUBK_TEST-  [0-9a-zA-Z]{12}
infracost ~ ico-  [A-Za-z0-9]{32}
onepassword ops_eyJ  [\w+/=-]{60}
facebook EAACEdEose0cBA EAAG EAAC  [A-Za-z0-9]{60}
figma figd_ figoh_ figor_  [\w-]{32}
supabase sbp_ sb_secret_  [\w-]{30}
tailscale tskey-  [a-z]{3,}-[\w-]{16}
fly-io fm1a_ fm1r_ fm2_ fo1_  [\w+/=-]{40}
netlify nfp_ nfc_ nfo_  [A-Za-z0-9_]{36}
circleci CCIPAT_ CCIPRJ_  [\w-]{30}
buildkite bkua_ bkct_  [\w-]{30}
contentful CFPAT-  [\w-]{40}
sonarqube sqp_ squ_ sqa_  [0-9a-f]{40}
snyk snyk_uat.  [\w.-]{30}
sourcegraph sgp_  [0-9a-f_]{40}
perplexity pplx-  [A-Za-z0-9]{40}
groq gsk_  [A-Za-z0-9]{40}
xai xai-  [A-Za-z0-9]{60}
langsmith lsv2_pt_ lsv2_sk_  [0-9a-f]{32}
openshift sha256~  [\w-]{43}
yandex AQVN y0_  [\w-]{35}
cloudinary cloudinary://  \d{6,}:[\w-]{16}
mapbox-secret sk.eyJ  [\w-]{40,}\.[\w-]{16}
jfrog-identity eyJ2ZXIiOiIy  [\w.-]{60}
jwt eyJ  [\w-]{10,}\.eyJ[\w-]{4,}\.[\w-]{4}
grub-password grub.pbkdf2.sha  \d{1,4}\.\d{1,9}\.[0-9A-Fa-f]{16}
airtable ~ pat  [A-Za-z0-9]{14}\.[0-9a-f]{40}
harness pat.  [\w-]{22}\.[0-9a-f]{24}\.[\w-]{16}
elastic-cloud essu_  [A-Za-z0-9+/=]{40}
"""
_FREE: Final = rb"(?:\b|\\[nrt])"  # the n of an escaped newline is no letter of a word
_JWT: Final = b"eyJ"
_RUN: Final = re.compile(rb"[\w.~+/=-]*+")


def tokens() -> tuple[Kind, ...]:
    """Every kind of the table."""
    return tuple(map(_kind, _ROWS.strip().splitlines()))


def _kind(row: str) -> Kind:
    name, *words = row.split()
    is_short = words[0] == "~"
    *beginnings, body = (word.encode() for word in words[is_short:])
    return Kind(
        name=name,
        pattern=(_FREE if is_short else b"")
        + b"(?:%s)%s" % (b"|".join(map(re.escape, beginnings)), body),
        extent=_RUN,
        head=_JWT if name == "jwt" else b"",  # its start is costly to follow
        openers=tuple(beginnings),
    )
