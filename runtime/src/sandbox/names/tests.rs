use super::*;
use crate::contract::Kind;

fn meters(names: &[&str]) -> Vec<Meter> {
    names.iter().map(|name| Meter { name: (*name).to_owned(), kind: Kind::Gauge, unit: String::new() }).collect()
}

/// A call that declared these meters and gave as many samples of each as its position says.
fn landed(names: &[&str]) -> Landed<Vec<u32>> {
    let output = (0..).take(names.len()).collect();
    Landed {
        output,
        meters: meters(names),
        parts: Vec::new(),
        texts: Vec::new(),
        writes: Default::default(),
        dropped: 0,
    }
}

/// As one of the operator's modules, which may give whatever is nobody's.
fn own(module: &Arc<str>) -> Giver<'_> {
    static ALL: Granted = Granted { http: None, clock: false, random: false, names: None };
    (module, &ALL)
}

fn granted(beginnings: &[&str]) -> Granted {
    Granted { names: Some(beginnings.iter().map(ToString::to_string).collect()), ..Granted::default() }
}

fn land(names: &mut Names, giver: Giver<'_>, declared: &[&str]) -> (Vec<u32>, Vec<(Cause, u32)>) {
    let mut landed = landed(declared);
    let failures = names.land(giver, &[], &mut landed, |position| (*position, *position as usize));
    (landed.output, failures.into_iter().map(|(failure, samples)| (failure.cause, samples)).collect())
}

#[test]
fn a_name_is_its_first_modules() {
    let [one, other] = ["one", "other"].map(Arc::from);
    let mut names = Names::default();
    assert_eq!(names.describe(&one, "a"), Ok(()));
    assert_eq!(names.describe(&one, "a"), Ok(()));
    assert_eq!(names.describe(&other, "a"), Err(Arc::clone(&one)));
    assert!(names.refuse(own(&one), "a").is_ok() && names.refuse(own(&other), "b").is_ok());
    assert_eq!(
        names.refuse(own(&other), "a").unwrap_err(),
        "the meter a is the module one's; choose a name of its own"
    );
    assert_eq!(land(&mut names, own(&other), &["b", "c"]), (vec![0, 1], vec![]));
    assert!(names.refuse(own(&one), "c").is_err());
    assert_eq!(
        land(&mut names, own(&one), &["d", "c", "b", "a"]),
        (vec![0, 3], vec![(Cause::Forged, 1), (Cause::Forged, 2)])
    );
}

/// What a module declared long ago is forgotten when it has too many, and what others declared is not.
#[test]
fn names_are_bounded_by_module() {
    let [restless, steady] = ["restless", "steady"].map(Arc::from);
    let mut names = Names::default();
    names.describe(&restless, "described").unwrap();
    land(&mut names, own(&steady), &["steady"]);
    let many = |slot: usize| (0..OWN_NAMES).map(|n| format!("{slot}.{n}")).collect::<Vec<_>>();
    for slot in 0..3 {
        names.next_slot();
        let many = many(slot);
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(land(&mut names, own(&restless), &many).1, []);
        assert_eq!(land(&mut names, own(&restless), &["one", "more"]).1, [(Cause::TooMuch, 0), (Cause::TooMuch, 1)]);
        assert_eq!(land(&mut names, own(&restless), &["described"]).1, []);
        assert_eq!(names.owners.len(), OWN_NAMES + 2);
    }
    assert!(names.refuse(own(&restless), "steady").is_err());
    assert!(names.refuse(own(&steady), "0.0").is_ok() && names.refuse(own(&steady), "2.0").is_err());
}

/// What was declared stays its module's when the configuration is read again, as far as the module is the same.
#[test]
fn declared_names_outlast_a_reload() {
    let [kept, gone, new] = ["kept", "gone", "new"].map(Arc::from);
    let mut before = Names::default();
    before.describe(&gone, "described").unwrap();
    land(&mut before, own(&kept), &["a", "b"]);
    land(&mut before, own(&gone), &["c"]);
    let mut after = Names::default();
    after.describe(&new, "b").unwrap();
    after.keep_declared(&before, |module| module == "kept");
    assert!(after.refuse(own(&new), "a").is_err() && after.refuse(own(&kept), "b").is_err());
    assert!(after.refuse(own(&new), "c").is_ok() && after.refuse(own(&new), "described").is_ok());
}

#[test]
fn a_tenants_names_are_those_that_were_granted() {
    let [ours, theirs] = ["cpu", "theirs"].map(Arc::from);
    let mut operators = Names::default();
    operators.describe(&ours, "cpu").unwrap();
    operators.describe(&ours, "acme.taken").unwrap();
    let (mut names, granted_some) = (Names::beside(&operators), granted(&["acme.", "web."]));
    let giver = (&theirs, &granted_some);
    let (given, refused) = land(&mut names, giver, &["acme.load", "cpu", "acme.taken", "acme", "xacme.load", "web.a"]);
    assert_eq!(given, [0, 5]);
    assert_eq!(refused, [(Cause::Forged, 1), (Cause::Forged, 2), (Cause::Forged, 3), (Cause::Forged, 4)]);
    let not_granted = "the meter idle was not granted: names begin with `acme.`, `web.`";
    assert_eq!(names.refuse(giver, "idle").unwrap_err(), not_granted);
    let operators_own = "the meter cpu is the operator's; choose a name of its own";
    assert_eq!(names.allow(&granted_some, "cpu").unwrap_err().to_string(), operators_own);
    // What the operator takes later is the operator's from then on.
    operators.describe(&ours, "acme.load").unwrap();
    names.reserve(&Arc::new(operators));
    assert_eq!(land(&mut names, giver, &["acme.load", "web.a"]).0, [1]);
    // What another version of it was granted is another's.
    let granted_less = granted(&["web."]);
    let (given, refused) = land(&mut names, (&theirs, &granted_less), &["acme.other", "web.a"]);
    assert_eq!((given, refused), (vec![1], vec![(Cause::Forged, 0)]));
    let nobodys = Names::beside(&Names::default());
    for name in ["wasmeter.module.anything", "wasmeter_module.anything"] {
        assert_eq!(nobodys.allow(&granted(&["wasmeter."]), name), Err(NotAllowed::Operators(name.to_owned())));
    }
    let nothing = nobodys.allow(&granted(&[]), "anything").unwrap_err();
    assert_eq!(nothing.to_string(), "the meter anything was not granted: no names were");
}

/// `mitaka` and `deep` are off where nothing is said, and any other may be.
#[test]
fn meters_of_built_in_pollsters_that_are_off_are_the_operators() {
    assert!(built_in::METERS.is_sorted_by(|one, next| one < next));
    let (tenants, granted) = (Names::beside(&Names::default()), granted(&["disk.", "cpu", "cpu."]));
    // Some are others by a letter that `/metrics` does not tell from theirs.
    let taken = ["disk.read.bytes", "cpu.steal", "cpu_l3_cache", "disk.root.size", "cpu"];
    for name in taken.into_iter().chain(["disk.read_bytes", "disk.device-read.bytes", "cpu.l3.cache"]) {
        assert_eq!(tenants.allow(&granted, name), Err(NotAllowed::Operators(name.to_owned())));
    }
    assert!(tenants.allow(&granted, "disk.mine").is_ok());
    // The operator's own modules are not concerned.
    assert!(Names::default().allow(&Granted::default(), "disk.read.bytes").is_ok());
}
