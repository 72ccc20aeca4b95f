//! The guests: each is odd in its own way.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};

use wasmeter_rig::{Flavor, Guest, Libvirtd, Metadata, Nic, Nova, NovaVersion};

/// Quotes, XML's own characters, several scripts, and one beyond 16 bits.
const ODD: &str = "it's <odd> & \"quoted\" &amp; \\ – 計測 ünï 🚀";

/// The guest of which nothing is known.
const EMPTY_ONE: u32 = 18;
/// The guest with many disks.
const DISKS: u32 = 2;
/// The size of a disk that is a file without any format; not all of it is there.
const RAW: u64 = 10 << 20;

/// Starts them: one runs, one is shut off, and all others are paused.
pub fn start(rig: &Libvirtd) -> Result<(), Box<dyn Error>> {
    rig.define(&Guest::new(100))?;
    rig.boot_running(&[Guest::new(101)])?;
    let guests = paused();
    rig.boot(&guests)?;
    let Some(guest) = guests.iter().find(|guest| guest.number() == DISKS) else { return Ok(()) };
    // A disk that has been written to, and files without any format: one that has been written to, and others that have
    // not. Of these one holds something, as Nova's own drive for a guest's configuration does, one is full, one takes no
    // room, and one does not even say that it has no format.
    let write = |device: &str| {
        let write = format!("qemu-io -d /machine/peripheral/{device}/virtio-backend \"write -P 1 1M 2M\"");
        rig.virsh(&["qemu-monitor-command", "--hmp", guest.name(), &write]).map(drop)
    };
    write("virtio-disk1")?;
    let raw: &[&str] = &["--driver", "qemu", "--subdriver", "raw"];
    for (target, content, driver) in
        [("vdv", RAW / 2, &[][..]), ("vdw", 0, raw), ("vdx", RAW, raw), ("vdy", RAW / 4, raw), ("vdz", 0, raw)]
    {
        let path = rig.folder().join(target);
        let mut file = File::create(&path)?;
        io::copy(&mut io::repeat(1).take(content), &mut file)?;
        file.set_len(RAW)?;
        let path = path.to_string_lossy();
        rig.virsh(&[&["attach-disk", guest.name(), &path, target, "--live"], driver].concat())?;
    }
    write("virtio-disk25")?;
    Ok(())
}

/// Ends the one guest whose series lack labels that others have. Ceilometer's exporter gives up each pollster at such a
/// guest, and with it all guests behind it.
pub fn end_odd(rig: &Libvirtd) -> Result<(), Box<dyn Error>> {
    let guest = Guest::new(EMPTY_ONE);
    rig.destroy(guest.name())?;
    rig.virsh(&["undefine", guest.name()])?;
    Ok(())
}

