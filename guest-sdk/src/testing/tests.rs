use super::*;
use crate::answers::Answers;
use crate::{Call, Converting, Declared, Kind, Note, Outputs, Samples, Wanted, cumulative, gauge, read};

const RECORDING: &str = concat!(
    r#"{"read_at":{"wall":1000000000,"monotonic":7},"guests":["#,
    r#"{"definition":{"uuid":"a","name":"instance-1","#,
    r#""disks":[{"target":"vda","has_source":true,"file_format":"raw"},{"target":"sda","has_source":false}],"nics":[{"target":"tap0"}],"#,
    r#""nova":{"display_name":"web","flavor":{"name":"m1","disk":20,"ephemeral":5}}},"#,
    r#""stats":[["cpu.time",0,100],["block.*.name",0,"sda"],["block.*.name",1,"vda"],["block.*.rd.bytes",0,1],"#,
    r#"["block.*.rd.bytes",1,18446744073709551615],["vcpu.*.time",2,4],["vcpu.*.time",0,3]]},"#,
    r#"{"definition":{"uuid":"b","name":"instance-2","disks":[{"target":"vda","has_source":true}],"nics":[]},"#,
    r#""stats":[["cpu.time",0,200],["block.*.name",0,"vda"],["block.*.rd.bytes",0,5]]}]}"#,
    "\n\n",
    r#"{"read_at":{"wall":2000000000,"monotonic":null},"guests":[]}"#,
);

/// Emits whatever it is told to, to see what is made of it.
struct Any;

impl Pollster for Any {
    const METERS: &'static [Declared] = &[cumulative("bytes", "B"), gauge("size", "GiB")];
    const DECLARES: &'static [&'static str] = &["extra.*"];
    const READS: &'static [Wanted] =
        &[read("block.*.rd.bytes"), read("vcpu.*.time"), read("flavor.disk"), read("cpu.time")];
    const ATTRIBUTES: &'static [&'static str] = &["device"];

    fn poll(call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        match call.config() {
            "undeclared" => drop(call.column("state.state")?),
            "attribute" => drop(call.attribute("name")?),
            "backwards" => out.emit(0, [(1, 1_u64), (0, 2)].into_iter().collect()),
            "uneven" => out.emit(0, Column::new(vec![0, 1], vec![1_u64])),
            "infinite" => out.emit(0, [(0, f64::INFINITY)].into_iter().collect()),
            "beyond" => out.emit(7, [(0, 1_u64)].into_iter().collect()),
            "json" => drop(call.intern_json(&["{".to_owned()])?),
            "part" => {
                let suffix = call.intern(&["fs0".to_owned()])?;
                let part = call.declare_parts(&[0], &suffix)?;
                let meter = Meter { name: "extra.free".into(), kind: Kind::Gauge, unit: "B".into() };
                let meter = call.declare_meters(&[meter])?[0];
                assert_eq!(call.parents(&part), [0]);
                call.log(Level::Info, "found a file system");
                out.emit(meter as usize, Column::new(part, vec![9_u64]));
            }
            "remember a part" => {
                let part = call.declare_parts(&[0], &call.intern(&["fs0".to_owned()])?)?;
                call.save("before", &Column::new(part, vec![9_u64]))?;
            }
            "state" => {
                let now = call.column("cpu.time")?;
                out.emit(0, call.load("before", &now.resources));
                call.save("before", &now)?;
            }
            "state, then fail" => {
                call.save("before", &call.column("cpu.time")?)?;
                return Err("no".into());
            }
            _ => {
                let bytes = call.column("block.*.rd.bytes")?;
                let device = call.attribute("device")?;
                out.emit_with(0, bytes.clone(), vec![call.note("device", device)?]);
                out.emit(1, call.column("flavor.disk")?);
            }
        }
        Ok(())
    }
}

