//! Reads expressions, by the precedence of operators.

use crate::error::{Fault, Result, Span};
use crate::expression::{Path, Root};
use crate::functions::Function;
use crate::lexer::{Lexer, Word};
use crate::number;
use crate::tree::{Binary, Comparison, Node, Unary, What};
use crate::value::Value;

/// How deep an expression may be, sums of many terms included: whoever evaluates it has a small stack.
const DEPTH: usize = 150;

/// Words of Python's that are no names.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Reads one expression.
#[derive(Debug)]
pub struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next word, and where it stands.
    word: Word<'a>,
    at: Span,
    /// Where the word before it stands.
    before: Span,
    paths: Vec<Path>,
    depth: usize,
}

/// A part, and how deep it is.
type Part = (Node, usize);

// === impl Parser ===

impl<'a> Parser<'a> {
    pub fn new(source: &'a str) -> Self {
        Self {
            lexer: Lexer::new(source),
            word: Word::End,
            at: Span::default(),
            before: Span::default(),
            paths: Vec::new(),
            depth: 0,
        }
    }

    /// The whole expression.
    pub fn parse(&mut self) -> Result<Node> {
        self.advance()?;
        let (node, _) = self.choice()?;
        match self.word {
            Word::End => Ok(node),
            _ => Err(self.unexpected()),
        }
    }

    /// What the expression asks for.
    pub fn into_paths(self) -> Vec<Path> {
        self.paths
    }

