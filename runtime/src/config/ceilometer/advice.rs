//! What options did there that are nothing here, or something else, and what to do.

use super::report::Verdict::{self, Different, Missing, Unknown};

/// What to say of an option.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) verdict: Verdict,
    pub(super) there: &'static str,
    pub(super) here: &'static str,
}

/// What to say of options of this fate.
pub(super) fn of(fate: &str) -> Option<Advice> {
    let (verdict, there, here) = match fate {
        "apis" => (
            Missing,
            "access to OpenStack's APIs, for names, flavors and the central pollsters",
            "nothing to do: no API is asked, and the node needs no credentials for it any more",
        ),
        "cache" => (Missing, "a cache of what Keystone and Gnocchi say", "nothing to do: neither is asked"),
        "central" => (
            Missing,
            "a setting of pollsters of the namespace central",
            "nothing to do on a compute node: the central agent goes on running elsewhere",
        ),
        "compression" => {
            (Different, "compresses messages", "messages are sent uncompressed, which consumers read, too")
        }
        "coordination" => (
            Missing,
            "divides resources between several agents",
            "nothing to do: one daemon meters all guests of its node, and nobody else does",
        ),
        "driver" => {
            (Missing, "nothing: ceilometer-polling goes by `telemetry_driver` in [publisher_notifier]", "nothing to do")
        }
        "extra-metadata" => (
            Missing,
            "asks Nova for what owners say about their guests",
            "nothing to do, if no consumer needs `user_metadata`: Nova is not asked, and samples lack it",
        ),
        "fips" => (Missing, "nothing: oslo.messaging ignores it", "nothing to do"),
        "heartbeat" => (
            Missing,
            "a socket that says when each pollster began",
            "watch the service instead: systemd's watchdog restarts a daemon that hangs, and `systemctl status` \
             shows the last cycle",
        ),
        "identity" => (
            Missing,
            "asks Keystone for names of users and projects",
            "nothing to do, if no consumer needs them: `user_name` and `project_name` are null",
        ),
        "ipmi" => (
            Missing,
            "a setting of pollsters of the namespace ipmi",
            "keep ceilometer-polling for it, with `--polling-namespaces ipmi`, where it is used",
        ),
        "kafka" => (Missing, "a setting of the driver for Kafka", "nothing to do: only RabbitMQ is spoken to"),
        "level" => (
            Different,
            "how much is logged",
            "set WASMETER_LOG in the service's environment, such as Environment=WASMETER_LOG=debug",
        ),
        "locks" => (Missing, "where locks of processes lie", "nothing to do: there is one process"),
        "log-file" => {
            (Different, "where the log goes", "the log goes to standard error, and from there to systemd's journal")
        }
        "log-lines" => (Different, "how lines of the log look", "write `log: {format: json}`, or leave it at text"),
        "misplaced" => (Missing, "nothing: Ceilometer reads it in [polling]", "nothing to do"),
        "misplaced-folders" => (Missing, "nothing: Ceilometer reads it in [DEFAULT]", "nothing to do"),
        "notification" => (
            Missing,
            "a setting of the notification agent",
            "nothing to do: that agent goes on running elsewhere, with its own configuration",
        ),
        "nova-cache" => (
            Missing,
            "how often Nova is asked for guests, where `instance_discovery_method` says that it is asked",
            "nothing to do: libvirt tells of guests that come and go",
        ),
        "rabbit-others" => (
            Missing,
            "a setting of RPC, of consumers or of pools of connections",
            "nothing to do: one connection publishes",
        ),
        "reports" => (Missing, "where reports of the agent's state go", "nothing to do"),
        "retry" => (
            Different,
            "how often a message is sent again before it is lost",
            "samples wait in the spool until the broker takes them; see `spool` for how long",
        ),
        "rootwrap" => (Missing, "commands that run as root, for IPMI", "nothing to do: the daemon runs none"),
        "rpc" => (Missing, "a setting of RPC or of the notification agent's threads", "nothing to do"),
        "source" => (Different, "the `source` of samples", "it is always openstack"),
        "threads" => (
            Missing,
            "polls with several pollsters at once",
            "nothing to do: the host is read once in a cycle, for all meters together",
        ),
        "tls-version" => (Different, "the version of TLS", "TLS 1.2 and 1.3 are offered"),
        "verification" => (
            Different,
            "whether the broker's name has to be that of its certificate",
            "it always has to: if it is not, give the broker such a certificate",
        ),
        _ => return None,
    };
    Some(Advice { verdict, there, here })
}

/// What to say of an option that Ceilometer 27 does not know by itself.
pub(super) fn of_unknown(section: &str, name: &str) -> Advice {
    const RABBIT: [&str; 7] = [
        "rabbit_host",
        "rabbit_hosts",
        "rabbit_port",
        "rabbit_userid",
        "rabbit_password",
        "rabbit_virtual_host",
        "rabbit_use_ssl",
    ];
    const DEFAULTS: [&str; 3] = ["rpc_backend", "notification_driver", "notification_topics"];
    let (verdict, there, here) = match section {
        "DEFAULT" | "oslo_messaging_rabbit" if RABBIT.contains(&name) || DEFAULTS.contains(&name) => (
            Unknown,
            "where and how RabbitMQ was reached, long ago",
            "set `transport_url` in [DEFAULT] to rabbit://USER:PASSWORD@HOST:5672/VHOST, and import again",
        ),
        "database" | "dispatcher_database" | "dispatcher_file" | "dispatcher_http" | "collector" => {
            (Unknown, "a setting of the collector or its database, which are gone", "remove it")
        }
        "api" | "keystone_authtoken" | "oslo_policy" | "oslo_middleware" | "cors" => {
            (Unknown, "a setting of the API, which is gone", "remove it")
        }
        "vmware" | "xenapi" | "hyperv" | "powervm" => {
            (Unknown, "a setting of another hypervisor than libvirt, which is gone", "remove it")
        }
        "gnocchi" | "dispatcher_gnocchi" | "zaqar" => (
            Missing,
            "a setting of a publisher of the notification agent's",
            "nothing to do: that agent goes on running elsewhere, with its own configuration",
        ),
        "ceilometer_sys_admin" | "privsep" => {
            (Missing, "how commands are run as root, for IPMI", "nothing to do: the daemon runs none")
        }
        "service_credentials" => {
            (Missing, "an option of the method that `auth_type` names", "nothing to do: no API is asked")
        }
        "default" => {
            (Unknown, "nothing: the section is spelt [DEFAULT]", "correct it if it was meant, and import again")
        }
        _ => (Unknown, "nothing", "remove it, or correct it if it was meant to do something, and import again"),
    };
    Advice { verdict, there, here }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ceilometer::known::KNOWN;

    #[test]
    fn every_option_is_read_or_explained() {
        for option in KNOWN.iter().filter(|option| !["taken", "rabbit"].contains(&option.fate)) {
            assert!(of(option.fate).is_some(), "{option:?}");
        }
    }
}
