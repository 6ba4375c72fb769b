#!/usr/bin/env bash
# run.sh [SECONDS] [TARGET...]: fuzzes each target for so long (600 seconds), one after another, and prints a line for
# each. The exit code is 1 when one of them found something; what it found lies in artifacts/TARGET.
set -euo pipefail
cd "$(dirname "$0")"

# In a function, so that all of it is read before it runs.
main() {
    all=(decode_mp3 decode_flac decode_wav decode_aiff decode_ogg decode_opus decode_m4a decode_adts decode_mkv
        safetensors onnx mp3_round_trip upload result_archive headers http)

    seconds=${1:-600}
    if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
        echo "usage: fuzz/run.sh [SECONDS] [TARGET...]; targets: ${all[*]}" >&2
        exit 2
    fi
    targets=("${@:2}")
    if [ ${#targets[@]} = 0 ]; then targets=("${all[@]}"); fi
    for target in "${targets[@]}"; do
        if ! [ -f "fuzz_targets/$target.rs" ]; then
            echo "run.sh: no target $target; there are ${all[*]}" >&2
            exit 2
        fi
    done

    lacks() {
        echo "run.sh: $1; get it with: $2" >&2
        exit 2
    }
    command -v cargo >/dev/null || lacks "cargo is missing" "rustup, the installer of Rust"
    cargo +nightly --version >/dev/null 2>&1 || lacks "no nightly compiler" "rustup toolchain install nightly"
    cargo +nightly fuzz --version >/dev/null 2>&1 || lacks "cargo-fuzz is missing" "cargo install cargo-fuzz --locked"

    mkdir -p target/logs
    for target in "${targets[@]}"; do
        echo "building $target"
        cargo +nightly fuzz build --fuzz-dir . "$target" >"target/logs/$target.build.log" 2>&1 || {
            cat "target/logs/$target.build.log" >&2
            exit 2
        }
    done

    # Every input goes through a file; in memory that costs no disk.
    memory=/dev/shm
    [ -w "$memory" ] || memory=${TMPDIR:-/tmp}
    TMPDIR=$(mktemp -d "$memory/vocalizer-fuzz.XXXXXX")
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT

    last() { grep -oE "$1" "$2" | tail -1 | grep -oE '[0-9]+$' || echo 0; }

    found=0
    for target in "${targets[@]}"; do
        log=target/logs/$target.log
        mkdir -p "corpus/$target" "artifacts/$target"
        touch target/logs/"$target".start
        limits=(-timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=16384)
        if [ -f "dictionaries/$target.dict" ]; then limits+=("-dict=dictionaries/$target.dict"); fi
        outcome=clean
        cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
            "${limits[@]}" -max_total_time="$seconds" -print_final_stats=1 >"$log" 2>&1 || outcome="stopped, see fuzz/$log"
        new=$(find "artifacts/$target" -type f -newer target/logs/"$target".start | wc -l)
        if [ "$outcome" != clean ] || [ "$new" != 0 ]; then found=1; fi
        printf '%-15s %9s runs, %5s/s, coverage %5s, features %6s, findings %s, left to the reader %s: %s\n' "$target" \
            "$(last 'stat::number_of_executed_units: [0-9]+' "$log")" "$(last 'stat::average_exec_per_sec: +[0-9]+' "$log")" \
            "$(last 'cov: [0-9]+' "$log")" "$(last 'ft: [0-9]+' "$log")" "$new" \
            "$(grep -c '^left to the reader' "$log" || true)" "$outcome"
    done
    exit "$found"
}

main "$@"