    /// `a if b else c`, and what binds more tightly.
    fn choice(&mut self) -> Result<Part> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(too_deep(self.at));
        }
        let mut then = self.disjunction()?;
        if self.takes_name("if")? {
            let condition = self.disjunction()?;
            if !self.takes_name("else")? {
                return Err(Fault::new(self.at, "an `if` wants an `else`"));
            }
            let otherwise = self.choice()?;
            let depth = then.1.max(condition.1).max(otherwise.1);
            let at = then.0.at.to(otherwise.0.at);
            then = node(at, What::If(Box::new([condition.0, then.0, otherwise.0])), depth)?;
        }
        self.depth -= 1;
        Ok(then)
    }

    fn disjunction(&mut self) -> Result<Part> {
        let mut left = self.conjunction()?;
        while self.takes_name("or")? {
            left = both(left, self.conjunction()?, What::Or)?;
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Part> {
        let mut left = self.negation()?;
        while self.takes_name("and")? {
            left = both(left, self.negation()?, What::And)?;
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Part> {
        let from = self.at;
        if !self.takes_name("not")? {
            return self.comparison();
        }
        self.deeper(from, |parser| {
            let (operand, depth) = parser.negation()?;
            node(from.to(operand.at), What::Unary(Unary::Not, Box::new(operand)), depth)
        })
    }

    fn comparison(&mut self) -> Result<Part> {
        let (first, mut depth) = self.binary(0)?;
        let mut rest = Vec::new();
        while let Some(comparison) = self.comparing()? {
            let (operand, deeper) = self.binary(0)?;
            depth = depth.max(deeper);
            rest.push((comparison, operand));
        }
        match rest.last() {
            None => Ok((first, depth)),
            Some((_, last)) => node(first.at.to(last.at), What::Compare(Box::new(first), rest), depth),
        }
    }

    fn comparing(&mut self) -> Result<Option<Comparison>> {
        let found = match self.word {
            Word::Sign("<") => Comparison::Less,
            Word::Sign("<=") => Comparison::LessOrEqual,
            Word::Sign("==") => Comparison::Equal,
            Word::Sign("!=") => Comparison::NotEqual,
            Word::Sign(">=") => Comparison::GreaterOrEqual,
            Word::Sign(">") => Comparison::Greater,
            Word::Sign("<>") => return Err(Fault::new(self.at, "write `!=`")),
            Word::Name("in") => Comparison::In,
            Word::Name("not") => {
                self.advance()?;
                if !self.takes_name("in")? {
                    return Err(self.unexpected());
                }
                return Ok(Some(Comparison::NotIn));
            }
            Word::Name("is") => {
                self.advance()?;
                let not = self.takes_name("not")?;
                if !matches!(self.word, Word::Constant(Value::None | Value::Bool(_))) {
                    return Err(Fault::new(self.at, "`is` is for None, True and False; for others write `==`"));
                }
                return Ok(Some(if not { Comparison::IsNot } else { Comparison::Is }));
            }
            _ => return Ok(None),
        };
        self.advance()?;
        Ok(Some(found))
    }

    /// Operators that bind more tightly than `least`.
    fn binary(&mut self, least: u8) -> Result<Part> {
        let mut left = self.signed()?;
        while let Word::Sign(sign) = self.word {
            let found = Binary::ALL.iter().find(|(known, _, binds)| *known == sign && *binds > least);
            let Some((_, operator, binds)) = found else { break };
            self.advance()?;
            let right = self.binary(*binds)?;
            left = calculated(*operator, left, right)?;
        }
        Ok(left)
    }

    /// `-a`, and `a ** b`, which binds more tightly.
    fn signed(&mut self) -> Result<Part> {
        let from = self.at;
        let operator = match self.word {
            Word::Sign("-") => Unary::Minus,
            Word::Sign("+") => Unary::Plus,
            Word::Sign("~") => Unary::Invert,
            _ => return self.power(),
        };
        self.advance()?;
        self.deeper(from, |parser| {
            let (operand, depth) = parser.signed()?;
            let at = from.to(operand.at);
            if let What::Constant(value) = &operand.what
                && let Some(Ok(value)) = number::unary(operator, value)
            {
                return node(at, What::Constant(value), 0);
            }
            node(at, What::Unary(operator, Box::new(operand)), depth)
        })
    }

    fn power(&mut self) -> Result<Part> {
        let base = self.postfix()?;
        if !self.takes_sign("**") {
            return Ok(base);
        }
        self.advance()?;
        let at = self.at;
        self.deeper(at, |parser| calculated(Binary::Power, base, parser.signed()?))
    }

    /// A value, and what it is asked for.
    fn postfix(&mut self) -> Result<Part> {
        let from = self.at;
        let word = std::mem::replace(&mut self.word, Word::End);
        self.advance()?;
        let mut part = match word {
            Word::Constant(value) => (Node { at: from, what: What::Constant(value) }, 0),
            Word::Meter(name) => self.path(Root::Meter(name.to_owned()), from)?,
            Word::Name(name) if KEYWORDS.contains(&name) => return Err(self.refused(name, from)),
            Word::Name(name) if matches!(self.word, Word::Sign("(")) => self.call(name, from)?,
            Word::Name(name) => self.path(Root::Name(name.to_owned()), from)?,
            Word::Sign("(") => self.parenthesis(from)?,
            Word::Sign("[") => {
                let values = self.values("]")?;
                list(values, from.to(self.before))?
            }
            Word::Sign("{") => return Err(Fault::new(from, "mappings cannot be written in an expression")),
            Word::End => return Err(Fault::new(from, "it ends where a value is expected")),
            Word::Sign(_) => return Err(Fault::new(from, "a value is expected here")),
        };
        loop {
            if self.takes_sign(".") {
                self.advance()?;
                let (key, at) = self.key()?;
                part = node(from.to(at), What::Attribute(Box::new(part.0), key), part.1)?;
            } else if self.takes_sign("[") {
                self.advance()?;
                let index = self.choice()?;
                let end = self.at;
                self.close("]")?;
                let depth = part.1.max(index.1);
                part = node(from.to(end), What::Index(Box::new([part.0, index.0])), depth)?;
            } else if self.takes_sign("(") {
                return Err(Fault::new(from, "this cannot be called; functions are called by their names alone"));
            } else {
                return Ok(part);
            }
        }
    }

    /// Names behind a root, with dots or as texts in brackets.
    fn path(&mut self, root: Root, from: Span) -> Result<Part> {
        let (mut keys, mut end) = (Vec::new(), from);
        // `$(cpu)` is its volume, and so is `$(cpu)['x']`; `$(cpu).unit` is not.
        let volume = matches!(root, Root::Meter(_)) && !self.takes_sign(".");
        if volume {
            keys.push("volume".to_owned());
        }
        loop {
            if volume {
                break;
            }
            if self.takes_sign(".") {
                self.advance()?;
                let (key, at) = self.key()?;
                keys.push(key);
                end = at;
            } else if self.takes_sign("[") {
                let (before, bracket) = (self.lexer.clone(), self.at);
                self.advance()?;
                let key = match &self.word {
                    Word::Constant(Value::Text(key)) => Some(key.to_string()),
                    _ => None,
                };
                if key.is_some() {
                    self.advance()?;
                }
                match key {
                    Some(key) if self.takes_sign("]") => {
                        keys.push(key);
                        end = self.at;
                        self.advance()?;
                    }
                    // An index that is calculated is not part of the path.
                    _ => {
                        self.go_back(before, bracket);
                        break;
                    }
                }
            } else {
                break;
            }
        }
        let path = Path { root, keys, at: from.to(end) };
        let known = self.paths.iter().position(|known| known.root == path.root && known.keys == path.keys);
        let at = path.at;
        let slot = known.unwrap_or_else(|| {
            self.paths.push(path);
            self.paths.len() - 1
        });
        Ok((Node { at, what: What::Slot(slot) }, 0))
    }

    fn key(&mut self) -> Result<(String, Span)> {
        let at = self.at;
        match self.word {
            Word::Name(name) if !KEYWORDS.contains(&name) => {
                self.advance()?;
                Ok((name.to_owned(), at))
            }
            _ => Err(Fault::new(at, "a name is expected behind the dot; for others write ['...']")),
        }
    }

    fn call(&mut self, name: &str, from: Span) -> Result<Part> {
        let function = Function::named(name).map_err(|what| Fault::new(from, what))?;
        self.advance()?;
        let values = self.values(")")?;
        function.takes(values.len()).map_err(|what| Fault::new(from, what))?;
        let depth = values.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
        node(from.to(self.before), What::Call(function, values.into_iter().map(|(node, _)| node).collect()), depth)
    }

    /// `(a)` is a, and `(a, b)` is a list.
    fn parenthesis(&mut self, from: Span) -> Result<Part> {
        if self.takes_sign(")") {
            self.advance()?;
            return list(Vec::new(), from.to(self.before));
        }
        let first = self.choice()?;
        if self.takes_sign(",") {
            let values = self.values_after(first, ")")?;
            return list(values, from.to(self.before));
        }
        let end = self.at;
        self.close(")")?;
        let (node, depth) = first;
        Ok((Node { at: from.to(end), ..node }, depth))
    }

    /// Values up to a sign, with commas between them.
    fn values(&mut self, end: &'static str) -> Result<Vec<Part>> {
        if self.takes_sign(end) {
            self.advance()?;
            return Ok(Vec::new());
        }
        let first = self.choice()?;
        self.values_after(first, end)
    }

    fn values_after(&mut self, first: Part, end: &'static str) -> Result<Vec<Part>> {
        let mut values = vec![first];
        while self.takes_sign(",") {
            self.advance()?;
            if self.takes_sign(end) {
                break;
            }
            values.push(self.choice()?);
        }
        self.close(end)?;
        Ok(values)
    }

    fn deeper(&mut self, at: Span, part: impl FnOnce(&mut Self) -> Result<Part>) -> Result<Part> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(too_deep(at));
        }
        let part = part(self);
        self.depth -= 1;
        part
    }

    fn advance(&mut self) -> Result<()> {
        self.before = self.at;
        (self.word, self.at) = self.lexer.next()?;
        Ok(())
    }

    fn go_back(&mut self, lexer: Lexer<'a>, at: Span) {
        (self.lexer, self.word, self.at) = (lexer, Word::Sign("["), at);
    }

    fn takes_sign(&self, sign: &str) -> bool {
        matches!(self.word, Word::Sign(found) if found == sign)
    }

    fn takes_name(&mut self, name: &str) -> Result<bool> {
        let found = matches!(self.word, Word::Name(found) if found == name);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn close(&mut self, sign: &'static str) -> Result<()> {
        match self.word {
            Word::Sign(found) if found == sign => self.advance(),
            Word::Sign(":") => Err(Fault::new(self.at, "parts of texts and lists cannot be taken")),
            _ => Err(Fault::new(self.at, format!("`{sign}` is expected here"))),
        }
    }

    fn unexpected(&self) -> Box<Fault> {
        let what = match self.word {
            Word::End => "it ends too early",
            Word::Sign(":=") => "names cannot be given in an expression",
            Word::Sign(",") => "a comma has no place here",
            Word::Sign(":") => "a colon has no place here",
            Word::Sign(")" | "]" | "}") => "nothing is open that this could close",
            _ => "an operator is expected here",
        };
        Fault::new(self.at, what)
    }

    fn refused(&self, keyword: &str, at: Span) -> Box<Fault> {
        match keyword {
            "lambda" | "await" | "yield" | "for" => Fault::new(at, format!("`{keyword}` is not possible here")),
            _ => Fault::new(at, format!("a value is expected here, and `{keyword}` is none")),
        }
    }
}

fn node(at: Span, what: What, depth: usize) -> Result<Part> {
    if depth >= DEPTH { Err(too_deep(at)) } else { Ok((Node { at, what }, depth + 1)) }
}

fn list(values: Vec<Part>, at: Span) -> Result<Part> {
    let depth = values.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
    let values: Vec<Node> = values.into_iter().map(|(node, _)| node).collect();
    node(at, What::List(values), depth)
}

fn too_deep(at: Span) -> Box<Fault> {
    Fault::new(at, format!("this is nested or added up more than {DEPTH} times"))
}

fn both(left: Part, right: Part, what: impl FnOnce(Box<[Node; 2]>) -> What) -> Result<Part> {
    node(left.0.at.to(right.0.at), what(Box::new([left.0, right.0])), left.1.max(right.1))
}

/// An operation, or what comes of it if that is known already.
fn calculated(operator: Binary, left: Part, right: Part) -> Result<Part> {
    if let (What::Constant(a), What::Constant(b)) = (&left.0.what, &right.0.what)
        && let Some(Ok(value)) = number::binary(operator, a, b)
    {
        return node(left.0.at.to(right.0.at), What::Constant(value), 0);
    }
    both(left, right, |operands| What::Binary(operator, operands))
}
