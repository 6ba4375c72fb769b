#!/usr/bin/env bash
# Creates the seeds: small files of every format and variant. They are committed, so this only needs to run again for a new format.
# The reader must reject files named `refused-*`.
set -euo pipefail
cd "$(dirname "$0")/seeds"
command -v ffmpeg >/dev/null || { echo "seed.sh: ffmpeg not found: apt-get install ffmpeg" >&2; exit 1; }
command -v python3 >/dev/null || { echo "seed.sh: python3 not found: apt-get install python3" >&2; exit 1; }

# make TARGET/FILE RATE CHANNELS ARGUMENT...: creates a chord with some noise, long enough for a few packets.
make() {
    local file=$1 rate=$2 channels=$3 length=0.2
    shift 3
    mkdir -p "$(dirname "$file")"
    if [ "$rate" -lt 16000 ]; then length=0.3; fi
    local left="0.4*sin(880*PI*t)+0.1*random(0)" right="0.3*sin(1320*PI*t)+0.1*random(1)" all layout
    case $channels in
        1) all=$left layout=mono ;;
        2) all="$left|$right" layout=stereo ;;
        6) all="$left|$right|$left|$right|$left|$right" layout=5.1 ;;
    esac
    ffmpeg -v error -nostdin -y -f lavfi -i "aevalsrc=$all:s=$rate:c=$layout:d=$length" \
        -fflags +bitexact -flags:a +bitexact -metadata_header_padding 16 "$@" "$file"
}

# film TARGET/FILE ARGUMENT...: creates a video of two black frames, with audio if the arguments map it.
film() {
    local file=$1
    shift
    mkdir -p "$(dirname "$file")"
    ffmpeg -v error -nostdin -y -f lavfi -i "color=black:s=16x16:r=10:d=0.2" -f lavfi -i "sine=440:d=0.2:r=8000" \
        -fflags +bitexact -flags:v +bitexact -flags:a +bitexact -c:v mpeg4 "$@" "$file"
}

# join OUT IN...: concatenates files.
join() {
    local file=$1
    shift
    cat "$@" >"$file"
}

