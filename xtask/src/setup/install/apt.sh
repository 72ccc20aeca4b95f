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
apt() {
    apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

# The version of a package that its release has, if the installed one is of no release that this machine knows, as one
# from backports that are not configured any more. Such a package is often in the way of others.
stray() {
    installed=$(dpkg-query --show --showformat='${Version}' "$1" 2>/dev/null) && [ -n "$installed" ] || return 0
    offered=$(apt-cache madison "$1" | cut -d '|' -f 2 | tr -d ' ')
    case " $(echo "$offered" | tr '\n' ' ')" in
        *" $installed "*) ;;
        *) echo "$offered" | head -n 1 ;;
    esac
}

# Installed packages that were made of the same source.
siblings() {
    source=$(dpkg-query --show --showformat='${source:Package}' "$1")
    dpkg-query --show --showformat='${source:Package} ${db:Status-Status} ${Package}\n' |
        sed -n "s/^$source installed //p"
}

apt update
if ! apt install --yes --no-install-recommends "$@"; then
    wanted=$*
    for package in "$@"; do
        # With what else was made of its source: those want to be of one version.
        for one in $([ -z "$(stray "$package")" ] || siblings "$package"); do
            version=$(stray "$one")
            if [ -n "$version" ]; then
                printf '\n%s is of no release that this machine knows; %s is put back.\n' "$one" "$version" >&2
                wanted="$wanted $one=$version"
            fi
        done
    done
    # Names and versions have no blanks.
    # shellcheck disable=SC2086
    if [ "$wanted" = "$*" ] || ! apt install --yes --no-install-recommends --allow-downgrades $wanted; then
        cat >&2 <<END

apt-get refuses. Where it says that a package depends on another version than the one that "is to be installed", a
package of another release is in the way, such as one from backports. "apt-cache policy PACKAGE" shows it. Put it back:
    apt-get install --allow-downgrades PACKAGE/RELEASE
and start again.
END
        exit 100
    fi
fi
