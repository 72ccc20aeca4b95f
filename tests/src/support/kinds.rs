//! Every kind of hostile module, and how each has to end.

mod transformers;

use std::sync::{Arc, OnceLock};

use wasmeter::sandbox::host::Input;
use wasmeter::sandbox::module::Code;
use wasmeter::sandbox::{Cause, Failure, Limits, Module, World, admission};

pub use self::transformers::{convert, convert_noted, giving, transformers};
use super::{Forge, LIMITS, hostile, poll};

/// A kind of misbehaviour.
pub struct Kind {
    /// What it does.
    pub name: String,
    /// The file.
    pub bytes: Arc<[u8]>,
    /// Its configuration.
    pub config: String,
    /// Where it ends, and how.
    pub ends: Ends,
    /// The file, once it is loaded.
    code: OnceLock<Code>,
}

/// Where a module ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// It is not even loaded.
    Loading(Cause),
    /// It is loaded, but not configured, or a transformer that cannot say what comes out.
    Configuring(Cause),
    /// It is configured, and fails in each call of `poll` or `convert`.
    Polling(Cause),
    /// Its calls land, and what is too much of them is not there.
    Landing,
}

// === impl Kind ===

impl Kind {
    fn of(name: &str, bytes: impl Into<Arc<[u8]>>, config: &str, ends: Ends) -> Self {
        Self { name: name.into(), bytes: bytes.into(), config: config.into(), ends, code: OnceLock::new() }
    }

    /// Does it, to the end.
    pub async fn happen(&self, input: &Input) -> (Ends, Option<Failure>) {
        self.happen_within(input, LIMITS).await
    }

    /// Does it within other limits.
    pub async fn happen_within(&self, input: &Input, limits: Limits) -> (Ends, Option<Failure>) {
        match self.configured(limits).await {
            Err((ends, failure)) => (ends, Some(failure)),
            Ok(module) if module.code.manifest.world == World::Transformer => match convert(&module, input).await {
                Err(failure) => (Ends::Configuring(failure.cause), Some(failure)),
                Ok(called) => ended(called.result),
            },
            Ok(module) => {
                let called = poll(&module, input).await;
                assert!(
                    called.fuel <= limits.fuel(input.view.resources()),
                    "{} used more than it was granted",
                    self.name
                );
                ended(called.result)
            }
        }
    }

    /// Whether the compiler is started each time: what is refused by it, or after it, is not kept.
    pub fn starts_the_compiler(&self) -> bool {
        matches!(self.ends, Ends::Loading(_)) && admission::admit(&self.bytes).is_ok()
    }

    async fn configured(&self, limits: Limits) -> Result<Module, (Ends, Failure)> {
        let code = match self.code.get() {
            Some(code) => code.clone(),
            None => {
                let code = super::sandbox().load(&self.bytes).await.map_err(|f| (Ends::Loading(f.cause), f))?;
                self.code.get_or_init(|| code).clone()
            }
        };
        let configured = super::sandbox().configure(&self.name, false, code, self.config.clone(), limits).await;
        configured.map_err(|f| (Ends::Configuring(f.cause), f))
    }
}

fn ended<T>(result: Result<T, Failure>) -> (Ends, Option<Failure>) {
    match result {
        Err(failure) => (Ends::Polling(failure.cause), Some(failure)),
        Ok(_) => (Ends::Landing, None),
    }
}

/// All pollsters.
pub fn all() -> Vec<Kind> {
    let guest: Arc<[u8]> = hostile().into();
    let mut kinds: Vec<_> =
        GUEST.iter().map(|(config, ends)| Kind::of(config, Arc::clone(&guest), config, *ends)).collect();
    // The configuration is what makes the host call `cabi_realloc`.
    kinds.extend(forged().into_iter().map(|(name, forge, ends)| Kind::of(name, forge.component(), "config", ends)));
    kinds.extend(SHAPES.iter().map(|(name, text, ends)| {
        let poller = r#"(instance $i) (export "wasmeter:plugin/poller@0.1.1" (instance $i))"#;
        Kind::of(name, wat::parse_str(format!("(component {text} {poller})")).unwrap(), "", *ends)
    }));
    kinds
}

