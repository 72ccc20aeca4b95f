//! Modules put together by hand, for what no compiler would write.
//!
//! A core module in the text format, whose parts a test replaces one by one, becomes a component of the contract's
//! world. Left alone it is an honest pollster that describes one meter and gives no sample.

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

const CONTRACT: &str = include_str!("../../../wit/plugin.wit");

/// Where the parts of a module's memory are: the name of its meter, its meter, the answers of `describe` and `poll`.
const NAME: u32 = 64;
const METER: u32 = 128;
const DESCRIBED: u32 = 256;
const POLLED: u32 = 512;
/// Where an honest `cabi_realloc` begins to give out memory.
const HEAP: u32 = 4096;

/// A module in the making.
#[derive(Debug, Clone)]
pub struct Forge {
    contract: String,
    wit: String,
    /// The interface that it exports, its two functions, and how many parameters of the core type they have.
    exports: (&'static str, [(&'static str, usize); 2]),
    imports: String,
    memory: String,
    realloc: String,
    describe: String,
    poll: String,
    items: String,
}

// === impl Forge ===

impl Forge {
    pub fn pollster() -> Self {
        Self {
            contract: CONTRACT.to_owned(),
            wit: "include wasmeter:plugin/pollster@VERSION;".into(),
            exports: ("poller", [("describe", 2), ("poll", 2)]),
            imports: String::new(),
            memory: "1".into(),
            realloc: "(global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                 (global.get $next)
                 (global.set $next (i32.add (global.get $next) (local.get $size)))"
                .into(),
            describe: format!("(i32.const {DESCRIBED})"),
            poll: format!("(i32.const {POLLED})"),
            items: format!("(global $next (mut i32) (i32.const {HEAP})) (data (i32.const {NAME}) \"forged.meter\")"),
        }
        .words(METER, &[NAME, 12])
        .words(DESCRIBED, &[0, METER, 1])
    }

    pub fn transformer() -> Self {
        Self {
            wit: "include wasmeter:plugin/transformer@VERSION;".into(),
            exports: ("converter", [("describe", 4), ("convert", 6)]),
            ..Self::pollster()
        }
    }

    /// Built for another version of the contract.
    pub fn version(mut self, version: &str) -> Self {
        self.contract = self.contract.replace("@0.1.1", &format!("@{version}"));
        self
    }

    /// Built for a contract in which something reads otherwise.
    pub fn contract(mut self, from: &str, to: &str) -> Self {
        assert!(self.contract.contains(from), "the contract has no {from}");
        self.contract = self.contract.replace(from, to);
        self
    }

    /// Imports beyond the contract: packages in WIT, and a line for the world.
    pub fn beyond(mut self, packages: &str, line: &str) -> Self {
        self.contract = format!("{}\n{packages}", self.contract);
        self.wit.push_str(line);
        self
    }

    /// An import of the core module.
    pub fn import(mut self, interface: &str, name: &str, function: &str) -> Self {
        self.imports.push_str(&format!("(import \"{interface}\" \"{name}\" (func {function}))\n"));
        self
    }

    /// Pages of memory: the least, and perhaps the most.
    pub fn memory(mut self, pages: &str) -> Self {
        pages.clone_into(&mut self.memory);
        self
    }

    /// The body of `cabi_realloc`, with `$old`, `$old_size`, `$align` and `$size`.
    pub fn realloc(mut self, body: &str) -> Self {
        body.clone_into(&mut self.realloc);
        self
    }

    /// The body of `describe`.
    pub fn describe(mut self, body: &str) -> Self {
        body.clone_into(&mut self.describe);
        self
    }

    /// The body of `poll` or `convert`.
    pub fn poll(mut self, body: &str) -> Self {
        body.clone_into(&mut self.poll);
        self
    }

    /// Anything else in the core module.
    pub fn item(mut self, item: &str) -> Self {
        self.items.push_str(item);
        self
    }

    /// Words in memory.
    pub fn words(mut self, at: u32, words: &[u32]) -> Self {
        let bytes: String =
            words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("\\{byte:02x}")).collect();
        self.items.push_str(&format!("(data (i32.const {at}) \"{bytes}\")\n"));
        self
    }

    /// The meter's name, wherever that is.
    pub fn name(self, at: u32, length: u32) -> Self {
        self.words(METER, &[at, length])
    }

    /// The meters that it describes, wherever those are.
    pub fn meters(self, at: u32, length: u32) -> Self {
        self.words(DESCRIBED, &[0, at, length])
    }

    /// The series or batches that it gives, wherever those are.
    pub fn series(self, at: u32, length: u32) -> Self {
        self.words(POLLED, &[0, at, length])
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        let version = self.version_of_contract();
        let (interface, functions) = self.exports;
        let [describe, poll] = functions.map(|(name, params)| {
            let params = "i32 ".repeat(params);
            format!("(func (export \"wasmeter:plugin/{interface}@{version}#{name}\") (param {params}) (result i32)")
        });
        let core = format!(
            "(module
                {imports}
                (memory (export \"memory\") {memory})
                (func (export \"cabi_realloc\") (param $old i32) (param $old_size i32) (param $align i32)
                    (param $size i32) (result i32) {realloc})
                {describe} {described})
                {poll} {polled})
                {items})",
            imports = self.imports,
            memory = self.memory,
            realloc = self.realloc,
            described = self.describe,
            polled = self.poll,
            items = self.items,
        );
        let mut module = wat::parse_str(&core).unwrap_or_else(|error| panic!("{error}\n{core}"));
        let mut resolve = Resolve::default();
        resolve.push_str("plugin.wit", &self.contract).unwrap();
        let wit = format!("package forged:test; world forged {{ {} }}", self.wit.replace("VERSION", version));
        let package = resolve.push_str("forged.wit", &wit).unwrap();
        let world = resolve.select_world(&[package], Some("forged")).unwrap();
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
    }

    fn version_of_contract(&self) -> &str {
        let (_, rest) = self.contract.split_once("package wasmeter:plugin@").unwrap();
        rest.split_once(';').unwrap().0
    }
}
