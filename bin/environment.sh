# Sourced by the programs in bin/: the project's own Python environment, made when it is first needed
# and again when its lock file or pyproject.toml changes. Sets $root and $python. Needs Python >= 3.11 and PyPI.
# ASYNCPIPE_VENV names another folder for the environment (a read-only checkout, say). On GitHub's runners it is in the
# tool cache, in a folder for each checkout, lock and Python: a step finds it made, and nobody's is made anew while in use.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)

say() { printf 'asyncpipe: %s\n' "$*" >&2; }

# give_up MESSAGE: ends a program that cannot begin; on GitHub with an annotation and the output exit-code.
give_up() {
	say "$*"
	if [ "${GITHUB_ACTIONS:-}" = true ]; then
		printf '::error title=asyncpipe%%3A exit code 2::%s\n' "$*" >&2
		[ -z "${GITHUB_OUTPUT:-}" ] || echo exit-code=2 >>"$GITHUB_OUTPUT"
	fi
	exit 2
}

# Runs a command as root where that needs no password; fails otherwise.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	else
		return 1
	fi
}

# apt_install PACKAGE...: says what it does; fails where it may not or cannot.
apt_install() {
	command -v apt-get >/dev/null 2>&1 || return 1
	as_root true || return 1
	say "installing Debian's $* (apt-get)"
	as_root env DEBIAN_FRONTEND=noninteractive sh -c '
		apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
		{ apt-get -qq update >/dev/null && apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@" >/dev/null; }
	' apt_install "$@" </dev/null >&2
}

find_python() {
	for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
		if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
			command -v "$candidate"
			return
		fi
	done
	give_up "Python 3.11 or newer is needed and was not found. On Debian 12/Ubuntu 24.04 or newer: sudo apt-get install python3 python3-venv"
}

make_environment() { # LOCK FOLDER STAMP
	base=$(find_python)
	if ! "$base" -c 'import ensurepip, venv' 2>/dev/null; then
		apt_install python3-venv || give_up "Python's venv module is missing. Run: sudo apt-get install python3-venv"
	fi
	say "making the environment $2 (first use, or the packages changed)"
	rm -f "$2/.asyncpipe-lock"
	"$base" -m venv --clear "$2"
	if ! { "$2/bin/python" -m pip --disable-pip-version-check --no-input -q install --require-hashes --no-deps -r "$1" &&
		"$2/bin/python" -m pip --disable-pip-version-check --no-input -q install --no-deps --no-build-isolation -e "$root"; }; then
		give_up "The packages of $(basename "$1") could not be installed; is PyPI reachable? Nothing was built."
	fi
	printf '%s\n' "$3" >"$2/.asyncpipe-lock"
}

# environment_folder LOCK: prints where the environment of asyncpipe itself is.
environment_folder() {
	if [ -n "${ASYNCPIPE_VENV:-}" ]; then
		printf '%s\n' "$ASYNCPIPE_VENV"
	elif [ "${GITHUB_ACTIONS:-}" = true ] && [ -d "${RUNNER_TOOL_CACHE:-}" ] && [ -w "$RUNNER_TOOL_CACHE" ]; then
		key=$({ cat "$root/$1" "$root/pyproject.toml"; "$(find_python)" -VV; echo "$root"; } | cksum | tr -dc 0-9)
		cached=$RUNNER_TOOL_CACHE/asyncpipe/$key
		mkdir -p "$cached"
		touch "$cached"
		# those of former versions and checkouts, once no job can be in them any more
		find "$RUNNER_TOOL_CACHE/asyncpipe" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} + 2>/dev/null || true
		printf '%s\n' "$cached"
	else
		printf '%s\n' "$root/.venv"
	fi
}

# ensure_environment LOCK FOLDER: sets $python; quick when nothing is to be done.
ensure_environment() {
	lock=$root/$1
	python=$2/bin/python
	if [ -e "$2/.asyncpipe-as-it-is" ]; then return; fi # of an image that has everything: never made anew
	stamp="$(cat "$lock" "$root/pyproject.toml" | cksum) $root"
	if [ "$(cat "$2/.asyncpipe-lock" 2>/dev/null)" != "$stamp" ] || ! [ -x "$python" ]; then
		mkdir -p "$2"
		( # two first uses at once: the second waits and finds it made
			if command -v flock >/dev/null 2>&1; then flock 9; fi
			if [ "$(cat "$2/.asyncpipe-lock" 2>/dev/null)" != "$stamp" ]; then make_environment "$lock" "$2" "$stamp"; fi
		) 9>"$2.lock" || exit $?
	fi
}
