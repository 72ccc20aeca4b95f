//! Counting the calls that libvirtd serves, by its log.

use std::collections::BTreeMap;

/// What begins libvirtd's line for a call.
const DISPATCH: &str = " virNetServerProgramDispatch:";
/// libvirt's main protocol; the others are for one hypervisor each, or for administrators.
const REMOTE: &str = "536903814";
/// A call, and one that hands over files. Others belong to streams.
const CALL_TYPES: [&str; 2] = ["0", "4"];

/// The procedures that clients of interest use, named as in libvirt's protocol. Numbers never change.
const NAMES: [(u32, &str); 78] = [
    (1, "CONNECT_OPEN"),
    (2, "CONNECT_CLOSE"),
    (3, "CONNECT_GET_TYPE"),
    (4, "CONNECT_GET_VERSION"),
    (5, "CONNECT_GET_MAX_VCPUS"),
    (6, "NODE_GET_INFO"),
    (7, "CONNECT_GET_CAPABILITIES"),
    (9, "DOMAIN_CREATE"),
    (10, "DOMAIN_CREATE_XML"),
    (11, "DOMAIN_DEFINE_XML"),
    (12, "DOMAIN_DESTROY"),
    (14, "DOMAIN_GET_XML_DESC"),
    (15, "DOMAIN_GET_AUTOSTART"),
    (16, "DOMAIN_GET_INFO"),
    (17, "DOMAIN_GET_MAX_MEMORY"),
    (18, "DOMAIN_GET_MAX_VCPUS"),
    (19, "DOMAIN_GET_OS_TYPE"),
    (20, "DOMAIN_GET_VCPUS"),
    (21, "CONNECT_LIST_DEFINED_DOMAINS"),
    (22, "DOMAIN_LOOKUP_BY_ID"),
    (23, "DOMAIN_LOOKUP_BY_NAME"),
    (24, "DOMAIN_LOOKUP_BY_UUID"),
    (25, "CONNECT_NUM_OF_DEFINED_DOMAINS"),
    (28, "DOMAIN_RESUME"),
    (34, "DOMAIN_SUSPEND"),
    (37, "CONNECT_LIST_DOMAINS"),
    (51, "CONNECT_NUM_OF_DOMAINS"),
    (59, "CONNECT_GET_HOSTNAME"),
    (60, "CONNECT_SUPPORTS_FEATURE"),
    (64, "DOMAIN_BLOCK_STATS"),
    (65, "DOMAIN_INTERFACE_STATS"),
    (66, "AUTH_LIST"),
    (110, "CONNECT_GET_URI"),
    (150, "DOMAIN_IS_ACTIVE"),
    (151, "DOMAIN_IS_PERSISTENT"),
    (157, "CONNECT_GET_LIB_VERSION"),
    (159, "DOMAIN_MEMORY_STATS"),
    (160, "DOMAIN_ATTACH_DEVICE_FLAGS"),
    (161, "DOMAIN_DETACH_DEVICE_FLAGS"),
    (163, "DOMAIN_GET_JOB_INFO"),
    (167, "CONNECT_DOMAIN_EVENT_REGISTER_ANY"),
    (168, "CONNECT_DOMAIN_EVENT_DEREGISTER_ANY"),
    (174, "DOMAIN_UPDATE_DEVICE_FLAGS"),
    (194, "DOMAIN_GET_BLOCK_INFO"),
    (196, "DOMAIN_CREATE_WITH_FLAGS"),
    (200, "DOMAIN_GET_VCPUS_FLAGS"),
    (203, "CONNECT_GET_SYSINFO"),
    (206, "DOMAIN_GET_BLKIO_PARAMETERS"),
    (212, "DOMAIN_GET_STATE"),
    (227, "NODE_GET_CPU_STATS"),
    (228, "NODE_GET_MEMORY_STATS"),
    (229, "DOMAIN_GET_CONTROL_INFO"),
    (230, "DOMAIN_GET_VCPU_PIN_INFO"),
    (231, "DOMAIN_UNDEFINE_FLAGS"),
    (234, "DOMAIN_DESTROY_FLAGS"),
    (238, "DOMAIN_GET_BLOCK_JOB_INFO"),
    (243, "DOMAIN_BLOCK_STATS_FLAGS"),
    (253, "DOMAIN_GET_BLOCK_IO_TUNE"),
    (257, "DOMAIN_GET_INTERFACE_PARAMETERS"),
    (262, "DOMAIN_GET_CPU_STATS"),
    (263, "DOMAIN_GET_DISK_ERRORS"),
    (264, "DOMAIN_SET_METADATA"),
    (265, "DOMAIN_GET_METADATA"),
    (273, "CONNECT_LIST_ALL_DOMAINS"),
    (277, "DOMAIN_GET_HOSTNAME"),
    (281, "CONNECT_LIST_ALL_STORAGE_POOLS"),
    (283, "CONNECT_LIST_ALL_NETWORKS"),
    (286, "CONNECT_LIST_ALL_NWFILTERS"),
    (293, "NODE_GET_CPU_MAP"),
    (298, "DOMAIN_GET_JOB_STATS"),
    (308, "DOMAIN_SET_MEMORY_STATS_PERIOD"),
    (316, "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY"),
    (317, "CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY"),
    (344, "CONNECT_GET_ALL_DOMAIN_STATS"),
    (349, "DOMAIN_GET_FSINFO"),
    (353, "DOMAIN_INTERFACE_ADDRESSES"),
    (360, "CONNECT_REGISTER_CLOSE_CALLBACK"),
    (361, "CONNECT_UNREGISTER_CLOSE_CALLBACK"),
];

/// Counts the calls in a log.
pub(crate) fn count(log: &str) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for procedure in log.lines().filter_map(procedure) {
        *calls.entry(procedure).or_default() += 1;
    }
    calls
}

/// The procedure that a line says is called.
fn procedure(line: &str) -> Option<String> {
    let (_, said) = line.split_once(DISPATCH)?;
    let field = |name: &str| said.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let number: u32 = field("proc")?.parse().ok()?;
    if !CALL_TYPES.contains(&field("type")?) {
        return None;
    }
    Some(match field("prog")? {
        REMOTE => match NAMES.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("procedure {number}"),
        },
        program => format!("procedure {number} of program {program}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_called() {
        let line = |fields: &str| {
            let [program, kind, procedure] = fields.split(' ').collect::<Vec<_>>()[..] else { panic!("{fields}") };
            format!(
                "2026-11-20 13:37:09.961+0000: 15: debug : virNetServerProgramDispatch:280 : \
                 prog={program} ver=1 type={kind} status=0 serial=0 proc={procedure}\n"
            )
        };
        let log = [
            "2026-11-20 13:37:09.711+0000: 13: info : libvirt version: 9.0.0\n",
            &line("536903814 0 344"),
            &line("536903814 4 344"),
            &line("536903814 3 344"),
            &line("536903814 0 9999"),
            &line("536903815 0 1"),
        ]
        .concat();
        let expected =
            [("CONNECT_GET_ALL_DOMAIN_STATS", 2), ("procedure 1 of program 536903815", 1), ("procedure 9999", 1)];
        assert_eq!(count(&log), expected.map(|(name, calls)| (name.to_owned(), calls)).into());
    }

    #[test]
    fn numbers_are_named_once() {
        assert!(NAMES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
