#!/usr/bin/env python3
"""PyTorch's rows for the table of the program `gpu`: htdemucs at batch 1, 2, 4, 8 in f32 and f16. Run by benches/gpu.sh.

Needs torch and demucs. Uses the weights from Vocalizer's cache (with safetensors), or random weights of the same shapes, which take the
same time. In f32, TF32 is off, as in Vocalizer's kernels; the rows "tf32" show its effect. A segment has 7.8 s, of which 5.85 s are new,
as in Vocalizer. The time includes the STFT and its inverse, but not the overlap-add and the transfers to and from the GPU.
"""
import time

import torch
from demucs.htdemucs import HTDemucs

import htdemucs


def network():
    try:
        return htdemucs.reference()
    except (ImportError, StopIteration):
        print("(random weights: htdemucs is not in the cache, or safetensors is not installed)")
        return HTDemucs(["drums", "bass", "other", "vocals"], channels=48, bottom_channels=512, t_layers=5, segment=7.8)


def seconds(model, batch, autocast):
    x = torch.randn(batch, 2, int(7.8 * 44_100), device="cuda")
    best = float("inf")
    with torch.inference_mode(), torch.autocast("cuda", torch.float16, enabled=autocast):
        for _ in range(8):
            torch.cuda.synchronize()
            began = time.perf_counter()
            model(x)
            torch.cuda.synchronize()
            best = min(best, time.perf_counter() - began)
    return best / batch


def main():
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch found no CUDA device")
    model = network().cuda().eval()
    name = f"PyTorch {torch.__version__}"
    for precision in ["f32", "tf32", "f16"]:
        allowed = precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed
        for batch in [1, 2, 4, 8]:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            try:
                each = seconds(model, batch, precision == "f16")
                memory = torch.cuda.max_memory_reserved() / 1e6
                print(f"| {name} | {precision} | | {batch} | {1e3 * each:.1f} | {5.85 / each:.0f} | {memory:.0f} MB |")
            except torch.cuda.OutOfMemoryError:
                print(f"| {name} | {precision} | | {batch} | out of memory | | |")
    print(f"\n{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")


main()