rm -rf ./*/

tags=(-metadata "title=Song" -metadata "artist=Artist" -metadata "comment=a b c")
plain=(-write_xing 0 -id3v2_version 0)

make decode_mp3/cbr-128-stereo.mp3 44100 2 -c:a libmp3lame -b:a 128k
make decode_mp3/cbr-320-no-reservoir.mp3 48000 2 -t 0.08 -c:a libmp3lame -b:a 320k -reservoir 0 -joint_stereo 0
make decode_mp3/vbr-mono.mp3 32000 1 -c:a libmp3lame -q:a 4
make decode_mp3/abr-stereo.mp3 44100 2 -c:a libmp3lame -b:a 64k -abr 1
make decode_mp3/mpeg2.mp3 22050 2 -c:a libmp3lame -b:a 32k
make decode_mp3/mpeg25.mp3 8000 1 -c:a libmp3lame -b:a 16k
make decode_mp3/no-xing.mp3 24000 1 -c:a libmp3lame -b:a 32k "${plain[@]}"
make decode_mp3/tagged.mp3 16000 1 -c:a libmp3lame -b:a 24k "${tags[@]}" -id3v2_version 3 -write_id3v1 1
make decode_mp3/layer2.mp3 32000 1 -c:a mp2 -b:a 32k -f mp2
make decode_mp3/layer2-stereo.mp3 44100 2 -c:a mp2 -b:a 128k -f mp2
join decode_mp3/junk-first.mp3 <(head -c 300 /dev/zero) decode_mp3/no-xing.mp3
join decode_mp3/glued.mp3 decode_mp3/mpeg25.mp3 decode_mp3/mpeg25.mp3

make decode_flac/mono.flac 8000 1
make decode_flac/stereo.flac 8000 2 -compression_level 12
make decode_flac/24-bit.flac 8000 2 -t 0.1 -sample_fmt s32 -bits_per_raw_sample 24
make decode_flac/surround.flac 8000 6 -t 0.05
make decode_flac/fast.flac 16000 1 -t 0.1 -compression_level 0 -lpc_type fixed
make decode_flac/tagged.flac 8000 1 -t 0.1 "${tags[@]}"
make decode_flac/high-rate.flac 96000 1 -t 0.02
join decode_flac/id3-first.flac <(printf 'ID3\x04\0\0\0\0\0\x0a0123456789') decode_flac/mono.flac
head -c 1500 decode_flac/mono.flac >decode_flac/refused-cut.flac

for codec in u8 s16le s24le s32le f32le f64le alaw mulaw; do
    make decode_wav/$codec.wav 8000 1 -t 0.1 -c:a pcm_$codec
done
make decode_wav/stereo.wav 8000 2 -t 0.1 -c:a pcm_s16le
make decode_wav/extensible.wav 8000 6 -t 0.02 -c:a pcm_s24le
make decode_wav/tagged.wav 8000 1 -t 0.05 -c:a pcm_s16le "${tags[@]}"
make decode_wav/adpcm-ima.wav 8000 1 -t 0.1 -c:a adpcm_ima_wav
make decode_wav/adpcm-ms.wav 8000 2 -t 0.1 -c:a adpcm_ms
make decode_wav/mp3.wav 16000 1 -c:a libmp3lame -b:a 16k
make decode_wav/flac.wav 8000 1 -t 0.1 -c:a flac
make decode_wav/rf64.wav 8000 1 -t 0.1 -c:a pcm_s16le -rf64 always
make decode_wav/wave64.w64 8000 1 -t 0.1 -c:a pcm_s16le
make decode_wav/sun.au 8000 1 -t 0.1 -c:a pcm_s24be
make decode_wav/pcm.caf 8000 1 -t 0.1 -c:a pcm_s24le
make decode_wav/alac.caf 8000 1 -t 0.1 -c:a alac
make decode_wav/adpcm.caf 8000 1 -t 0.1 -c:a adpcm_ima_qt
head -c 500 decode_wav/s16le.wav >decode_wav/cut.wav

for codec in s8 s16be s24be s32be f32be f64be alaw mulaw s16le; do
    make decode_aiff/$codec.aiff 8000 1 -t 0.1 -c:a pcm_$codec
done
make decode_aiff/stereo.aiff 8000 2 -t 0.1 -c:a pcm_s16be "${tags[@]}"
make decode_aiff/surround.aiff 8000 6 -t 0.02 -c:a pcm_s16be
make decode_aiff/adpcm.aiff 8000 1 -t 0.1 -c:a adpcm_ima_qt
head -c 500 decode_aiff/s16be.aiff >decode_aiff/cut.aiff

make decode_ogg/mono.ogg 8000 1 -c:a libvorbis -q:a 0
make decode_ogg/stereo.ogg 44100 2 -c:a libvorbis -q:a -1
make decode_ogg/surround.ogg 8000 6 -t 0.1 -c:a libvorbis -q:a -1
make decode_ogg/other-encoder.ogg 44100 2 -c:a vorbis -strict -2 -b:a 32k
make decode_ogg/flac.ogg 8000 1 -c:a flac "${tags[@]}"
make decode_ogg/small-pages.ogg 16000 1 -c:a libvorbis -q:a 0 -page_duration 20000
join decode_ogg/chained.ogg decode_ogg/mono.ogg decode_ogg/mono.ogg

make decode_opus/opus-mono.ogg 48000 1 -t 0.1 -c:a libopus -b:a 16k
make decode_opus/opus-stereo.ogg 48000 2 -t 0.1 -c:a libopus -b:a 64k
make decode_opus/opus-voice.ogg 16000 1 -c:a libopus -b:a 12k -application voip
make decode_opus/opus-hybrid.ogg 48000 1 -c:a libopus -b:a 24k -application voip -frame_duration 60
make decode_opus/opus-short.ogg 48000 1 -t 0.05 -c:a libopus -b:a 48k -frame_duration 2.5
make decode_opus/opus-surround.ogg 48000 6 -t 0.05 -c:a libopus -b:a 128k -mapping_family 1

make decode_m4a/aac.m4a 16000 1 -c:a aac -b:a 24k
make decode_m4a/aac-stereo-faststart.m4a 44100 2 -c:a aac -b:a 64k -movflags +faststart
make decode_m4a/aac-no-edit-list.m4a 8000 1 -c:a aac -b:a 16k -use_editlist 0
make decode_m4a/aac-fragments.m4a 16000 1 -c:a aac -b:a 24k -movflags frag_keyframe+empty_moov -frag_duration 60000
make decode_m4a/aac-tagged.m4a 8000 1 -c:a aac -b:a 16k "${tags[@]}"
make decode_m4a/alac.m4a 8000 1 -c:a alac
make decode_m4a/alac-24-bit.m4a 8000 2 -t 0.1 -c:a alac -sample_fmt s32p
make decode_m4a/flac.mp4 8000 1 -t 0.2 -c:a flac -strict -2
make decode_m4a/mp3.mp4 16000 1 -c:a libmp3lame -b:a 24k
make decode_m4a/pcm.mov 8000 1 -t 0.1 -c:a pcm_s16le
make decode_m4a/pcm-little-endian.mov 8000 1 -t 0.05 -c:a pcm_s24le
make decode_m4a/pcm-surround.mov 8000 6 -t 0.02 -c:a pcm_s16be
make decode_m4a/pcm-high-rate.mov 96000 1 -t 0.01 -c:a pcm_f32le
make decode_m4a/mu-law.mov 8000 1 -t 0.1 -c:a pcm_mulaw
make decode_m4a/adpcm.mov 8000 2 -t 0.1 -c:a adpcm_ima_qt
make decode_m4a/adpcm-ms.mov 8000 1 -t 0.2 -c:a adpcm_ms
make decode_m4a/alac.mov 8000 1 -t 0.1 -c:a alac
film decode_m4a/film.mp4 -map 0 -map 1 -c:a aac -b:a 16k
film decode_m4a/refused-silent-film.mp4 -map 0
head -c 1200 decode_m4a/aac-stereo-faststart.m4a >decode_m4a/refused-cut.m4a

make decode_adts/mono.aac 8000 1 -c:a aac -b:a 16k
make decode_adts/stereo.aac 44100 2 -c:a aac -b:a 64k
make decode_adts/stereo-low.aac 48000 2 -c:a aac -b:a 24k
make decode_adts/high-rate.aac 96000 1 -t 0.1 -c:a aac -b:a 64k
make decode_adts/surround.aac 16000 6 -t 0.2 -c:a aac -b:a 64k
make decode_adts/main-prediction.aac 16000 1 -c:a aac -b:a 24k -profile:a mpeg2_aac_low
make decode_adts/program-config.aac 16000 6 -t 0.2 -af "pan=2.1|c0=c0|c1=c1|c2=c3" -c:a aac -b:a 64k
make decode_adts/tagged.aac 16000 1 -c:a aac -b:a 24k -write_id3v2 1 "${tags[@]}"

make decode_mkv/flac.mka 8000 1 -t 0.2 -c:a flac
make decode_mkv/vorbis.webm 16000 1 -c:a libvorbis -q:a 0
make decode_mkv/aac.mka 16000 1 -c:a aac -b:a 24k "${tags[@]}"
make decode_mkv/mp3.mka 16000 1 -c:a libmp3lame -b:a 24k
make decode_mkv/alac.mka 8000 1 -t 0.1 -c:a alac
make decode_mkv/pcm.mka 8000 2 -t 0.05 -c:a pcm_s16le
make decode_mkv/pcm-8-bit.mka 8000 1 -t 0.1 -c:a pcm_u8
make decode_mkv/a-law.mka 8000 1 -t 0.1 -c:a pcm_alaw
make decode_mkv/adpcm.mka 8000 2 -t 0.2 -c:a adpcm_ms
make decode_mkv/vorbis-surround.mka 8000 6 -t 0.1 -c:a libvorbis -q:a -1
make decode_mkv/live.mka 8000 1 -c:a libmp3lame -b:a 16k -f matroska -live 1
film decode_mkv/film.mkv -map 0 -map 1 -c:a libmp3lame -b:a 16k
make decode_mkv/opus.webm 48000 1 -t 0.1 -c:a libopus -b:a 16k
film decode_mkv/refused-silent-film.mkv -map 0

python3 ../seed_weights.py
find . -type f -printf '%s\n' | awk '{ bytes += $1 } END { print NR " seeds, " bytes " bytes" }'
