"""Says which options Ceilometer has, on one line: {"section.name": type}, the types being those of known.txt. Then what
some of them are in configurations, one a line: {"name": ..., "options": {...} or null}.

Arguments: the folder of folders with a ceilometer.conf each. An option that is set to its default, or is not set, is
null; one that cannot be read is {"error": ...}. Without options, the file cannot be parsed.
"""
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")
from oslo_cache import _opts as cache_opts
from oslo_concurrency import opts as concurrency_opts
from oslo_config import cfg
from oslo_log import _options as log_opts
from oslo_log import log
from oslo_messaging import opts as messaging_opts
from oslo_reports import opts as reports_opts

from ceilometer import keystone_client, messaging, opts

OPTIONS = [
    ("DEFAULT", "libvirt_uri"),
    ("DEFAULT", "control_exchange"),
    ("DEFAULT", "reserved_metadata_namespace"),
    ("DEFAULT", "reserved_metadata_keys"),
    ("DEFAULT", "reserved_metadata_length"),
    ("compute", "report_stopped_instance_metrics"),
    ("polling", "batch_size"),
    ("oslo_messaging_rabbit", "ssl_key_file"),
    ("oslo_messaging_rabbit", "kombu_reconnect_delay"),
    ("oslo_messaging_rabbit", "amqp_durable_queues"),
]


LIBRARIES = [messaging_opts, log_opts, reports_opts, cache_opts, concurrency_opts]
TYPES = {
    cfg.BoolOpt: "boolean",
    cfg.IntOpt: "integer",
    cfg.FloatOpt: "real",
    cfg.ListOpt: "list",
    cfg.MultiStrOpt: "multi",
}


def known():
    lists = opts.list_opts() + opts.list_keystoneauth_opts()
    for library in LIBRARIES:
        lists += library.list_opts()
    for group, options in lists:
        section = getattr(group, "name", group) or "DEFAULT"
        for option in options:
            kind = TYPES.get(type(option), "list" if option.dest == "polling_namespaces" else "text")
            yield f"{section}.{option.dest}", kind


def read(path):
    conf = cfg.ConfigOpts()
    for group, options in opts.list_opts() + messaging_opts.list_opts():
        name = getattr(group, "name", group)
        conf.register_opts(list(options), group=None if name in (None, "DEFAULT") else name)
    keystone_client.register_keystoneauth_opts(conf)
    log.register_options(conf)
    try:
        conf([], project="ceilometer", default_config_files=[path], default_config_dirs=[])
    except cfg.ConfigFileParseError:
        return None
    return {f"{section}.{name}": value(conf, section, name) for section, name in OPTIONS}


def value(conf, section, name):
    group = conf if section == "DEFAULT" else conf[section]
    info = conf._get_opt_info(name, None if section == "DEFAULT" else section)["opt"]
    try:
        value = group[name]
    except Exception as error:
        return {"error": type(error).__name__}
    if value is None:
        return {"error": "empty"}
    return None if value == info.type(info.default) else value


messaging.setup()
print(json.dumps(dict(known())))
for name in sorted(os.listdir(sys.argv[1])):
    print(json.dumps({"name": name, "options": read(os.path.join(sys.argv[1], name, "ceilometer.conf"))}))
