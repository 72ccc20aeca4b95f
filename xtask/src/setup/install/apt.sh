# Installs Debian packages and starts none of the services in them.
# Arguments: the file by which Debian asks whether it may start a service, then the packages.
set -eu
policy=$1
shift
mark='# Made by cargo xtask for the time of one installation.'

# The mark tells ours from an administrator's, and finds one that a killed run left behind.
clean_up() {
    if grep -qsxF "$mark" "$policy"; then
        rm -f "$policy"
    fi
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
# A machine that has just started is often updating itself: wait for it.
apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update
apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install --yes --no-install-recommends "$@" || {
    status=$?
    cat >&2 <<END

apt-get refuses. Where it says that a package depends on another version than the one that "is to be installed", a
package of another release is in the way, such as one from backports. "apt-cache policy PACKAGE" shows it. Put it back:
    apt-get install --allow-downgrades PACKAGE/RELEASE
and start again.
END
    exit "$status"
}