use Cause::*;
use Ends::*;

/// What the guest of this name does by its configuration.
const GUEST: &[(&str, Ends)] = &[
    ("describe: loop", Configuring(OutOfFuel)),
    ("describe: recurse", Configuring(StackOverflow)),
    ("describe: allocate", Configuring(Memory)),
    ("describe: panic", Configuring(Trap)),
    ("describe: exit", Configuring(Exit)),
    ("describe: refuse", Configuring(ModuleError)),
    ("describe: refuse at length", Configuring(ModuleError)),
    ("describe: nothing", Configuring(BadDescription)),
    ("describe: many meters", Configuring(BadDescription)),
    ("describe: a meter twice", Configuring(BadDescription)),
    ("describe: a name with a blank", Configuring(BadDescription)),
    ("describe: a name with a capital", Configuring(BadDescription)),
    ("describe: a name with an empty word", Configuring(BadDescription)),
    ("describe: a name of nothing", Configuring(BadDescription)),
    ("describe: a long name", Configuring(BadDescription)),
    ("describe: a name beyond ASCII", Configuring(BadDescription)),
    ("describe: a unit that rings", Configuring(BadDescription)),
    ("describe: an unknown attribute", Configuring(BadDescription)),
    ("describe: an unknown discovery", Configuring(BadDescription)),
    ("describe: many discoveries", Configuring(BadDescription)),
    ("describe: many keys", Configuring(BadDescription)),
    ("describe: a key that nobody has", Landing),
    ("describe: a key of no group", Configuring(BadDescription)),
    ("describe: a key instead of none", Configuring(BadDescription)),
    ("describe: a key instead of many", Configuring(BadDescription)),
    ("describe: many patterns", Configuring(BadDescription)),
    ("describe: costly patterns", Landing),
    ("describe: whatever can be seen", Landing),
    ("run: loop", Polling(OutOfFuel)),
    ("run: call the host without end", Polling(OutOfFuel)),
    ("run: recurse", Polling(StackOverflow)),
    ("run: allocate at once", Polling(Memory)),
    ("run: allocate by and by", Polling(Memory)),
    ("run: panic", Polling(Trap)),
    ("run: divide by zero", Polling(Trap)),
    ("run: exit", Polling(Exit)),
    ("run: fail", Polling(ModuleError)),
    ("run: fail at length", Polling(ModuleError)),
    ("run: be unsupported", Polling(ModuleError)),
    ("run: be unavailable", Polling(ModuleError)),
    ("run: print", Landing),
    ("run: print without end", Polling(OutOfFuel)),
    ("run: log", Landing),
    ("run: log without end", Polling(OutOfFuel)),
    ("run: read standard input without end", Polling(OutOfFuel)),
    ("ask: read without end", Polling(OutOfFuel)),
    ("ask: read attributes without end", Polling(OutOfFuel)),
    ("ask: read what is not declared", Polling(Undeclared)),
    ("ask: read a long key that is not declared", Polling(Undeclared)),
    ("ask: read an attribute that is not declared", Polling(Undeclared)),
    ("ask: read what is not declared and do without", Landing),
    ("ask: the parent of nobody", Polling(Forged)),
    ("ask: the parent of the next", Polling(Forged)),
    ("ask: a text of nobody", Polling(Forged)),
    ("ask: for a long text many times", Polling(TooMuch)),
    ("ask: remember for nobody", Polling(Forged)),
    ("ask: remember for a part of its own", Polling(Forged)),
    ("ask: recall for nobody", Polling(Forged)),
    ("ask: remember under no name", Polling(BadData)),
    ("ask: remember texts", Polling(BadData)),
    ("ask: remember fewer values than resources", Polling(BadData)),
    ("ask: remember under many names", Polling(ModuleError)),
    ("ask: remember much", Polling(ModuleError)),
    ("ask: remember without end", Polling(OutOfFuel)),
    ("ask: intern what is no JSON", Polling(BadData)),
    ("ask: intern deep JSON", Polling(BadData)),
    ("ask: intern wide JSON", Polling(ModuleError)),
    ("ask: intern many texts", Polling(ModuleError)),
    ("ask: intern a long text", Polling(ModuleError)),
    ("ask: intern without end", Polling(OutOfFuel)),
    ("ask: declare another's meter", Polling(Forged)),
    ("ask: declare a meter without a name", Polling(BadData)),
    ("ask: declare many meters", Polling(ModuleError)),
    ("ask: declare a meter often", Polling(ModuleError)),
    ("ask: declare meters without end", Polling(OutOfFuel)),
    ("ask: declare many parts", Polling(ModuleError)),
    ("ask: declare more than it may and do without", Landing),
    ("ask: declare parts without end", Polling(OutOfFuel)),
    ("ask: declare a part of great length", Polling(BadData)),
    ("ask: declare a part of nobody", Polling(Forged)),
    ("ask: declare a part without a text", Polling(Forged)),
    ("ask: declare parts of fewer guests", Polling(BadData)),
    ("give: a resource of nobody", Polling(Forged)),
    // Where all guests are its own, these are.
    ("give: all numbers up to its last", Landing),
    ("give: the numbers that it was handed", Landing),
    ("give: resources backwards", Polling(Forged)),
    ("give: a resource twice", Polling(Forged)),
    ("give: a meter of nobody", Polling(Forged)),
    ("give: a meter twice", Polling(Forged)),
    ("give: a note of nobody", Polling(Forged)),
    ("give: a note with a text of nobody", Polling(Forged)),
    ("give: a note on nobody", Polling(Forged)),
    ("give: a note that is no number", Polling(NotFinite)),
    ("give: a note of the host's", Polling(Forged)),
    ("give: a note twice", Polling(Forged)),
    ("give: a long note", Polling(TooMuch)),
    ("give: many notes", Polling(TooMuch)),
    ("give: NaN", Polling(NotFinite)),
    ("give: infinity", Polling(NotFinite)),
    ("give: minus infinity", Polling(NotFinite)),
    ("give: texts", Polling(BadData)),
    ("give: fewer values than resources", Polling(BadData)),
    ("give: many samples", Polling(TooMuch)),
    ("give: more than can cross", Polling(TooMuch)),
];

