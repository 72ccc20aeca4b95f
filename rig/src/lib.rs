//! A private libvirtd with real guests and a private RabbitMQ, for tests and benchmarks.
//!
//! [`Libvirtd::start`] runs the installed libvirtd as a system daemon of its own, and [`Libvirtd::boot`] starts guests
//! in it. Clients reach it over [`Libvirtd::uri`]. The rig knows the processes of libvirtd and of each QEMU, so a test
//! can freeze a guest, kill libvirtd and start it again, count the calls that libvirtd served, and see what they cost.
//!
//! Guests have no operating system, which is enough for most tests. Those that [`Guest::working`] makes have one, and use
//! CPU, disk and NIC all the time; [`Libvirtd::truth`] tells how much, without asking libvirt.
//!
//! [`Rabbit::start`] runs the installed RabbitMQ with a name, ports and folders of its own, and [`Rabbit::shared`] one
//! for all tests of a process, each in a [`Vhost`] of its own. [`Proxy`] is a bad network before it, or before any
//! other server, and [`Certificates`] are what TLS needs.
//!
//! # Namespaces
//!
//! `unshare` gives the rig namespaces of its own, and a script sets them up. RabbitMQ has ports of the machine, so it
//! gets none of networks, and no private folders cover the machine's:
//!
//! - mount: libvirtd in system mode has its folders compiled in, so private folders cover `/etc/libvirt`, `/run` and
//!   what it uses below `/var`. No libvirtd that runs on the machine is touched, or can touch the rig. Without `/run`
//!   there is also no D-Bus, udev or systemd to talk to.
//! - network: the bridge [`BRIDGE`], the guests' taps and the rules of network filters exist in the rig only.
//! - process: whatever happens to the test, all that runs in the rig ends with the namespace's first process, which
//!   ends with the test. libvirtd may end and start again without its guests, which belong to that first process. Seen
//!   from outside all of them have other process ids, and those are the ones the rig tells.
//! - user, unless root runs the test.
//!
//! Guests get no cgroups, because those would be the machine's: libvirt then reads their CPU time from `/proc`.
//!
//! # What it needs
//!
//! Linux on x86-64, and Debian's packages in [`PACKAGES`] and [`RABBIT_PACKAGE`]. Root; or else user namespaces, and
//! for libvirtd the package `uidmap`, a range of ids in `/etc/subuid` and `/etc/subgid`, as libvirt insists on changing
//! groups, and for NICs a `/dev/net/tun` that the user may open. Guests that work need a [`System`]. Where `/dev/kvm` can
//! be opened guests run on KVM, elsewhere they are emulated; so are those that work where the processor does not help
//! KVM. Where it cannot run, [`CannotRun`] says what is missing, and [`or_say`] lets a test say so instead of passing
//! silently.

mod boot;
mod calls;
mod cannot;
mod certificates;
mod commands;
mod failed;
mod guest;
mod libvirtd;
mod logs;
mod namespaces;
mod port;
mod processes;
mod proxy;
mod rabbit;
mod system;
mod truth;
mod virsh;

/// What a [`Vhost`] speaks of: properties of messages, and options of exchanges and queues.
pub use lapin;

pub use cannot::{CannotRun, PACKAGES, RABBIT_PACKAGE, has_or_say, or_say};
pub use certificates::{Certificates, Identity};
pub use failed::Failed;
pub use guest::{BRIDGE, Flavor, Guest, Metadata, Nic, Nova, NovaVersion, Work};
pub use libvirtd::{Libvirtd, Options};
pub use processes::Cpu;
pub use proxy::Proxy;
pub use rabbit::{Delivery, Rabbit, RabbitOptions, Vhost};
pub use system::{FOLDER as SYSTEM_FOLDER, System};
pub use truth::{Devices, Truth, Vcpus};
