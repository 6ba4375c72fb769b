#!/usr/bin/env python3
"""Publishes songs as the original backend does: publish.py AMQP_URL SONG... (requires pika)"""
import hashlib, pathlib, sys
import pika

channel = pika.BlockingConnection(pika.URLParameters(sys.argv[1])).channel()
for song in map(pathlib.Path.read_bytes, map(pathlib.Path, sys.argv[2:])):
    properties = pika.BasicProperties(message_id=hashlib.sha256(song).hexdigest(), delivery_mode=2)
    channel.basic_publish("", "vocalizer_queue", song, properties)
