#!/bin/sh
# Laid by `asyncpipe init`; yours to change. Builds and publishes the templates of this repository, once.
# In a crontab, with the path of your checkout:
#
#   37 2 * * 6  /srv/templates/ci/build-templates.sh >>/var/log/build-templates.log 2>&1
#
# Destination and credentials come from a file that only this user may read (chmod 0600),
# ~/.config/asyncpipe/environment, with lines like  ASYNCPIPE_DESTINATION=s3://my-templates/prod
set -eu
cd "$(dirname -- "$0")/.."

settings=${XDG_CONFIG_HOME:-$HOME/.config}/asyncpipe/environment
if [ -r "$settings" ]; then
    set -a
    . "$settings"
    set +a
fi

venv=${XDG_CACHE_HOME:-$HOME/.cache}/asyncpipe/venv
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet 'asyncpipe==0.1.0'
"$venv/bin/asyncpipe" packer install

# What a run that lost its power left open is closed first.
"$venv/bin/asyncpipe" reap --older-than 1d
ASYNCPIPE_TEMPLATES=${ASYNCPIPE_TEMPLATES:-templates}
export ASYNCPIPE_TEMPLATES
exec "$venv/bin/asyncpipe" build
