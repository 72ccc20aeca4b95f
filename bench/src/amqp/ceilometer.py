"""Publishes samples as Ceilometer's polling agent does. Prints seconds, and seconds of CPU time."""

import itertools
import json
import resource
import sys
import time

import oslo_messaging
from ceilometer import messaging
from ceilometer import sample
from ceilometer.publisher import utils
from oslo_config import cfg

url, secret, path, batch_size, count = sys.argv[1:]
batch_size, count = int(batch_size), int(count)

conf = cfg.ConfigOpts()
messaging.setup()
conf([], project="ceilometer")
notifier = oslo_messaging.Notifier(
    oslo_messaging.get_notification_transport(conf, url=url),
    driver="messagingv2",
    publisher_id="ceilometer.polling",
    topics=["notifications"],
)


def read(line):
    fields = json.loads(line)
    renamed = {"message_id": "id", "counter_name": "name", "counter_type": "type", "counter_unit": "unit",
               "counter_volume": "volume"}
    return sample.Sample(**{renamed.get(key, key): value for key, value in fields.items()})


with open(path) as lines:
    samples = itertools.cycle([read(line) for line in lines])


def send(count):
    batch = []
    for one in itertools.islice(samples, count):
        if len(batch) >= batch_size:
            notifier.sample({}, "telemetry.polling", {"samples": batch})
            batch = []
        batch.append(utils.meter_message_from_counter(one, secret))
    notifier.sample({}, "telemetry.polling", {"samples": batch})


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


send(batch_size)
begin, used = time.monotonic(), cpu()
send(count)
print(time.monotonic() - begin, cpu() - used)
