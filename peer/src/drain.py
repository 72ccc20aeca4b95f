"""Takes all messages out of a queue and prints their samples, each as a line of JSON."""

import json
import sys

from kombu import Connection

url, queue = sys.argv[1:]
with Connection(url) as connection:
    channel = connection.channel()
    while (message := channel.basic_get(queue, no_ack=True)) is not None:
        # oslo.messaging wraps a message as a text.
        envelope = json.loads(message.body)
        notification = json.loads(envelope["oslo.message"])
        for sample in notification["payload"]["samples"]:
            print(json.dumps(sample))
