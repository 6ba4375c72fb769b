#!/usr/bin/env bash
# run.sh [SECONDS] [TARGET...]: fuzzes each target for SECONDS (default 600), two targets per core at a time (FUZZ_JOBS=N: N at a time), and
# prints a line for each. The exit code is 1 if there are findings, which are in artifacts/TARGET.
set -euo pipefail
cd "$(dirname "$0")"

all=(decode_mp3 decode_flac decode_wav decode_aiff decode_ogg decode_opus decode_m4a decode_adts decode_mkv
    safetensors onnx checkpoint toolkit_config mp3_round_trip upload result_archive headers http)

export seconds=${1:-600}
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: fuzz/run.sh [SECONDS] [TARGET...]; targets: ${all[*]}" >&2
    exit 2
fi
targets=("${@:2}")
if [ ${#targets[@]} = 0 ]; then targets=("${all[@]}"); fi
for target in "${targets[@]}"; do
    if ! [ -f "fuzz_targets/$target.rs" ]; then
        echo "run.sh: unknown target $target; targets: ${all[*]}" >&2
        exit 2
    fi
done

# The sanitizer's options are unstable. Without a nightly compiler, RUSTC_BOOTSTRAP enables them in the stable one.
export RUSTUP_TOOLCHAIN=nightly
if ! cargo --version >/dev/null 2>&1; then
    unset RUSTUP_TOOLCHAIN
    export RUSTC_BOOTSTRAP=1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo 'run.sh: cargo-fuzz not found; install it with: cargo install cargo-fuzz --locked' >&2
    exit 2
fi

mkdir -p target/logs
for target in "${targets[@]}"; do
    cargo fuzz build --fuzz-dir . "$target" >"target/logs/$target.build.log" 2>&1 || {
        cat "target/logs/$target.build.log" >&2
        exit 2
    }
done

# Every input is written to a file: use memory instead of a disk.
memory=/dev/shm
[ -w "$memory" ] || memory=${TMPDIR:-/tmp}
TMPDIR=$(mktemp -d "$memory/vocalizer-fuzz.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

last() { grep -oE "$1" "$2" | tail -1 | grep -oE '[0-9]+$' || echo 0; }

fuzz() { # TARGET
    local target=$1 log=target/logs/$1.log start=target/logs/$1.start outcome=clean new
    local limits=(-timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=16384)
    mkdir -p "corpus/$target" "artifacts/$target"
    touch "$start"
    if [ -f "dictionaries/$target.dict" ]; then limits+=("-dict=dictionaries/$target.dict"); fi
    cargo fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
        "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 >"$log" 2>&1 || outcome="stopped, see fuzz/$log"
    new=$(find "artifacts/$target" -type f -newer "$start" | wc -l)
    printf '%-15s %9s runs, %5s/s, coverage %5s, features %6s, findings %s, caught panics %s: %s\n' "$target" \
        "$(last 'stat::number_of_executed_units: [0-9]+' "$log")" "$(last 'stat::average_exec_per_sec: +[0-9]+' "$log")" \
        "$(last 'cov: [0-9]+' "$log")" "$(last 'ft: [0-9]+' "$log")" "$new" \
        "$(grep -c '^caught panic' "$log" || true)" "$outcome"
    [ "$outcome" = clean ] && [ "$new" = 0 ]
}
export -f fuzz last

# xargs exits with 123 if a target failed.
printf '%s\n' "${targets[@]}" | xargs -P "${FUZZ_JOBS:-$((2 * $(nproc)))}" -I{} bash -c 'fuzz {}' || exit 1
