#!/usr/bin/env bash
# Benchmarks htdemucs on this machine's GPUs: accuracy against the golden stems in each precision, throughput at batch 1, 2, 4 and 8,
# memory, time to the first segment with cold and warm caches, and PyTorch's numbers if torch and demucs are installed. Prints tables for
# benches/README.md.
#
#   benches/gpu.sh [DEVICE...]      devices from `vocalizer devices`; all GPUs by default
#
# Builds the program. To use an existing build, set VOCALIZER_GPU_BENCH to the program and VOCALIZER_GOLDEN to the folder
# vocalizer-model/tests/golden. FEATURES (wgpu,cuda) sets the features to build; cuda needs LLVM from examples/deploy/install-llvm.
set -euo pipefail
program=${VOCALIZER_GPU_BENCH:+$(realpath "$VOCALIZER_GPU_BENCH")}
cd "$(dirname "$0")/.."

if [ -z "$program" ]; then
  features=${FEATURES:-wgpu,cuda}
  case $(uname -sm),$features, in 'Linux x86_64',*,cuda,* | 'Linux x86_64',cuda,*) examples/deploy/install-llvm ;; esac
  cargo build --release -p vocalizer-benches --bin gpu --features "$features"
  program=${CARGO_TARGET_DIR:-target}/release/gpu
fi

# Disable Mesa's device selection layer, which prints errors without a display.
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
  python3 benches/gpu_torch.py || echo 'PyTorch: not measured, see above'
else
  echo 'PyTorch: not measured, because torch or demucs is not installed (pip install torch demucs)'
fi