/// Components whose very shape is too much.
const SHAPES: &[(&str, &str, Ends)] = &[
    ("three memories", "(core module (memory 1)) (core module (memory 1)) (core module (memory 1))", Loading(TooLarge)),
    ("two memories in one module", "(core module (memory 1) (memory 1))", Loading(Compile)),
    (
        "one memory many times",
        "(core module $m (memory 1)) (core instance (instantiate $m)) (core instance (instantiate $m))
         (core instance (instantiate $m))",
        Loading(TooLarge),
    ),
    (
        "one table many times",
        "(core module $m (table 1 funcref) (table 1 funcref) (table 1 funcref)) (core instance (instantiate $m))
         (core instance (instantiate $m)) (core instance (instantiate $m))",
        Loading(TooLarge),
    ),
    ("a memory of 4 GiB", "(core module (memory 65536))", Loading(TooLarge)),
    ("a table of a million", "(core module (table 1000000 funcref))", Loading(TooLarge)),
    ("a memory of 64 bits", "(core module (memory i64 1))", Loading(Compile)),
    ("code that is not valid", "(core module (func (result i32)))", Loading(Compile)),
];

/// Core modules that break the rules of components, or their own.
#[allow(clippy::too_many_lines, reason = "a table")]
fn forged() -> Vec<(&'static str, Forge, Ends)> {
    let forge = Forge::pollster;
    let log = "wasmeter:plugin/log@0.1.1";
    let logs = |call: &str| {
        let forge =
            forge().import(log, "log", "$log (param i32 i32 i32)").item("(data (i32.const 1000) \"\\ff\\fe\\80\")");
        forge.poll(&format!("(call $log {call}) (i32.const 512)"))
    };
    let interns = |list: &str| {
        let texts = "wasmeter:plugin/texts@0.1.1";
        let forge = forge().memory("32").import(texts, "intern", "$intern (param i32 i32 i32)");
        // A thousand times the same text of 1 MiB.
        let fill =
            "(loop (i32.store (local.get 0) (i32.const 65536)) (i32.store offset=4 (local.get 0) (i32.const 1048576))
            (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 8))) (i32.const 16192))))";
        forge.poll(&format!(
            "(local.set 0 (i32.const 8192)) {fill} (call $intern {list} (i32.const 40960)) (i32.const 512)"
        ))
    };
    let forever = "(loop (br 0)) (unreachable)";
    let post = |body: &str| {
        let name = "cabi_post_wasmeter:plugin/poller@0.1.1#poll";
        forge().item(&format!("(func (export \"{name}\") (param i32) {body})"))
    };
    let clock = |forge: Forge| forge.import("wasmeter:plugin/clock@0.1.1", "read-at", "$read_at (param i32)");
    vec![
        (
            "loop in the start function",
            forge().item("(func $start (loop (br 0))) (start $start)"),
            Configuring(OutOfFuel),
        ),
        ("trap in the start function", forge().item("(func $start (unreachable)) (start $start)"), Configuring(Trap)),
        (
            "recurse in the start function",
            forge().item("(func $start (call $start)) (start $start)"),
            Configuring(StackOverflow),
        ),
        ("loop in cabi_realloc", forge().realloc(forever), Configuring(OutOfFuel)),
        ("trap in cabi_realloc", forge().realloc("(unreachable)"), Configuring(Trap)),
        (
            "call the host from cabi_realloc",
            clock(forge()).realloc("(call $read_at (i32.const 2048)) (i32.const 4096)"),
            Configuring(Trap),
        ),
        ("cabi_realloc outside of memory", forge().realloc("(i32.const -8)"), Configuring(BadData)),
        ("loop in describe", forge().describe(forever), Configuring(OutOfFuel)),
        ("loop in poll", forge().poll(forever), Polling(OutOfFuel)),
        ("loop after poll", post("(loop (br 0))"), Polling(OutOfFuel)),
        ("trap after poll", post("(unreachable)"), Polling(Trap)),
        ("call the host after poll", clock(post("(call $read_at (i32.const 2048))")), Polling(Trap)),
        (
            "recurse in poll",
            forge().item("(func $f (call $f))").poll("(call $f) (unreachable)"),
            Polling(StackOverflow),
        ),
        (
            "call nothing",
            forge().item("(table 1 funcref)").poll("(call_indirect (i32.const 0)) (unreachable)"),
            Polling(Trap),
        ),
        ("start with more memory than it may have", forge().memory("600"), Configuring(Memory)),
        ("grow memory", forge().poll("(memory.grow (i32.const 600))"), Polling(Memory)),
        (
            "grow memory without end",
            forge().poll("(loop (drop (memory.grow (i32.const 1))) (br 0)) (unreachable)"),
            Polling(Memory),
        ),
        (
            "grow memory beyond what it declared without end",
            forge().memory("1 1").poll("(loop (drop (memory.grow (i32.const 1))) (br 0)) (unreachable)"),
            Polling(OutOfFuel),
        ),
        (
            "grow a table",
            forge().item("(table $t 1 funcref)").poll("(table.grow $t (ref.null func) (i32.const 20000))"),
            Polling(Table),
        ),
        (
            "grow a table without end",
            forge()
                .item("(table $t 1 funcref)")
                .poll("(loop (drop (table.grow $t (ref.null func) (i32.const 1))) (br 0)) (unreachable)"),
            Polling(Table),
        ),
        (
            "fill 1 GiB",
            forge().poll("(memory.fill (i32.const 0) (i32.const 0) (i32.const 1073741824)) (unreachable)"),
            Polling(OutOfFuel),
        ),
        (
            "fill without end",
            forge()
                .memory("256")
                .poll("(loop (memory.fill (i32.const 65536) (i32.const 1) (i32.const 16000000)) (br 0)) (unreachable)"),
            Polling(OutOfFuel),
        ),
        (
            "fill a table without end",
            forge()
                .item("(table $t 9000 funcref)")
                .poll("(loop (table.fill $t (i32.const 0) (ref.null func) (i32.const 9000)) (br 0)) (unreachable)"),
            Polling(OutOfFuel),
        ),
        ("describe a list longer than memory", forge().meters(0, u32::MAX), Configuring(BadData)),
        ("describe a million meters", forge().memory("400").meters(65536, 1_000_000), Configuring(TooMuch)),
        (
            "describe meters whose names are all of memory",
            forge().memory("256").meters(65536, 100).describe(
                "(local.set 0 (i32.const 65536))
                 (loop (i32.store (local.get 0) (i32.const 131072)) (i32.store offset=4 (local.get 0) (i32.const 16000000))
                    (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 20))) (i32.const 67536))))
                 (i32.const 256)",
            ),
            Configuring(TooMuch),
        ),
        (
            "describe a name that is not UTF-8",
            forge().item("(data (i32.const 1000) \"\\ff\\fe\\80\")").name(1000, 3),
            Configuring(BadData),
        ),
        ("describe a name outside of memory", forge().name(65_530, 100), Configuring(BadData)),
        ("describe from outside of memory", forge().describe("(i32.const -16)"), Configuring(BadData)),
        ("describe what is neither answer nor error", forge().words(256, &[7]), Configuring(BadData)),
        ("describe a meter of no kind", forge().words(136, &[9]), Configuring(BadData)),
        ("give a list longer than memory", forge().series(0, u32::MAX), Polling(BadData)),
        ("give a list from outside of memory", forge().series(0xffff_fff0, 4), Polling(BadData)),
        ("give a list that is not aligned", forge().series(4097, 1), Polling(BadData)),
        ("give a million series", forge().memory("500").series(65536, 1_000_000), Polling(TooMuch)),
        ("give from an odd address", forge().poll("(i32.const 513)"), Polling(BadData)),
        ("give from outside of memory", forge().poll("(i32.const -16)"), Polling(BadData)),
        ("give what is neither answer nor error", forge().words(512, &[7]), Polling(BadData)),
        ("log from outside of memory", logs("(i32.const 0) (i32.const -100) (i32.const 50)"), Polling(BadData)),
        ("log more than there is", logs("(i32.const 0) (i32.const 0) (i32.const -1)"), Polling(BadData)),
        ("log what is not UTF-8", logs("(i32.const 0) (i32.const 1000) (i32.const 3)"), Polling(BadData)),
        ("log at no level", logs("(i32.const 77) (i32.const 64) (i32.const 5)"), Polling(BadData)),
        ("intern a list longer than memory", interns("(i32.const 0) (i32.const -1)"), Polling(BadData)),
        ("intern one long text a thousand times", interns("(i32.const 8192) (i32.const 1000)"), Polling(TooMuch)),
        (
            "sleep",
            sleeping(
                "(local.set 0 (call $stdin)) (local.set 1 (call $subscribe (local.get 0)))
                 (call $block (local.get 1)) (call $drop (local.get 1)) (call $close (local.get 0))",
            ),
            Polling(OutOfFuel),
        ),
        ("take handles without end", sleeping("(drop (call $stdin))"), Polling(TooMuch)),
        ("block on a handle of nobody", sleeping("(call $block (i32.const 77))"), Polling(Forged)),
        (
            "sleep by the clock",
            by_the_clock(
                "(local.set 0 (call $sleep (i64.const 3600000000000)))
                 (call $block (local.get 0)) (call $drop (local.get 0))",
            ),
            Polling(OutOfFuel),
        ),
        ("watch the clock", by_the_clock("(drop (call $now))"), Polling(OutOfFuel)),
        ("take random numbers without end", at_random("(drop (call $number))"), Polling(OutOfFuel)),
        (
            "take more random bytes than may be",
            at_random("(call $bytes (i64.const 65537) (i32.const 2048))"),
            Polling(TooMuch),
        ),
        (
            "make requests",
            forge()
                .import("wasmeter:plugin/http@0.1.1", "send", "$send (param i32 i32 i32 i32 i32 i32 i32 i32 i32)")
                .poll(&format!("(call $send {} (i32.const 2048)) (i32.const 512)", "(i32.const 0) ".repeat(8))),
            Configuring(NotGranted),
        ),
        ("reach for files", beyond("wasi:filesystem/preopens", "get-directories: func() -> u32"), Loading(NotGranted)),
        ("reach for the network", beyond("wasi:sockets/instance-network", "get: func() -> u32"), Loading(NotGranted)),
        ("reach for the unknown", beyond("somebody:else/thing", "get: func() -> u32"), Loading(NotGranted)),
    ]
}

