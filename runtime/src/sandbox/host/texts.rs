//! `texts`: texts as numbers.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Context, forged};
use crate::contract::LimitReached;
use crate::contract::pollster::wasmeter::plugin::texts::Host;
use crate::json;
use crate::sandbox::failure::{Cause, Stop};
use crate::sandbox::limits::{CROSSING_BYTES, JSON_BYTES, TEXT_BYTES, TEXTS_BASE, TEXTS_PER_RESOURCE};
use crate::sandbox::price;

/// A text, and how it appears in metadata.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text {
    /// The text itself.
    pub text: Arc<str>,
    /// Whether it is a JSON value rather than a text.
    pub json: bool,
}

/// Texts by number.
#[derive(Debug)]
pub struct Texts {
    table: Vec<Text>,
    numbers: HashMap<Text, u32>,
    interned: usize,
    bytes: usize,
    most: usize,
}

// === impl Texts ===

impl Texts {
    /// A table for a call that is handed so many resources.
    pub fn new(resources: u32) -> Self {
        let most = TEXTS_BASE + TEXTS_PER_RESOURCE * resources as usize;
        Self { table: Vec::new(), numbers: HashMap::new(), interned: 0, bytes: 0, most }
    }

    /// The text of a number.
    pub fn get(&self, number: u32) -> Option<&Text> {
        self.table.get(number as usize)
    }

    /// All texts.
    pub fn into_table(self) -> Vec<Text> {
        self.table
    }

    /// The number of a text that the host hands out.
    pub fn hand_out(&mut self, text: &str) -> u32 {
        self.number(Text { text: text.into(), json: false })
    }

    /// The number of a text that the host hands out.
    pub fn number(&mut self, text: Text) -> u32 {
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        let number = u32::try_from(self.table.len()).unwrap_or(u32::MAX);
        self.table.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    fn intern(&mut self, text: String, json: bool) -> Result<u32, LimitReached> {
        let text = Text { text: text.into(), json };
        if let Some(number) = self.numbers.get(&text) {
            return Ok(*number);
        }
        if self.interned >= self.most {
            return Err(LimitReached { what: format!("{} texts in a call", self.most) });
        }
        if self.bytes + text.text.len() > TEXT_BYTES {
            return Err(LimitReached { what: format!("{TEXT_BYTES} bytes of texts in a call") });
        }
        self.interned += 1;
        self.bytes += text.text.len();
        Ok(self.number(text))
    }
}

impl Context {
    async fn intern_all(&mut self, texts: Vec<String>, json: bool) -> wasmtime::Result<Result<Vec<u32>, LimitReached>> {
        let bytes: usize = texts.iter().map(String::len).sum();
        self.charge(price::bytes(bytes) + price::TEXT * texts.len() as u64).await;
        Ok(texts.into_iter().map(|text| self.texts.intern(text, json)).collect())
    }
}

impl Host for Context {
    async fn intern(&mut self, texts: Vec<String>) -> wasmtime::Result<Result<Vec<u32>, LimitReached>> {
        self.intern_all(texts, false).await
    }

    async fn intern_json(&mut self, texts: Vec<String>) -> wasmtime::Result<Result<Vec<u32>, LimitReached>> {
        let mut written = Vec::with_capacity(texts.len());
        for text in texts {
            // While it is read it takes dozens of times its length.
            if text.len() > JSON_BYTES {
                return Ok(Err(LimitReached { what: format!("{JSON_BYTES} bytes of a JSON value") }));
            }
            self.charge(price::bytes(text.len())).await;
            match serde_json::from_str(&text) {
                Ok(value) => {
                    let mut out = String::with_capacity(text.len());
                    json::value(&mut out, &value);
                    written.push(out);
                }
                Err(error) => {
                    return Err(Stop::new(Cause::BadData, format!("intern-json was given no JSON: {error}")).into());
                }
            }
        }
        self.intern_all(written, true).await
    }

    async fn resolve(&mut self, indexes: Vec<u32>) -> wasmtime::Result<Vec<String>> {
        let mut bytes = 0;
        for index in &indexes {
            match self.texts.get(*index) {
                Some(text) => bytes += text.text.len() + size_of::<String>(),
                None => return forged(format!("it asked for text {index}, which it was not handed")),
            }
        }
        // Counted before a single one is copied: a long text can be asked for many times.
        if bytes > CROSSING_BYTES {
            let detail = format!("it asked for texts of {bytes} bytes and may have {CROSSING_BYTES} at once");
            return Err(Stop::new(Cause::TooMuch, detail).into());
        }
        self.charge(price::bytes(bytes) + price::TEXT * indexes.len() as u64).await;
        Ok(indexes.iter().filter_map(|index| self.texts.get(*index)).map(|text| text.text.to_string()).collect())
    }
}
