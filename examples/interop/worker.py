#!/usr/bin/env python3
"""A worker for the original system's protocol: takes songs from RabbitMQ, posts four stems and acknowledges.

Environment: BROKER_ADDR (an amqp:// URL or host:port), BACKEND_ADDR, WORKER_TOKEN (not needed if results are open), JOBS (exit after
this many songs). Filters the audio instead of separating it. Requires pika, requests and ffmpeg.
"""
import io, os, subprocess, tarfile
import pika, requests

FILTERS = {"bass": "lowpass=200", "drums": "highpass=4000", "other": "bandreject=1000", "vocals": "bandpass=1000"}
broker, backend = os.environ["BROKER_ADDR"], os.environ["BACKEND_ADDR"].rstrip("/")
headers = {"Authorization": "Bearer " + os.environ["WORKER_TOKEN"]} if "WORKER_TOKEN" in os.environ else {}
channel = pika.BlockingConnection(pika.URLParameters(broker if "://" in broker else "amqp://" + broker)).channel()
channel.basic_qos(prefetch_count=1)
left = int(os.environ.get("JOBS", "1000000000"))
for method, properties, song in channel.consume("vocalizer_queue"):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for stem, audio_filter in FILTERS.items():
            command = ["ffmpeg", "-v", "error", "-i", "-", "-vn", "-af", audio_filter, "-f", "mp3", "-"]
            mp3 = subprocess.run(command, input=song, stdout=subprocess.PIPE, check=True).stdout
            entry = tarfile.TarInfo(stem + ".mp3")
            entry.size = len(mp3)
            tar.addfile(entry, io.BytesIO(mp3))
    url = f"{backend}/songs/{properties.message_id}/upload_result"
    requests.post(url, data=archive.getvalue(), headers=headers).raise_for_status()
    channel.basic_ack(method.delivery_tag)
    left -= 1
    if left == 0:
        break