#[test]
fn replays_a_recording() {
    let mut host = Host::from_recording(RECORDING, 0).unwrap();
    // Guests, disks with a medium guest by guest, NICs, vCPUs.
    let expected = ["a", "b", "a-vda", "b-vda", "a-tap0", "a-vcpu0", "a-vcpu2"];
    for (index, id) in (0..).zip(expected) {
        assert_eq!(host.resource(id), Some(index), "{id}");
    }
    assert_eq!(host.parents_of(&[1, 3, 4, 6]), [1, 1, 0, 0]);
    assert_eq!(host.stats["block.*.qcow2"], [(2, 0_u64)].into_iter().collect());
    assert_eq!(host.stats["vcpu.*.time"], [(5, 3_u64), (6, 4)].into_iter().collect());
    assert_eq!(host.time(), Moment { wall: 1_000_000_000, monotonic: Some(7) });
    let samples = host.poll::<Any>().unwrap();
    assert_eq!(samples.names(), ["bytes", "size"]);
    assert_eq!(samples.counts("bytes"), [(2, u64::MAX), (3, 5)]);
    assert_eq!(samples.counts("size"), [(0, 20)]);
    assert_eq!(samples.note("bytes", "device")[..2], [(2, "\"vda\"".into()), (3, "\"vda\"".into())]);
}

