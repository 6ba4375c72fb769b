"""SCNet and RoFormers of published sizes with random weights, by the package pymss-core, for compare.py."""
from unittest import mock

STEMS = ["drums", "bass", "other", "vocals"]
# A copy, because a list that is used twice becomes an alias in YAML.
ALL = {"instruments": list(STEMS), "target_instrument": None}
TARGET = {"instruments": ["vocals", "other"], "target_instrument": "vocals"}
BANDS = [2] * 24 + [4] * 12 + [12] * 8 + [24] * 8 + [48] * 8 + [128, 129]
ROFORMER = dict(stereo=True, num_stems=1, time_transformer_depth=1, freq_transformer_depth=1, dim_head=64, heads=8, attn_dropout=0,
                ff_dropout=0, flash_attn=True, stft_n_fft=2048, stft_win_length=2048, stft_normalized=False,
                mask_estimator_depth=2, zero_dc=False)


def scnet(dims, shares):
    return dict(sources=STEMS, audio_channels=2, dims=dims, nfft=4096, hop_size=1024, win_size=4096, normalized=True,
                band_SR=shares, band_stride=[1, 4, 16], band_kernel=[3, 4, 16], conv_depths=[3, 2, 1], compress=4,
                conv_kernel=3, num_dplayer=6, expand=1)


# By name: the family and the sections of the training toolkit's configuration. Chunks do not overlap, so that one chunk is one run.
NETWORKS = {
    "scnet-small": ("scnet", 485100, scnet([4, 32, 64, 128], [0.175, 0.392, 0.433]), ALL),
    "scnet-large": ("scnet", 485100, scnet([4, 64, 128, 256], [0.225, 0.372, 0.403]), ALL),
    "mel-roformer-kim": ("mel_band_roformer", 352800,
                         dict(ROFORMER, dim=384, depth=6, num_bands=60, sample_rate=44100, stft_hop_length=441), TARGET),
    "bs-roformer-anvuew": ("bs_roformer", 352800,
                           dict(ROFORMER, dim=256, depth=12, freqs_per_bands=BANDS, stft_hop_length=512), TARGET),
}


def chunk_frames(name):
    return NETWORKS[name][1]


def config(name):
    """The configuration as the toolkit writes it."""
    _, chunk, model, training = NETWORKS[name]
    return {"audio": {"chunk_size": chunk, "num_channels": 2, "sample_rate": 44100}, "model": model, "training": training,
            "inference": {"batch_size": 1, "num_overlap": 1, "normalize": training is ALL}}


def reference(name):
    """The network in PyTorch. The same weights each time, exact in half precision, as many published files are."""
    import torch
    from pymss_core.modules.bs_roformer import BSRoformer, MelBandRoformer
    from pymss_core.modules.scnet import SCNet
    torch.manual_seed(0)
    family, _, model, _ = NETWORKS[name]
    if family == "scnet":
        network = SCNet(**model)
    elif family == "bs_roformer":
        network = BSRoformer(**dict(model, freqs_per_bands=tuple(BANDS)))
    else:
        # The package counts the layers of a mask estimator as BS-RoFormer does unless it gets their number.
        network = MelBandRoformer(**model, mlp_hidden_layers=model["mask_estimator_depth"])
    with torch.no_grad():
        for key, value in network.named_parameters():
            if "rotary" not in key:
                value.copy_(value.half())
    return network.eval()


def checkpoint(name, folder):
    """Writes the weights and the configuration, and returns both paths. Without the frequencies of the rotation: readers know them."""
    import torch
    import yaml
    weights, settings = folder / f"{name}.ckpt", folder / f"{name}.yaml"
    state = {key: value for key, value in reference(name).state_dict().items() if "rotary" not in key}
    torch.save({"state_dict": state}, weights)
    settings.write_text(yaml.safe_dump(config(name)))
    return weights, settings


def separate(name, network, song):
    """Separates a song `[2, frames]` into stems `[stems, 2, frames]`, chunk by chunk, normalised as the configuration says."""
    import torch
    mean, std = 0.0, 1.0
    if config(name)["inference"]["normalize"]:
        mono = song.mean(0)
        mean, std = mono.mean(), mono.std(correction=0)
    with torch.inference_mode():
        chunks = [network(chunk[None]) for chunk in ((song - mean) / std).split(chunk_frames(name), 1)]
        return torch.cat([chunk.reshape(-1, 2, chunk.shape[-1]) for chunk in chunks], -1) * std + mean


def export(name, path):
    """Writes the network without the song's Fourier transforms as ONNX. What ONNX lacks is replaced by the same in its operations."""
    import torch
    network = reference(name)
    family, frames, _, _ = NETWORKS[name]
    if family == "scnet":
        hops = frames // 1024 + 1
        frames = hops + 1 + (hops + 1) % 2
        spectrum = torch.randn(1, 4, 2049, frames)
        network.forward = scnet_core.__get__(network)
        replaced = mock.patch("pymss_core.modules.scnet.separation.FeatureConversion.forward", fourier(frames))
    else:
        for part in (network.band_split, *network.mask_estimators):
            part.use_grouped_forward = False
        spectrum = torch.randn(1, 2050, frames // network.stft_kwargs["hop_length"] + 1, 2)
        rows = getattr(network, "freq_indices", slice(None))
        network.forward = lambda x: network._forward_mask_core(x[:, rows])
        replaced = mock.patch("pymss_core.modules.bs_roformer.transformer.apply_rotary_emb_fast", rotate)
    part = path.with_suffix(".part")
    with replaced, torch.inference_mode():
        torch.onnx.export(network, (spectrum,), part, dynamo=False)
    part.rename(path)


def scnet_core(network, x):
    """The spectra of the stems from the spectrum of the song: the network's `forward` between the transforms."""
    saved = []
    for layer in network.encoder:
        x, *skip = layer(x)
        saved.append(skip)
    x = network.separation_net(x)
    for fusion, restore in network.decoder:
        skip, lengths, original_lengths = saved.pop()
        x = restore(fusion(x, skip), lengths, original_lengths)
    return x


def fourier(frames):
    """The transforms inside SCNet as products."""
    import torch
    forward = torch.fft.rfft(torch.eye(frames), norm="ortho")
    unit = torch.eye(frames // 2 + 1)
    real, imaginary = (torch.fft.irfft(unit * factor, n=frames, norm="ortho") for factor in (1, 1j))

    def convert(layer, x):
        if not layer.inverse:
            return torch.cat([x @ forward.real, x @ forward.imag], 1)
        half = layer.channels // 2
        return x[:, :half] @ real + x[:, half:] @ imaginary
    return convert


def rotate(cos, sin, x):
    """The rotation of pairs without complex numbers."""
    import torch
    a, b = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).reshape(x.shape)