/// Does something without end with what WASI has for sleeping.
fn sleeping(step: &str) -> Forge {
    let packages = "
        package wasi:io@0.2.6 {
            interface poll { resource pollable { block: func(); } }
            interface streams { use poll.{pollable}; resource input-stream { subscribe: func() -> pollable; } }
        }
        package wasi:cli@0.2.6 {
            interface stdin { use wasi:io/streams@0.2.6.{input-stream}; get-stdin: func() -> input-stream; }
        }";
    Forge::pollster()
        .beyond(packages, "import wasi:io/poll@0.2.6; import wasi:io/streams@0.2.6; import wasi:cli/stdin@0.2.6;")
        .import("wasi:cli/stdin@0.2.6", "get-stdin", "$stdin (result i32)")
        .import("wasi:io/streams@0.2.6", "[method]input-stream.subscribe", "$subscribe (param i32) (result i32)")
        .import("wasi:io/poll@0.2.6", "[method]pollable.block", "$block (param i32)")
        .import("wasi:io/poll@0.2.6", "[resource-drop]pollable", "$drop (param i32)")
        .import("wasi:io/streams@0.2.6", "[resource-drop]input-stream", "$close (param i32)")
        .poll(&format!("(loop {step} (br 0)) (unreachable)"))
}

/// Does something without end with the clock that is never set.
fn by_the_clock(step: &str) -> Forge {
    let packages = "
        package wasi:io@0.2.6 { interface poll { resource pollable { block: func(); } } }
        package wasi:clocks@0.2.6 {
            interface monotonic-clock {
                use wasi:io/poll@0.2.6.{pollable};
                now: func() -> u64;
                subscribe-duration: func(when: u64) -> pollable;
            }
        }";
    let clock = "wasi:clocks/monotonic-clock@0.2.6";
    Forge::pollster()
        .beyond(packages, &format!("import wasi:io/poll@0.2.6; import {clock};"))
        .import(clock, "now", "$now (result i64)")
        .import(clock, "subscribe-duration", "$sleep (param i64) (result i32)")
        .import("wasi:io/poll@0.2.6", "[method]pollable.block", "$block (param i32)")
        .import("wasi:io/poll@0.2.6", "[resource-drop]pollable", "$drop (param i32)")
        .poll(&format!("(loop {step} (br 0)) (unreachable)"))
}

/// Does something without end with random numbers.
fn at_random(step: &str) -> Forge {
    let random = "wasi:random/random@0.2.6";
    let functions = "get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64;";
    Forge::pollster()
        .beyond(
            &format!("package wasi:random@0.2.6 {{ interface random {{ {functions} }} }}"),
            &format!("import {random};"),
        )
        .import(random, "get-random-bytes", "$bytes (param i64 i32)")
        .import(random, "get-random-u64", "$number (result i64)")
        .poll(&format!("(loop {step} (br 0)) (unreachable)"))
}

/// Imports something that is not granted, and calls it.
fn beyond(interface: &str, function: &str) -> Forge {
    let (package, interface_name) = interface.split_once('/').unwrap();
    let (name, signature) = function.split_once(": ").unwrap();
    let result = if signature.ends_with("u64") { "i64" } else { "i32" };
    Forge::pollster()
        .beyond(
            &format!("package {package}@0.2.6 {{ interface {interface_name} {{ {function}; }} }}"),
            &format!("import {interface}@0.2.6;"),
        )
        .import(&format!("{interface}@0.2.6"), name, &format!("$beyond (result {result})"))
        .poll("(drop (call $beyond)) (i32.const 512)")
}