#[test]
fn says_what_is_wrong_with_a_recording() {
    let error = |text: &str, slot| Host::from_recording(text, slot).unwrap_err();
    assert_eq!(error(RECORDING, 2), "the recording has no slot 2");
    assert_eq!(error(r#"{"guests":[{"definition":{},"stats":[["cpu.time"]]}]}"#, 0), r#"["cpu.time"] is no statistic"#);
}

#[test]
fn state_follows_identity_and_lands_only_with_the_samples() {
    let mut host = Host::new().config("state").attribute("id", [(0, "a"), (1, "b")]).stat("cpu.time", [(0, 1), (1, 2)]);
    assert!(host.poll::<Any>().unwrap().counts("bytes").is_empty());
    host = host.attribute("id", [(0, "b"), (1, "a")]).stat("cpu.time", [(0, 20), (1, 10)]);
    host = host.config("state, then fail");
    assert_eq!(host.poll::<Any>(), Err("no".into()));
    host = host.config("state");
    assert_eq!(host.poll::<Any>().unwrap().counts("bytes"), [(0, 2), (1, 1)]);
}

#[test]
fn declares_meters_and_parts() {
    let mut host = Host::new().config("part").stat("cpu.time", [(0, 1), (4, 1)]);
    let samples = host.poll::<Any>().unwrap();
    assert_eq!(samples.counts("extra.free"), [(5, 9)]);
    assert_eq!(samples.part(5), Some((0, "fs0")));
    assert_eq!(host.logs(), [(Level::Info, "found a file system".to_owned())]);
}

#[test]
#[should_panic(expected = "Some(5) is a part that this call declared, and has no cells")]
fn refuses_to_remember_a_part_of_the_same_call() {
    let _ = Host::new().config("remember a part").stat("cpu.time", [(0, 1), (4, 1)]).poll::<Any>();
}

#[test]
fn refuses_what_was_not_declared() {
    for (config, text) in [("undeclared", "state.state is read, but READS"), ("attribute", "name is read, but ATTRIB")]
    {
        let mut host = Host::new().config(config).stat("state.state", [(0, 1)]).attribute("name", [(0, "x")]);
        let error = host.poll::<Any>().unwrap_err();
        assert!(matches!(&error, Failure::Failed(found) if found.starts_with(text)), "{error:?}");
    }
}

#[test]
fn ends_a_call_that_breaks_the_contract() {
    for config in ["backwards", "uneven", "infinite", "beyond", "json"] {
        let poll = || Host::new().config(config).poll::<Any>().map(|_| ());
        assert!(std::panic::catch_unwind(poll).is_err(), "{config}");
    }
}

/// Hands back what it gets, and what it declares of the first resource's guest.
struct Echo;

impl Transformer for Echo {
    fn describe(_config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        let declares = vec!["echo.*".to_owned()];
        if inputs.is_empty() {
            Err("nothing comes in".into())
        } else {
            Ok(Outputs { meters: inputs.to_vec(), declares })
        }
    }

    fn convert(call: &Call<'_, Converting>, _inputs: &[Meter], mut batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        let ids: Column = call.attribute("id")?;
        for batch in &mut batches {
            batch.notes.push(call.note("id", ids.clone())?);
        }
        let mut guests = call.parents(&[batches[0].column.resources[0]]);
        let mut suffixes = call.intern(&["echo".to_owned()])?;
        match call.config() {
            "part of a part" => guests = vec![batches[0].column.resources[0]],
            "part of nobody" => guests = vec![7],
            "no text" => suffixes = vec![1000],
            "long" => suffixes = call.intern(&["x".repeat(256)])?,
            "empty" => suffixes = call.intern(&[String::new()])?,
            "bell" => suffixes = call.intern(&["\u{7}".to_owned()])?,
            "future" => batches[0].at.wall += 1,
            "later" => batches[0].at.monotonic = Some(u64::MAX),
            "long ago" => batches[0].at.wall -= 86_400_000_000_001,
            "sample of nobody" => batches[0].column.resources = vec![7],
            _ => {}
        }
        let parts = call.declare_parts(&guests, &suffixes)?;
        let meter = Meter { name: "echo.parts".into(), kind: Kind::Gauge, unit: String::new() };
        for meter in call.declare_meters(&[meter])? {
            let column = parts.iter().map(|part| (*part, 1_u64)).collect();
            batches.push(Batch { meter, at: batches[0].at, column, notes: Vec::new() });
        }
        Ok(batches)
    }
}

#[test]
fn converts() {
    let mut host = Host::new().attribute("id", [(0, "a")]).parents([(1, 0)]);
    let input = Meter { name: "cpu".into(), kind: Kind::Cumulative, unit: "ns".into() };
    let column: Column = [(1, 5_u64)].into_iter().collect();
    let batch = Batch { meter: 0, at: moment(1), column: column.clone(), notes: Vec::<Note>::new() };
    let converted = host.convert::<Echo>(std::slice::from_ref(&input), vec![batch]).unwrap();
    let [echoed, declared] = &converted.batches[..] else { panic!("{converted:?}") };
    assert_eq!((&converted.meters[0], &echoed.column, echoed.notes.len()), (&input, &column, 1));
    assert_eq!((declared.meter, converted.meters[1].name.as_str()), (1, "echo.parts"));
    assert_eq!(converted.part(declared.column.resources[0]), Some((0, "echo")));
    assert_eq!(host.convert::<Echo>(&[], vec![]), Err("nothing comes in".into()));
}

fn input() -> Meter {
    Meter { name: "cpu".into(), kind: Kind::Cumulative, unit: "ns".into() }
}

fn batch(resource: u32) -> Batch {
    let column = [(resource, 5_u64)].into_iter().collect();
    Batch { meter: 0, at: moment(100_000), column, notes: Vec::new() }
}

#[test]
fn resources_may_be_known_from_batches_alone() {
    let mut host = Host::new().attribute("id", [(0, "a")]);
    let converted = host.convert::<Echo>(&[input()], vec![batch(1)]).unwrap();
    let part = converted.batches[1].column.resources[0];
    assert_eq!((part, converted.part(part)), (2, Some((1, "echo"))));
}

#[test]
fn a_transformer_is_held_to_what_the_host_does() {
    for (config, text) in [
        ("part of a part", "declare_parts: resource 1 is no guest"),
        ("part of nobody", "declare_parts: resource 7 is no guest"),
        ("no text", "declare_parts: there is no text 1000"),
        ("long", "declare_parts: a suffix has 1 to 255 bytes, not 256"),
        ("empty", "declare_parts: a suffix has 1 to 255 bytes, not 0"),
        ("bell", "declare_parts: a suffix has no control characters: \"\\u{7}\""),
        ("future", "cpu: its samples are of a time after this slot"),
        ("later", "cpu: its samples are of a time after this slot"),
        ("long ago", "cpu: its samples are of a time more than a day ago"),
        ("sample of nobody", "cpu: there is no resource 7"),
    ] {
        let convert = || {
            let mut host = Host::new().config(config).attribute("id", [(0, "a")]).parents([(1, 0)]);
            host.convert::<Echo>(&[input()], vec![batch(1)]).map(|_| ())
        };
        let panic = std::panic::catch_unwind(convert).expect_err(config);
        let said = panic.downcast_ref::<String>().unwrap();
        assert!(said.starts_with(text), "{config}: {said}");
    }
}
