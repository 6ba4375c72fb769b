#!/usr/bin/env bash
# What this machine's cards do with htdemucs: parity with the golden stems in each precision, throughput at batch 1, 2, 4, 8,
# memory, time to the first segment cold and warm, and PyTorch's numbers beside it where torch and demucs are installed.
# Prints tables to paste into benches/README.md.
#
#   benches/gpu.sh [DEVICE...]      devices of `vocalizer devices`; every card where none is named
#
# Builds the program; VOCALIZER_GPU_BENCH names one that is built already, for machines that cannot, and VOCALIZER_GOLDEN
# then the folder vocalizer-model/tests/golden. FEATURES (wgpu,cuda) is what it is built with: cuda wants the LLVM bundle
# that examples/deploy/lay-llvm lays.
set -euo pipefail
program=${VOCALIZER_GPU_BENCH:+$(realpath "$VOCALIZER_GPU_BENCH")}
cd "$(dirname "$0")/.."

if [ -z "$program" ]; then
  features=${FEATURES:-wgpu,cuda}
  case $(uname -sm),$features, in 'Linux x86_64',*,cuda,* | 'Linux x86_64',cuda,*) examples/deploy/lay-llvm ;; esac
  cargo build --release -p vocalizer-benches --bin gpu --features "$features"
  program=${CARGO_TARGET_DIR:-target}/release/gpu
fi

# Mesa's layer that picks a card complains where there is no display.
export NODEVICE_SELECT=1
date -u +%F
uname -srm
grep -m 1 'model name' /proc/cpuinfo || true
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || true
git describe --always --dirty 2>/dev/null || true
echo
"$program" "$@"
echo
if python3 -c 'import torch, demucs' 2>/dev/null; then
  python3 benches/gpu_torch.py || echo 'PyTorch: not measured, as it says'
else
  echo 'PyTorch: not measured, since torch or demucs is not installed (pip install torch demucs)'
fi
