# Sourced by scripts that start the double of AWS, after requirements.sh: makes its Python and its
# program. Wants JOBS set.
# shellcheck shell=bash

# One set of features for every call of cargo, so that nothing is compiled twice.
TESTED=(--locked --jobs "$JOBS" --workspace --features apigate/process-tests)
readonly TESTED

# make_python LIST FOLDER: a Python with the packages of a list. Made anew when the list changes.
make_python() {
    local list=$1 venv=$2
    cmp -s "$list" "$venv/requirements.txt" && return 0
    python3 -c 'import ensurepip, venv' 2>/dev/null || require_packages python3 python3-venv
    say "making $venv from $list"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$list" >&2 ||
        fail "pip could not install $list"
    # Last, because it says that the rest is there.
    cp "$list" "$venv/requirements.txt"
}

# The double's program, in the profile and directory of the tests, where they look for it.
build_double() { cargo build "${TESTED[@]}" --bin aws-double; }