fn paused() -> Vec<Guest> {
    let flavor = |flavor| Nova { flavor, ..Nova::default() };
    let filtered = Nic::filtered("clean-traffic", &[("IP", "10.0.0.7"), ("Custom", "Ab")]);
    let odd = Nova {
        display_name: Some(ODD.into()),
        flavor: Flavor { name: ODD.into(), extra_specs: pairs(&[(ODD, ODD)]), ..Flavor::default() },
        image_properties: pairs(&[(ODD, ODD)]),
        ..Nova::default()
    };
    vec![
        Guest::new(1),
        Guest::new(DISKS).disks(3).cdroms(1),
        Guest::new(3).nics(&[Nic::plain(), filtered.clone(), Nic::plain()]),
        Guest::new(4).nics(&[filtered, Nic::filtered("no-mac-spoofing", &[])]),
        Guest::new(5).vcpus(&[true, false, true]),
        Guest::new(6).metadata(Metadata::None),
        Guest::new(7).metadata(Metadata::Raw("<a:a xmlns:a='urn:a'>of others</a:a>".into())),
        Guest::new(8).nova(Nova { version: NovaVersion::V1_0, ..Nova::default() }),
        Guest::new(9).nova(Nova { image: None, ..Nova::default() }),
        Guest::new(10).nova(flavor(Flavor {
            name: "m1.large".into(),
            id: Some("8f2a1c9e-0000-4000-8000-000000000000".into()),
            disk: 40,
            ephemeral: 15,
            swap: 512,
            extra_specs: pairs(&[("hw:cpu_policy", "dedicated"), ("quota:disk_read_iops_sec", "100")]),
        })),
        Guest::new(11).nova(Nova {
            image_properties: pairs(&[("hw_disk_bus", "virtio"), ("os_distro", "debian"), ("min_ram", "64")]),
            ..Nova::default()
        }),
        Guest::new(12).named(ODD).nova(odd),
        Guest::new(13).nova(Nova { display_name: Some("ü".repeat(255)), ..Nova::default() }),
        Guest::new(14).nova(Nova { display_name: Some("  two\nlines\tand blanks  ".into()), ..Nova::default() }),
        Guest::new(15).disks(0).nics(&[]).balloon_period(None).memory(48),
        Guest::new(16).metadata(Metadata::Raw(SPARSE.into())),
        Guest::new(17).metadata(Metadata::Raw(RICH.into())),
        Guest::new(EMPTY_ONE).metadata(Metadata::Raw(EMPTY.into())),
    ]
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// As little as there may be: no sizes, no image, extra specs that are none, and a root on a volume.
const SPARSE: &str = "
    <nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>
      <nova:name>sparse</nova:name>
      <nova:flavor name='none' id='0'><nova:extraSpecs/></nova:flavor>
      <nova:owner><nova:user uuid='u'/><nova:project uuid='p'/></nova:owner>
      <nova:root type='volume' uuid='7e0f5b1e-0000-4000-8000-000000000000'/>
    </nova:instance>";

/// As much as there may be, beside what an older Nova and somebody else wrote.
const RICH: &str = "
    <old:instance xmlns:old='http://openstack.org/xmlns/libvirt/nova/1.0'><old:name>old</old:name></old:instance>
    <nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>
      <nova:package version='33.0.0'/>
      <nova:name>rich</nova:name>
      <nova:creationTime>2026-01-02 03:04:05</nova:creationTime>
      <nova:flavor name='rich' id='r'>
        <nova:memory> 64 </nova:memory><nova:disk>1</nova:disk><nova:swap>0</nova:swap>
        <nova:ephemeral>2</nova:ephemeral><nova:vcpus>1</nova:vcpus>
        <nova:extraSpecs>
          <nova:extraSpec name='twice'>first</nova:extraSpec><nova:extraSpec name='other'>o</nova:extraSpec>
          <nova:extraSpec name='twice'>second</nova:extraSpec>
        </nova:extraSpecs>
      </nova:flavor>
      <nova:image uuid='155d900f-4e14-4e4c-a73d-069cbf4541e6'>
        <nova:containerFormat>bare</nova:containerFormat><nova:diskFormat>qcow2</nova:diskFormat>
        <nova:minDisk>1</nova:minDisk><nova:minRam>0</nova:minRam>
        <nova:properties>
          <nova:property name='min_ram'>64</nova:property><nova:property name='hw_rng_model'>virtio</nova:property>
        </nova:properties>
      </nova:image>
      <nova:owner><nova:user uuid='u'>user</nova:user><nova:project uuid='p'>project</nova:project></nova:owner>
      <nova:root type='image' uuid='155d900f-4e14-4e4c-a73d-069cbf4541e6'/>
      <nova:ports><nova:port uuid='9a1b2c3d-4e5f-6789-0abc-def012345678'>
        <nova:ip type='fixed' address='10.0.0.2' ipVersion='4'/>
      </nova:port></nova:ports>
    </nova:instance>
    <b:b xmlns:b='urn:b'><b:name>of others</b:name></b:b>";

/// Texts that are empty.
const EMPTY: &str = "
    <nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'>
      <nova:name></nova:name>
      <nova:flavor name='' id='e'>
        <nova:extraSpecs><nova:extraSpec name='none'/><nova:extraSpec name='blank'> </nova:extraSpec></nova:extraSpecs>
      </nova:flavor>
      <nova:image uuid=''><nova:diskFormat/><nova:properties><nova:property name='none'/></nova:properties></nova:image>
      <nova:owner><nova:user uuid=''/><nova:project uuid=''/></nova:owner>
      <nova:root type='image' uuid=''/>
    </nova:instance>";
