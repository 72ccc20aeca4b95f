//! What came of cases that are run one after the other, for people and for programs.

use serde_json::{Map, Value};

use super::{Exit, print};

/// What came of a case.
pub trait Outcome {
    /// How the program ends for it.
    fn exit(&self) -> Exit;

    /// A line for people, and below it what differs.
    fn text(&self) -> String;

    /// All of it, for programs.
    fn json(&self) -> Value;

    /// Whether its text says what was expected and what came.
    fn differs(&self) -> bool;
}

/// What came of all cases so far. People are told of each at once, programs of all in the end.
pub struct Cases<O> {
    outcomes: Vec<O>,
    json: bool,
}

/// As many differences, or failures, of a case are shown to people.
const SHOWN: usize = 20;

// === impl Cases ===

impl<O: Outcome> Cases<O> {
    /// Of none yet.
    pub fn none(json: bool) -> Self {
        Self { outcomes: Vec::new(), json }
    }

    /// One more.
    pub fn add(&mut self, outcome: O) -> Result<(), Exit> {
        if !self.json {
            print::text(&outcome.text())?;
        }
        self.outcomes.push(outcome);
        Ok(())
    }

    /// Says what came of all of them, with `more` for programs and with what to do about differences for people.
    pub fn end(self, more: Map<String, Value>, remedy: &str) -> Result<Exit, Exit> {
        match self.json {
            true => print::json(&self.all(more))?,
            false => print::text(&self.summary(remedy))?,
        }
        Ok(self.outcomes.iter().map(Outcome::exit).max_by_key(|exit| *exit as u8).unwrap_or(Exit::Done))
    }

    fn bad(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.exit() != Exit::Done).count()
    }

    fn all(&self, more: Map<String, Value>) -> Value {
        let (all, bad) = (self.outcomes.len(), self.bad());
        let mut value = more;
        value.insert("cases".to_owned(), self.outcomes.iter().map(Outcome::json).collect());
        value.insert("good".to_owned(), (all - bad).into());
        value.insert("bad".to_owned(), bad.into());
        value.into()
    }

    fn summary(&self, remedy: &str) -> String {
        let cases = many(self.outcomes.len(), "case");
        let mut out = match self.bad() {
            0 => format!("{cases}, all good\n"),
            bad => format!("{cases}, {bad} of them bad\n"),
        };
        if self.outcomes.iter().any(Outcome::differs) {
            out += "- was expected and did not come, + came and was not expected, ~ is another one.\n";
            out += remedy;
        }
        out
    }
}

/// The first of these texts, and how many more there are of them.
pub fn first(texts: &[String], what: &str) -> String {
    let mut out: String = texts.iter().take(SHOWN).map(String::as_str).collect();
    if texts.len() > SHOWN {
        out += &format!("  and {} more{what}; --json has them all\n", texts.len() - SHOWN);
    }
    out
}

/// So many things.
pub fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
