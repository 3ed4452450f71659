# Sourced by the other scripts: finds out what the machine lacks, installs it where that is allowed
# (Debian or a derivative, as root), otherwise names it and stops.
# shellcheck shell=bash

# Everything the scripts say goes to standard error: standard output is for their results.
say() { printf '%s\n' "$*" >&2; }

fail() {
    say "${0##*/}: $*"
    exit 1
}

on_debian() { [ -e /etc/debian_version ] && command -v apt-get dpkg-query >/dev/null; }

may_install() { on_debian && [ "$(id -u)" -eq 0 ]; }

# The output is shown only when the command fails.
quietly() {
    local output
    output=$("$@" 2>&1) || {
        say "$output"
        return 1
    }
}

# Where apt-get has never run, or only long ago, it does not know the packages' present addresses.
apt_refreshed=
refresh_apt() {
    [ -z "$apt_refreshed" ] || return 0
    say "refreshing the list of packages"
    quietly apt-get -qq update || fail "apt-get update failed"
    apt_refreshed=1
}

has_header() { printf '#include <%s>\n' "$1" | cc -E -o /dev/null - 2>/dev/null; }

has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] || ldconfig -p 2>/dev/null | grep -q 'libclang[-.]' ||
        compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null
}

# Succeeds if what the Debian package $1 is wanted for is there, whoever put it there.
has_package() {
    case $1 in
    gcc) command -v cc >/dev/null ;;
    clang | curl | git | make | pkg-config | python3 | redis-server | shellcheck | valgrind) command -v "$1" >/dev/null ;;
    nghttp2-client) command -v h2load >/dev/null ;;
    util-linux) command -v setpriv >/dev/null ;;
    libc6-dev) has_header stdio.h ;;
    libclang-dev) has_libclang ;;
    libpcre2-dev) printf '#define PCRE2_CODE_UNIT_WIDTH 8\n#include <pcre2.h>\n' | cc -E -o /dev/null - 2>/dev/null ;;
    libssl-dev) has_header openssl/ssl.h ;;
    zlib1g-dev) has_header zlib.h ;;
    ca-certificates) [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] ;;
    *) on_debian && [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
    esac
}

# require_packages NAME...: Debian's names. Returns only if all of them are there.
require_packages() {
    local name missing=()
    for name in "$@"; do
        has_package "$name" || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    may_install || fail "missing: ${missing[*]} (Debian's package names; install them, or run this as root on Debian)"
    refresh_apt
    say "installing ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive quietly apt-get -qq -y install --no-install-recommends "${missing[@]}" ||
        fail "apt-get could not install: ${missing[*]}"
}

# version_at_least HAVE WANTED: both as 1.2.3
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Prints nothing where there is none.
cargo_version() { { cargo --version 2>/dev/null || true; } | cut -d ' ' -f 2; }

# Returns only with a cargo on the path that is not older than Cargo.toml's rust-version.
require_rust() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ] && PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    have=$(cargo_version)
    if [ -n "$have" ] && version_at_least "$have" "$wanted"; then return 0; fi

    may_install || fail "missing: Rust $wanted or later (${have:-none} found); see https://rustup.rs"
    say "installing Rust with rustup (wanted $wanted or later, found ${have:-none})"
    if command -v rustup >/dev/null; then
        rustup toolchain install stable --profile minimal --component rustfmt,clippy >&2 &&
            export RUSTUP_TOOLCHAIN=stable
    else
        require_packages ca-certificates curl
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --no-modify-path --profile minimal --component rustfmt,clippy >&2
    fi || fail "rustup could not install Rust; see https://rustup.rs"
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    have=$(cargo_version)
    version_at_least "${have:-0}" "$wanted" || fail "Rust $wanted or later is needed, and rustup brought ${have:-none}"
}
